"""The message about what a run changed, for a chat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gdp.model import is_flagged_by_check
from gdp.report.revisions import REVISED, Changes, Row, last_refresh, revision_words, summary
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.validate.findings import Finding
from utils import checks_file, with_commas

MOST_REVISIONS, MOST_FINDINGS = 10, 5
MOST_CHARACTERS = 2_000  # of Discord


def message(connection: Connection, report: Path | None) -> dict[str, Any]:
    """Return what changed for the chats' webhooks: Slack and Mattermost show `text`, Discord `content`.

    It has the largest revisions, the findings of the checks, and the path of the report.
    """
    history = History(connection)
    changes = last_refresh(connection, history, history.newest_imf())
    findings = _findings()
    found = [f"Found: {finding}" for finding in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:  # an archive has one and more a vintage
        found.append(f"and {len(findings) - MOST_FINDINGS:,} findings more: {checks_file()}")
    text = "\n".join([*lines(changes), *found, *([f"Report: {report}"] if report else [])])
    for sign in "<@":  # anybody can edit a page, and a name such as <!channel> or @everyone must call nobody
        text = text.replace(sign, f"{sign}\u200b")
    return {"text": text, "content": text[:MOST_CHARACTERS]}


def lines(changes: Changes) -> list[str]:
    """Return the numbers of changes, and a line for each of the largest revisions."""
    revised = [row for row in changes.rows if row["Change"] == REVISED]
    return [f"GDP by country (IMF): {summary(changes)}", *map(_revision, revised[:MOST_REVISIONS])]


def _revision(row: Row) -> str:
    was, now = with_commas(row["Was_USD_billion"]), with_commas(row["GDP_USD_billion"])
    revised = "" if row["Revised_percent"] is None else f", {revision_words(row['Revised_percent'])}"
    flagged = f" (flagged: {row['Note'] or row['Flags']})" if is_flagged_by_check(row["Flags"]) else ""
    return f"{row['Country']} {row['Year']}: {was} → {now} billion USD{revised}{flagged}"


def _findings() -> list[str]:
    """Return the findings in results/Checks.json, a line each; none where the file cannot be read."""
    try:
        found = json.loads(checks_file().read_bytes())["findings"]
        return [Finding.from_json(one).in_lines()[0] for one in found]
    except (OSError, ValueError, LookupError, TypeError):
        return []

"""What a run changed, in a few lines, for those whom it concerns: in a chat, by mail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gdp.report.revisions import REVISED, Changes, Row, last_refresh, summary
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.validate.findings import Finding
from utils import checks_file, percent, with_commas

MOST_REVISIONS, MOST_FINDINGS = 10, 5


def message(connection: Connection, report: Path | None) -> dict[str, Any]:
    """Return what changed as the chats' webhooks take it: Slack and Mattermost show `text`, Discord `content`.

    It has the largest revisions, what the checks found, and where the report stands, if one does.
    """
    history = History(connection)
    changes = last_refresh(history, history.newest_imf())
    findings = _findings()
    found = [f"Found: {finding}" for finding in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:  # an archive has one and more a vintage
        found.append(f"and {len(findings) - MOST_FINDINGS:,} findings more: {checks_file()}")
    text = "\n".join([*lines(changes), *found, *([f"Report: {report}"] if report else [])])
    for sign in "<@":  # a name comes from a page that anybody edits: <!channel> and @everyone must call nobody
        text = text.replace(sign, f"{sign}\u200b")
    return {"text": text, "content": text[:2000]}  # Discord takes no more


def lines(changes: Changes) -> list[str]:
    """Return the sum of what changed, and a line for each of the largest revisions."""
    revised = [row for row in changes.rows if row["Change"] == REVISED]
    return [f"GDP by country (IMF): {summary(changes)}", *map(_revision, revised[:MOST_REVISIONS])]


def _revision(row: Row) -> str:
    was, now = with_commas(row["Was_USD_billion"]), with_commas(row["GDP_USD_billion"])
    doubt = " (in doubt: it has a Note)" if row["Note"] or row["Was_Note"] else ""
    return f"{row['Country']} {row['Year']}: {was} → {now} billion USD, {percent(row['Revised_percent'])}{doubt}"


def _findings() -> list[str]:
    """Return what results/Checks.json says was found, a line each; nothing where it cannot be read."""
    try:
        found = json.loads(checks_file().read_bytes())["findings"]
        return [Finding.from_json(one).in_lines()[0] for one in found]
    except (OSError, ValueError, LookupError, TypeError):
        return []

"""What changed, for others to read: feed.xml (Atom), CHANGES.md, and the message to a chat.

The feed and the release notes follow from the database alone: the same figures give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from markupsafe import escape

from gdp.model import is_flagged_by_check
from gdp.report.attribution import attribution_of
from gdp.report.revisions import Changes, Ranking, changed, last_refresh, ranking, summary
from gdp.store.history import History
from gdp.store.vintages import Vintage
from gdp.validate.findings import Finding
from utils import checks_file, printable

MOST_LOOKED_AT = 20  # vintages without headlines of the IMF
MOST_ENTRIES, MOST_REVISIONS = 10, 10  # the newest vintages, and of each the largest revisions
MOST_FINDINGS = 5  # in a message
MOST_CHARACTERS = 2_000  # of Discord
TITLE = "GDP by country: what changed"


class Entry(NamedTuple):
    """One vintage that changed something."""

    vintage: Vintage
    attribution: str
    changes: Changes

    @property
    def lines(self) -> list[str]:
        """The numbers of changes, and the largest revisions."""
        return [summary(self.changes), *(line for _, line in self.changes.revisions_in_lines(MOST_REVISIONS))]


def entries(history: History) -> list[Entry]:
    """Return the newest vintages of the IMF's figures that changed something, the newest first."""
    return list(islice(_changing_vintages(history), MOST_ENTRIES))


def _changing_vintages(history: History) -> Iterator[Entry]:
    vintage = history.newest_imf()
    now = ranking(history, vintage)
    while vintage:
        before = _ranking_before(history, vintage)
        changes = changed(history, before, now)
        if changes.rows:
            yield Entry(vintage, str(attribution_of(vintage, list(now.rows.values()))), changes)
        vintage, now = before.vintage, before


def _ranking_before(history: History, vintage: Vintage) -> Ranking:
    """Return the ranking of the same publisher's vintage before that has headlines, or an empty one."""
    for earlier in reversed(history.vintages.last_before(vintage.publisher, vintage.as_of, MOST_LOOKED_AT)):
        before = ranking(history, earlier if "IMF" in earlier.institutions else None)
        if before.rows:
            return before
    return Ranking(None, {})


def as_atom(found: list[Entry], link: str = "") -> bytes:
    """Return the entries as an Atom feed; `link` is the address at which the report is published, if it is."""
    updated = _moment(found[0].vintage) if found else "1970-01-01T00:00:00Z"
    where = f'<link href="{escape(link)}"/>' if link else ""
    text = [
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<id>urn:countries-by-gdp</id><title>{TITLE}</title><updated>{updated}</updated>{where}"
        "<author><name>Countries by GDP</name></author>\n"
    ]
    for entry in found:
        vintage, lines = entry.vintage, "".join(f"<li>{escape(printable(line))}</li>" for line in entry.lines)
        text.append(
            f"<entry><id>urn:countries-by-gdp:{vintage.publisher}:{vintage.as_of}</id><title>GDP by country:"
            f" {escape(printable(entry.attribution))}</title><updated>{_moment(vintage)}</updated>"
            f'{where}<content type="html">{escape(f"<ul>{lines}</ul>")}</content></entry>\n'
        )
    return "".join([*text, "</feed>\n"]).encode()


def _moment(vintage: Vintage) -> str:
    return vintage.as_of if "T" in vintage.as_of else f"{vintage.as_of}T00:00:00Z"


def as_release_notes(found: list[Entry]) -> bytes:
    """Return the entries as Markdown: a heading a vintage, and its changes as a list."""
    text = [f"# {TITLE}\n"]
    for entry in found:
        lines = "".join(f"- {_markdown(line)}\n" for line in entry.lines)
        text.append(f"\n## {entry.vintage.as_of[:10]}\n\n{_markdown(entry.attribution)}\n\n{lines}")
    return "".join(text).encode()


def _markdown(text: str) -> str:
    """Return a text in which no name from a source is Markdown or HTML."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|&@!" else letter for letter in printable(text))


def message(history: History, report: Path | None) -> dict[str, str]:
    """Return what changed for the chats' webhooks: Slack and Mattermost show `text`, Discord `content`.

    It has the largest revisions, the findings of the checks, and the path of the report.
    """
    changes = last_refresh(history, history.newest_imf())
    lines = [f"GDP by country (IMF): {summary(changes)}"]
    for row, line in changes.revisions_in_lines(MOST_REVISIONS):
        is_flagged = is_flagged_by_check(row["Flags"])
        lines.append(f"{line} (flagged: {row['Note'] or row['Flags']})" if is_flagged else line)
    findings = _findings()
    lines += [f"Found: {finding}" for finding in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:  # an archive has one and more a vintage
        lines.append(f"and {len(findings) - MOST_FINDINGS:,} findings more: {checks_file()}")
    text = "\n".join([*lines, *([f"Report: {report}"] if report else [])])
    for sign in "<@":  # anybody can edit a page, and a name such as <!channel> or @everyone must call nobody
        text = text.replace(sign, f"{sign}\u200b")
    return {"text": text, "content": text[:MOST_CHARACTERS]}


def _findings() -> list[str]:
    """Return the findings in results/Checks.json, a line each; none where the file cannot be read."""
    try:
        found = json.loads(checks_file().read_bytes())["findings"]
        return [Finding.from_json(one).in_lines()[0] for one in found]
    except (OSError, ValueError, LookupError, TypeError):
        return []

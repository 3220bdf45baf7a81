"""What changed, for feed readers and as release notes: feed.xml (Atom) and CHANGES.md.

Both follow from the database alone: the same figures give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from markupsafe import escape

from gdp.report.attribution import attribution_of
from gdp.report.revisions import REVISED, Changes, Ranking, Row, changed, ranking, revision_words, summary
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.vintages import Vintage
from utils import printable, with_commas

MOST_LOOKED_AT = 20  # vintages without headlines of the IMF
MOST_ENTRIES, MOST_LINES = 10, 10  # the newest vintages, and of each the largest revisions
TITLE = "GDP by country: what changed"


class Entry(NamedTuple):
    """One vintage that changed something."""

    vintage: Vintage
    attribution: str
    changes: Changes

    @property
    def title(self) -> str:
        """Whose figures changed."""
        return f"GDP by country: {self.attribution}"

    @property
    def lines(self) -> list[str]:
        """The numbers of changes, and the largest revisions."""
        revised = [row for row in self.changes.rows if row["Change"] == REVISED][:MOST_LINES]
        return [summary(self.changes), *map(_line_of, revised)]


def entries(connection: Connection) -> list[Entry]:
    """Return the newest vintages of the IMF's figures that changed something, the newest first."""
    history = History(connection)
    return list(islice(_changing_vintages(connection, history), MOST_ENTRIES))


def _changing_vintages(connection: Connection, history: History) -> Iterator[Entry]:
    vintage = history.newest_imf()
    now = ranking(history, vintage)
    while vintage:
        before = _ranking_before(history, vintage)
        changes = changed(connection, before, now)
        if changes.rows:
            yield Entry(vintage, str(attribution_of(connection, vintage, list(now.rows.values()))), changes)
        vintage, now = before.vintage, before


def _ranking_before(history: History, vintage: Vintage) -> Ranking:
    """Return the ranking of the same publisher's vintage before that has headlines, or an empty one."""
    for earlier in reversed(history.vintages.last_before(vintage.publisher, vintage.as_of, MOST_LOOKED_AT)):
        before = ranking(history, earlier) if "IMF" in earlier.institutions else Ranking(None, {})
        if before.rows:
            return before
    return Ranking(None, {})


def _line_of(row: Row) -> str:
    was, now = with_commas(row["Was_USD_billion"]), with_commas(row["GDP_USD_billion"])
    revised = "" if row["Revised_percent"] is None else f", {revision_words(row['Revised_percent'])}"
    return f"{row['Country']} {row['Year']}: {was} → {now} billion USD{revised}"


def as_atom(found: list[Entry], link: str = "") -> bytes:
    """Return the entries as an Atom feed; `link` is the address at which the report is published, if it is."""
    updated = _moment(found[0].vintage.as_of) if found else "1970-01-01T00:00:00Z"
    where = f'<link href="{escape(link)}"/>' if link else ""
    text = [
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<id>urn:countries-by-gdp</id><title>{TITLE}</title><updated>{updated}</updated>{where}"
        "<author><name>Countries by GDP</name></author>\n"
    ]
    for entry in found:
        lines = "".join(f"<li>{_words(line)}</li>" for line in entry.lines)
        text.append(
            f"<entry><id>urn:countries-by-gdp:{entry.vintage.publisher}:{entry.vintage.as_of}</id>"
            f"<title>{_words(entry.title)}</title><updated>{_moment(entry.vintage.as_of)}</updated>"
            f'{where}<content type="html">{escape(f"<ul>{lines}</ul>")}</content></entry>\n'
        )
    return "".join([*text, "</feed>\n"]).encode()


def _words(text: str) -> str:
    return str(escape(printable(text)))


def _moment(as_of: str) -> str:
    return as_of if "T" in as_of else f"{as_of}T00:00:00Z"


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

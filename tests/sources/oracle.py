"""An independent reader of tables: html5lib builds the tree that a browser would, BeautifulSoup lays it out.

It shares no line with gdp/sources/tables.py, and must agree with it on every page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

UNSEEN = ["style", "script", "noscript", "template", "head", "s", "strike", "del"]
HIDDEN_CLASSES = {"sr-only", "screen-reader-text", "visually-hidden", "sortkey"}
APART = ["br", "p", "div", "li", "sup", "sub", "small"]
Grid = list[list[str | None]]


def grids(page: str) -> list[Grid]:
    """Return the texts of every visible table, a nested one behind the one around it; None where no cell is."""
    soup = BeautifulSoup(page, "html5lib")
    for unseen in soup.find_all(UNSEEN):
        unseen.decompose()
    for tag in soup.find_all(True):
        if (
            not tag.decomposed
            and is_hidden(tag)
            and (tag.name == "table" or tag.find("table") or tag.find_parent("table"))
        ):
            tag.decompose()
    for tag in soup.find_all(stands_apart):
        if tag.name == "br":
            tag.insert_before("\u2028")
        else:
            tag.insert(0, "\u2028")
    return [grid_of(table) for table in soup.find_all("table")]


def is_hidden(tag: Tag) -> bool:
    style = str(tag.get("style", "")).replace(" ", "").lower()
    named = any(name in HIDDEN_CLASSES or name.startswith("navbox") for name in tag.get("class") or ())
    return named or "display:none" in style or "visibility:hidden" in style


def stands_apart(tag: Tag) -> bool:
    """Tell whether a line, a raised or small mark, or a footnote begins with a tag: words that meet there are two."""
    if tag.name in APART:
        return True
    target, style, classes = (str(tag.get(name, "")) for name in ("href", "style", "class"))
    if tag.name == "a":
        return "#cite_note" in target or target.startswith("#")
    raised = re.search(r"vertical-align\s*:\s*(super|sub|text-top|top)", style)
    return tag.name == "span" and bool(raised or re.search("super|subscript|reference|noteref|footnote|'sup'", classes))


def grid_of(table: Tag) -> Grid:
    """Return the texts of a table in all the places that its cells cover."""
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    texts: dict[tuple[int, int], str] = {}
    for number, row in enumerate(rows):
        for cell in (one for one in row.find_all(["td", "th"], recursive=False)):
            column = next(column for column in range(10_000) if (number, column) not in texts)
            down, across = span(cell, "rowspan"), min(span(cell, "colspan"), 1000)
            for below in range(number, number + down if down else len(rows)):
                texts |= {(below, beside): text_of(cell) for beside in range(column, column + across)}
    widths = [max((column for row, column in texts if row == number), default=-1) + 1 for number in range(len(rows))]
    return [[texts.get((number, column)) for column in range(width)] for number, width in enumerate(widths)]


def span(cell: Tag, name: str) -> int:
    found = re.match(r"\s*(\d{1,9})", str(cell.get(name, "")))
    number = int(found[1]) if found else 1
    return number if number or name == "rowspan" else 1


def text_of(cell: Tag) -> str:
    """Return a cell's own text, without that of tables in it, white space folded."""
    text = "".join(_own(cell))
    text = re.sub("(?<=\\w)\u2028+(?=\\w)", " ", text).replace("\u2028", "")
    return re.sub(r"[ \t\r\n\f]+", " ", text).strip()


def _own(tag: Tag) -> Iterator[str]:
    for child in tag.children:
        if isinstance(child, Tag):
            if child.name != "table":
                yield from _own(child)
        elif type(child).__name__ == "NavigableString":
            yield str(child)

"""An independent reader of tables: html5lib builds the tree that a browser would, BeautifulSoup lays it out.

It shares no line with gdp/sources/wikipedia/tables.py, and must agree with it on every page.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

UNSEEN = ["style", "script", "noscript", "template", "head", "s", "strike", "del", "datalist", "object"]
HIDDEN_CLASSES = {"sr-only", "screen-reader-text", "visually-hidden", "sortkey", "edit-page"}
HIDDEN_STYLES = ("display:none", "visibility:hidden", "visibility:collapse", "opacity:0;", "font-size:0;")
LINES = ["br", "p", "div", "li", "ul", "ol", "dl", "dt", "dd", "hr", "blockquote", "pre", "center", "section",
         "article", "figure"]  # fmt: skip
WITHIN_NUMBERS = ["span", "b", "strong", "bdi", "bdo", "data", "font", "ins", "u", "tt", "code", "nobr", "wbr", "time"]
RAISED = dict(zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True))
LINE, EDGE = "\ue000", "\ue001"
Grid = list[list[str | None]]


def grids(page: str) -> list[Grid]:
    """Return the texts of every visible table, a nested one behind the one around it; None where no cell is."""
    soup = BeautifulSoup(page, "html5lib")
    for tag in soup.find_all(lambda tag: tag.name in UNSEEN or is_hidden(tag)):
        if not tag.decomposed:
            tag.decompose()
    return [grid_of(table) for table in soup.find_all("table")]


def is_hidden(tag: Tag) -> bool:
    style = str(tag.get("style", "")).replace(" ", "").lower() + ";"
    buttons = ("navbox", "navbar", "mw-editsection")
    named = any(name in HIDDEN_CLASSES or name.startswith(buttons) for name in tag.get("class") or ())
    return named or tag.has_attr("hidden") or any(hidden in style for hidden in HIDDEN_STYLES)


def is_mark(tag: Tag) -> bool:
    """Return whether a tag is raised, small, or a link to a note."""
    target, style, size = (str(tag.get(name, "")) for name in ("href", "style", "size"))
    classes = " ".join(tag.get("class") or ())
    if tag.name in ("sup", "sub", "small") or (tag.name == "font" and size in ("1", "2", "-1", "-2")):
        return True
    if tag.name == "a":
        return "#cite_note" in target or target.startswith("#")
    if re.search(r"vertical-align\s*:\s*(super|sub|text-top|top)|font-size\s*:\s*(small|[1-8]\d%|0?\.\d)", style):
        return tag.name not in ("td", "th", *LINES)
    return tag.name == "span" and bool(re.search("super|subscript|reference|noteref|footnote|^sup$", classes))


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
    text = "".join(own(cell, ""))
    text = "".join(c for c in text if c in " \t\n\f\r" or unicodedata.category(c) not in ("Cc", "Cf"))
    text = re.sub(f"(?<=\\d)\\s*[{LINE}{EDGE}][\\s{LINE}{EDGE}]*(?=\\d\\d\\d(?!\\d))", " / ", text)
    text = re.sub(f"(?<=\\d){EDGE}+(?=\\d)", " ", text)
    text = re.sub(f"(?<=\\w){EDGE}*{LINE}[{LINE}{EDGE}]*(?=\\w)", " ", text).replace(LINE, "").replace(EDGE, "")
    return re.sub(r"[ \t\r\n\f]+", " ", text).strip()


def own(tag: Tag, before: str) -> Iterator[str]:
    """Yield the texts in a tag; `before` is the text of the cell before it."""
    for child in tag.children:
        if isinstance(child, Tag):
            if child.name == "table":
                continue
            inner = "".join(own(child, "" if is_mark(child) else before))
            digits = inner.strip(f" \n{LINE}{EDGE}")
            if child.name in LINES or (
                not is_mark(child) and re.search("display *: *(block|table)", str(child.get("style")))
            ):
                part = LINE + inner + LINE
            elif (
                is_mark(child)
                and (before.strip() or child.name in ("sup", "sub"))
                and re.fullmatch("[0-9]{1,2}", digits)
            ):
                part = "".join(RAISED[digit] for digit in digits)
            elif is_mark(child):
                part = LINE + inner + LINE
            else:
                part = inner if child.name in WITHIN_NUMBERS else EDGE + inner + EDGE
        else:
            part = str(child) if type(child).__name__ == "NavigableString" else ""
        before += part
        yield part

"""HTML to tables of cells: what a reader would see, with rowspans and colspans laid out in a grid.

lxml builds the tree in C; what is hidden is cut out there, nested tables are taken apart, each is walked once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from gdp.sources import Refused

# What HTML itself allows (https://html.spec.whatwg.org/multipage/tables.html#attr-tdth-colspan).
MAX_COLSPAN = 1000
# The page of 2025 has 4,600 tags, 900 of them in cells; these bounds keep the worst page under 10 s and 500 MB.
MAX_TAGS = 200_000
MAX_GRID_CELLS = 200_000
MAX_NESTED = 30  # the deepest page had two tables in each other

_CELLS = ("td", "th")
_NEVER_SEEN = ("style", "script", "noscript", "template", "head", "s", "strike", "del")  # or seen as taken back
_HIDDEN_CLASS = re.compile(r"(?:^|\s)(?:sr-only|screen-reader-text|visually-hidden|sortkey|navbox\S*)(?:\s|$)")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_RAISED = re.compile(r"vertical-align\s*:\s*(?:super|sub|text-top|top)", re.IGNORECASE)
# Where a line, a raised or small mark begins, words that meet are not one: "World<br>Bank", "884,387<sup>1</sup>".
_BREAKS = ("br", "p", "div", "li", "sup", "sub", "small")
BREAK = "\u2028"
_BETWEEN_WORDS = re.compile(rf"(?<=\w){BREAK}+(?=\w)")
_WHITE_SPACE = re.compile(r"[ \t\r\n\f]+")  # what HTML folds; a non-breaking space is text
_ANY_TAG = re.compile(r"<[a-zA-Z]")


@dataclass(eq=False)
class Cell:
    """A cell of a table: its own visible text, and the tables that stand in it."""

    text: str
    is_heading: bool
    rowspan: int
    colspan: int
    tables: list[Table] = field(default_factory=list)


@dataclass(eq=False)
class Table:
    """A table laid out: `rows` in which a spanning cell stands in each of its places, None where no cell is.

    `titles` are the texts that stand over it in the layout tables around it, outermost first.
    """

    rows: list[list[Cell | None]]
    caption: str
    titles: list[str] = field(default_factory=list)
    section: str = ""  # the heading of the article's section that it stands in


def visible_tables(page: str) -> list[Table]:
    """Return every table of a page, nested ones too, in the order of the page.

    Raises Refused when the page has more tags, or its spans make more cells, than any real one could.
    """
    tags = len(_ANY_TAG.findall(page))
    if tags > MAX_TAGS:
        raise Refused(f"it has {tags} tags, more than {MAX_TAGS}")
    root = _tree(page)
    if root is None:
        return []
    _cut_unseen(root)
    _break_lines(root)
    sections = _sections(root)
    inner = _apart(root)
    outermost = [(_table(element, [], inner), sections.get(element, "")) for element in inner.get(None, [])]
    found = [(table, section) for outer, section in outermost for table in _with_inner(outer)]
    for table, section in found:
        table.section = section
    return [table for table, _ in found]


def _sections(root: Any) -> dict[Any, str]:
    """Return by table the heading that stands last before it."""
    section, found = "", {}
    for element in root.iter("table", "h1", "h2", "h3", "h4", "h5", "h6"):
        if element.tag == "table":
            found[element] = section
        elif not any(True for _ in element.iterancestors("table")):
            section = _text(element)
    return found


def _tree(page: str) -> Any:
    """Return the tree of a page that lxml builds, or None when nothing is in it; raises Refused for one too deep."""
    parser = etree.HTMLParser(
        remove_comments=True, remove_pis=True, huge_tree=True, collect_ids=False, encoding="utf-8"
    )
    try:
        root = etree.fromstring(page.encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as error:
        raise Refused(f"it is not HTML: {error}") from None
    if any("depth" in entry.message for entry in parser.error_log.filter_from_fatals()):
        raise Refused("its elements are nested deeper than any real page's")
    return root


def _cut_unseen(root: Any) -> None:
    """Cut out what a reader never sees; the text behind it stays."""
    for element in [*root.iter(*_NEVER_SEEN)]:
        _cut(element)
    around = {element for table in root.iter("table") for element in table.iterancestors()}
    for element in (*_HIDDEN_PERHAPS(root), *around):  # what stands neither in a table nor around one is not read
        if _HIDDEN_CLASS.search(element.get("class", "")) or _HIDDEN_STYLE.search(element.get("style", "")):
            _cut(element)


def _cut(element: Any) -> None:
    """Take an element out of the tree and leave the text behind it where it was."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail:
        before = element.getprevious()
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
        element.tail = None
    parent.remove(element)


def _break_lines(root: Any) -> None:
    """Put a BREAK where a line, a raised mark or a footnote's link begins."""
    for element in root.iter(*_BREAKS):
        if element.tag == "br":
            element.tail = BREAK + (element.tail or "")
        else:
            element.text = BREAK + (element.text or "")
    for element in _RAISED_OR_NOTE(root):
        if element.tag == "a" or element.get("class") or _RAISED.search(element.get("style", "")):
            element.text = BREAK + (element.text or "")


_HIDDEN_PERHAPS = etree.XPath("//table/descendant-or-self::*[@style or @class]")
_STRING = etree.XPath("string()", smart_strings=False)
_RAISED_OR_NOTE = etree.XPath(
    "//table//span[contains(@style, 'vertical-align')] | //table//span[@class][contains(@class, 'super')"
    " or contains(@class, 'subscript') or contains(@class, 'reference') or contains(@class, 'noteref')"
    " or contains(@class, 'footnote') or @class = 'sup']"
    " | //table//a[contains(@href, '#cite_note') or starts-with(@href, '#')]"
)


def _apart(root: Any) -> dict[Any, list[Any]]:
    """Take all tables apart; return those of each cell, and under None those that stand in no table's cell."""
    tables = list(root.iter("table"))
    hosts: dict[Any, list[Any]] = {}
    for table in tables:
        if sum(1 for _ in table.iterancestors("table")) >= MAX_NESTED:
            raise Refused(f"its tables are nested {MAX_NESTED} deep and more")
        hosts.setdefault(_host(table), []).append(table)
    for table in reversed(tables):
        _cut(table)
    for table in tables:
        _straighten(table)
    return hosts


def _host(table: Any) -> Any:
    """Return the cell that a table stands in, or None."""
    return next(table.iterancestors(*_CELLS), None)


def _straighten(table: Any) -> None:
    """Put rows and cells beside each other that a page forgot to close (or lxml did: after a <wbr> it nests cells)."""
    last_row: Any = None
    last_cell: Any = None
    for element in [*table.iter("tr", *_CELLS)]:
        if element.tag == "tr":
            if last_row is not None and last_row in element.iterancestors("tr"):
                last_row.addnext(element)
            last_row, last_cell = element, None
        else:
            if last_cell is not None and last_cell in element.iterancestors(*_CELLS):
                last_cell.addnext(element)
            last_cell = element


def _with_inner(table: Table) -> Iterator[Table]:
    yield table
    for cell in dict.fromkeys(cell for row in table.rows for cell in row if cell):
        for inner in cell.tables:
            yield from _with_inner(inner)


def _table(element: Any, titles: list[str], inner: dict[Any, list[Any]]) -> Table:
    caption = next((_text(child) for child in element.iterchildren("caption")), "")
    elements = [list(row.iterchildren(*_CELLS)) for row in element.iter("tr")]
    cells = [[_cell(one) for one in row] for row in elements]
    table = Table(lay_out(cells), caption, titles)
    for row_number, row in enumerate(elements):
        for one, cell in zip(row, cells[row_number], strict=True):
            if one in inner:
                over = [*titles, caption, *_texts_over(table, row_number, cell), cell.text]
                cell.tables = [_table(child, [title for title in over if title], inner) for child in inner[one]]
    return table


def _texts_over(table: Table, row_number: int, cell: Cell) -> list[str]:
    """Return the texts that stand over a cell of a layout table, the topmost first (rows differ in width)."""
    columns = [number for number, other in enumerate(table.rows[row_number]) if other is cell]
    over = (row[column] for row in table.rows[:row_number] for column in columns if column < len(row))
    return [other.text for other in dict.fromkeys(over) if other and other.text and not other.tables]


def _text(element: Any) -> str:
    """Return the text of an element, white space folded and trimmed as a browser would."""
    text = str(_STRING(element)) if len(element) else element.text or ""
    if BREAK in text:
        text = _BETWEEN_WORDS.sub(" ", text).replace(BREAK, "")
    return _WHITE_SPACE.sub(" ", text).strip()


def _cell(element: Any) -> Cell:
    colspan = min(_span(element, "colspan"), MAX_COLSPAN)
    return Cell(_text(element), element.tag == "th", _span(element, "rowspan"), colspan)


def _span(tag: Any, name: str) -> int:
    """Return a span as HTML reads it: the leading digits; 1 where there are none; 0 means "to the end" for rows."""
    if (said := tag.get(name)) is None:
        return 1
    digits = re.match(r"\s*(\d{1,9})", said)
    number = int(digits[1]) if digits else 1
    return number if number or name == "rowspan" else 1


def lay_out(rows: list[list[Cell]]) -> list[list[Cell | None]]:
    """Return a grid in which every cell stands in all the places that its spans cover, by HTML's own table model.

    Raises Refused when the spans make more places than MAX_GRID_CELLS.
    """
    reach: dict[int, tuple[Cell, int]] = {}  # column -> the cell that reaches down into the next rows, and the last one
    grid: list[list[Cell | None]] = []
    places = 0
    for number, row in enumerate(rows):
        line: dict[int, Cell] = {column: cell for column, (cell, last) in reach.items() if last >= number}
        column = 0
        for cell in row:
            while column in line:
                column += 1
            last = number + cell.rowspan - 1 if cell.rowspan else len(rows)
            for place in range(column, column + cell.colspan):
                line[place] = cell
                reach[place] = (cell, last)
            column += cell.colspan
        places += len(line)
        if places > MAX_GRID_CELLS:
            raise Refused(f"the spans of a table make more than {MAX_GRID_CELLS} cells")
        grid.append([line.get(place) for place in range(max(line, default=-1) + 1)])
    return grid

"""HTML to tables of cells: what a reader would see, with rowspans and colspans laid out in a grid.

BeautifulSoup holds the tree and lxml reads the page. In between, the builder below passes on tables, rows and cells
with their visible text and nothing else: BeautifulSoup's cost is its objects, and a page is mostly flags and links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bs4 import BeautifulSoup
from bs4.builder._lxml import LXMLTreeBuilder
from bs4.element import NavigableString, Tag

from gdp.sources import Refused

# What HTML itself allows (https://html.spec.whatwg.org/multipage/tables.html#attr-tdth-colspan).
MAX_COLSPAN = 1000
# The page of 2025 has 4,600 tags, 900 of them in cells; these bounds keep the worst page under 10 s and 500 MB.
MAX_TAGS = 200_000
MAX_GRID_CELLS = 200_000
MAX_OPEN = 90  # a table, a row and a cell for each of 30 nested tables; the deepest page had two

_CELLS = ("td", "th")
# What we pass on, and what each start tag closes where a page forgot to (or lxml did: after a <wbr> it nests cells).
_CLOSES: dict[str, tuple[str, ...]] = {
    "table": (), "caption": (*_CELLS, "tr"), "tr": (*_CELLS, "caption", "tr"), "td": _CELLS, "th": _CELLS,
}  # fmt: skip
_PASSED_ON = frozenset(_CLOSES)
_WITH_TEXT = frozenset({*_CELLS, "caption"})
_NEVER_SEEN = frozenset({"style", "script", "noscript", "template", "head"})
_HIDDEN_CLASS = re.compile(r"(?:^|\s)(?:sr-only|screen-reader-text|visually-hidden|sortkey|navbox\S*)(?:\s|$)")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Where a line or a raised mark begins, two words that meet are not one: "World<br>Bank", "884,387<sup>1</sup>".
_BREAKS = frozenset({"br", "p", "div", "li", "sup"})
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


class _VisibleTables(LXMLTreeBuilder):
    """A tree builder that hears the whole page and passes on its tables' structure and visible text."""

    def prepare_markup(self, *args: Any, **kwargs: Any) -> Any:
        """Begin a page."""
        self._hidden = 0  # how many open elements are hidden, the outermost of them included
        self._open: list[str] = []  # the open elements of tables
        return super().prepare_markup(*args, **kwargs)

    def start(self, tag: str | bytes, attrs: Any, nsmap: Any = None) -> None:
        """Hear a start tag."""
        name = str(tag)
        if self._hidden or name in _NEVER_SEEN or (attrs and _is_hidden(attrs)):
            self._hidden += 1
        elif name in _BREAKS:
            self.data(BREAK)
        elif name in _PASSED_ON:
            while self._open and self._open[-1] in _CLOSES[name]:
                self._close(self._open[-1])
            self._open.append(name)
            if len(self._open) > MAX_OPEN:
                raise Refused(f"its tables are nested {MAX_OPEN // 3} deep and more")
            spans = {key: value for key, value in attrs.items() if key.endswith("span")}
            self._tree().handle_starttag(name, None, None, spans)

    def end(self, tag: str | bytes) -> None:
        """Hear an end tag; lxml sends one for every start tag, void and unclosed elements included."""
        if self._hidden:
            self._hidden -= 1
        elif tag in _PASSED_ON:
            self._close(str(tag))

    def data(self, data: str | bytes) -> None:
        """Hear text, and pass on what stands in a cell or a caption."""
        if not self._hidden and self._open and self._open[-1] in _WITH_TEXT:
            self._tree().handle_data(str(data))

    def _close(self, name: str) -> None:
        """Close the innermost element of that name, and all within it, unless it stands outside the innermost table."""
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place] == name:
                del self._open[place:]
                self._tree().handle_endtag(name, None)
                return
            if self._open[place] == "table":
                return

    def _tree(self) -> BeautifulSoup:
        assert self.soup is not None
        return self.soup

    def comment(self, text: str | bytes) -> None:
        """Comments are not text."""

    def pi(self, target: str, data: str) -> None:
        """Processing instructions are not text."""

    def doctype(self, name: str, pubid: str, system: str) -> None:
        """Nor is the doctype."""


def _is_hidden(attributes: Any) -> bool:
    return bool(_HIDDEN_CLASS.search(attributes.get("class", "")) or _HIDDEN_STYLE.search(attributes.get("style", "")))


def visible_tables(page: str) -> list[Table]:
    """Return every table of a page, nested ones too, in the order of the page.

    Raises Refused when the page has more tags, or its spans make more cells, than any real one could.
    """
    tags = sum(1 for _ in _ANY_TAG.finditer(page))
    if tags > MAX_TAGS:
        raise Refused(f"it has {tags} tags, more than {MAX_TAGS}")
    soup = BeautifulSoup(page, builder=_VisibleTables(multi_valued_attributes=None))
    outermost = [_table(tag, []) for tag in soup.find_all("table", recursive=False)]
    return [table for outer in outermost for table in _with_inner(outer)]


def _with_inner(table: Table) -> Iterator[Table]:
    yield table
    for cell in dict.fromkeys(cell for row in table.rows for cell in row if cell):
        for inner in cell.tables:
            yield from _with_inner(inner)


def _table(tag: Tag, titles: list[str]) -> Table:
    caption = next((_own_text(child) for child in _children(tag) if child.name == "caption"), "")
    own_rows = [child for child in _children(tag) if child.name == "tr"]
    row_tags = [[cell for cell in _children(row) if cell.name in ("td", "th")] for row in own_rows]
    cells = [[_cell(cell_tag) for cell_tag in row] for row in row_tags]
    grid = lay_out(cells)
    table = Table(grid, caption, titles)
    _place_inner_tables(table, row_tags, cells)
    return table


def _place_inner_tables(table: Table, row_tags: list[list[Tag]], cells: list[list[Cell]]) -> None:
    for row_number, (tags, row) in enumerate(zip(row_tags, cells, strict=True)):
        for tag, cell in zip(tags, row, strict=True):
            inner = [child for child in _children(tag) if child.name == "table"]
            if inner:
                titles = [*table.titles, table.caption, *_texts_over(table, row_number, cell), cell.text]
                cell.tables = [_table(child, [title for title in titles if title]) for child in inner]


def _texts_over(table: Table, row_number: int, cell: Cell) -> list[str]:
    """Return the texts that stand over a cell of a layout table, the topmost first."""
    columns = [number for number, other in enumerate(table.rows[row_number]) if other is cell]
    over = (row[column] for row in table.rows[:row_number] for column in columns)
    return [other.text for other in dict.fromkeys(over) if other and other.text and not other.tables]


def _children(tag: Tag) -> list[Tag]:
    return [child for child in tag.contents if isinstance(child, Tag)]


def _own_text(tag: Tag) -> str:
    """Return the text of a tag less that of tables within, white space folded and trimmed as a browser would."""
    text = "".join(child for child in tag.contents if isinstance(child, NavigableString))
    if BREAK in text:
        text = _BETWEEN_WORDS.sub(" ", text).replace(BREAK, "")
    return _WHITE_SPACE.sub(" ", text).strip()


def _cell(tag: Tag) -> Cell:
    return Cell(_own_text(tag), tag.name == "th", _span(tag, "rowspan"), min(_span(tag, "colspan"), MAX_COLSPAN))


def _span(tag: Tag, name: str) -> int:
    """Return a span as HTML reads it: the leading digits; 1 where there are none; 0 means "to the end" for rows."""
    if name not in tag.attrs:
        return 1
    digits = re.match(r"\s*(\d{1,9})", str(tag.attrs[name]))
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

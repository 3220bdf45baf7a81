"""HTML to tables of cells: what a reader would see, with rowspans and colspans laid out in a grid.

lexbor builds the tree in C, as HTML5 and browsers do. Each cell is then walked once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

from gdp.sources import Refused

MAX_COLSPAN = 1000  # as in HTML itself: https://html.spec.whatwg.org/multipage/tables.html#attr-tdth-colspan
# The page of 2025 has 4,600 tags, 900 of them in cells; these bounds keep the worst page under 10 s and 500 MB.
MAX_TAGS = 200_000
MAX_GRID_CELLS = 200_000
MAX_UNCLOSED = 20_000  # elements in each other take lexbor the square of the time; a real page has 2,000, all pictures
MAX_CELLS_WITH_TABLES = 300  # of one table; the list of 2018 has three
MAX_NESTED = 30  # tables in each other; the deepest page had two
MAX_DEPTH = 200  # elements in each other, within a cell; the deepest page had nine


@dataclass(eq=False, slots=True)
class Cell:
    """A cell of a table: its own visible text, and the elements of the tables in it."""

    text: str
    is_heading: bool
    rowspan: int
    colspan: int
    tables: Sequence[LexborNode] = ()


@dataclass(eq=False)
class Table:
    """A table laid out: in `rows` a spanning cell is in each of its places, None where no cell is.

    `titles` are the texts over it in the layout tables around it, outermost first.
    """

    rows: list[list[Cell | None]]
    caption: str
    titles: list[str] = field(default_factory=list)
    section: str = ""  # the last heading of the article before it


def visible_tables(page: str) -> list[Table]:
    """Return every table of a page, nested ones too, in the order of the page.

    Raises Refused when the page has more tags, deeper elements or larger spans than any real one.
    """
    if page.count("<") > MAX_TAGS and len(re.findall("<[a-zA-Z]", page)) > MAX_TAGS:
        raise Refused(f"it has more than {MAX_TAGS} tags")
    if page.count("<") - 2 * page.count("</") > MAX_UNCLOSED:
        raise Refused(f"its elements are nested too deep: more than {MAX_UNCLOSED} never end")
    section = ""
    found: list[Table] = []
    for element in LexborHTMLParser(page.encode("utf-8", "replace")).css("table, h1, h2, h3, h4, h5, h6"):
        if not _is_shown_outside_tables(element):
            continue
        if element.tag == "table":
            for table in _Reader(element).tables(element, []):
                table.section = section
                found.append(table)
        else:
            section = _Reader(element).text_of(element)
    return found


def _is_shown_outside_tables(element: LexborNode) -> bool:
    """Return whether an element and all around it are visible, and no table is around it."""
    parent, depth = element.parent, 0
    while parent is not None:
        if parent.tag == "table" or _look_of(parent.tag, parent.attributes) == HIDDEN:
            return False
        parent, depth = parent.parent, depth + 1
        if depth > MAX_DEPTH:
            raise Refused(f"its elements are nested more than {MAX_DEPTH} deep")
    return _look_of(element.tag, element.attributes) != HIDDEN


class _Reader:
    """What reads an outermost table, or a heading; one look at all elements removes the hidden ones.

    It also finds the cells whose text needs a walk: all others are a single text.
    """

    def __init__(self, root: LexborNode) -> None:
        self.to_walk: set[int] = set()
        hidden: list[LexborNode] = []
        around = root.mem_id
        for element in root.traverse():
            tag, attributes = element.tag, element.attributes
            if tag in _CELLS:
                around = element.mem_id
            look = _look_of(tag, attributes)
            if look == HIDDEN:
                hidden.append(element)
            elif look != PLAIN:
                self.to_walk.add(around)
        for element in reversed(hidden):  # an inner one before the one around it
            if element.mem_id != root.mem_id:
                element.decompose()

    def tables(self, element: LexborNode, titles: list[str], depth: int = 1) -> Iterator[Table]:
        """Yield a table, then those in it; `titles` are the texts over it in the tables around it.

        Raises Refused if they are nested too deep, or too many.
        """
        if depth > MAX_NESTED:
            raise Refused(f"its tables are nested {MAX_NESTED} deep and more")
        caption = ""
        rows: list[list[Cell]] = []
        for part in element.iter():
            if part.tag in ("tbody", "thead", "tfoot"):
                rows += [[self.cell(cell) for cell in row.iter()] for row in part.iter() if row.tag == "tr"]
            elif part.tag == "caption" and not caption:
                caption = self.text_of(part)
        table = Table(lay_out(rows), caption, titles)
        yield table
        layout = [(number, cell) for number, row in enumerate(rows) for cell in row if cell.tables]
        if len(layout) > MAX_CELLS_WITH_TABLES:
            raise Refused(f"more than {MAX_CELLS_WITH_TABLES} cells of a table have tables in them")
        for number, cell in layout:
            over = [*titles, caption, *_texts_over(table, number, cell), cell.text]
            for inner in cell.tables:
                yield from self.tables(inner, [title for title in over if title], depth + 1)

    def cell(self, element: LexborNode) -> Cell:
        """Return a cell, with its spans and the elements of the tables in it."""
        tables: list[LexborNode] = []
        text, attributes = self.text_of(element, tables), element.attributes
        columns = min(_span(attributes, "colspan") or 1, MAX_COLSPAN)
        return Cell(text, element.tag == "th", _span(attributes, "rowspan"), columns, tables)

    def text_of(self, element: LexborNode, inner: list[LexborNode] | None = None) -> str:
        """Return an element's visible text, white space folded as in a browser; add its tables to `inner`.

        Most cells are one text, or elements that change nothing in it, and need no walk.
        """
        first = element.first_child
        if first is None:
            return ""
        if first.tag == "-text" and first.next is None:
            return _folded(first.text_content or "")
        if element.mem_id not in self.to_walk:
            text = element.text()
            if not _TWO_DIGITS.search(text):
                return _folded(text)
        pieces: list[str] = []
        _collect(element, pieces, [] if inner is None else inner, 0)
        return _folded("".join(pieces))


def _texts_over(table: Table, row_number: int, cell: Cell) -> list[str]:
    """Return the texts over a cell of a layout table, the topmost first (rows differ in width)."""
    columns = [number for number, other in enumerate(table.rows[row_number]) if other is cell]
    over = dict.fromkeys(row[column] for row in table.rows[:row_number] for column in columns if column < len(row))
    return [other.text for other in over if other and other.text and not other.tables]


def _span(attributes: dict[str, str | None], name: str) -> int:
    """Return a span as HTML reads it: the leading digits, 1 if there are none; for rows, 0 means "to the end"."""
    digits = re.match(r"\s*(\d{1,9})", attributes[name] or "") if name in attributes else None
    return int(digits[1]) if digits else 1


def lay_out(rows: list[list[Cell]]) -> list[list[Cell | None]]:
    """Return a grid with each cell in all the places that its spans cover, by HTML's own table model.

    Raises Refused when the spans make more places than MAX_GRID_CELLS.
    """
    reach: dict[int, tuple[Cell, int]] = {}  # by column: the cell that spans into the next rows, and its last row
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


# --- how an element looks ---------------------------------------------------------------------------------------------

# Plain elements change nothing in a number: 4<span style="margin-left:.25em">125</span>. Hidden ones are never seen, or
# seen as deleted. Lines begin a new line before and after, so that words that meet there are two: "World<br>Bank".
# Marks are raised, small, or a link to a note.
PLAIN, HIDDEN, LINE, MARK, TABLE = "plain", "hidden", "line", "mark", "table"
_TAGS = {
    HIDDEN: "style script noscript template head s strike del datalist object",
    LINE: "br p div li ul ol dl dt dd hr blockquote pre center section article figure h1 h2 h3 h4 h5 h6",
    MARK: "sup sub small",
    TABLE: "table",
}
_LOOKS: dict[str | None, str] = {tag: look for look, tags in _TAGS.items() for tag in tags.split()}
# The last three are seen, but are buttons: "[edit]", "v t e".
_HIDDEN_CLASS = re.compile(
    r"(?:^|\s)(?:sr-only|screen-reader-text|visually-hidden|sortkey|navbox\S*|mw-editsection\S*|edit-page|navbar\S*)(?:\s|$)"
)
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:opacity|font-size)\s*:\s*0(?![.\d]*[1-9])"
    r"|clip\s*:\s*rect\(\s*[01]|left\s*:\s*-\d{4}",
    re.IGNORECASE,
)
_LINE_STYLE = re.compile(r"display\s*:\s*(?:block|table|flex|grid|list-item)|float\s*:", re.IGNORECASE)
_MARK_STYLE = re.compile(
    r"vertical-align\s*:\s*(?:super|sub|text-top|top|\d)"
    r"|font-size\s*:\s*(?:x+-small|smaller|small|[1-8]?\d(?:\.\d+)?%|0?\.\d+r?em)",
    re.IGNORECASE,
)
_MARK_CLASS = re.compile(r"super|subscript|reference|noteref|footnote|^sup$")
_SMALL_SIZE = re.compile(r"[12]|-\d")
_CELLS = ("td", "th", "caption")


def _look_of(tag: str | None, attributes: dict[str, str | None]) -> str:
    """Return how an element looks."""
    if not attributes:
        return _LOOKS.get(tag, PLAIN)
    if "hidden" in attributes:
        return HIDDEN
    if tag == "a" and "#" in (target := attributes.get("href") or "") and (target[0] == "#" or "#cite_note" in target):
        return MARK
    if tag == "font" and _SMALL_SIZE.fullmatch(attributes.get("size") or ""):
        return MARK
    return _styled_look(tag, attributes.get("style"), attributes.get("class"))


@lru_cache(4096)  # a page has some fifty different ones
def _styled_look(tag: str | None, style: str | None, classes: str | None) -> str:
    style, classes = style or "", classes or ""
    if _HIDDEN_CLASS.search(classes) or _HIDDEN_STYLE.search(style):
        return HIDDEN
    if tag in _LOOKS or tag in _CELLS:
        return _LOOKS.get(tag, PLAIN)
    if _MARK_STYLE.search(style) or (tag == "span" and _MARK_CLASS.search(classes)):
        return MARK
    return LINE if _LINE_STYLE.search(style) else PLAIN


# --- the text of a cell -----------------------------------------------------------------------------------------------

_TWO_DIGITS = re.compile(r"\d\D*\d")
NEW_LINE, EDGE = "\u2028", "\u2029"  # a new line; the edge of another element, which matters within a number only
# Elements that may be within a number; the edge of any other one, such as a link's, ends it.
_EDGES: dict[str | None, str] = dict.fromkeys(
    ("span", "b", "strong", "bdi", "bdo", "data", "font", "ins", "u", "tt", "code", "nobr", "wbr", "time"), ""
)
_ANY_BREAK = re.compile(f"[{NEW_LINE}{EDGE}]+")
_WITHIN_NUMBER = re.compile(rf"(?<=\d)\s*[{NEW_LINE}{EDGE}]\s*(?=\d{{3}}(?!\d))")
_BETWEEN_WORDS = re.compile(rf"(?<=\w)[{NEW_LINE}{EDGE}]*{NEW_LINE}[{NEW_LINE}{EDGE}]*(?=\w)|(?<=\d){EDGE}+(?=\d)")
_WHITE_SPACE = re.compile(r"[ \t\r\n\f]+")  # what HTML folds; a non-breaking space is text
# Characters that a reader never sees: controls, soft hyphens, zero widths, direction marks.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_RAISED_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NOTE_NUMBER = re.compile("[0-9]{1,2}")  # a longer one is a second figure


def _folded(text: str) -> str:
    text = text.strip()
    if text.isprintable() and text.isascii() and "  " not in text:  # as most are
        return text
    text = _INVISIBLE.sub("", text)
    if NEW_LINE in text or EDGE in text:
        text = _WITHIN_NUMBER.sub(" / ", text)  # two values: a break is no thousands separator
        text = _ANY_BREAK.sub("", _BETWEEN_WORDS.sub(" ", text))
    return _WHITE_SPACE.sub(" ", text).strip()


def _collect(element: LexborNode, pieces: list[str], tables: list[LexborNode], depth: int) -> None:
    """Add the texts in an element to `pieces`, with breaks between them, and the tables in it to `tables`."""
    if depth > MAX_DEPTH:
        raise Refused(f"its elements are nested more than {MAX_DEPTH} deep")
    for child in element.iter(include_text=True):
        tag = child.tag
        if tag == "-text":
            pieces.append(child.text_content or "")
            continue
        look = _look_of(tag, child.attributes)
        if look == TABLE:
            tables.append(child)
        elif look == MARK:
            inner: list[str] = []
            _collect(child, inner, tables, depth + 1)
            pieces.append(_mark("".join(inner), tag in ("sup", "sub") or bool("".join(pieces).strip())))
        else:
            edge = NEW_LINE if look == LINE else _EDGES.get(tag, EDGE)
            pieces.append(edge)
            _collect(child, pieces, tables, depth + 1)
            pieces.append(edge)


def _mark(text: str, is_mark_for_sure: bool) -> str:
    """Return a mark as flat text: its digits raised, so that they are never part of the figure beside them.

    A figure that is small as a whole is no mark: one at the start of a cell is for sure only if it is raised.
    """
    digits = text.strip(f" {NEW_LINE}{EDGE}\n")
    if is_mark_for_sure and _NOTE_NUMBER.fullmatch(digits):
        return digits.translate(_RAISED_DIGITS)
    return f"{NEW_LINE}{text}{NEW_LINE}"

"""The headings of a table of countries: which column has the names, and what every other one has.

One mechanism for every layout that the page has had: the institution is in the stack of heading cells over a column,
else in the caption, the titles of the layout table around it, or the page's prose; the lowest heading gives the kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from gdp.sources import Refused
from gdp.sources.wikipedia.tables import Cell, Table
from gdp.sources.wikipedia.vocabulary import folded, unknown_words, years_in

_INSTITUTIONS = {
    "IMF": re.compile(r"\bimf\b|\bi\.\s?m\.\s?f\.|\bint(?:ernational|l|['’]l)?\.?\s*monetary\s*fund\b"),
    "World Bank": re.compile(r"\bworld\s*bank\b|\bwbg?\b|\bwdi\b|\bworld development indicators\b"),
    "UN": re.compile(r"\bunited\s*nations\b|\bun\b|\bu\.\s?n\.|\bunsd\b"),
    "CIA": re.compile(r"\bcia\b|\bworld factbook\b"),
}
_COUNTRY = re.compile(
    r"^(?:(?:sovereign |member )?(?:country|countries|states?|nations?)|econom(?:y|ies)|location|territor(?:y|ies)|name"
    r"|entity|entities|jurisdictions?|dependenc(?:y|ies)|area|place)\b"
    r"(?!.*(?:\b(?:group(?:ing)?s?|codes?|gdp|millions?|billions?)\b|\$))"
    r"(?!(?!.*(?:/|\bor|\band|&) ?regions?\b).*\bregions?\b)"
)
_YEAR = re.compile(r"^(?:years?|date|period)\b")
_FIGURE = re.compile(r"\bgdp\b|estimate|forecast|projection|nominal|million|billion|\$|\busd\b|\bvalue\b|\bfigure")
_OTHER = re.compile(
    r"rank|^#|income group|member|geoscheme|classification|^no\.?$|region|continent"
    r"|\bsource|\bnotes?\b|\bref|population|\bcode\b|\bflag\b|capital\b|revision|updated"
)
_OTHER_MEASURE = re.compile(
    r"per[ -]capita|per head|per person|per inhabitant|\bppp\b|purchasing|growth|\bchange"
    r"|\bshare\b|%|per ?cent|difference|\breal\b"
    r"|\bdebt\b|\bgn[ip]\b|gross national|constant|chained|\b(?:19|20)\d\d prices"
)
_CURRENCY = re.compile(r"€|\beuros?\b|\beur\b|£|\bgbp\b|¥|\byuan\b|\bint(?:ernational|l)?\.? ?(?:\$|dollars?\b)")
# A longer text around a table is prose, which names other quantities too, and decides nothing.
MAX_TITLE_CHARACTERS = 200
MAX_YEARS_AHEAD = 1  # a list of January has the new year, one of December has had the next
MAX_PROJECTED_YEARS = 6  # in a column's heading, as far as the IMF projects
_ANY_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_ONLY_A_YEAR = re.compile(r"(?:19|20)\d\d(?:\s?[-–/]\s?\d{2,4})?")
_DIGIT, _YEAR_CELL = re.compile(r"\d"), re.compile(r"(?:\[[^\[\]]*\]\s*)*(?:19|20)\d\d(?![\d,.])")
_ONLY_NUMBERED = re.compile(r"[(\[]?\d{1,2}[)\].]?")
_LARGE_FIGURE = re.compile(r"\d{1,3}(?:[,. ]\d{3})+|\d{5,}")
_FIGURE_OR_NONE = re.compile(r"\D{0,5}\d[\d.,'\s]*|[-–—−]|n\.?/?a\.?|\.\.|…", re.IGNORECASE)


class _Kind(Enum):
    FIGURE = auto()
    YEAR = auto()
    OTHER = auto()


@dataclass(frozen=True)
class Headings:
    """The headings of a table of countries: the cells over each column, topmost first, and where the figures begin."""

    over: list[list[Cell]]
    country_columns: list[int]
    first_row: int

    @property
    def country_text(self) -> str:
        """The heading over the countries."""
        return self.over[self.country_columns[0]][-1].text


@dataclass(frozen=True)
class Column:
    """A column of figures: its place, that of the years beside it, the institution, and the heading as published."""

    figure: int
    year: int | None
    institution: str
    heading: str


def named_institutions(text: str) -> list[str]:
    """Return the institutions that a text names, of IMF, World Bank, UN and CIA."""
    words = folded(text)
    return [name for name, pattern in _INSTITUTIONS.items() if pattern.search(words)]


# --- where the headings are -------------------------------------------------------------------------------------------


def find_headings(table: Table) -> Headings | None:
    """Return the headings of a table, or None when none of them is "country"."""
    for number, row in enumerate(table.rows):
        anchor = next((cell for cell in row if cell and _is_country_heading(cell, row)), None)
        if anchor:
            first_row = _first_row(table, number, anchor)
            lines = [row for row in table.rows[:first_row] if len(set(row)) > 1]  # none across the table
            over = [_distinct([line[column] for line in lines if column < len(line)]) for column in range(len(row))]
            return Headings(over, [column for column, cell in enumerate(row) if cell is anchor], first_row)
    return None


def _is_country_heading(cell: Cell, row: list[Cell | None]) -> bool:
    return bool(_COUNTRY.match(folded(cell.text))) and any(other is not cell for other in row)


def _first_row(table: Table, anchor_row: int, anchor: Cell) -> int:
    number = anchor_row + 1
    while number < len(table.rows) and _is_heading_row(table.rows[number], table.rows[anchor_row], anchor):
        number += 1
    return number


def _is_heading_row(row: list[Cell | None], anchor_row: list[Cell | None], anchor: Cell) -> bool:
    """Return whether a row is a second heading row; headings may be in td, and figures in th."""
    column = anchor_row.index(anchor)
    country = row[column] if column < len(row) else None
    if country is anchor:
        return True
    new_cells = [cell for cell in row if cell and cell is not country and cell not in anchor_row]
    texts = [folded(cell.text) for cell in new_cells]
    if any(_FIGURE_OR_NONE.fullmatch(text) and not _ONLY_A_YEAR.fullmatch(text) for text in texts):
        return False
    return all(cell.is_heading for cell in new_cells) or (not anchor.is_heading and not (country and country.text))


def _distinct(cells: list[Cell | None]) -> list[Cell]:
    """Return the headings over a column, without those that only number it: "(1) (2) (3)"."""
    return list(dict.fromkeys(cell for cell in cells if cell and not _ONLY_NUMBERED.fullmatch(cell.text)))


# --- what the table is of ---------------------------------------------------------------------------------------------


def refuse_another_list(table: Table, headings: Headings, last_year: int) -> None:
    """Raise Refused, with a quotation, when a text over a table is about anything but nominal GDP in US dollars."""
    across = [row[0].text for row in table.rows[: headings.first_row] if len(set(row)) == 1 and row[0]]
    for kind, texts in (
        ("caption", [table.caption]), ("row", across), ("title", table.titles), ("section", [table.section]),
    ):  # fmt: skip
        for text in texts:
            if len(text) <= MAX_TITLE_CHARACTERS and (problem := problem_of(text, last_year + MAX_YEARS_AHEAD)):
                raise Refused(f'the {kind} "{text[:80]}" has {problem}')


def problem_of(text: str, last_year: int) -> str | None:
    """Return what in a text does not fit nominal GDP in US dollars up to a year; None if all does."""
    if words := unknown_words(text):
        return f'"{words}", which is not known to describe nominal GDP in US dollars'
    years = years_in(text)
    return f'"{min(years)}", a year in the future' if years and min(years) > last_year else None


# --- what they mean ---------------------------------------------------------------------------------------------------


def read_columns(table: Table, headings: Headings, of_the_page: Callable[[], str | None]) -> list[Column]:
    """Return the columns of figures of an institution; `of_the_page` returns the one that the page's prose names.

    Raises Refused when a column's institution or its year could be either of two.
    """
    kinds = [_kind(table, headings, column) for column in range(len(headings.over))]
    institutions = {
        column: _institution(table, headings.over[column], of_the_page)
        for column, kind in enumerate(kinds)
        if kind is _Kind.FIGURE
    }
    parents = {column: parent for column, (_, parent, _) in institutions.items()}
    years = _years_beside(headings, [c for c, kind in enumerate(kinds) if kind is _Kind.YEAR], parents)
    headed = {
        column: " ".join([*institutions[column][2], *(cell.text for cell in headings.over[column])])
        for column in institutions
    }
    return [
        Column(column, years.get(column), institution, headed[column])
        for column, (institution, _, _) in institutions.items()
        if institution
    ]


def not_understood(table: Table, headings: Headings, columns: list[Column]) -> list[str]:
    """Return the headings of columns of figures that are not recognised as ours or as anything else."""
    read = {number for column in columns for number in (column.figure, column.year)}
    strange = []
    for number, stack in enumerate(headings.over):
        lowest = folded(stack[-1].text) if stack else ""
        known = bool(_OTHER.search(lowest) or _YEAR.match(lowest)) or any(
            pattern.search(folded(cell.text)) for cell in stack for pattern in (_OTHER_MEASURE, _CURRENCY)
        )
        if number not in read and number not in headings.country_columns and not known:
            texts = [row[number] for row in table.rows[headings.first_row :] if number < len(row)]
            if sum(bool(cell and _LARGE_FIGURE.match(cell.text)) for cell in texts) > 0.5 * len(texts):
                strange.append(stack[-1].text if stack else "")
    return strange


def _kind(table: Table, headings: Headings, column: int) -> _Kind:
    stack = [folded(cell.text) for cell in headings.over[column]]
    if column in headings.country_columns or not stack:
        return _Kind.OTHER
    if _OTHER.search(stack[-1]) or any(_OTHER_MEASURE.search(text) or _CURRENCY.search(text) for text in stack):
        return _Kind.OTHER
    if _YEAR.match(stack[-1]):
        return _Kind.YEAR
    if _FIGURE.search(stack[-1]) or named_institutions(stack[-1]) or _ONLY_A_YEAR.fullmatch(stack[-1]):
        # a heading may span the figures and their years without a second row
        return _Kind.YEAR if _holds_years(table, headings.first_row, column) else _Kind.FIGURE
    return _Kind.OTHER


def _holds_years(table: Table, first_row: int, column: int) -> bool:
    texts = [cell.text for row in table.rows[first_row:] if column < len(row) and (cell := row[column])]
    digits = [text for text in texts if _DIGIT.search(text)]
    years = sum(bool(_YEAR_CELL.match(text) and _ONLY_A_YEAR.fullmatch(folded(text))) for text in digits)
    return years > 0.8 * len(digits) > 0


def _institution(
    table: Table, stack: list[Cell], of_the_page: Callable[[], str | None]
) -> tuple[str | None, Cell | None, list[str]]:
    """Return whose a column's figures are, and the heading cell or the title that names the institution."""
    for cell in reversed(stack):
        if names := named_institutions(cell.text):
            return _the_only(names, cell.text), cell, []
    if names := named_institutions(table.caption):
        return _the_only(names, table.caption), None, []
    for title in reversed(table.titles):
        if names := named_institutions(title):
            return _the_only(names, title), None, [title]
    return of_the_page(), None, []


def _the_only(names: list[str], text: str) -> str:
    if len(names) > 1:
        raise Refused(f'the heading "{text[:80]}" names {" and ".join(names)}')
    return names[0]


def _years_beside(headings: Headings, years: list[int], parents: dict[int, Cell | None]) -> dict[int, int]:
    """Return for each column of figures the column of its years, where there is one.

    A column of years belongs to the figures under the same institution's heading; where headings don't group them, to
    the figures beside it.
    """
    beside: dict[int, int] = {}
    ungrouped = []
    groups: dict[Cell, list[int]] = {}
    for year in years:
        parent = next((cell for cell in headings.over[year] if cell in parents.values()), None)
        if parent:
            groups.setdefault(parent, []).append(year)
        else:
            ungrouped.append(year)
    for parent, columns in groups.items():
        beside |= _paired([figure for figure, over in parents.items() if over is parent], columns)
    free = [figure for figure in parents if figure not in beside]
    yearless = [figure for figure in free if not any(_ANY_YEAR.search(cell.text) for cell in headings.over[figure])]
    try:
        return beside | _paired(free, ungrouped, common=yearless == free)
    except Refused:
        # if others have their year in the heading, those without may each have it in the column beside
        if yearless == free or not all({figure - 1, figure + 1} & set(ungrouped) for figure in yearless):
            raise
        return beside | _paired(yearless, ungrouped, common=False)


def _paired(figures: list[int], years: list[int], common: bool = True) -> dict[int, int]:
    """Return pairs of a column of figures and one of years, if figures and years alternate.

    If `common`, one column of years before all others is for all of them. Raises Refused if neither is the case.
    """
    order = "".join("F" if column in figures else "Y" for column in sorted([*figures, *years]))
    if order in ("FY" * len(years), "YF" * len(years)):
        return dict(zip(figures, years, strict=True))
    if not years:
        return {}
    if common and figures and order == "Y" + "F" * len(figures):
        return dict.fromkeys(figures, years[0])
    raise Refused(
        f"{len(years)} columns of years beside {len(figures)} of figures, and which belongs to which is unclear"
    )

"""The headings of a table of countries: which column has the names, and what every other one has.

One mechanism for every layout that the page has had: the institution is in the stack of heading cells over a column,
else in the caption, the titles of the layout table around it, or the page's prose; the lowest heading gives the kind.

What is read must be positively known. A list of other currencies, price bases and quantities is never complete; a list
of the words with which this one list describes itself can be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from gdp.sources import Refused
from gdp.sources.wikipedia.tables import Cell, Table

# --- the words that may describe nominal GDP in US dollars ------------------------------------------------------------

_FOOTNOTE = re.compile(r"\[[^\[\]]*\]")
_RAISED = re.compile("[⁰¹²³⁴-⁹]+")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR = r"(?<!\d)(?:19|20)\d\d(?:\s?[-–—/]\s?(?:(?:19|20)\d\d|\d\d))?(?!\d)"
_DOLLARS = (
    r"(?:(?<![a-z.])\$\s?us\b|\bus\s?\$|\bu\.\s?s\.\s?\$|(?<![a-z.\d])\$|\busd\b"
    r"|\b(?:us|u\.\s?s\.|united states|american)\s?-?dollars?\b|\bdollars?\b)"
)
# A year beside the money is that of prices: "2015 US$", "1990 dollars", "dollars of 1990", "2015 prices".
_PRICES_OF_A_YEAR = re.compile(
    rf"{_YEAR}\s*(?:{_DOLLARS}|price|exchange|market price)|{_DOLLARS}\s+(?:of|at|in)\s+{_YEAR}|\bprices\s+of\s+{_YEAR}"
)
_TWO_SCALES = re.compile(r"\b(?:thousand|million|billion)s?\s+(?:of\s+)?(?:million|billion|trillion)s?\b")
_KNOWN = re.compile(
    "|".join((
        rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:\s+{_YEAR})?",
        rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?(?:\s+{_YEAR})?(?!\d)", rf"\b{_MONTH}(?!\w)",
        rf"\b(?:fy\s?)?{_YEAR}(?:[efp]\b)?", r"\bfy\s?\d\d(?:/\d\d)?\b", r"(?<!\w)['’]\d\d\b", r"\b20\d\ds\b",
        r"\b\d{1,3}\s+(?=(?:largest\s+)?(?:countr|econom|state|nation|territor|member))", r"\btop\s+\d{1,3}\b",
        # the quantity
        r"\bgross\s+domestic\s+products?\b", r"\bg\.?d\.?p\.?(?:'s|s)?(?=$|[^a-z])",
        r"\b(?:at|in)\s+current\s+prices\b", r"\bcurrent\s+prices\b", r"\b(?:at\s+)?market\s+prices\b",
        r"\b(?:at\s+|using\s+)?(?:current\s+|official\s+|market\s+|government\s+)*exchange\s+rates?\b",
        # money and scale
        rf"(?:current\s+)?{_DOLLARS}(?:\s?m[mn]?\b|\s?bn\b)?",
        r"\b(?:in\s+)?(?:millions?|billions?|trillions?|thousands?|mn|mm|bn|mio|mil)\b\.?",
        # whose figures
        r"\b(?:the\s+)?int(?:ernational|l|['’]l)?\.?\s*monetary\s*fund(?:'s|’s)?\b", r"\bi\.\s?m\.\s?f\.",
        r"\bimf(?:['’]s)?\b", r"\b(?:the\s+)?world\s+bank(?:\s+group)?(?:['’]s)?\b",
        r"\bworld\s+development\s+indicators?\b", r"\bwb\b|\bwbg\b|\bwdi\b",
        r"\bunited\s+nations(?:['’]s?)?\b", r"\bun\b|\bu\.\s?n\.|\bunsd\b|\bundata\b|\bun\s?desa\b",
        r"\bstatistics?\s+division\b", r"\bnational\s+accounts(?:\s+main\s+aggregates)?(?:\s+database)?\b",
        r"\bcia\b|\bcentral\s+intelligence\s+agency\b|\b(?:the\s+)?(?:world\s+)?factbook\b",
        r"\bweo\b|\bworld\s+economic\s+outlook(?:\s+databases?)?\b",
    ))
)  # fmt: skip
_WORDS = frozenset(
    """
    a about above accessed according africa african all alphabetical alphabetically also american americas among amount
    an and annual any are area areas arrow arrows article articles as asia asian at available based be been below bold
    both but button by calculated can caribbean central chart charts click collapse color colors colour coloured colours
    column columns compared comparison complete contents countries countries' country country's data database date
    dependencies dependency dependent descending each east eastern economies economy edit entire entities entity est
    estimate estimated estimates europe european except excluding expand figure figures final fiscal flag flags
    following for forecast forecasted forecasts from full fund global graph grey has have header headers heading here
    hide history i icon icons ii iii image in including individual initial into introduction is italic italics its
    jurisdiction jurisdictions key kingdom largest last latest legend link links list listed listing lists location main
    map maps marked may member members most multiple name named names nation nations navigation near newest no nominal
    north not note notes number oceania of official on one only or order ordered organisation organization other over
    overview page part per period place places position preliminary present previous primary projected projection
    projections provided published rank ranked ranking rankings rankings' ranks rate rated recent ref reference
    references refs region regional regions related release released releases report reported reports respective result
    results retrieved revised row rows s section sections see selected selection show shown some sort sortable sorted
    source sources south southern sovereign state statement states statistics summary table tables template territories
    territory than the their there these this three to top total two unit units unranked until update updated updates
    used user using value values various version view views vs was were west western where which wikipedia will with
    without world worldwide year year's yearly years
    """.split()  # noqa: SIM905 - easier to read and to add to
)
_LEFT_OVER = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*|[^\s\w(),.;:/–—\-'\"“”‘’&#*+|•·\[\]…=?†‡§^~▲▼△▽⇅↕↑↓►◄→←©]")
_LETTERS = re.compile(r"[a-z](?:\s?[-–—]\s?[a-z])?")  # a table a letter


def folded(text: str) -> str:
    """Return a text as words to compare: no footnote marks, lower case, single spaces."""
    if "[" in text:
        text = _FOOTNOTE.sub(" ", text)
    if not text.isascii():
        text = _RAISED.sub(" ", text)
    return " ".join(text.casefold().split())


@lru_cache(4096)
def unknown_words(text: str) -> str | None:
    """Return the first words of a text that are not known to describe nominal GDP in US dollars; None if all are."""
    words = folded(text)
    if found := _PRICES_OF_A_YEAR.search(words) or _TWO_SCALES.search(words):
        return found[0]
    if _LETTERS.fullmatch(words):
        return None
    return next((word for word in _LEFT_OVER.findall(_KNOWN.sub(" ", words)) if word not in _WORDS), None)


def years_in(text: str) -> list[int]:
    """Return the years that a text states, of a range the first."""
    return [int(found[:4]) for found in re.findall(_YEAR, folded(text))]


def problem_of(text: str, last_year: int) -> str | None:
    """Return what in a text does not fit nominal GDP in US dollars up to a year; None if all does."""
    if words := unknown_words(text):
        return f'"{words}", which is not known to describe nominal GDP in US dollars'
    first_year = min(years_in(text), default=0)
    return f'"{first_year}", a year in the future' if first_year > last_year else None


# --- where the headings are -------------------------------------------------------------------------------------------

_COUNTRY = re.compile(
    r"^(?:(?:sovereign |member )?(?:country|countries|states?|nations?)|econom(?:y|ies)|location|territor(?:y|ies)|name"
    r"|entity|entities|jurisdictions?|dependenc(?:y|ies)|area|place)\b"
    r"(?!.*(?:\b(?:group(?:ing)?s?|codes?|gdp|millions?|billions?)\b|\$))"
    r"(?!(?!.*(?:/|\bor|\band|&) ?regions?\b).*\bregions?\b)"
)
_FIGURE_OR_NONE = re.compile(r"\D{0,5}\d[\d.,'\s]*|[-–—−]|n\.?/?a\.?|\.\.|…", re.IGNORECASE)
_ONLY_A_YEAR = re.compile(r"(?:19|20)\d\d(?:\s?[-–/]\s?\d{2,4})?")
_ONLY_NUMBERED = re.compile(r"[(\[]?\d{1,2}[)\].]?")
# A longer text around a table is prose, which names other quantities too, and decides nothing.
MAX_TITLE_CHARACTERS = 200
MAX_YEARS_AHEAD = 1  # a list of January has the new year, one of December has had the next


@dataclass(frozen=True)
class Headings:
    """The headings of a table of countries: the cells over each column, topmost first, and where the figures begin."""

    over: list[list[Cell]]
    country_columns: list[int]
    first_row: int


def find_headings(table: Table) -> Headings | None:
    """Return the headings of a table, or None when none of them is "country"."""
    for number, row in enumerate(table.rows):
        names = [cell for cell in row if cell and _COUNTRY.match(folded(cell.text))]
        if not names or len(set(row)) == 1:
            continue
        first_row = number + 1
        while first_row < len(table.rows) and _is_heading_row(table.rows[first_row], row, names[0]):
            first_row += 1
        lines = [line for line in table.rows[:first_row] if len(set(line)) > 1]  # none across the table
        over = [_stack(lines, column) for column in range(len(row))]
        return Headings(over, [column for column, cell in enumerate(row) if cell is names[0]], first_row)
    return None


def _is_heading_row(row: list[Cell | None], anchor_row: list[Cell | None], anchor: Cell) -> bool:
    """Return whether a row is a second heading row below "country"; headings may be in td, and figures in th."""
    column = anchor_row.index(anchor)
    country = row[column] if column < len(row) else None
    if country is anchor:
        return True
    new_cells = [cell for cell in row if cell and cell is not country and cell not in anchor_row]
    texts = [folded(cell.text) for cell in new_cells]
    if any(_FIGURE_OR_NONE.fullmatch(text) and not _ONLY_A_YEAR.fullmatch(text) for text in texts):
        return False
    return all(cell.is_heading for cell in new_cells) or (not anchor.is_heading and not (country and country.text))


def _stack(lines: list[list[Cell | None]], column: int) -> list[Cell]:
    """Return the headings over a column, topmost first, without those that only number it: "(1) (2) (3)"."""
    cells = dict.fromkeys(line[column] for line in lines if column < len(line))
    return [cell for cell in cells if cell and not _ONLY_NUMBERED.fullmatch(cell.text)]


def refuse_another_list(table: Table, headings: Headings, last_year: int) -> None:
    """Raise Refused, with a quotation, when a text over a table is about anything but nominal GDP in US dollars."""
    across = [row[0].text for row in table.rows[: headings.first_row] if len(set(row)) == 1 and row[0]]
    for kind, texts in (
        ("caption", [table.caption]), ("row", across), ("title", table.titles), ("section", [table.section]),
    ):  # fmt: skip
        for text in texts:
            if len(text) <= MAX_TITLE_CHARACTERS and (problem := problem_of(text, last_year + MAX_YEARS_AHEAD)):
                raise Refused(f'the {kind} "{text[:80]}" has {problem}')


# --- what they mean ---------------------------------------------------------------------------------------------------

_INSTITUTIONS = {
    "IMF": re.compile(r"\bimf\b|\bi\.\s?m\.\s?f\.|\bint(?:ernational|l|['’]l)?\.?\s*monetary\s*fund\b"),
    "World Bank": re.compile(r"\bworld\s*bank\b|\bwbg?\b|\bwdi\b|\bworld development indicators\b"),
    "UN": re.compile(r"\bunited\s*nations\b|\bun\b|\bu\.\s?n\.|\bunsd\b"),
    "CIA": re.compile(r"\bcia\b|\bworld factbook\b"),
}
_YEAR_HEADING = re.compile(r"^(?:years?|date|period)\b")
_FIGURE = re.compile(r"\bgdp\b|estimate|forecast|projection|nominal|million|billion|\$|\busd\b|\bvalue\b|\bfigure")
_OTHER = re.compile(
    r"rank|^#|income group|member|geoscheme|classification|^no\.?$|region|continent"
    r"|\bsource|\bnotes?\b|\bref|population|\bcode\b|\bflag\b|capital\b|revision|updated"
)
_OTHER_MEASURE = re.compile(
    r"per[ -]capita|per head|per person|per inhabitant|\bppp\b|purchasing|growth|\bchange"
    r"|\bshare\b|%|per ?cent|difference|\breal\b"
    r"|\bdebt\b|\bgn[ip]\b|gross national|constant|chained|\b(?:19|20)\d\d prices"
    r"|€|\beuros?\b|\beur\b|£|\bgbp\b|¥|\byuan\b|\bint(?:ernational|l)?\.? ?(?:\$|dollars?\b)"
)
_ANY_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_YEAR_CELL = re.compile(r"(?:\[[^\[\]]*\]\s*)*(?:19|20)\d\d(?![\d,.])")
_LARGE_FIGURE = re.compile(r"\d{1,3}(?:[,. ]\d{3})+|\d{5,}")
OfThePage = Callable[[], str | None]  # returns the institution that the page's prose names


@dataclass(frozen=True)
class Column:
    """A column of figures: its place, that of the years beside it, the institution, and the heading as published."""

    figure: int
    year: int | None
    institution: str
    heading: str


def read_columns(table: Table, headings: Headings, of_the_page: OfThePage) -> list[Column]:
    """Return the columns of figures of an institution.

    Raises Refused when a column's institution or its year could be either of two.
    """
    kinds = [_kind(table, headings, column) for column in range(len(headings.over))]
    found = {
        column: _institution(table, headings.over[column], of_the_page)
        for column, kind in enumerate(kinds) if kind == "figure"
    }  # fmt: skip
    parents = {column: parent for column, (_, parent, _) in found.items()}
    years = _years_beside(headings, [column for column, kind in enumerate(kinds) if kind == "year"], parents)
    return [
        Column(column, years.get(column), institution, heading)
        for column, (institution, _, heading) in found.items() if institution
    ]  # fmt: skip


def not_understood(table: Table, headings: Headings, columns: list[Column]) -> list[str]:
    """Return the headings of columns of figures that are not recognised as ours or as anything else."""
    read = {*headings.country_columns, *(number for column in columns for number in (column.figure, column.year))}
    strange = []
    for number, stack in enumerate(headings.over):
        texts = [folded(cell.text) for cell in stack]
        if number in read or (texts and (_is_other(texts) or _YEAR_HEADING.match(texts[-1]))):
            continue
        cells = [row[number] for row in table.rows[headings.first_row :] if number < len(row)]
        if sum(bool(cell and _LARGE_FIGURE.match(cell.text)) for cell in cells) > 0.5 * len(cells):
            strange.append(stack[-1].text if stack else "")
    return strange


def _is_other(texts: list[str]) -> bool:
    """Return whether the headings over a column, folded, name another quantity or money, or nothing with a figure."""
    return bool(_OTHER.search(texts[-1])) or any(_OTHER_MEASURE.search(text) for text in texts)


def _kind(table: Table, headings: Headings, column: int) -> str | None:
    """Return whether a column is of a "figure" or a "year"; None for anything else."""
    texts = [folded(cell.text) for cell in headings.over[column]]
    if column in headings.country_columns or not texts or _is_other(texts):
        return None
    lowest = texts[-1]
    if _YEAR_HEADING.match(lowest):
        return "year"
    if _FIGURE.search(lowest) or named_institutions(lowest) or _ONLY_A_YEAR.fullmatch(lowest):
        cells = [row[column] for row in table.rows[headings.first_row :] if column < len(row)]
        digits = [cell.text for cell in cells if cell and re.search(r"\d", cell.text)]
        years = [text for text in digits if _YEAR_CELL.match(text) and _ONLY_A_YEAR.fullmatch(folded(text))]
        # a heading may span the figures and their years without a second row
        return "year" if len(years) > 0.8 * len(digits) else "figure"
    return None


def named_institutions(text: str) -> list[str]:
    """Return the institutions that a text names, of IMF, World Bank, UN and CIA."""
    words = folded(text)
    return [name for name, pattern in _INSTITUTIONS.items() if pattern.search(words)]


def _institution(table: Table, stack: list[Cell], of_the_page: OfThePage) -> tuple[str | None, Cell | None, str]:
    """Return whose a column's figures are, the heading cell that names the institution, and the whole heading."""
    heading = " ".join(cell.text for cell in stack)
    places = [(cell.text, cell, heading) for cell in reversed(stack)]
    titles = [(title, None, f"{title} {heading}") for title in reversed(table.titles)]
    for text, cell, whole in (*places, (table.caption, None, heading), *titles):
        names = named_institutions(text)
        if len(names) > 1:
            raise Refused(f'the heading "{text[:80]}" names {" and ".join(names)}')
        if names:
            return names[0], cell, whole
    return of_the_page(), None, heading


def _years_beside(headings: Headings, years: list[int], parents: dict[int, Cell | None]) -> dict[int, int]:
    """Return for each column of figures the column of its years, where there is one.

    A column of years belongs to the figures under the same institution's heading; where headings don't group them, to
    the figures beside it.
    """
    groups: dict[Cell | None, list[int]] = {}
    for year in years:
        parent = next((cell for cell in headings.over[year] if cell in parents.values()), None)
        groups.setdefault(parent, []).append(year)
    ungrouped = groups.pop(None, [])
    beside: dict[int, int] = {}
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

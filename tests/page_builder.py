"""Builds pages of "List of countries by GDP (nominal)" in any layout, from figures: none of their text is copied.

A `Page` is what a page says; a `Layout` is how it says it, by default as at the end of 2025. Run as
`python -m tests.page_builder`, this file writes the page that ships with the suite.
"""

from __future__ import annotations

import csv
import gzip
import html
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from utils import MONTHS

FACTS = Path(__file__).parent / "facts" / "gdp_2025-12-30.csv"
SHIPPED = Path(__file__).parents[1] / "data" / "pages" / "2025-12-30_enwiki_rev1330326028.html.gz"
TITLE = "List_of_countries_by_GDP_(nominal)"
LONG_NAMES = {
    "IMF": "International Monetary Fund",
    "World Bank": "World Bank",
    "UN": "United Nations",
    "CIA": "CIA World Factbook",
}
NO_FIGURE = ("", "—", "N/A")
FLAG = '<span class="flagicon"><img alt="" src="//upload.wikimedia.org/flag.png" /></span>&#160;'
DASH_FOR_SCREENS = (
    '<td data-sort-value="" class="table-na"><span aria-hidden="true">—</span><style>.x{}</style>'
    '<span class="sr-only">N/a</span></td>'
)


@dataclass(frozen=True)
class Figure:
    """A cell: its text, the year that is meant, and the text of the year cell beside it, where there is one."""

    text: str
    year: int | None = None
    year_cell: str | None = None


@dataclass(frozen=True)
class Series:
    """One institution's column: its figures by country, the year in its heading, and the marks behind that."""

    institution: str
    year: str
    figures: dict[str, Figure]
    marks: str = ""


@dataclass(frozen=True)
class Page:
    """What a page says: when it was saved, under which revision, and its columns."""

    saved: datetime
    revision: int
    series: list[Series]


def short(name: str, year: str) -> str:
    """Return the heading of the end of 2025."""
    return f"{LONG_NAMES[name] if name == 'UN' else name}<br />({year})"


def plain(name: str, _year: str) -> str:
    """Return the heading of 2021 to 2025, without a year."""
    return LONG_NAMES[name] if name == "UN" else name


def listed(name: str, _year: str) -> str:
    """Return the title over a table of 2006 to 2017."""
    return f"List by the {LONG_NAMES[name]}"


def per(name: str, year: str) -> str:
    """Return the title over a table of 2018 to 2021."""
    return f"Per the {LONG_NAMES[name]} ({year})"


@dataclass(frozen=True)
class Layout:
    """How a page says it."""

    nested: bool = False  # a table for each institution, side by side in a layout table
    year_column: bool = False
    heading_rows: int = 1
    heading_tag: str = "th"
    heading: Callable[[str, str], str] = short  # over a column, or over a table of its own
    figure_heading: str = "Estimate"
    country_heading: str = "Country/Territory"
    regions: tuple[str, ...] = ()  # headings of columns of regions
    rank: bool = False
    caption: str | None = "GDP forecast or estimate (million US$) by country"
    absent: str = DASH_FOR_SCREENS
    absent_spans: bool = False  # one cell over the figure and its year
    world_spans: bool = False  # the first row's name spans the columns of regions
    outer_class: str = "wikitable"
    table_class: str = "wikitable sortable sticky-header-multi static-row-numbers"
    sort_keys: frozenset[str] = frozenset()  # institutions with hidden sort keys before their figures
    before_name: str = FLAG
    link: str = "/wiki/"
    sources_row: bool = False
    saved_by_browser: bool = False
    wrappers: int = 0  # tables of one cell around it all
    before: str = ""
    after: str = ""
    whole_page: bool = True


def build(page: Page, layout: Layout) -> str:
    """Return the page's HTML."""
    tables = _nested(page, layout) if layout.nested else _table(page.series, layout)
    for _ in range(layout.wrappers):
        tables = f"<table><tr><td>{tables}</td></tr></table>"
    body = f"{layout.before}{tables}{layout.after}"
    return _whole(page, body) if layout.whole_page else body


def _whole(page: Page, body: str) -> str:
    when = page.saved
    saved = f"{when.day} {MONTHS[when.month - 1]} {when.year}, at {when:%H:%M} (UTC)"
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr">\n<head>\n<meta charset="UTF-8">\n'
        "<title>List of countries by GDP (nominal)</title>\n"
        f'<script>RLCONF={{"wgPageName":"{TITLE}","wgRevisionId":{page.revision}}};</script>\n</head>\n<body>\n'
        f"{body}\n<footer>last edited on {saved}</footer>\n</body>\n</html>\n"
    )


# --- one table --------------------------------------------------------------------------------------------------------


def _table(series: list[Series], layout: Layout) -> str:
    headings, rows = "\n".join(_headings(series, layout)), "\n".join(_rows(series, layout))
    caption = f"<caption>{layout.caption}\n</caption>\n" if layout.caption else ""
    if layout.saved_by_browser:
        inner = f"<thead>{headings}</thead>\n<tbody>{rows}</tbody><tfoot></tfoot>"
        return f'<table class="{layout.table_class} jquery-tablesorter">\n{caption}{inner}</table>\n'
    return f'<table class="{layout.table_class}">\n{caption}<tbody>{headings}\n{rows}</tbody></table>\n'


def _headings(series: list[Series], layout: Layout) -> list[str]:
    tag, two = layout.heading_tag, layout.heading_rows == 2
    down, across = (' rowspan="2"', ' colspan="2"' if layout.year_column else "") if two else ("", "")
    top = [
        f"<{tag}{down}>{text}\n</{tag}>" for text in [*["Rank"] * layout.rank, layout.country_heading, *layout.regions]
    ]
    below = []
    for one in series:
        marks = f'<sup class="reference"><a href="#cite">{html.escape(one.marks)}</a></sup>' if one.marks else ""
        heading = layout.figure_heading if layout.nested else layout.heading(one.institution, one.year) + marks
        top.append(f"<{tag}{across}>{heading}\n</{tag}>")
        below.append(f"<{tag}>{layout.figure_heading}\n</{tag}>")
        if layout.year_column:
            (below if two else top).append(f"<{tag}>Year\n</{tag}>")
    return ["<tr>" + "\n".join(top) + "</tr>"] + (["<tr>" + "\n".join(below) + "</tr>"] if two else [])


def _rows(series: list[Series], layout: Layout) -> list[str]:
    countries = list(dict.fromkeys(name for one in series for name in one.figures))
    rows = []
    for number, country in enumerate(countries):
        unranked = country.startswith(("World", "European Union"))
        spans = layout.world_spans and unranked
        cells = [f"<td>{'—' if unranked else number}</td>"] * layout.rank
        cells += [_name(country, layout, 1 + len(layout.regions) if spans else 1)]
        cells += ["<td>—</td>"] * (0 if spans else len(layout.regions))
        for one in series:
            cells += _figure(one.institution, one.figures.get(country, Figure("")), layout)
        rows.append("<tr>\n" + "\n".join(cells) + "</tr>")
    return rows


def _name(country: str, layout: Layout, colspan: int) -> str:
    name, mark, note = country.partition("[")
    sup = f'<sup class="reference"><a href="#n">&#91;{html.escape(note)}</a></sup>' if mark else ""
    link = f'<a href="{layout.link}Economy" title="x">{html.escape(name)}</a>'
    across = f' colspan="{colspan}"' if colspan > 1 else ""
    return f'<td{across} style="text-align:left">{layout.before_name}{link}{sup}</td>'


def _figure(institution: str, figure: Figure, layout: Layout) -> list[str]:
    if figure.text in NO_FIGURE:
        absent = f"<td>{figure.text}</td>" if figure.text != "—" else layout.absent
        if layout.year_column and layout.absent_spans:
            return [absent.replace("<td", '<td colspan="2"', 1)]
        return [absent] * (1 + layout.year_column)
    shown = html.escape(figure.text)
    if institution in layout.sort_keys:
        shown = f'<span style="display:none" class="sortkey">7007{shown}♠</span>{shown}'
    year = figure.year_cell if figure.year_cell is not None else str(figure.year)
    return [f"<td>{shown}\n</td>"] + [f"<td>{html.escape(year)}\n</td>"] * layout.year_column


# --- a table for each institution, in a layout table ------------------------------------------------------------------


def _nested(page: Page, layout: Layout) -> str:
    titles = "".join(f"<td><b>{layout.heading(one.institution, one.year)}</b></td>" for one in page.series)
    inner = "".join(f'<td valign="top">{_table([one], replace(layout, caption=None))}</td>' for one in page.series)
    sources = f'<tr><td colspan="{len(page.series)}">Sources:</td></tr>' if layout.sources_row else ""
    return f'<table class="{layout.outer_class}">\n<tr>{titles}</tr>\n<tr>{inner}</tr>\n{sources}</table>\n'


# --- what we build from -----------------------------------------------------------------------------------------------


def page_of_facts() -> Page:
    """Return what the page of 30 December 2025 says, from tests/facts."""
    with FACTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = (("IMF", 2025, "[6]"), ("World Bank", 2024, "[7]"), ("UN", 2023, "[8]"))
    series = [
        Series(name, str(year), {row["Country"]: _stated(row[name], year) for row in rows}, marks)
        for name, year, marks in columns
    ]
    return Page(datetime(2025, 12, 30, 20, 9, tzinfo=timezone.utc), 1330326028, series)


def _stated(cell: str, year: int) -> Figure:
    own_year = cell.partition(" (")[2].rstrip(")")
    return Figure(cell, int(own_year) if own_year else year)


def shipped_page() -> str:
    """Return the page that ships with the suite, so that a first run without network has something to read."""
    return build(page_of_facts(), Layout())


if __name__ == "__main__":
    SHIPPED.write_bytes(gzip.compress(shipped_page().encode(), mtime=0))
    print(f"wrote {SHIPPED}")

"""Builds pages of "List of countries by GDP (nominal)" in any layout, from figures: none of their text is copied.

A `Page` is what a page says; a `Layout` is how it says it, by default as at the end of 2025. Run as
`python -m tests.page_builder`, this file writes the page that ships with the suite.
"""

from __future__ import annotations

import csv
import gzip
import html
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class Figure:
    """What a cell says: the figure as text ("" and "—" for none), and its year where that is not the column's."""

    text: str
    year: str | None = None


@dataclass(frozen=True)
class Series:
    """One institution's column: its figures by country, their year, and the marks behind its heading."""

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

    @property
    def countries(self) -> list[str]:
        return list(dict.fromkeys(name for series in self.series for name in series.figures))


@dataclass(frozen=True)
class Layout:
    """How a page says it; the defaults are those of the end of 2025."""

    nested: bool = False  # a table for each institution, side by side in a layout table
    year_in: str = "heading"  # heading, column, title, name or nowhere
    heading_rows: int = 1
    heading_tag: str = "th"
    figure_heading: str = "Estimate"
    country_heading: str = "Country/Territory"
    institution_heading: Callable[[str, str], str] = lambda name, year: (
        f"{LONG_NAMES[name] if name == 'UN' else name}<br />({year})"
    )
    title: Callable[[str, str], str] = lambda name, year: f"List by the {LONG_NAMES[name]}"
    regions: tuple[str, ...] = ()  # headings of region columns, with dashes below
    rank: bool = False
    caption: str | None = "GDP forecast or estimate (million US$) by country"
    absent: str = (
        '<td data-sort-value="" class="table-na"><span aria-hidden="true">—</span><style>.x{}</style>'
        '<span class="sr-only">N/a</span></td>'
    )
    absent_spans: bool = False  # one cell over the figure and its year
    outer_class: str = "wikitable"
    table_class: str = "wikitable sortable sticky-header-multi static-row-numbers"
    sort_keys: bool = False
    before_name: str = '<span class="flagicon"><img alt="" src="//upload.wikimedia.org/flag.png" /></span>&#160;'
    link: str = "/wiki/"
    sources_row: bool = False
    saved_by_browser: bool = False
    before: str = ""
    after: str = ""
    whole_page: bool = True
    prose: str = ""
    extra: dict[str, str] = field(default_factory=dict)


def build(page: Page, layout: Layout) -> str:
    """Return the page's HTML."""
    tables = _nested(page, layout) if layout.nested else _table(page.series, layout)
    body = f"{layout.prose}{layout.before}{tables}{layout.after}"
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
    rows = [*_headings(series, layout), *_rows(series, layout)]
    caption = f"<caption>{layout.caption}\n</caption>\n" if layout.caption else ""
    heading, body = "\n".join(rows[: layout.heading_rows]), "\n".join(rows[layout.heading_rows :])
    if layout.saved_by_browser:
        inner = f"<thead>{heading}</thead>\n<tbody>{body}</tbody><tfoot></tfoot>"
        return f'<table class="{layout.table_class} jquery-tablesorter">\n{caption}{inner}</table>\n'
    return f'<table class="{layout.table_class}">\n{caption}<tbody>{heading}\n{body}</tbody></table>\n'


def _headings(series: list[Series], layout: Layout) -> list[str]:
    tag, two = layout.heading_tag, layout.heading_rows == 2
    down = ' rowspan="2"' if two else ""
    fixed = ["Rank"] * layout.rank + [layout.country_heading, *layout.regions]
    top = [f"<{tag}{down}>{text}\n</{tag}>" for text in fixed]
    below = []
    for one in series:
        heading = _institution_heading(one, layout)
        across = ' colspan="2"' if layout.year_in == "column" and two else ""
        top.append(f"<{tag}{across}>{heading}\n</{tag}>")
        below.append(f"<{tag}>{layout.figure_heading}\n</{tag}>")
        if layout.year_in == "column":
            (below if two else top).append(f"<{tag}>Year\n</{tag}>")
    return ["<tr>" + "\n".join(top) + "</tr>"] + (["<tr>" + "\n".join(below) + "</tr>"] if two else [])


def _institution_heading(one: Series, layout: Layout) -> str:
    if layout.nested:
        return layout.figure_heading
    marks = f'<sup class="reference"><a href="#cite">{html.escape(one.marks)}</a></sup>' if one.marks else ""
    return layout.institution_heading(one.institution, one.year) + marks


def _rows(series: list[Series], layout: Layout) -> list[str]:
    countries = list(dict.fromkeys(name for one in series for name in one.figures))
    rows = []
    for rank, country in enumerate(countries, 1):
        cells = [f"<td>{rank}</td>"] * layout.rank + [_name(country, series, layout)]
        cells += ["<td>—</td>"] * len(layout.regions)
        for one in series:
            cells += _figure(one, one.figures.get(country, Figure("")), layout)
        rows.append("<tr>\n" + "\n".join(cells) + "</tr>")
    return rows


def _name(country: str, series: list[Series], layout: Layout) -> str:
    name, mark, note = country.partition("[")
    shown = html.escape(name)
    if layout.year_in == "name" and (year := series[0].figures[country].year):
        shown += f" ({year})"
    sup = f'<sup class="reference"><a href="#n">&#91;{html.escape(note)}</a></sup>' if mark else ""
    link = f'<a href="{layout.link}Economy" title="x">{shown}</a>'
    return f'<td style="text-align:left">{layout.before_name}{link}{sup}</td>'


def _figure(one: Series, figure: Figure, layout: Layout) -> list[str]:
    year_column = layout.year_in == "column"
    if figure.text in ("", "—"):
        absent = "<td></td>" if figure.text == "" else layout.absent
        if not year_column:
            return [absent]
        if layout.absent_spans:
            return [absent.replace("<td", '<td colspan="2"', 1)]
        return [absent, absent]
    shown = html.escape(figure.text)
    if figure.year and layout.year_in not in ("column", "name"):
        shown += f" ({figure.year})"
    if layout.sort_keys:
        shown = f'<span style="display:none" data-sort-value="7007">7007{shown}♠</span>{shown}'
    cells = [f"<td>{shown}\n</td>"]
    return [*cells, f"<td>{figure.year or one.year}\n</td>"] if year_column else cells


# --- a table for each institution, in a layout table ------------------------------------------------------------------


def _nested(page: Page, layout: Layout) -> str:
    titles = "".join(f"<td><b>{layout.title(one.institution, one.year)}</b></td>" for one in page.series)
    inner = "".join(f'<td valign="top">{_table([one], replace(layout, caption=None))}</td>' for one in page.series)
    sources = f'<tr><td colspan="{len(page.series)}">Sources:</td></tr>' if layout.sources_row else ""
    return f'<table class="{layout.outer_class}">\n<tr>{titles}</tr>\n<tr>{inner}</tr>\n{sources}</table>\n'


# --- what we build from -----------------------------------------------------------------------------------------------


def page_of_facts() -> Page:
    """Return what the page of 30 December 2025 says, from tests/facts."""
    with FACTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = (("IMF", "2025", "[6]"), ("World Bank", "2024", "[7]"), ("UN", "2023", "[8]"))
    series = [
        Series(institution, year, {row["Country"]: _stated(row[institution]) for row in rows}, marks)
        for institution, year, marks in columns
    ]
    return Page(datetime(2025, 12, 30, 20, 9, tzinfo=timezone.utc), 1330326028, series)


def _stated(cell: str) -> Figure:
    text, _, year = cell.partition(" (")
    return Figure(text, year.rstrip(")") or None)


def shipped_page() -> str:
    """Return the page that ships with the suite, so that a first run without network has something to read."""
    return build(page_of_facts(), Layout())


if __name__ == "__main__":
    SHIPPED.write_bytes(gzip.compress(shipped_page().encode(), mtime=0))
    print(f"wrote {SHIPPED}")

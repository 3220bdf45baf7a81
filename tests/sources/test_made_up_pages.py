"""Pages that nobody has written yet: each is read exactly as its model says, or refused; never read wrong.

The ordinary run draws 20 examples; `HYPOTHESIS_PROFILE=thorough python -m pytest tests/sources/test_made_up_pages.py`
draws 10,000.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from gdp.sources import Refused
from gdp.sources.wikipedia import page as wikipedia
from gdp.transform.countries import reference
from tests.conftest import Run, shared_pages
from tests.page_builder import (
    DASH_FOR_SCREENS,
    FLAG,
    SHIPPED,
    Figure,
    Layout,
    Page,
    Series,
    listed,
    per,
    plain,
    short,
)
from tests.sources.test_layouts import meant, read

NAMES = sorted({country.name for country in reference().countries.values()})
NOTES = ["", "", "", "[n 1]", "[n 11][n 12]", "†", "[a]", "[r 2]"]
Meaning = dict[tuple[str, str, int | None], tuple[str, float | None]]
NOTHING = ("", None)
INSTITUTIONS = ["IMF", "World Bank", "UN", "CIA"]
TABLE = '<table class="{}"><tr><th>{}</th><th>{}</th></tr><tr><td>{}</td><td>{}</td></tr></table>'
NAVBOX = TABLE.format("navbox-inner", "Country", "IMF", "Lists", "1,234")
GROUPS = TABLE.format("wikitable", "Country group", "IMF (2025)", "G7", "49,000,000")
LEGEND = "<table><tr><td><b>&gt; $20 trillion</b></td><td>$10–20 trillion</td></tr></table>"
PER_CAPITA = (
    '<table class="wikitable"><tr><th>Country</th><th>IMF, GDP per capita (2025)</th></tr>'
    + "<tr><td>Chad</td><td>700</td></tr>" * 300
    + "</table>"
)
AROUND = ["", NAVBOX, GROUPS, LEGEND, PER_CAPITA, LEGEND + NAVBOX, "<p>Some words.</p>", "<!-- <table><tr><td> -->"]


@dataclass(frozen=True)
class Style:
    """How figures are written on a made-up page."""

    separator: str
    billions: bool

    def write(self, million: int) -> str:
        grouped = f"{million:,}" if not self.billions else f"{million // 1000:,}.{million % 1000:03}"
        return grouped.replace(",", self.separator)


@dataclass(frozen=True)
class Drawn:
    """A made-up page, how it says what it says, and what that means."""

    page: Page
    layout: Layout
    want: Meaning

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        columns = [(one.institution, one.year, len(one.figures)) for one in self.page.series]
        printer.text(f"Drawn({self.page.saved:%Y-%m}, {columns}, {self.layout})")


@st.composite
def pages(draw: st.DrawFn) -> Drawn:
    """Draw a page, its layout, and what it means."""
    layout = draw(layouts())
    billions = bool(layout.caption and "billion" in layout.caption) or "billion" in layout.figure_heading
    separators = [",", "\u2009", "\u00a0", "\u202f", " ", *([] if billions else ["."])]
    style = Style(draw(st.sampled_from(separators)), billions)
    institutions = draw(st.permutations(INSTITUTIONS))[: draw(st.integers(1, 4))]
    if "IMF" not in institutions:
        institutions[draw(st.integers(0, len(institutions) - 1))] = "IMF"
    rng = random.Random(draw(st.integers(0, 2**32)))
    names = [name + rng.choice(NOTES) for name in rng.sample(NAMES, rng.randint(105, 150))]
    saved = datetime(draw(st.integers(2006, 2025)), draw(st.integers(1, 12)), 15, 12, tzinfo=timezone.utc)
    columns = [_series(name, names, layout, style, saved, rng) for name in institutions]
    if layout.heading is short and not layout.year_column and draw(st.booleans()):
        columns.insert(0, _coming_year(columns[institutions.index("IMF")]))
    page = Page(saved, rng.randint(1, 10**10), columns)
    return Drawn(page, layout, _meant(page))


def _series(name: str, names: list[str], layout: Layout, style: Style, saved: datetime, rng: random.Random) -> Series:
    in_heading = layout.heading in (short, per)
    year = rng.randint(saved.year - 3, saved.year) if in_heading else saved.year
    figures = {}
    for country in names:
        if rng.random() < 0.1 and name != "IMF":
            figures[country] = Figure(rng.choice(["—", "N/A", ""]))
        else:
            figures[country] = _figure(style.write(int(10 ** rng.uniform(1.7, 7.5))), year, layout, rng)
    label = rng.choice([str(year), f"{year} estimates", f"{year - 2}–{year % 100:02}", f"{year - 1}–{year}"])
    marks = rng.choice(["", "[6]", "[1][13]"]) if not layout.nested else ""
    return Series(name, label, figures, marks)


def _figure(text: str, year: int, layout: Layout, rng: random.Random) -> Figure:
    if layout.year_column:
        year = rng.randint(2000, 2030)
        return Figure(text, year, rng.choice([f"{year}", f"[n 1]{year}", f"{year - 2}–{year % 100:02}", f"{year}[b]"]))
    if rng.random() < 0.1:
        year = rng.randint(2000, 2030)
        return Figure(f"{text} ({year})", year)
    return Figure(text + rng.choice(["", "", "", "[n 2]"]), year)


def _coming_year(imf: Series) -> Series:
    year = 1 + max(int(y) for y in re.findall(r"\d{4}", imf.year))
    figures = {name: Figure(re.sub(r" \(\d+\)", "", figure.text), year) for name, figure in imf.figures.items()}
    return Series("IMF", str(year), figures, "[citation needed]")


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Draw a layout that says all that a reader needs, in any arrangement."""
    nested = draw(st.booleans())
    unit = draw(st.sampled_from(["million", "billion"]))
    heading = draw(st.sampled_from([listed, per] if nested else [short, plain]))
    with_unit = draw(st.booleans()) or nested
    two = draw(st.booleans()) and not nested
    return Layout(
        nested=nested,
        year_column=draw(st.booleans()),
        heading_rows=2 if two else 1,
        heading_tag=draw(st.sampled_from(["th", "td"])),
        heading=heading,
        figure_heading=f"GDP (US${unit})" if with_unit else draw(st.sampled_from(["Estimate", "Forecast", "GDP"])),
        country_heading=draw(st.sampled_from(["Country", "Country/Territory", "Country (or territory)", "Economy"])),
        regions=tuple(draw(st.sampled_from([(), ("UN region",), ("Subregion", "Region")]))),
        rank=draw(st.booleans()),
        caption=None if nested else f"GDP ({unit} US$) by country",
        absent=draw(st.sampled_from([DASH_FOR_SCREENS, "<td>—</td>", '<td data-sort-value="">—</td>'])),
        absent_spans=draw(st.booleans()),
        outer_class=draw(st.sampled_from(["", "wikitable", "wikitable&quot;|}"])),
        sort_keys=frozenset(draw(st.sampled_from([(), ("IMF",), tuple(INSTITUTIONS)]))),
        before_name=draw(st.sampled_from([FLAG, "", "&nbsp;", '<span style="display: none">!</span>'])),
        sources_row=draw(st.booleans()),
        saved_by_browser=draw(st.booleans()),
        wrappers=draw(st.integers(0, 3)),
        before=draw(st.sampled_from(AROUND)),
        after=draw(st.sampled_from(AROUND)),
        whole_page=draw(st.booleans()),
    )


def _meant(page: Page) -> Meaning:
    """Return what the page means; figures in billions have three decimals, so their digits are millions too."""
    stripped = [
        replace(one, figures={name: replace(f, text=f.text.split("[")[0]) for name, f in one.figures.items()})
        for one in page.series
    ]
    values = meant(replace(page, series=stripped))
    stated = [(one.institution, n, f) for one in page.series for n, f in one.figures.items() if f.year]
    texts: dict[tuple[str, str, int | None], str] = {(name, n, f.year): f.text for name, n, f in stated}
    return {key: (texts.get(key, text), value) for key, (text, value) in values.items()}


@given(pages())
def test_a_made_up_page_is_read_exactly_or_refused(drawn: Drawn) -> None:
    try:
        got = read(drawn.page, drawn.layout)
    except Refused as reason:
        event(f"refused: {str(reason)[:60]}")
        raise AssertionError(f"every page of this strategy can be found, but: {reason}") from reason
    event("read")
    wrong = {key for key in got.keys() | drawn.want.keys() if got.get(key, NOTHING) != drawn.want.get(key, NOTHING)}
    assert {key: (got.get(key), drawn.want.get(key)) for key in sorted(wrong, key=str)[:5]} == {}


# --- damaged pages ----------------------------------------------------------------------------------------------------

REAL = [gzip.decompress(path.read_bytes()) for path in (shared_pages() or [SHIPPED])]
CELL = re.compile(rb"<td[^>]*>.*?</td>", re.DOTALL)
TAG = re.compile(rb"</?[a-z][^>]*>")


def cut(page: bytes, rng: random.Random) -> bytes:
    return page[: rng.randrange(page.rindex(b"</html>") + len(b"</html"))]


def tag_lost(page: bytes, rng: random.Random) -> bytes:
    tag = rng.choice(list(TAG.finditer(page)))
    return page[: tag.start()] + page[tag.end() :]


def tag_doubled(page: bytes, rng: random.Random) -> bytes:
    tag = rng.choice(list(TAG.finditer(page)))
    return page[: tag.end()] + tag[0] + page[tag.end() :]


def cells_swapped(page: bytes, rng: random.Random) -> bytes:
    one, other = sorted(rng.sample(list(CELL.finditer(page)), 2), key=lambda cell: cell.start())
    return page[: one.start()] + other[0] + page[one.end() : other.start()] + one[0] + page[other.end() :]


def span_added(page: bytes, rng: random.Random) -> bytes:
    tag = rng.choice(list(re.finditer(rb"<t[dh]", page)))
    span = rng.choice([b"rowspan", b"colspan"])
    size = rng.choice([b"0", b"2", b"-1", b"1000000000", b"9" * 99, b"x"])
    return page[: tag.end()] + b" " + span + b'="' + size + b'"' + page[tag.end() :]


def bytes_changed(page: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(page))
    changed = rng.choice([b"\0", b"\xff\xfe", b"&#0;", b"&lt;td&gt;", b"<!--", b"<td>", b"\x1b[2J"])
    return page[:at] + changed + page[at + 3 :]


Damage = Callable[[bytes, random.Random], bytes]
DAMAGES: list[Damage] = [tag_lost, tag_doubled, cells_swapped, span_added, bytes_changed]


@given(st.sampled_from(range(len(REAL))), st.integers(0, 2**32))
def test_a_page_that_is_cut_anywhere_is_refused(number: int, seed: int) -> None:
    page = cut(REAL[number], random.Random(seed))
    with pytest.raises(Refused):
        wikipedia.parse(page, "a page", datetime.now(timezone.utc))


@given(
    st.sampled_from(range(len(REAL))), st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=4), st.integers(0, 2**32)
)
def test_a_damaged_page_is_read_or_refused_within_bounds(number: int, damages: list[Damage], seed: int) -> None:
    page = REAL[number]
    rng = random.Random(seed)
    for damage in damages:
        page = damage(page, rng)
    started = time.process_time()
    try:
        wikipedia.parse(page, "a page", datetime.now(timezone.utc))
    except Refused:
        event("refused")
    assert time.process_time() - started < 10


def _table(rows: str) -> bytes:
    heading = "<tr><th>Country</th><th>IMF (2025)</th></tr>"
    return f"<html><body><table>{heading}{rows}</table></body></html>".encode()


# Made when they are needed: the peak memory of a child process starts at that of its parent.
MONSTERS: dict[str, Callable[[], bytes]] = {
    "a million cells": lambda: _table("<tr>" + "<td>1</td>" * 1_000_000 + "</tr>"),
    "a million rows": lambda: _table("<tr><td>Chad</td><td>1</td></tr>" * 300_000),
    "spans without end": lambda: _table('<tr><td rowspan="1000000000" colspan="1000000000">1</td></tr>' * 2_000),
    "nested without end": lambda: b"<html>" + b"<table><tr><td>" * 60_000 + b"</html>",
    "nested and closed": lambda: b"<html>" + b"<table><tr><td>" * 3_000 + b"</td></tr></table>" * 3_000 + b"</html>",
    "inline nested without end": lambda: _table("<tr><td>" + "<i>" * 150_000 + "1</td></tr>"),
    "one endless word": lambda: _table("<tr><td>" + "x" * 9_000_000 + "</td></tr>"),
    "entities": lambda: _table("<tr><td>" + "&amp;" * 1_900_000 + "</td></tr>"),
    "utf-16": lambda: REAL[0].decode().encode("utf-16"),
    "utf-32": lambda: REAL[0].decode().encode("utf-32"),
    "nul bytes": lambda: REAL[0].replace(b"United States", b"United\0States"),
}


@pytest.mark.parametrize("monster", MONSTERS)
def test_no_page_goes_on_for_ever_or_takes_more_than_500_megabytes(
    monster: str, run: Run, home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(MONSTERS[monster]())
    done = run("extract.py", "--page", path)
    assert done.returncode == (0 if monster == "utf-16" else 65), done.stderr[-500:]
    assert "Traceback" not in done.stderr
    (found,) = map(json.loads, (home / "log" / "runs.jsonl").read_text().splitlines())
    assert 5 < found["peak_memory_mb"] < 500


def test_a_page_in_utf_16_is_read_as_in_utf_8(run: Run, home: Path, tmp_path: Path) -> None:
    want = wikipedia.parse(REAL[0], "a page").records
    assert wikipedia.parse(MONSTERS["utf-16"](), "a page").records == want

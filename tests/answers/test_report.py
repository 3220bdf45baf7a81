"""The report: what a browser shows of it, what it holds, and that its failure fails nothing else."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.text import Text

from gdp.answers.overview import overview
from gdp.answers.plots import drawn, world_tiles
from gdp.figures.countries import reference
from gdp.running.journal import Journal
from gdp.running.places import Place
from gdp.store.database import asked
from gdp.store.history import History
from load import load
from report import report
from tests.conftest import Run, query, records
from tests.looked_at import CHROMIUM, chromium, make_past, script
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE, clean_file_of, load_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPORT = Path("results") / "report.html"
MOST_BYTES = 1_500_000
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on a database with a past."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDP_ETL_HOME", str(folder))
        make_past(folder)
        script("report.py")
    return folder / REPORT


@pytest.fixture
def past(made: Path, home: Path) -> Path:
    """Return a home of the test's own with that database and its past."""
    shutil.copytree(made.parents[1], home, dirs_exist_ok=True)
    return home


def drawn_into(target: Path, database: Path, journal: Journal | None = None) -> str:
    """Draw the report in this process; return its text. Whatever matplotlib warns of is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", "Glyph .* missing from"
        )  # report.py silences it: not every font has every letter
        report(Place(database), target, journal or Journal("report", quiet=True))
    return target.read_text(encoding="utf-8")


class Seen:
    """A page that is open, and what the browser complained of or asked for meanwhile."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def texts(self, selector: str) -> list[str]:
        told: list[str] = self.page.eval_on_selector_all(selector, "cells => cells.map(c => c.textContent)")
        return told

    def column(self, number: int) -> list[str]:
        return self.texts(f"#country-table tbody tr:not([hidden]) > :nth-child({number})")


def opened(browser: Browser, report: Path, **context: Any) -> Seen:
    seen = Seen(browser.new_context(**context).new_page())
    seen.page.goto(report.as_uri())
    seen.page.wait_for_selector("html[data-ready=yes]", state="attached")
    return seen


# --- in a browser -----------------------------------------------------------------------------------------------------


@needs_chromium
def test_the_page_opens_without_a_complaint_and_asks_nothing_of_anybody(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    assert seen.complaints == []
    assert seen.requests == [made.as_uri()]
    assert seen.page.inner_text("#as-of") == "2025-12-30"
    assert "days old today" in seen.page.inner_text("#age")


@needs_chromium
def test_the_table_is_sorted_by_any_column_and_filtered_by_name_and_region(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    assert seen.column(2)[:3] == ["United States", "China", "Germany"]
    seen.page.click("#country-table th:nth-child(2) button")
    assert seen.column(2)[:2] == ["Afghanistan", "Albania"]
    seen.page.click("#country-table th:nth-child(5) button")
    largest_first = [float(text.replace(",", "")) for text in seen.column(5)]
    assert largest_first == sorted(largest_first, reverse=True)
    assert seen.page.get_attribute("#country-table th:nth-child(5)", "aria-sort") == "descending"
    seen.page.click("#country-table th:nth-child(5) button")
    assert [float(text.replace(",", "")) for text in seen.column(5)] == sorted(largest_first)
    seen.page.fill("#name-filter", "cote d")
    assert seen.column(2) == ["Ivory Coast"] or seen.column(2) == []
    seen.page.fill("#name-filter", "korea")
    assert seen.column(2) == ["South Korea"]
    seen.page.fill("#name-filter", "")
    seen.page.select_option("#region-filter", "Oceania")
    assert set(seen.column(3)) == {"Oceania"}
    assert seen.page.inner_text("#shown") == f"{len(seen.column(3))} countries"


@needs_chromium
def test_the_picker_shows_south_koreas_vintages(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.select_option("#country-picker", "KOR")
    told = seen.page.inner_text("#country-estimates tbody")
    for day in ("2024-04-20", "2024-10-25", "2025-04-23", "2025-10-15", "2025-12-30"):
        assert day in told
    assert "1,858.57" in told
    assert "IMF (Wikipedia) 1,858.57" in (seen.page.get_attribute("#country-chart", "aria-label") or "")
    assert seen.page.locator("#country-chart canvas").count() == 1
    seen.page.select_option("#year-picker", "2025")
    years = seen.page.eval_on_selector_all(
        "#country-estimates tbody tr > :nth-child(2)", "c => c.map(x => x.textContent)"
    )
    assert set(years) == {"2025"}


@needs_chromium
def test_a_headline_is_chosen_as_the_table_of_countries_is_at_each_publishers_own_vintages(
    browser: Browser, past: Path
) -> None:
    home = past
    api = [{**one, "Source": "https://www.imf.org/external/datamapper/api/v1/NGDPD", "As_of": "2024-10-01",
            "Year": year, "GDP_USD_billion": round(one["GDP_USD_billion"] * 1.01 ** (year - 2020), 2), "Note": None}
           for one in records(home / "results" / "Countries_by_GDP_Processed.json")
           for year in range(2020, 2028) if one["Institution"] == "IMF"]  # fmt: skip
    (home / "api.json").write_text(json.dumps(api))
    load(home / "api.json", Place(home / DATABASE), Journal("load", quiet=True), force=True)
    drawn_into(home / REPORT, home / DATABASE)
    seen = opened(browser, home / REPORT)
    with asked(Place(home / DATABASE)) as connection:
        history = History(connection)
        for vintage in history.vintages.of("IMF"):
            chosen = {row["Country"]: row["GDP_USD_billion"] for row in history.headlines(vintage)}
            name = "IMF (Wikipedia)" if vintage.publisher == "wikipedia" else "IMF (DataMapper)"
            for code, country in (("KOR", "South Korea"), ("AND", "Andorra")):
                seen.page.select_option("#country-picker", code)
                told = seen.page.evaluate("([name, day]) => gdpReport.figureAt(name, day)", [name, vintage.as_of[:10]])
                assert told == chosen[country], (name, vintage.as_of, country)


@needs_chromium
def test_a_tile_of_the_world_leads_to_its_country(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.locator('[id$="-tile-KOR"]').click()
    assert seen.page.input_value("#country-picker") == "KOR"


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_runs_over_and_axe_finds_nothing_serious(browser: Browser, made: Path, scheme: Any, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    seen = opened(browser, made, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    found = Axe().run(seen.page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


@needs_chromium
def test_every_part_is_reached_by_the_keyboard(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.focus("#country-table th:nth-child(2) button")
    seen.page.keyboard.press("Enter")
    assert seen.column(2)[0] == "Afghanistan"
    seen.page.keyboard.press("Shift+Tab")
    seen.page.keyboard.press("Shift+Tab")
    seen.page.keyboard.press("Shift+Tab")
    assert seen.page.evaluate("document.activeElement.id") == "region-filter"


@needs_chromium
def test_on_paper_every_row_is_there_and_nothing_to_press(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert not seen.page.is_visible("#name-filter")
    assert seen.page.evaluate("getComputedStyle(document.querySelector('.scrolls')).maxHeight") == "none"
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@needs_chromium
def test_sixty_thousand_estimates_fit_and_are_shown(browser: Browser, home: Path) -> None:
    days = tuple(f"{year}-{month:02}-15" for year in range(2010, 2025) for month in (1, 3, 5, 7, 9, 11))[:100]
    make_past(home, (*days, *(f"2025-{month:02}-15" for month in range(1, 12))), revised=1.0)
    assert query(home / DATABASE, "SELECT count(*) FROM GDP_Estimates")[0][0] > 60_000
    page = home / REPORT
    assert len(drawn_into(page, home / DATABASE).encode()) < MOST_BYTES
    seen = opened(browser, page)
    assert seen.complaints == []


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_the_page_stands_alone_and_tells_all_it_should(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=|<link|@import|url\(http", text) == []
    for told in (
        "As of", "Source: IMF, as quoted by Wikipedia", "at or above 100 billion", "revised at the last change",
        "revision 1330326028", "48 no figure", "out of line with other institutions", "stands apart from",
    ):  # fmt: skip
        assert told in text, told
    assert text.count('role="img"') == 5  # four figures and the chart
    figures = "".join(re.findall(r"<figure.*?</figure>", text, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): ?(#[0-9a-f]+)", figures)) == set()  # the page's colours, light or dark
    for (sha256,) in query(made.parents[1] / DATABASE, "SELECT SHA256 FROM Loads"):
        assert sha256 in text


def test_plots_are_files_of_their_own(made: Path) -> None:
    plots = made.parent / "plots"
    for name in ("gdp_over_100b.png", "region_top5_average.png"):
        content = (plots / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert int.from_bytes(content[16:20]) >= 900  # pixels
    svg = (plots / "gdp_by_region.svg").read_text()
    for told in ("GDP by region", "nominal GDP, trillion USD", "Source: IMF, as quoted by Wikipedia, as of 2025-12-30"):
        assert told in svg


def test_no_letter_of_a_plot_runs_over_its_edge(made: Path) -> None:
    with asked(Place(made.parents[1] / DATABASE)) as connection:
        told = overview(connection)
    for one in drawn(told.countries, told.regions, told.large, "Source: IMF, as quoted by Wikipedia, as of 2025-12-30"):
        one.figure.draw_without_rendering()
        width, height = one.figure.bbox.width, one.figure.bbox.height
        beyond_the_axis = {id(tick) for axes in one.figure.axes for tick in axes.get_xticklabels()}  # and not drawn
        for text in one.figure.findobj(Text):
            assert isinstance(text, Text)
            if text.get_text() and id(text) not in beyond_the_axis:
                box = text.get_window_extent()
                assert box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1, text.get_text()


def test_a_name_out_of_a_source_is_text_and_nothing_else(run: Run, home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    with sqlite3.connect(home / DATABASE) as database:
        evil = "</script><img src=x onerror=alert(1)> $x_{$ 대한민국"
        database.execute("UPDATE GDP_Estimates SET Country = ?, Note = ? WHERE ISO3 = 'KOR'", (evil, evil))
        database.execute("UPDATE Countries_by_GDP SET Country = ? WHERE ISO3 = 'KOR'", (evil,))
    done = run("report.py")
    assert done.returncode == 0 and "Warning" not in done.stderr
    assert "<img" not in (home / REPORT).read_text()


def test_every_country_of_the_page_has_one_tile(made: Path) -> None:
    tiles = world_tiles()
    assert len(set(tiles.values())) == len(tiles)
    assert set(tiles) <= {country.iso3 for country in reference().countries.values()}
    rows = query(made.parents[1] / DATABASE, "SELECT ISO3 FROM Countries_by_GDP")
    assert {code for (code,) in rows} - set(tiles) == set()


# --- as a stage -------------------------------------------------------------------------------------------------------


def test_a_report_that_fails_does_not_fail_the_run(run: Run, home: Path) -> None:
    (home / "results").mkdir()
    (home / "results" / "report.html").mkdir()
    done = run("etl_process.py", "--page", SHIPPED)
    assert done.returncode == 0
    assert "[report] error: cannot write" in done.stderr and "report     failed, exit 74" in done.stderr
    assert run("report.py").returncode == 74


def test_loads_tell_of_each_vintage_what_was_found_and_left_out(past: Path) -> None:
    home = past
    told = query(home / DATABASE, "SELECT As_of, Left_out, Findings FROM Loads ORDER BY As_of")
    assert [left_out for _, left_out, _ in told] == [None] * 4 + ['{"aggregate": 3, "no figure": 48}']
    assert all("out of line with other institutions" in findings for _, _, findings in told)
    earlier = home / "earlier.json"
    clean = records(home / "results" / "Countries_by_GDP_Processed.json")
    earlier.write_text(json.dumps([{**one, "As_of": "2023-04-20", "Source": "https://example.org/x"} for one in clean]))
    load(earlier, Place(home / DATABASE), Journal("load", quiet=True), force=True)
    assert "Found on the figures of 2025-12-30" in drawn_into(home / REPORT, home / DATABASE)


def test_a_report_after_a_failed_load_reads_the_database_that_is_named(run: Run, home: Path) -> None:
    assert run("etl_process.py", "--no-report", "--page", SHIPPED, "--database", home / "x.db").returncode == 0
    (home / "results" / "Countries_by_GDP_Processed.json").write_text("[]")
    done = run("etl_process.py", "--from", "load", "--database", home / "x.db")
    assert done.returncode == 65
    assert f"report goes on with {home / 'x.db'}" in done.stderr and (home / REPORT).exists()


def test_odd_figures_are_drawn_too(home: Path) -> None:
    clean = home / "clean.json"
    said = records(clean_file_of(SHIPPED))
    for name, change in (
        ("all are nothing", lambda one: {"GDP_USD_billion": 0.0}),
        ("no region", lambda one: {"Region": None, "ISO3": None, "GDP_USD_billion": 1.0}),
        ("a name of signs", lambda one: {"Country": "\\1 $" + one["Country"]}),
    ):  # fmt: skip
        clean.write_text(json.dumps([{**one, **change(one)} for one in said]))
        load(clean, Place(home / f"{name}.db"), Journal("load", quiet=True), force=True)
        assert "</html>" in drawn_into(home / f"{name}.html", home / f"{name}.db"), name


def test_what_the_page_has_no_room_for_is_counted(past: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = past
    with sqlite3.connect(home / DATABASE) as database:  # as if the same had been said of other years
        for years in range(1, 41):
            database.execute(
                "INSERT INTO GDP_Estimates SELECT As_of, Institution, ISO3, Country, Region, Subregion, Year - ? * 10,"
                " GDP_USD_billion, Note, Source, Publisher, Until, Status FROM GDP_Estimates WHERE Year > 2015",
                (years,),
            )  # fmt: skip
    (number,) = query(home / DATABASE, "SELECT count(*) FROM GDP_Estimates")[0]
    assert number > 80_000
    text = drawn_into(home / REPORT, home / DATABASE, Journal("report"))
    assert f"{number - 80_000:,} of {number:,} estimates, the oldest, are not in the page" in capsys.readouterr().err
    assert f"the oldest {number - 80_000:,} of {number:,} estimates" in text


def test_a_report_on_nothing_says_so(run: Run, home: Path) -> None:
    done = run("report.py")
    assert done.returncode == 66
    assert "run python etl_process.py first" in done.stderr


def test_a_database_from_before_loads_told_of_findings_is_carried_on(home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    with sqlite3.connect(home / DATABASE) as database:
        database.execute("DROP VIEW GDP_History")
        for column in ("Left_out", "Findings"):
            database.execute(f"ALTER TABLE Loads DROP COLUMN {column}")
    assert "not told" in drawn_into(home / REPORT, home / DATABASE)
    load_page(home / DATABASE, SHIPPED)
    assert "not told" in drawn_into(home / REPORT, home / DATABASE)

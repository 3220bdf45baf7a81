"""What is drawn and printed, compared with calculations of these tests' own from the facts."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import pytest

from gdp.model import is_flagged_by_check
from gdp.places import Place
from gdp.report.attribution import last_actual_year
from gdp.report.revisions import Changes, last_refresh
from gdp.report.summary import bundled_release
from gdp.report.tables import Form, screens, show_load
from gdp.sources.imf.releases import year_of
from gdp.store.database import asked
from gdp.store.history import History
from load import load
from tests.conftest import PROJECT, query, records
from tests.page_builder import FACTS, SHIPPED
from tests.report.conftest import REPORT, Seen, needs_chromium, opened, write
from tests.store.loading import DATABASE, ask, clean_file_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RELEASE = "2025-10"  # the newest whole release that comes with the suite
FRANCE_NOW = "SELECT Flags FROM GDP_Estimates WHERE ISO3 = 'FRA' AND Institution = 'IMF' AND Until = '9999-12-31'"
SMALLEST_CHANGE_PERCENT = 0.005  # below it two decimals are 0.00


def release(iso3: str) -> tuple[dict[int, float], str]:
    """Return a country's figures in the newest bundled release by year, and its last actual year as published."""
    with gzip.open(PROJECT / "data" / "imf_releases.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["iso3"] == iso3 and row[RELEASE]]
    figures = {int(row["year"]): float(row[RELEASE]) for row in rows if row["year"].isdecimal()}
    return figures, next((row[RELEASE] for row in rows if row["year"] == "last_actual"), "")


class Mark(NamedTuple):
    """A point of the chart, in pixels."""

    x: float
    y: float


def marks(seen: Seen) -> list[Mark]:
    places = seen.page.eval_on_selector_all(
        "#chart circle", "all => all.map(one => [one.cx.baseVal.value, one.cy.baseVal.value])"
    )
    return [Mark(*place) for place in places]


def paths(seen: Seen, which: str) -> list[str]:
    found = seen.page.eval_on_selector_all(f"#chart path.{which}", "all => all.map(one => one.getAttribute('d'))")
    return [str(path) for path in found]


# --- one line is one vintage ------------------------------------------------------------------------------------------


@needs_chromium
def test_a_line_is_one_release_with_its_projections_dashed_from_the_stated_year(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=FRA")
    for code in ("CHN", "NGA", "KOR", "IND"):
        seen.go(f"#country={code}")
        check_line(seen, code)


def check_line(seen: Seen, code: str) -> None:
    """Check that the figures shown, and so their growth, are a release's own, and that the line is drawn of them."""
    figures, last_actual = release(code)
    assert [int(year) for year in seen.estimates(3)] == sorted(figures)
    shown = [float(text.replace(",", "")) for text in seen.estimates(7)]
    assert shown == pytest.approx([figures[year] for year in sorted(figures)], abs=0.0051)
    last = year_of(last_actual, code) or 0
    assert seen.estimates(4) == ["estimate" if year <= last else "projection" for year in sorted(figures)]
    points = marks(seen)
    assert len(points) == len(figures)
    (dashed,) = paths(seen, "projected")
    start = re.match(r"M([\d.]+) ", dashed)
    assert start and float(start[1]) == pytest.approx(points[sorted(figures).index(last)].x, abs=0.06)
    widths = [later.x - earlier.x for earlier, later in pairwise(points)]
    assert max(widths) - min(widths) < 0.11  # a year has the same width everywhere
    heights = [(figures[year], point.y) for year, point in zip(sorted(figures), points, strict=True)]
    (low, low_y), (high, high_y) = min(heights), max(heights)
    for figure, y in heights:
        assert y == pytest.approx(low_y + (figure - low) / (high - low) * (high_y - low_y), abs=0.2)


@needs_chromium
def test_a_gap_is_a_gap_and_an_end_an_end(browser: Browser, past: Path) -> None:
    (korea,) = (one for one in records(past / "results" / "Countries_by_GDP_Processed.json")
                if one["ISO3"] == "KOR" and one["Institution"] == "IMF")  # fmt: skip
    api = [
        {**korea, "Source": "https://www.imf.org/external/datamapper/api/v1/NGDPD", "As_of": "2026-04-14", "Year": year}
        for year in (2001, 2002, 2003, 2006, 2007)
    ]
    (past / "api.json").write_text(json.dumps(api))
    load(past / "api.json", Place(past / DATABASE), force=True)
    write(past / REPORT, past / DATABASE)
    seen = opened(browser, past / REPORT, "#country=KOR&by=imf.imf")
    assert seen.estimates(3) == ["2001", "2002", "2003", "2006", "2007"]
    (line,) = paths(seen, "line")
    assert re.sub(r"[\d. ]+", "", line) == "MLLML"


@needs_chromium
def test_a_pages_vintages_are_points_each_for_its_own_year(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR&by=imf.wikipedia&view=vintages")
    rows = query(
        made.parents[1] / DATABASE,
        "SELECT substr(As_of, 1, 10), GDP_USD_billion FROM GDP_Estimates"
        " WHERE ISO3 = 'KOR' AND Institution = 'IMF' ORDER BY As_of",
    )
    shown = [float(text.replace(",", "")) for text in seen.estimates(7)]
    assert list(zip(seen.estimates(5), shown, strict=True)) == rows
    assert len(marks(seen)) == len(rows) and paths(seen, "line") == []


@needs_chromium
def test_revisions_of_a_year_end_at_the_last_vintage_and_not_today(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR&year=2025&by=imf.wikipedia")
    assert seen.estimates(5) == ["2024-04-20", "2024-10-25", "2025-04-23", "2025-10-15", "2025-12-30"]
    assert seen.estimates(6)[-2:] == ["2025-12-30", "now"]
    (line,) = paths(seen, "line")
    right = float(seen.page.eval_on_selector("#chart svg", "drawing => drawing.viewBox.baseVal.width")) - 12
    assert marks(seen)[-1].x == pytest.approx(right, abs=0.1)
    assert line.count("H") == 5
    before, now = (float(text.replace(",", "")) for text in seen.estimates(7)[-2:])
    assert seen.estimates(8)[-1] == f"{(now / before - 1) * 100:+.2f} %"


@needs_chromium
def test_no_axis_has_a_negative_zero(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    for address in ("#country=TUV", "#country=TUV&year=2025", "#country=USA&view=vintages", "#country=KOR&scale=log"):
        seen.go(address)
        assert seen.texts("#chart .tick")
        assert [text for text in seen.texts("#chart .tick") if text.startswith("-")] == []


@needs_chromium
def test_the_chart_is_saved_as_csv_and_svg(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR,JPN&year=2025&by=imf.wikipedia", color_scheme="dark")
    with seen.page.expect_download() as saved:
        seen.page.click("#save-csv")
    assert saved.value.suggested_filename == "gdp_KOR_JPN_2025.csv"
    rows = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 10 and {row["ISO3"] for row in rows} == {"KOR", "JPN"}
    assert rows[4] == {
        "Country": "South Korea", "ISO3": "KOR", "Institution": "IMF", "Publisher": "wikipedia", "Year": "2025",
        "As_of": "2025-12-30T20:09:00Z", "Until": "", "GDP_USD_billion": "1858.57", "Status": "projection", "Note": "",
    }  # fmt: skip
    with seen.page.expect_download() as saved:
        seen.page.click("#save-svg")
    drawing = saved.value.path().read_text(encoding="utf-8")
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
    assert "var(" not in drawing and "South Korea" in drawing


@needs_chromium
def test_a_countrys_name_anywhere_leads_to_it(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    for place, name in (("#country-table", "Japan"), ("#regions", "Brazil"), ("#changes", "Ethiopia")):
        seen.page.click(f"{place} a >> text={name}")
        assert seen.chosen() == [name]
    seen.page.go_back()
    seen.page.wait_for_function("document.querySelector('#chosen').textContent === 'Brazil'")


@needs_chromium
def test_an_institution_has_one_colour_always(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR&view=vintages")
    colours = "lines => lines.map(line => line.style.stroke)"
    found = seen.page.eval_on_selector_all("#chart .key-line", colours)
    assert found == ["var(--imf)", "var(--world-bank)", "var(--un)", "var(--imf)"]
    seen.page.select_option("#series-picker", "un.wikipedia")
    assert seen.page.eval_on_selector_all("#chart .key-line", colours) == ["var(--un)"]


@pytest.mark.parametrize(("loaded_as_of", "is_shown"), [("", True), ("2025-04-22", True), ("2025-10-14", False)])
def test_the_bundled_release_is_shown_until_one_as_new_is_loaded(loaded_as_of: str, is_shown: bool) -> None:
    release_of_the_suite = bundled_release(loaded_as_of)
    assert (release_of_the_suite is not None) == is_shown
    if release_of_the_suite:
        figures, last_actual = release("USA")
        first, actual, *in_a_row = release_of_the_suite["countries"]["USA"]
        assert (first, actual) == (min(figures), int(last_actual))
        assert in_a_row == [figures.get(year) for year in range(min(figures), max(figures) + 1)]


# --- whose figure, of when --------------------------------------------------------------------------------------------


def facts() -> Iterator[tuple[str, int]]:
    """Yield the country and the reference year of every IMF figure on the page of 30 December 2025."""
    with FACTS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["IMF"] and row["Country"] != "World":
                yield row["Country"], int((re.findall(r"\((\d{4})\)", row["IMF"]) or ["2025"])[0])


def test_every_heading_names_institution_kind_year_and_who_quoted_it_when(made: Path, past: Path) -> None:
    answer = ask("--as-of", "2026-01-01", "--json").json
    large = answer["Countries_over_100_billion_USD"]
    others = sum(year != 2025 for _, year in facts())
    assert (
        f"IMF, projections for 2025 ({others} of {answer['Countries_and_territories']} for another year"
        in (answer["Attribution"])
    )
    assert answer["Attribution"].endswith("as quoted by Wikipedia on 2025-12-30")
    for row in large:
        last_actual = release(row["ISO3"])[1]
        assert row["Kind"] == (
            "estimate" if row["Year"] <= (year_of(last_actual, row["ISO3"]) or 0) else "projection"
        ), row
    out = ask("--as-of", "2026-01-01").out
    headings = [line for line in out.splitlines() if line.startswith("IMF, ")]
    assert len(headings) == 2 and all("as quoted by Wikipedia on 2025-12-30" in line for line in headings)
    assert "Share: of the GDP of all 194 countries and territories together" in out


@pytest.mark.parametrize(
    ("text", "iso3", "year"),
    [("2024", "KOR", 2024), ("FY2024/25", "PAK", 2025), ("FY2024/25", "IND", 2024), ("FY2023/24", "EGY", 2024)],
)
def test_a_fiscal_year_is_numbered_as_the_imf_does(text: str, iso3: str, year: int) -> None:
    assert year_of(text, iso3) == year


def test_the_last_actual_year_is_that_of_the_release_known_on_the_day() -> None:
    assert last_actual_year("USA", "2025-10-14") == last_actual_year("USA", "2025-04-23T00:00:00Z")
    assert last_actual_year("USA", "2019-04-09") is None
    assert last_actual_year(None, "2025-10-15") is None


# --- revised ----------------------------------------------------------------------------------------------------------


def expected_revisions(database: Path, since: str, until: str) -> dict[str, float]:
    """Return by country the percent between the last unflagged figure at a day and the figure at another."""
    rows = query(
        database,
        "SELECT ISO3, Year, As_of, Until, GDP_USD_billion, GDP_USD_million, Flags FROM GDP_Estimates"
        " WHERE Institution = 'IMF' ORDER BY As_of",
    )
    now = {iso3: row for iso3, *row in rows if row[1] <= until < row[2]}
    found = {}
    for iso3, (year, _, _, figure, million, _) in now.items():
        before = [row for code, *row in rows if code == iso3 and row[0] == year and row[1] <= since]
        baselines = [row for row in before if not row[5]]
        if before and before[-1][2] > since and baselines:
            was_figure, was_million = baselines[-1][3], baselines[-1][4]
            percent = ((million / was_million if million and was_million else figure / was_figure) - 1) * 100
            if abs(percent) >= SMALLEST_CHANGE_PERCENT:
                found[iso3] = percent
    return found


def test_revised_is_measured_from_the_last_unflagged_figure_and_counted_once(past: Path) -> None:
    with sqlite3.connect(past / DATABASE) as database:
        database.execute("UPDATE GDP_Estimates SET Flags = NULL WHERE Flags IS NOT NULL AND ISO3 <> 'FRA'")
        close = "(SELECT GDP_USD_billion FROM GDP_Estimates WHERE ISO3 = 'USA' AND Institution = 'IMF'"
        close += " AND As_of > '2025-12')"
        database.execute(  # 0.001 % apart
            f"UPDATE GDP_Estimates SET GDP_USD_billion = {close} + 0.3, GDP_USD_million = NULL"
            " WHERE ISO3 = 'USA' AND Institution = 'IMF' AND As_of LIKE '2025-10-15%'"
        )
    expected = expected_revisions(past / DATABASE, "2025-10-15~", "2025-12-30~")
    answer: dict[str, Any] = ask("--changes", "--json").json
    revised = {row["ISO3"]: row["Revised_percent"] for row in answer["Countries"] if row["Change"] == "revised"}
    assert "USA" not in revised and "FRA" in revised
    assert revised == pytest.approx(expected, abs=0.0051)
    assert f"{len(expected)} revised" in ask("--changes").out
    text = write(past / REPORT, past / DATABASE)
    assert f"<strong>{len(expected)}</strong> revised since" in text
    (usa,) = re.findall(r'<tr id="country=USA".*?</tr>', text)
    assert "unchanged" in usa


def test_a_confirmed_figure_is_a_baseline_again(past: Path) -> None:
    shipped = records(clean_file_of(SHIPPED))

    def load_france(as_of: str, factor: float) -> float:
        """Load the shipped figures again for another day, with another one for France; return that."""
        changed = [{**one, "As_of": as_of, "Source": f"https://example.org/{as_of}"} for one in shipped]
        (france,) = (one for one in changed if (one["ISO3"], one["Institution"]) == ("FRA", "IMF"))
        france |= {name: round(france[name] * factor, 2) for name in ("GDP_USD_billion", "GDP_USD_million")}
        (past / "again.json").write_text(json.dumps(changed))
        load(past / "again.json", Place(past / DATABASE))
        return float(france["GDP_USD_billion"])

    confirmed = load_france("2026-01-15", 1.3)
    (flags,) = query(past / DATABASE, FRANCE_NOW)
    assert is_flagged_by_check(flags[0])
    assert ask("--confirm", "FRA", "--because", "the office revised all years").code == 0
    assert query(past / DATABASE, FRANCE_NOW) == [("confirmed",)]
    load_france("2026-02-15", 1.31)
    (france,) = (row for row in ask("--changes", "--json").json["Countries"] if row["ISO3"] == "FRA")
    assert france["Was_USD_billion"] == confirmed


# --- the results of a load --------------------------------------------------------------------------------------------


def test_a_load_prints_in_a_pipe_the_tables_and_the_changes_or_one_line_where_nothing_changed(past: Path) -> None:
    database, changes = loaded_changes(past)
    first = printed(database, changes, Form.TABLE)
    assert "Countries and territories with a GDP of 100 billion USD or more: 76" in first
    assert "What changed between 2025-10-15 and 2025-12-30, the 10 largest of" in first
    unchanged = Changes(changes.until, changes.until, [], [])
    assert printed(database, unchanged, Form.TABLE) == "unchanged since 2025-12-30\n"
    assert json.loads(printed(database, unchanged, Form.JSON))["Changes"]["Countries"] == []


def test_quiet_prints_no_tables_and_changes_only_prints_the_changes(past: Path) -> None:
    database, changes = loaded_changes(past)
    assert printed(database, changes, Form.TABLE, is_quiet=True) == ""
    only = printed(database, changes, Form.TABLE, is_quiet=True, only_changes=True)
    assert only.startswith("What changed between 2025-10-15 and 2025-12-30") and "Mean GDP" not in only


def loaded_changes(home: Path) -> tuple[Path, Changes]:
    with asked(Place(home / DATABASE)) as connection:
        history = History(connection)
        return home / DATABASE, last_refresh(history, history.newest_imf())


def printed(database: Path, changes: Changes, form: Form, is_quiet: bool = False, only_changes: bool = False) -> str:
    out = io.StringIO()
    with asked(Place(database)) as connection:
        history = History(connection)
        newest = history.newest_imf()
        assert newest
        both = screens(history, newest, history.headlines(newest))
    with contextlib.redirect_stdout(out):
        show_load(both, changes, form, is_quiet, only_changes)
    return out.getvalue()


def test_a_flagged_figure_that_is_published_again_is_no_change(home: Path) -> None:
    shipped = records(clean_file_of(SHIPPED))
    (france,) = (one for one in shipped if (one["ISO3"], one["Institution"]) == ("FRA", "IMF"))
    france |= {"GDP_USD_billion": 6361.56, "GDP_USD_million": 6361557}
    place, file = Place(home / DATABASE), home / "altered.json"
    file.write_text(json.dumps(shipped))
    assert "FRA" in [row["ISO3"] for row in load(file, place, with_history=True).changes.rows]
    assert load(file, place).changes.rows == []
    file.write_text(json.dumps([{**one, "As_of": "2025-12-31", "Source": "https://example.org/1"} for one in shipped]))
    assert load(file, place).changes.rows == []

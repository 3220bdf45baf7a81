"""The report: what a browser shows of it, what it holds, and that its failure fails nothing else."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from math import dist
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from gdp.places import Place
from gdp.report.svg import STYLE_SHEET
from gdp.report.time_series import past as past_of
from gdp.report.world_map import CLASSES_BILLION_USD, class_of, places
from gdp.store.database import asked
from gdp.transform.countries import fold, reference
from load import load
from report import report
from tests.conftest import Run, made_once, query, records
from tests.looked_at import CHROMIUM, chromium, make_past, script
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE, clean_file_of, load_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPORT = Path("results") / "report.html"
MOST_BYTES = 1_500_000
MOST_MAP_BYTES = 100_000
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on a database with a past, in which what was said of Ethiopia before is in doubt."""

    def make(folder: Path) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GDP_ETL_HOME", str(folder))
            make_past(folder)
            altered = "Note = 'check: found altered' WHERE ISO3 = 'ETH' AND As_of LIKE '2025-10-15%'"
            with sqlite3.connect(folder / DATABASE) as database:
                database.execute(f"UPDATE GDP_Estimates SET {altered}")
            script("report.py")
        return folder / REPORT

    return made_once(tmp_path_factory, "report", make)


@pytest.fixture
def past(made: Path, home: Path) -> Path:
    """Return a home of the test's own with that database and its past."""
    shutil.copytree(made.parents[1], home, dirs_exist_ok=True)
    return home


def drawn_into(target: Path, database: Path) -> str:
    """Draw the report in this process; return its text."""
    report(Place(database), target)
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

    def estimates(self, number: int) -> list[str]:
        return self.texts(f"#estimates tbody tr > :nth-child({number})")

    def chosen(self) -> list[str]:
        return self.texts("#chosen button")

    def colours(self) -> list[str]:
        """Return the colours of the chart's lines."""
        found = self.page.eval_on_selector_all(
            "#chart path[style*='stroke-width: 3']", "lines => lines.map(line => line.style.stroke)"
        )
        return [str(one) for one in found]


def opened(browser: Browser, report: Path, address: str = "", **context: Any) -> Seen:
    seen = Seen(browser.new_context(**context).new_page())
    seen.page.goto(report.as_uri() + address)
    if context.get("java_script_enabled", True):
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
    assert seen.page.evaluate("location.hash") == ""


@needs_chromium
def test_the_table_is_sorted_by_any_column_and_filtered_by_region_and_size(browser: Browser, made: Path) -> None:
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
    seen.page.select_option("#region-filter", "Oceania")
    assert set(seen.column(3)) == {"Oceania"}
    assert seen.page.inner_text("#shown") == f"{len(seen.column(3))} countries"
    seen.page.select_option("#size-filter", "100")
    assert seen.column(2) == ["New Zealand", "Australia"]


@needs_chromium
@pytest.mark.parametrize(
    ("typed", "found"),
    [("USA", "United States"), ("czechia", "Czech Republic"), ("TÜRKİYE", "Turkey"), ("burma", "Myanmar"),
     ("cote", "Ivory Coast"), ("kor", "South Korea"), ("tome and", "São Tomé and Príncipe")],
)  # fmt: skip
def test_filter_and_picker_know_codes_and_every_name(browser: Browser, made: Path, typed: str, found: str) -> None:
    seen = opened(browser, made, "#country=FRA")
    seen.page.fill("#name-filter", typed)
    assert found in seen.column(2) and len(seen.column(2)) <= 3
    seen.page.fill("#country-input", typed)
    seen.page.keyboard.press("Enter")
    assert seen.chosen()[-1] == found


@needs_chromium
def test_names_are_folded_in_the_page_as_the_suite_folds_them(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    shown = set(seen.column(2))
    every = sorted({name for country in reference().countries.values() for name in (country.name, country.iso3)})
    for name in ("Türkiye", "Côte d’Ivoire", "Bosnia & Herzegovina", "U.S.", "STRASSE ß", *every[::40]):
        assert seen.page.evaluate("name => gdpReport.folded(name)", name) == fold(name)
        known = reference().find(name)
        if known and known.name in shown:
            seen.page.fill("#name-filter", name)
            assert known.name in seen.column(2)


@needs_chromium
def test_a_country_is_shown_by_year_side_by_side_and_a_year_by_vintage(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR")
    assert seen.chosen() == ["South Korea"]
    assert set(seen.estimates(2)) == {"IMF (Wikipedia)", "UN (Wikipedia)", "World Bank (Wikipedia)"}
    assert "trillion USD" in seen.texts("#chart text")
    seen.page.select_option("#by-picker", "imf.wikipedia")
    seen.page.select_option("#show-picker", "2025")
    assert seen.estimates(4) == ["2024-04-20", "2024-10-25", "2025-04-23", "2025-10-15", "2025-12-30"]
    assert seen.estimates(5)[-2:] == ["2025-12-30", "now"]
    assert seen.estimates(6)[-1] == "1,858.57"
    assert seen.page.evaluate("location.hash") == "#country=KOR&year=2025&by=imf.wikipedia"


@needs_chromium
def test_the_institutions_own_years_are_drawn_in_one_unit_forecasts_paler_and_as_of_a_day(
    browser: Browser, past: Path
) -> None:
    api = [{**one, "Source": "https://www.imf.org/external/datamapper/api/v1/NGDPD", "As_of": "2024-10-01",
            "Year": year, "GDP_USD_billion": round(one["GDP_USD_billion"] * 1.01 ** (year - 2020), 2), "Note": None}
           for one in records(past / "results" / "Countries_by_GDP_Processed.json")
           for year in range(2020, 2028) if one["Institution"] == "IMF"]  # fmt: skip
    (past / "api.json").write_text(json.dumps(api))
    load(past / "api.json", Place(past / DATABASE), force=True)
    drawn_into(past / REPORT, past / DATABASE)
    seen = opened(browser, past / REPORT, "#country=KOR,VNM&by=imf.imf")
    assert seen.estimates(3) == [str(year) for year in range(2020, 2028)] * 2
    words = " ".join(seen.texts("#chart text"))
    assert "trillion USD" in words and "billion USD" not in words.replace("trillion USD", "")
    assert "paler: said before that year began" in words
    assert seen.page.locator("#chart path[stroke-opacity='0.5']").count() == 2
    seen.page.select_option("#by-picker", "imf.wikipedia")
    seen.page.select_option("#of-picker", "2024-10-25")
    assert set(seen.estimates(4)) == {"2024-10-25"}
    assert seen.page.evaluate("location.hash").endswith("&by=imf.wikipedia&of=2024-10-25")


@needs_chromium
def test_the_address_keeps_what_is_chosen(browser: Browser, made: Path) -> None:
    address = "#country=KOR,JPN&year=2025&by=imf.wikipedia&scale=log"
    seen = opened(browser, made, address)
    assert seen.chosen() == ["South Korea", "Japan"]
    assert seen.page.input_value("#show-picker") == "2025" and seen.page.input_value("#scale-picker") == "log"
    seen.page.evaluate("location.hash = '#country=constructor,__proto__'")
    seen.page.evaluate("location.hash = '#country=burma&of=nonsense&year=-1&by=%E0%A4%A'")
    seen.page.wait_for_function("document.querySelectorAll('#chosen button').length === 1")
    assert seen.chosen() == ["Myanmar"] and seen.complaints == []


@needs_chromium
def test_a_line_is_drawn_for_as_long_as_the_table_says_that_its_figure_stood(browser: Browser, past: Path) -> None:
    home = past
    with sqlite3.connect(home / DATABASE) as database:  # said once, and no more from the next vintage on
        database.execute("UPDATE GDP_Estimates SET Until = '2024-10-25' WHERE ISO3 = 'ETH' AND As_of = '2024-04-20'")
        database.execute("DELETE FROM GDP_Estimates WHERE ISO3 = 'ETH' AND As_of > '2024-04-20' AND Year = 2025")
    drawn_into(home / REPORT, home / DATABASE)
    seen = opened(browser, home / REPORT, "#country=ETH&year=2025&by=imf.wikipedia")
    assert [*seen.estimates(4), *seen.estimates(5)] == ["2024-04-20", "2024-10-25"]
    path = seen.page.get_attribute("#chart path[stroke-opacity]", "d") or ""
    start, _, end = path.partition("H")
    right = float(seen.page.eval_on_selector("#chart svg", "drawing => drawing.viewBox.baseVal.width")) - 12
    assert float(end) - float(start[1:].split()[0]) > 0.9 * (right - 62)  # from the first day to the last


@needs_chromium
def test_an_institution_has_one_colour_always(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR")
    assert seen.colours() == ["var(--imf)", "var(--world-bank)", "var(--un)"]
    seen.page.select_option("#by-picker", "un.wikipedia")
    assert seen.colours() == ["var(--un)"]


@needs_chromium
def test_what_is_shown_is_saved_as_csv_and_svg(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=KOR,JPN&year=2025&by=imf.wikipedia", color_scheme="dark")
    with seen.page.expect_download() as saved:
        seen.page.click("#save-csv")
    assert saved.value.suggested_filename == "gdp_KOR_JPN_2025.csv"
    rows = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 10 and {row["ISO3"] for row in rows} == {"KOR", "JPN"}
    assert rows[4] == {
        "Country": "South Korea", "ISO3": "KOR", "Institution": "IMF", "Publisher": "wikipedia", "Year": "2025",
        "As_of": "2025-12-30T20:09:00Z", "Until": "", "GDP_USD_billion": "1858.57", "Note": "",
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
def test_the_map_tells_of_a_country_to_a_mouse_a_finger_and_the_keyboard(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.hover("#map path[data-code=BRA]")
    assert "Brazil (BRA): 2,256.91 billion USD for 2025" in seen.page.inner_text("#map-tells")
    seen.page.focus("#map")
    seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("ArrowLeft")
    seen.page.keyboard.press("Enter")
    assert seen.chosen() == ["Brazil"]
    finger = opened(browser, made, viewport={"width": 390, "height": 800}, has_touch=True)
    finger.page.select_option("#map-of", "Caribbean")
    finger.page.locator("#map").scroll_into_view_if_needed()
    for code, name in (("BRB", "Barbados"), ("KNA", "Saint Kitts and Nevis")):
        box = finger.page.locator(f"#map circle[data-code={code}]").bounding_box()
        assert box
        finger.page.touchscreen.tap(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 - 3)
        assert name in finger.page.inner_text("#map-tells")
    finger.page.click("#map-tells a")
    assert finger.chosen() == ["Saint Kitts and Nevis"]


@needs_chromium
def test_the_map_shows_gdp_what_changed_or_regions_with_a_key_that_says_so(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    assert len(seen.texts("#map-key li")) == len(CLASSES_BILLION_USD) + 1
    seen.page.select_option("#map-shows", "change")
    assert seen.page.inner_text("#map-title").startswith("Revised since 2025-10-15")
    assert len(seen.texts("#map-key li")) == 8
    seen.page.select_option("#map-shows", "region")
    assert seen.texts("#map-key li") == ["Africa", "Asia", "Europe", "North America", "Oceania", "South America"]
    fill = "shape => shape.style.fill"
    assert seen.page.eval_on_selector("#map [data-code=KOR]", fill) == "var(--asia)"
    seen.page.select_option("#map-shows", "gdp")
    assert seen.page.eval_on_selector("#map [data-code=KOR]", fill) == f"var(--class-{class_of(1858.57)})"
    assert "Nominal GDP, billion USD, for 2025" in seen.page.inner_text("#map-title")


# The choices whose words have no room beside the padding and the arrow.
CUT_CHOICES = """(() => {
  const pen = document.createElement("canvas").getContext("2d");
  return [...document.querySelectorAll("select")].filter(one => {
    pen.font = getComputedStyle(one).font;
    return pen.measureText(one.selectedOptions[0].text).width + 36 > one.clientWidth;
  }).map(one => one.selectedOptions[0].text);
})()"""


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (390, "dark"), (1280, "light"), (1280, "dark")])
def test_nothing_runs_over_and_axe_finds_nothing_serious(browser: Browser, made: Path, scheme: Any, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    seen = opened(browser, made, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    for shape in ("#map svg", "#map-key", "#chart svg"):
        box = seen.page.locator(shape).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert seen.page.evaluate(CUT_CHOICES) == []
    seen.page.evaluate(
        "document.querySelectorAll('tbody tr:nth-child(n + 20)').forEach(row => row.remove())"
    )  # all alike
    found = Axe().run(seen.page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


@needs_chromium
def test_every_part_is_reached_by_the_keyboard(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.focus("#country-table th:nth-child(2) button")
    seen.page.keyboard.press("Enter")
    assert seen.column(2)[0] == "Afghanistan"
    reached = set()
    seen.page.evaluate("document.querySelector('#country-table tbody').remove()")  # two hundred links
    seen.page.focus(".skip")
    for _ in range(120):
        reached.add(seen.page.evaluate("document.activeElement.id"))
        seen.page.keyboard.press("Tab")
    assert reached >= {
        "name-filter", "region-filter", "size-filter", "map-shows", "map-of", "map", "country-input", "show-picker",
        "by-picker", "of-picker", "scale-picker", "chart", "save-csv", "save-svg",
    }  # fmt: skip
    seen.page.focus("#chart")
    seen.page.keyboard.press("ArrowLeft")
    assert seen.page.inner_text("#chart-tells").startswith("2025, trillion USD: United States 30.616; China 19.399")


@needs_chromium
def test_on_paper_headings_stay_long_tables_are_cut_with_a_word_and_nothing_is_to_press(
    browser: Browser, made: Path
) -> None:
    seen = opened(browser, made)
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert not seen.page.is_visible("#name-filter")
    assert seen.page.evaluate("getComputedStyle(document.querySelector('.scrolls')).maxHeight") == "none"
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # Chromium paints no button where it says a table's heading again on the next page
    assert seen.page.evaluate("getComputedStyle(document.querySelector('thead button')).display") == "contents"
    assert seen.page.locator("#country-table tbody tr:visible").count() == 80
    assert "On paper the first 80 of 194 countries" in seen.page.inner_text("#countries")


@needs_chromium
def test_without_javascript_what_cannot_work_is_not_there(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, java_script_enabled=False)
    for needs_it in ("#name-filter", "#map-shows", "#map-tells", "#years", "nav a[href='#years']"):
        assert not seen.page.is_visible(needs_it), needs_it
    assert seen.page.locator("main button:visible").count() == 0
    assert seen.page.locator("#country-table tbody tr:visible").count() == 194
    assert seen.page.is_visible("#map svg") and seen.page.is_visible("noscript")
    seen.page.click("#regions a >> text=Brazil")
    assert seen.page.evaluate("document.querySelector(':target').textContent").startswith("11Brazil")


@pytest.mark.long
@needs_chromium
def test_sixty_thousand_estimates_fit_and_are_shown(browser: Browser, home: Path) -> None:
    days = tuple(f"{year}-{month:02}-15" for year in range(2010, 2025) for month in (1, 3, 5, 7, 9, 11))[:100]
    make_past(home, (*days, *(f"2025-{month:02}-15" for month in range(1, 12))), revised=1.0)
    assert query(home / DATABASE, "SELECT count(*) FROM GDP_Estimates")[0][0] > 60_000
    page = home / REPORT
    assert len(drawn_into(page, home / DATABASE).encode()) < MOST_BYTES
    seen = opened(browser, page)
    assert seen.complaints == []


@needs_chromium
def test_a_hostile_name_is_text_and_nothing_else_in_a_browser_too(browser: Browser, hostile: Path) -> None:
    seen = opened(browser, hostile)
    seen.page.evaluate("() => document.querySelector('#country-table tr[data-region=Asia] a').click()")
    for code in ("KOR", "x%2Cy%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"):
        seen.page.evaluate(f"location.hash = '#country={code}'")
        seen.page.wait_for_timeout(50)
        assert any("<img src=x onerror=alert(1)>" in name for name in seen.chosen())
    with seen.page.expect_download() as saved:
        seen.page.click("#save-csv")
    assert all(row[0][0] not in "=+-@" for row in csv.reader(saved.value.path().read_text().splitlines()))
    assert seen.page.locator("img, iframe").count() == 0 and seen.complaints == []


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_the_page_stands_alone_and_tells_all_it_should(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=|<link|@import|url\(http", text) == []
    for told in (
        "As of", "Source: IMF, as quoted by Wikipedia", "at or above 100 billion", "revision 1330326028",
        "48 no figure", "out of line with other institutions", "stands apart from",
        "for 2025 (4 of 194 for another year)",
    ):  # fmt: skip
        assert told in text, told
    assert text.count('role="img"') == 2  # the map and the regions
    figures = "".join(re.findall(r"<figure.*?</figure>", text, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): ?(#[0-9a-f]+)", figures)) == set()  # the page's colours, light or dark
    for (sha256,) in query(made.parents[1] / DATABASE, "SELECT SHA256 FROM Loads"):
        assert sha256 in text


def test_a_figure_for_another_year_is_no_revision(home: Path) -> None:
    clean = clean_file_of(SHIPPED)
    of_before = {"As_of": "2024-12-30", "Source": "https://example.org/x"}
    earlier = [{**one, **of_before, "Year": one["Year"] - 1} for one in records(clean)]
    (home / "earlier.json").write_text(json.dumps(earlier))
    for file in (home / "earlier.json", clean):
        load(file, Place(home / DATABASE), force=True)
    text = drawn_into(home / REPORT, home / DATABASE)
    assert "<strong>0</strong> revised since" in text
    assert "<strong>194</strong> now for a new year" in text
    changes = text[text.index('<section id="changes"') : text.index('<section id="checks"')]
    assert 'Revised since <span class="whole">2024-12-30</span>' in changes
    assert re.findall(r'class="(?:rose|fell)">[+-]', text) == []


def test_a_doubted_figure_is_marked_wherever_it_stands_also_as_what_was_before(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    changes = text[text.index('<section id="changes"') : text.index('<section id="checks"')]
    (ethiopia,) = re.findall(r"<tr><th[^>]*><a href=\"#country=ETH\">.*?</tr>", changes)
    was, now = ethiopia.split("(2025)")[1:3]
    assert "in doubt: check: found altered" in was and "in doubt: check: 109.49 stands apart" in now
    (row,) = re.findall(r'<tr id="country=ETH".*?</tr>', text)
    assert ' %</span><span title="in doubt: check: found altered">*</span>' in row
    assert "109*" in (made.parent / "plots" / "gdp_over_100b.svg").read_text()


def test_plots_are_files_of_their_own_that_name_their_year_and_unit(made: Path) -> None:
    plots = made.parent / "plots"
    assert sorted(one.name for one in plots.iterdir()) == [
        "gdp_by_region.svg", "gdp_over_100b.svg", "gdp_world.svg", "region_top5_average.svg",
    ]  # fmt: skip
    for one in plots.iterdir():
        words = " ".join(element.text or "" for element in ElementTree.parse(one).iter() if "text" in element.tag)
        for told in ("Source: IMF, as quoted by Wikipedia, as of 2025-12-30", "figures for 2025", "llion USD"):
            assert told in words, (one.name, told)
        assert not ("billion" in words and "trillion" in words) and "var(" not in one.read_text()


def test_the_page_and_its_plots_need_no_matplotlib_and_png_says_what_does(run: Run, past: Path) -> None:
    (past / "matplotlib.py").write_text("raise ImportError('No module named matplotlib')")
    without = {"PYTHONPATH": str(past)}
    assert run("report.py", **without).returncode == 0
    done = run("report.py", "--png", **without)
    assert done.returncode == 2 and "pip install -r requirements/plots.txt" in done.stderr


def test_plots_as_png_are_drawn_where_they_are_asked_for(run: Run, past: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run("report.py", "--png").returncode == 0
    for name in ("gdp_over_100b", "region_top5_average", "gdp_by_region", "gdp_world"):
        content = (past / "results" / "plots" / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG") and int.from_bytes(content[16:20]) >= 900  # pixels


@pytest.fixture(scope="module")
def hostile(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on a database whose names and Notes are attacks."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDP_ETL_HOME", str(folder))
        shutil.copytree(made.parents[1], folder, dirs_exist_ok=True)
        evil = "=1+1\x01\x0b</script><img src=x onerror=alert(1)> $x_{$ 대한민국 &quot; \"'"
        nameless = 'x,y"><img src=x onerror=alert(1)>'
        with sqlite3.connect(folder / DATABASE) as database:
            database.execute("UPDATE GDP_Estimates SET Country = ?, Note = ? WHERE ISO3 = 'KOR'", (evil, evil))
            database.execute("UPDATE Countries_by_GDP SET Country = ? WHERE ISO3 = 'KOR'", (evil,))
            for table in ("GDP_Estimates", "Countries_by_GDP"):
                database.execute(f"UPDATE {table} SET Country = ?, ISO3 = NULL WHERE ISO3 = 'FJI'", (nameless,))
        script("report.py")
    return folder / REPORT


def test_a_name_out_of_a_source_is_text_and_nothing_else(hostile: Path) -> None:
    assert "<img" not in hostile.read_text()
    for one in (hostile.parent / "plots").iterdir():
        assert "<img" not in one.read_text() and ElementTree.parse(one)


def test_the_past_says_what_was_said_when_and_what_was_in_doubt(made: Path) -> None:
    with asked(Place(made.parents[1] / DATABASE)) as connection:
        told = past_of(connection)
    ethiopia = told["countries"]["ETH"]
    series = next(place for place, one in enumerate(told["series"]) if one["key"] == "imf.wikipedia")
    said = ethiopia["said"][series][2025]
    rows = query(
        made.parents[1] / DATABASE,
        "SELECT As_of, GDP_USD_billion, Note FROM GDP_Estimates"
        " WHERE ISO3 = 'ETH' AND Institution = 'IMF' AND Year = 2025 ORDER BY As_of",
    )
    expected: list[float] = []
    for as_of, figure, note in rows:
        expected += [told["days"].index(as_of), figure, *([-1 - told["notes"].index(note)] if note else [])]
    assert said == expected
    assert "ethiopia" in ethiopia["names"]


# --- the map ----------------------------------------------------------------------------------------------------------


def test_every_country_of_the_page_has_its_place_on_the_map(made: Path) -> None:
    assert set(places()) <= {country.iso3 for country in reference().countries.values()}
    rows = query(made.parents[1] / DATABASE, "SELECT ISO3 FROM Countries_by_GDP")
    assert {code for (code,) in rows} - set(places()) == set()
    outlines = {code: outline for code, (outline, _) in places().items() if outline}
    assert {"TWN", "XKX", "PSE", "ESH", "GRL", "PRI"} <= set(outlines)
    assert "GUF" not in places()  # France's shape and figures hold it
    assert all(dot for code, (outline, dot) in places().items() if not outline)
    assert sum(map(len, outlines.values())) < MOST_MAP_BYTES


def test_the_map_has_nothing_but_whole_numbers_for_paths() -> None:
    for code, (outline, _) in places().items():
        assert re.fullmatch(r"(M\d+[ -]?\d+l[\d -]+z)*", outline), code


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_classes_and_lines_are_apart_by_eye(place: int) -> None:
    by_day, _, by_night = STYLE_SHEET.read_text(encoding="utf-8").partition(
        "@media screen and (prefers-color-scheme: dark)"
    )
    palette = dict(re.findall(r"--([\w-]+): *(#[0-9a-f]{6})", (by_day, by_night.partition("color-scheme")[0])[place]))
    for kind, number in (("class", len(CLASSES_BILLION_USD)), ("change", 7)):
        scale = [lab(palette[f"{kind}-{step}"]) for step in range(number)]
        assert min(dist(one, other) for one, other in pairwise(scale)) > 10, kind  # 2.3 is just noticeable
        assert min(dist(one, lab(palette["none"])) for one in scale) > 5, kind
    lines = [lab(palette[f"line-{step}"]) for step in range(8)]
    assert min(dist(one, other) for one in lines for other in lines if one is not other) > 20
    drawn = [f"line-{step}" for step in range(8)] + ["imf", "world-bank", "un", "cia"]
    assert min(contrast(palette[name], palette["paper"]) for name in drawn) > 3  # WCAG, of what is drawn


def linear(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue))  # type: ignore[return-value]


def lab(colour: str) -> tuple[float, float, float]:
    """Return a colour in CIELAB, where distances are as the eye sees them."""
    r, g, b = linear(colour)
    white = (0.95047, 1.0, 1.08883)
    xyz = (
        0.4124 * r + 0.3576 * g + 0.1805 * b,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        0.0193 * r + 0.1192 * g + 0.9505 * b,
    )
    x, y, z = (
        (part / full) ** (1 / 3) if part / full > 0.008856 else 7.787 * part / full + 16 / 116
        for part, full in zip(xyz, white, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(one: str, other: str) -> float:
    light, dark = sorted(
        (sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True)) for colour in (one, other)),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


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
    load(earlier, Place(home / DATABASE), force=True)
    assert 'Found on the figures of <span class="whole">2025-12-30' in drawn_into(home / REPORT, home / DATABASE)


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
        load(clean, Place(home / f"{name}.db"), force=True)
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
    text = drawn_into(home / REPORT, home / DATABASE)
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

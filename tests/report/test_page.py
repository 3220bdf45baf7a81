"""The report in a browser: the table of countries, the address, the keyboard, paper, a phone, and hostile names."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gdp.places import Place
from gdp.report.page import write_site
from gdp.store.database import asked
from gdp.transform.countries import fold, reference
from report import write_report
from tests.conftest import query
from tests.looked_at import make_past
from tests.report.conftest import REPORT, Seen, needs_chromium, opened, write
from tests.store.loading import DATABASE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium
MOST_BYTES = 1_500_000


def test_the_page_opens_without_an_error_and_requests_nothing(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    assert seen.errors == []
    assert seen.requests == [made.as_uri()]
    assert seen.page.inner_text("#as-of") == "2025-12-30"
    assert "days old today" in seen.page.inner_text("#age")
    assert seen.page.evaluate("location.hash") == ""


def test_the_table_is_sorted_by_any_column_and_filtered_by_region_and_size(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    assert seen.names()[:3] == ["United States", "China", "Germany"]
    seen.page.click("#country-table th:nth-child(2) button")
    assert seen.names()[:2] == ["Afghanistan", "Albania"]
    seen.page.click("#country-table th:nth-child(6) button")
    largest_first = seen.figures()
    assert largest_first == sorted(largest_first, reverse=True)
    assert seen.page.get_attribute("#country-table th:nth-child(6)", "aria-sort") == "descending"
    seen.page.click("#country-table th:nth-child(6) button")
    assert seen.figures() == sorted(largest_first)
    seen.page.select_option("#region-filter", "Oceania")
    assert set(seen.texts("#country-table tbody tr:not([hidden]) td:nth-child(3)")) == {"Oceania"}
    assert seen.page.inner_text("#shown") == f"{len(seen.names())} countries and territories"
    seen.page.select_option("#size-filter", "100")
    assert seen.names() == ["New Zealand", "Australia"]


NAMES = {
    "USA": "United States", "czechia": "Czech Republic", "TÜRKİYE": "Turkey", "burma": "Myanmar",
    "cote": "Ivory Coast", "KR": "South Korea", "kor": "South Korea", "tome and": "São Tomé and Príncipe",
}  # fmt: skip


def test_filter_and_picker_know_codes_and_every_name(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    for typed, found in NAMES.items():
        seen.go(f"#country=FRA&typed={typed}")
        assert seen.chosen() == ["France"]
        seen.page.fill("#name-filter", typed)
        assert seen.names()[0] == found and len(seen.names()) <= 3
        seen.page.fill("#country-input", typed)
        seen.page.keyboard.press("Enter")
        assert seen.chosen()[-1] == found


def test_a_filter_that_finds_nothing_says_so_and_leads_back(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.fill("#name-filter", "atlantis")
    assert seen.page.inner_text("#shown") == "Nothing found."
    seen.page.click("#show-all")
    assert len(seen.names()) == 194 and not seen.page.is_visible("#show-all")
    assert seen.page.evaluate("location.hash") == ""


def test_names_are_folded_in_the_page_as_the_suite_folds_them(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    shown = set(seen.names())
    every = sorted({name for country in reference().countries.values() for name in (country.name, country.iso3)})
    for name in ("Türkiye", "Côte d’Ivoire", "Bosnia & Herzegovina", "U.S.", "STRASSE ß", *every[::40]):
        assert seen.page.evaluate("name => gdpReport.folded(name)", name) == fold(name)
        known = reference().find(name)
        if known and known.name in shown:
            seen.page.fill("#name-filter", name)
            assert known.name in seen.names()


def test_the_address_keeps_every_choice(browser: Browser, made: Path) -> None:
    chart = "country=KOR,JPN&year=2025&by=imf.wikipedia&scale=log"
    seen = opened(browser, made, f"#{chart}&name=japan&region=Asia&size=100&sort=1-descending&map=region&area=Europe")
    assert seen.chosen() == ["South Korea", "Japan"]
    chosen = [seen.page.input_value(f"#{name}") for name in ("view-picker", "scale-picker", "map-mode", "map-area")]
    assert chosen == ["2025", "log", "region", "Europe"]
    asia = seen.page.evaluate("[...document.querySelectorAll('#country-table tbody tr:not([hidden])')]"
                              ".every(row => row.dataset.region === 'Asia')")  # fmt: skip
    assert asia and "Japan" in seen.names()
    seen.page.select_option("#region-filter", "")
    seen.page.fill("#name-filter", "")
    assert seen.names() == sorted(seen.names(), reverse=True)
    seen.page.select_option("#map-mode", "gdp")
    assert seen.page.evaluate("location.hash") == f"#{chart}&size=100&sort=1-descending&area=Europe"


def test_nothing_in_an_address_breaks_the_page(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    own = seen.page.evaluate("Object.getOwnPropertyNames(Object.prototype)")
    assert "constructor" in own and "__proto__" in own
    for name in own:
        seen.page.evaluate(f"location.hash = '#country={name}&name={name}&by={name}&of={name}&map={name}&{name}=1'")
        seen.page.wait_for_timeout(10)
    seen.page.evaluate("location.hash = '#country=burma&of=nonsense&year=-1&by=%E0%A4%A&sort=x&map=x&area=x&region=x'")
    seen.page.wait_for_function("document.querySelectorAll('#chosen button').length === 1")
    assert seen.chosen() == ["Myanmar"] and seen.errors == []


OBJECT_PROTOTYPE = (
    "constructor", "__defineGetter__", "__defineSetter__", "hasOwnProperty", "__lookupGetter__", "__lookupSetter__",
    "isPrototypeOf", "propertyIsEnumerable", "toString", "valueOf", "__proto__", "toLocaleString",
)  # fmt: skip


def test_a_country_may_have_any_name_of_a_property_of_objects(browser: Browser, past: Path) -> None:
    codes = ("USA", "CHN", "DEU", "JPN", "IND", "GBR", "FRA", "ITA", "RUS", "CAN", "BRA", "ESP")
    with sqlite3.connect(past / DATABASE) as database:
        for name, code in zip(OBJECT_PROTOTYPE, codes, strict=True):
            database.execute("UPDATE GDP_Estimates SET Country = ?, ISO3 = NULL WHERE ISO3 = ?", (name, code))
    write(past / REPORT, past / DATABASE)
    seen = opened(browser, past / REPORT)
    assert set(OBJECT_PROTOTYPE) == set(seen.page.evaluate("Object.getOwnPropertyNames(Object.prototype)"))
    assert set(seen.names()[:12]) == set(OBJECT_PROTOTYPE)
    for name in OBJECT_PROTOTYPE:
        seen.page.evaluate(f"location.hash = '#country={name}&by=imf.wikipedia&year=2025'")
        seen.page.wait_for_function(f"document.querySelector('#chosen').textContent === '{name}'")
        assert len(seen.estimates(1)) == 5
        seen.page.fill("#name-filter", name)
        assert seen.names()[0] == name
        seen.page.fill("#name-filter", "")
    seen.page.select_option("#map-mode", "change")
    assert seen.errors == []


# The choices whose words have no room beside the padding and the arrow.
CUT_CHOICES = """(() => {
  const pen = document.createElement("canvas").getContext("2d");
  return [...document.querySelectorAll("select")].filter(one => one.offsetParent).filter(one => {
    pen.font = getComputedStyle(one).font;
    return pen.measureText(one.selectedOptions[0].text).width + 36 > one.clientWidth;
  }).map(one => one.selectedOptions[0].text);
})()"""


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (360, "light"), (390, "dark"), (1280, "light"),
        *(pytest.param(*one, marks=pytest.mark.long) for one in ((390, "light"), (1280, "dark"))),
    ],
)  # fmt: skip
def test_nothing_runs_over_and_axe_finds_nothing(browser: Browser, made: Path, scheme: Any, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    seen = opened(browser, made, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    for shape in ("#map svg", "#map-key", "#chart svg"):
        box = seen.page.locator(shape).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert seen.page.evaluate(CUT_CHOICES) == []
    alike = "document.querySelectorAll('tbody tr:nth-child(n + 20)').forEach(row => row.remove())"
    seen.page.evaluate(alike)
    found = Axe().run(seen.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_every_part_is_reached_by_the_keyboard(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.focus("#country-table th:nth-child(2) button")
    seen.page.keyboard.press("Enter")
    assert seen.names()[0] == "Afghanistan"
    reached = set()
    seen.page.evaluate("document.querySelectorAll('table tbody').forEach(body => body.remove())")  # hundreds of links
    seen.page.focus(".skip")
    for _ in range(120):
        reached.add(seen.page.evaluate("document.activeElement.id || document.activeElement.getAttribute('href')"))
        seen.page.keyboard.press("Tab")
    assert reached >= {
        "name-filter", "region-filter", "size-filter", "map-mode", "map-area", "map", "country-input", "view-picker",
        "series-picker", "vintage-picker", "scale-picker", "chart", "save-csv", "save-svg", "#countries", "#world",
        "#years", "#regions", "#changes", "#checks", "#sources",
    }  # fmt: skip


def test_on_paper_long_tables_are_shortened_with_a_note_and_nothing_needs_a_screen(
    browser: Browser, made: Path
) -> None:
    seen = opened(browser, made)
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert not seen.page.is_visible("#name-filter")
    assert seen.page.evaluate("getComputedStyle(document.querySelector('.scrolls')).maxHeight") == "none"
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # Chromium paints no button where it repeats a table's heading on the next page
    assert seen.page.evaluate("getComputedStyle(document.querySelector('thead button')).display") == "contents"
    assert seen.page.locator("#country-table tbody tr:visible").count() == 80
    assert "On paper: the first 80 of 194 countries" in seen.page.inner_text("#countries")
    assert "On paper: the first 80 of 255 figures" in seen.page.inner_text("#years")
    assert seen.page.locator(".hash code:visible").count() == 0


def test_on_a_phone_no_column_is_dropped_silently(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, viewport={"width": 390, "height": 800})
    row = seen.page.inner_text("#country-table tbody tr[data-code=KOR]")
    for words in ("South Korea", "Asia", "2025", "projection", "1.59 %", "1,858.57"):
        assert words in row


def test_without_javascript_what_needs_it_is_hidden(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, java_script_enabled=False)
    for needs_it in ("#name-filter", "#map-mode", "#map-description", "#years", "header nav a[href='#years']"):
        assert not seen.page.is_visible(needs_it), needs_it
    assert seen.page.locator("main button:visible").count() == 0
    assert seen.page.locator("#country-table tbody tr:visible").count() == 194
    assert seen.page.is_visible("#map svg") and seen.page.is_visible("noscript")
    seen.page.click("#regions a >> text=Brazil")
    assert seen.page.evaluate("document.querySelector(':target').textContent").startswith("11Brazil")


@pytest.mark.long
def test_sixty_thousand_estimates_fit_and_are_shown(browser: Browser, home: Path) -> None:
    days = tuple(f"{year}-{month:02}-15" for year in range(2010, 2025) for month in (1, 3, 5, 7, 9, 11))[:100]
    make_past(home, (*days, *(f"2025-{month:02}-15" for month in range(1, 12))), revised=1.0)
    assert query(home / DATABASE, "SELECT count(*) FROM GDP_Estimates")[0][0] > 60_000
    assert len(write(home / REPORT, home / DATABASE).encode()) < MOST_BYTES
    assert opened(browser, home / REPORT).errors == []


def test_a_hostile_name_is_text_and_nothing_else(browser: Browser, hostile: Path) -> None:
    seen = opened(browser, hostile)
    seen.page.evaluate("() => document.querySelector('#country-table tr[data-region=Asia] a').click()")
    for code in ("KOR", "x%2Cy%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"):
        seen.page.evaluate(f"location.hash = '#country={code}&view=vintages'")
        seen.page.wait_for_timeout(50)
        assert any("<img src=x onerror=alert(1)>" in name for name in seen.chosen())
    with seen.page.expect_download() as saved:
        seen.page.click("#save-csv")
    assert all(row[0][0] not in "=+-@" for row in csv.reader(saved.value.path().read_text().splitlines()))
    assert seen.page.locator("img, iframe").count() == 0 and seen.errors == []


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "dark"), (1280, "light"),
        *(pytest.param(*one, marks=pytest.mark.long) for one in ((390, "light"), (1280, "dark"))),
    ],
)  # fmt: skip
def test_the_pages_of_the_site_fit_have_no_errors_and_axe_finds_nothing(
    browser: Browser, past: Path, scheme: Any, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    site = past / "site"
    write_report(Place(past / DATABASE), past / REPORT, site)
    with asked(Place(past / DATABASE)) as connection:
        write_site(connection, site, "https://me.github.io/gdp/")
    pages = [site / "index.html", *sorted((site / "vintages").iterdir())[:1]]
    assert len(list((site / "vintages").iterdir())) == 5
    for page in pages:
        size = {"width": width, "height": 800}
        context = browser.new_context(color_scheme=scheme, viewport=size, bypass_csp=True)  # type: ignore[arg-type]
        seen = Seen(context.new_page())
        seen.page.goto(page.as_uri())
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(seen.page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
        assert seen.errors == []

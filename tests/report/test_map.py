"""The map: every country has its place, its description, and a colour that can be distinguished."""

from __future__ import annotations

import re
from itertools import pairwise
from math import dist
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gdp.report.svg import CLASSES_BILLION_USD, STYLE_SHEET, class_of, places
from gdp.transform.countries import reference
from tests.conftest import query
from tests.report.conftest import needs_chromium, opened
from tests.store.loading import DATABASE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST_MAP_BYTES = 100_000


@needs_chromium
def test_enter_on_the_map_leads_to_the_chart_and_gives_it_the_focus(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#region=Asia")
    seen.page.focus("#map")
    seen.page.keyboard.press("End")
    assert "Tuvalu" in seen.page.inner_text("#map-description")
    seen.page.keyboard.press("Home")
    assert "United States" in seen.page.inner_text("#map-description")
    seen.page.keyboard.press("Enter")
    assert seen.chosen() == ["United States"]
    assert seen.page.evaluate("document.activeElement.id") == "chart"
    assert seen.page.evaluate("location.hash") == "#country=USA&region=Asia"
    seen.page.keyboard.press("Home")
    assert seen.description().startswith("1980, trillion USD: ")
    seen.page.keyboard.press("End")
    assert seen.description().startswith("2030, trillion USD: ")


@needs_chromium
def test_the_map_describes_a_country_to_a_mouse_and_a_finger(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    seen.page.hover("#map path[data-code=BRA]")
    assert "Brazil (BRA): 2,256.91 billion USD, projection for 2025" in seen.page.inner_text("#map-description")
    finger = opened(browser, made, viewport={"width": 390, "height": 800}, has_touch=True)
    finger.page.select_option("#map-area", "Caribbean")
    finger.page.locator("#map").scroll_into_view_if_needed()
    for code, name in (("BRB", "Barbados"), ("KNA", "Saint Kitts and Nevis")):
        box = finger.page.locator(f"#map circle[data-code={code}]").bounding_box()
        assert box
        finger.page.touchscreen.tap(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 - 3)
        assert name in finger.page.inner_text("#map-description")
    finger.page.click("#map-description a")
    assert finger.chosen() == ["Saint Kitts and Nevis"]


@needs_chromium
def test_a_country_without_a_figure_is_named_as_such(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    for code, name in (("GRL", "Greenland"), ("CUB", "Cuba"), ("YEM", "Yemen")):
        seen.page.hover("#map path[data-code=BRA]")
        shape = seen.page.locator(f"#map path[data-code={code}]")
        shape.dispatch_event("pointermove", {"bubbles": True, "pointerType": "mouse"})
        assert seen.page.inner_text("#map-description") == f"{name}: no figure"


@needs_chromium
def test_a_chosen_country_without_figures_says_so(browser: Browser, made: Path) -> None:
    seen = opened(browser, made, "#country=GRL,FRA&by=imf.wikipedia&year=2025")
    assert seen.chosen() == ["Greenland", "France"]
    assert "No figure in this view: Greenland." in seen.description()


@needs_chromium
def test_the_map_shows_gdp_revisions_or_regions_with_a_key(browser: Browser, made: Path) -> None:
    seen = opened(browser, made)
    assert len(seen.texts("#map-key li")) == len(CLASSES_BILLION_USD) + 1
    seen.page.select_option("#map-mode", "change")
    assert seen.page.inner_text("#map-title").startswith("Revised since 2025-10-15")
    assert len(seen.texts("#map-key li")) == 9
    fill = "shape => shape.style.fill"
    assert "hatched-" in seen.page.eval_on_selector("#map [data-code=FRA]", fill)  # its figure before is flagged
    assert "hatched-" not in seen.page.eval_on_selector("#map [data-code=DEU]", fill)
    seen.page.select_option("#map-mode", "region")
    assert seen.texts("#map-key li") == ["Africa", "Asia", "Europe", "North America", "Oceania", "South America"]
    assert seen.page.eval_on_selector("#map [data-code=KOR]", fill) == "var(--asia)"
    seen.page.select_option("#map-mode", "gdp")
    assert seen.page.eval_on_selector("#map [data-code=KOR]", fill) == f"var(--class-{class_of(1858.57)})"
    assert "Nominal GDP, billion USD: IMF, projections for 2025" in seen.page.inner_text("#map-title")


def test_a_country_with_an_outline_has_no_dot(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    outlines = set(re.findall(r'<path data-code="([A-Z]+)"', text))
    dots = re.findall(r'<circle data-code="([A-Z]+)"', text)
    assert outlines and dots and outlines.isdisjoint(dots)


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
def test_classes_and_lines_can_be_distinguished(place: int) -> None:
    light, _, dark = STYLE_SHEET.read_text(encoding="utf-8").partition("@media screen and (prefers-color-scheme: dark)")
    palette = dict(re.findall(r"--([\w-]+): *(#[0-9a-f]{6})", (light, dark.partition("color-scheme")[0])[place]))
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

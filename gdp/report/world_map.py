"""The map of the world: each country's outline or dot in data/world_map.txt, in the class of its GDP.

The map is Natural Earth's at 1:110 million, in Equal Earth's projection; tests/make_world_map.py makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from gdp.model import is_flagged_by_check
from gdp.report.svg import MARGIN_PX, SMALL_PX, Box, Dot, Drawing, Land, Row, Shape, Text
from gdp.transform.countries import reference
from utils import WORLD_MAP

WIDTH, HEIGHT = 2000, 864  # units of the map, as in tests/make_world_map.py
DOT_RADIUS = 7.0
LETTERS_PER_UNIT = 2.2  # a file is seen at about half its units
CLASSES_BILLION_USD = (0, 10, 30, 100, 300, 1000, 3000)  # half a power of ten each: as many countries in most
KEY_WIDTH, KEY_BOX, KEY_HEIGHT = 245, 26, 140


@cache
def places() -> dict[str, tuple[str, tuple[float, float] | None]]:
    """Return by ISO code a country's outlines as SVG's path, empty where there are none, and its dot, if it has one."""
    found: dict[str, tuple[str, tuple[float, float] | None]] = {}
    for line in WORLD_MAP.read_text(encoding="ascii").splitlines():
        code, rest = line.split(" ", 1)
        if rest.startswith("M"):
            found[code] = rest, None
        else:
            x, y = rest.split()
            found[code] = found.get(code, ("", None))[0], (float(x), float(y))
    return found


def world_map(countries: Sequence[Row], caption: str) -> Drawing:
    """Return the map without its key, which the page has beside it; figures in billions of USD.

    A country has its outline, or a dot where it is too small for one.
    """
    by_code = {row["ISO3"]: row for row in countries}
    land: list[Shape] = []
    dots: list[Shape] = []
    for code, (outlines, dot) in places().items():
        row = by_code.get(code)
        colour = f"class-{class_of(row['GDP_USD_billion'])}" if row else "none"
        words = _description(row) if row else f"{_names().get(code, code)}: no figure"
        if outlines:
            land.append(Land(outlines, colour, code, words))
        elif dot and row:
            dots.append(Dot(*dot, DOT_RADIUS, colour, code, words))
    number = sum(code in places() for code in by_code)
    words = f"A map of the world, {number} countries shaded by GDP; the table has every figure. {caption}"
    return Drawing("gdp_world", WIDTH, HEIGHT, [*land, *dots], words)


def _description(row: Row) -> str:
    flagged = f"; flagged: {row['Note']}" if is_flagged_by_check(row["Flags"]) else ""
    return f"{row['Country']}: {row['GDP_USD_billion']:,.2f} billion USD ({row['Year']}){flagged}"


@cache
def _names() -> dict[str, str]:
    return {country.iso3: country.name for country in reference().countries.values()}


def with_key(drawing: Drawing, title: str, caption: str) -> Drawing:
    """Return the map for a file: with its title, its key and its source beneath it."""
    size = SMALL_PX * LETTERS_PER_UNIT
    shapes: list[Shape] = [*drawing.shapes, Text(MARGIN_PX, HEIGHT + 40, title, size=1.3 * size, bold=True)]
    keys = [*((f"class-{place}", words) for place, words in enumerate(classes())), ("none", "no figure")]
    for place, (colour, words) in enumerate(keys):
        x, y = MARGIN_PX + place * KEY_WIDTH, HEIGHT + 82
        shapes += [Box(x, y - 21, KEY_BOX, KEY_BOX, colour), Text(x + 34, y, words, size=size)]
    shapes.append(Text(MARGIN_PX, HEIGHT + 122, caption, "faint", size))
    return drawing._replace(height=HEIGHT + KEY_HEIGHT, shapes=shapes)


def without_place(countries: Sequence[Row]) -> list[str]:
    """Return the countries that the map has no place for."""
    return [row["Country"] for row in countries if row["ISO3"] not in places()]


def class_of(billion_usd: float) -> int:
    """Return the class of a figure, from 0."""
    return sum(billion_usd >= low for low in CLASSES_BILLION_USD[1:])


def classes() -> list[str]:
    """Return the range of each class of GDP in words, the lowest first."""
    between = [f"{low:,}–{high:,}" for low, high in pairwise(CLASSES_BILLION_USD[1:])]
    return [f"under {CLASSES_BILLION_USD[1]} billion", *between, f"{CLASSES_BILLION_USD[-1]:,} and more"]

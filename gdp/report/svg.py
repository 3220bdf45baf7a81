"""The plots and the map: shapes with their places, written as SVG, in the page's colours or in a file's own.

A colour has the name of a variable of web/report.css, which alone defines it for light and for dark screens. The map is
Natural Earth's at 1:110 million, in Equal Earth's projection; tests/make_world_map.py makes data/world_map.txt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

from markupsafe import escape

from gdp.model import INSTITUTIONS, is_flagged_by_check
from gdp.report import Row
from gdp.transform.countries import reference
from utils import PROJECT, printable

STYLE_SHEET = Path(__file__).parent / "web" / "report.css"
WORLD_MAP = PROJECT / "data" / "world_map.txt"
REGIONS = ("Africa", "Asia", "Europe", "North America", "Oceania", "South America")
TRILLION = 1000  # billions
WIDTH_PX = 440  # a phone held upright shows it with letters that can still be read
MARGIN_PX, TITLE_PX, FOOT_PX = 8, 52, 22
LETTERS_PX, SMALL_PX, TITLE_LETTERS_PX, LINE_PX = 13, 11, 15, 14
NAMES_PX, FIGURES_PX = 148, 82  # beside the bars: of the names left of them, and of the figures right of them
BAR_PX, REGION_PX, BAR_OF_ROW = 20, 46, 0.7
NAME_CHARACTERS, BENEATH_CHARACTERS, CAPTION_CHARACTERS = 20, 46, 72  # what fits: left of a bar, beneath it, in a line
THINNEST_PX = 3.0  # a segment of a bar; the thinner rest is one segment
GAP_PX = 1.0  # between segments

MAP_WIDTH, MAP_HEIGHT = 2000, 864  # units of the map, as in tests/make_world_map.py
DOT_RADIUS = 7.0
MAP_LETTERS = SMALL_PX * 2.2  # a file is seen at about half its units
CLASSES_BILLION_USD = (0, 10, 30, 100, 300, 1000, 3000)  # half a power of ten each: as many countries in most
KEY_WIDTH, KEY_BOX, KEY_HEIGHT = 245, 26, 140


class Text(NamedTuple):
    """Words, from the left, the middle or the right (anchor start, middle, end) at the foot of their letters."""

    x: float
    y: float
    words: str
    colour: str = "ink"
    size: float = LETTERS_PX
    anchor: str = "start"
    bold: bool = False


class Box(NamedTuple):
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


class Land(NamedTuple):
    """A country on a map: its outlines as SVG's path of M, l and z, in whole numbers, and its description."""

    path: str
    colour: str
    code: str
    words: str


class Dot(NamedTuple):
    """A country on a map that is too small for an outline."""

    x: float
    y: float
    radius: float
    colour: str
    code: str
    words: str


Shape = Text | Box | Land | Dot


class Drawing(NamedTuple):
    """A plot: its name as a file, its size in pixels, its shapes, and what it shows in words for who cannot see it."""

    name: str
    width: float
    height: float
    shapes: list[Shape]
    words: str


# --- the plots --------------------------------------------------------------------------------------------------------


def large_economies(large: Sequence[Row], caption: str) -> Drawing:
    """Return the countries at or above 100 billion USD as bars, the largest on top."""
    most = max((row["GDP_USD_billion"] for row in large), default=1.0) or 1.0
    shapes: list[Shape] = []
    for place, row in enumerate(large):
        bar = _bar(TITLE_PX + place * BAR_PX, BAR_PX, row["GDP_USD_billion"] / most, row["Region"])
        shapes += [_named(bar, short(row["Country"])), bar, _beside(bar, f"{row['GDP_USD_billion']:,.0f}{_star(row)}")]
    first = f", the largest {large[0]['Country']} with {most:,.0f} billion USD" if large else ""
    title = f"{len(large)} countries and territories at or above 100 billion USD", "nominal GDP, billion USD"
    words = f"Bars of {len(large)} countries' GDP{first}"
    return _finished("gdp_over_100b", title, shapes, _with_star(caption, large), words)


def region_means(regions: Sequence[Row], caption: str) -> Drawing:
    """Return the mean GDP of each region's five largest economies as bars."""
    most = max((row["Mean_GDP_USD_billion"] for row in regions), default=1.0) or 1.0
    shapes: list[Shape] = []
    for place, row in enumerate(regions):
        y = TITLE_PX + place * REGION_PX
        bar = _bar(y, REGION_PX / 2, row["Mean_GDP_USD_billion"] / most, row["Region"])
        shapes += [_named(bar, row["Region"]), bar, _beside(bar, f"{row['Mean_GDP_USD_billion']:,.0f}")]
        shapes.append(_beneath(y, _listed(row["Largest"])))
    each = "; ".join(f"{row['Region']} {row['Mean_GDP_USD_billion']:,.2f} billion USD" for row in regions)
    title = "Mean GDP of each region's five largest economies", "nominal, billion USD"
    largest = [one for row in regions for one in row["Largest"]]
    return _finished("region_top5_average", title, shapes, _with_star(caption, largest), f"Bars of the means: {each}")


def region_totals(countries: Sequence[Row], order: Sequence[str], caption: str) -> Drawing:
    """Return each region's GDP in trillions of USD as a bar of its countries, the regions in the order of the means."""
    by_region: dict[str, list[Row]] = {name: [] for name in order}
    for row in sorted(countries, key=lambda row: row["Region"] or "unknown"):
        by_region.setdefault(row["Region"] or "unknown", []).append(row)
    totals = {name: sum(row["GDP_USD_billion"] for row in rows) / TRILLION for name, rows in by_region.items() if rows}
    world_total, most = sum(totals.values()) or 1.0, max(totals.values(), default=1.0) or 1.0
    shapes: list[Shape] = []
    for place, (name, total) in enumerate(totals.items()):
        rows = by_region[name]
        y = TITLE_PX + place * REGION_PX
        bar = _bar(y, REGION_PX / 2, total / most, name)
        parts = [row["GDP_USD_billion"] / TRILLION / (total or 1.0) for row in rows]
        shapes += [_named(bar, name), *_segments(bar, parts), _beside(bar, f"{total:,.1f} ({total / world_total:.0%})")]
        shapes.append(_beneath(y, f"{len(rows)}: {_listed(rows[:3])}{' …' if len(rows) > 3 else ''}"))
    each = "; ".join(f"{name} {total:,.1f} trillion USD, {total / world_total:.0%}" for name, total in totals.items())
    title = "GDP by region, a segment for each country", "nominal, trillion USD, and the share of all regions"
    largest = [row for rows in by_region.values() for row in rows[:3]]
    words = f"Bars of each region's GDP: {each}"
    return _finished("gdp_by_region", title, shapes, _with_star(caption, largest), words)


def _bar(y: float, row: float, part: float, region: str | None) -> Box:
    room = WIDTH_PX - NAMES_PX - FIGURES_PX - 2 * MARGIN_PX
    height = row * BAR_OF_ROW
    return Box(MARGIN_PX + NAMES_PX, y + (row - height) / 2, room * part, height, region_colour(region))


def _named(bar: Box, name: str) -> Text:
    return Text(bar.x - MARGIN_PX, _line_of(bar), name, anchor="end")


def _beside(bar: Box, figure: str) -> Text:
    return Text(bar.x + bar.width + 5, _line_of(bar), figure)


def _line_of(bar: Box) -> float:
    return bar.y + bar.height / 2 + LETTERS_PX * 0.35  # half the height of a capital letter


def _beneath(y: float, words: str) -> Text:
    return Text(MARGIN_PX + NAMES_PX, y + REGION_PX * 0.72, short(words, BENEATH_CHARACTERS), "faint", SMALL_PX)


def _segments(bar: Box, parts: Sequence[float]) -> list[Shape]:
    segments: list[Shape] = []
    left = bar.x
    for part in parts:
        if part * bar.width < THINNEST_PX:
            break
        segments.append(bar._replace(x=left, width=part * bar.width - GAP_PX))
        left += part * bar.width
    return [*segments, bar._replace(x=left, width=max(bar.x + bar.width - left, 0.0))]


def _finished(name: str, title: tuple[str, str], shapes: list[Shape], caption: str, words: str) -> Drawing:
    foot = max((shape.y for shape in shapes if isinstance(shape, Text)), default=TITLE_PX) + FOOT_PX
    heading: list[Shape] = [
        Text(MARGIN_PX, MARGIN_PX + TITLE_LETTERS_PX, title[0], size=TITLE_LETTERS_PX, bold=True),
        Text(MARGIN_PX, MARGIN_PX + TITLE_LETTERS_PX + LINE_PX + 2, title[1], "faint", SMALL_PX),
    ]
    lines = wrap(caption, CAPTION_CHARACTERS)
    source = [Text(MARGIN_PX, foot + place * LINE_PX, line, "faint", SMALL_PX) for place, line in enumerate(lines)]
    height = foot + len(lines) * LINE_PX
    return Drawing(name, WIDTH_PX, height, [*heading, *shapes, *source], f"{', '.join(title)}. {words}. {caption}.")


def _star(row: Row) -> str:
    return "*" if is_flagged_by_check(row["Flags"]) else ""


def _listed(rows: Iterable[Row]) -> str:
    return ", ".join(f"{row['Country']}{_star(row)}" for row in rows)


def _with_star(caption: str, rows: Iterable[Row]) -> str:
    """Return a caption that explains the star, where there is one."""
    return f"{caption}; * flagged by a check" if any(map(_star, rows)) else caption


def short(words: str, most: int = NAME_CHARACTERS) -> str:
    """Return words cut to the room there is."""
    return words if len(words) <= most else words[: most - 1] + "…"


def region_colour(region: str | None) -> str:
    """Return the name of a region's colour."""
    return region.lower().replace(" ", "-") if region in REGIONS else "unknown"


def institution_colour(institution: str) -> str:
    """Return the name of an institution's colour, the same in every chart."""
    return institution.lower().replace(" ", "-") if institution in INSTITUTIONS else "unknown"


# --- the map ----------------------------------------------------------------------------------------------------------


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
    names = {country.iso3: country.name for country in reference().countries.values()}
    land: list[Shape] = []
    dots: list[Shape] = []
    for code, (outlines, dot) in places().items():
        row = by_code.get(code)
        colour = f"class-{class_of(row['GDP_USD_billion'])}" if row else "none"
        words = _description(row) if row else f"{names.get(code, code)}: no figure"
        if outlines:
            land.append(Land(outlines, colour, code, words))
        elif dot and row:
            dots.append(Dot(*dot, DOT_RADIUS, colour, code, words))
    number = sum(code in places() for code in by_code)
    words = f"A map of the world, {number} countries shaded by GDP; the table has every figure. {caption}"
    return Drawing("gdp_world", MAP_WIDTH, MAP_HEIGHT, [*land, *dots], words)


def _description(row: Row) -> str:
    flagged = f"; flagged: {row['Note']}" if _star(row) else ""
    return f"{row['Country']}: {row['GDP_USD_billion']:,.2f} billion USD ({row['Year']}){flagged}"


def with_key(drawing: Drawing, title: str, caption: str) -> Drawing:
    """Return the map for a file: with its title, its key and its source beneath it."""
    shapes = [*drawing.shapes, Text(MARGIN_PX, MAP_HEIGHT + 40, title, size=1.3 * MAP_LETTERS, bold=True)]
    keys = [*((f"class-{place}", words) for place, words in enumerate(classes())), ("none", "no figure")]
    for place, (colour, words) in enumerate(keys):
        x, y = MARGIN_PX + place * KEY_WIDTH, MAP_HEIGHT + 82
        shapes += [Box(x, y - 21, KEY_BOX, KEY_BOX, colour), Text(x + 34, y, words, size=MAP_LETTERS)]
    shapes.append(Text(MARGIN_PX, MAP_HEIGHT + 122, caption, "faint", MAP_LETTERS))
    return drawing._replace(height=MAP_HEIGHT + KEY_HEIGHT, shapes=shapes)


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


# --- as SVG -----------------------------------------------------------------------------------------------------------


@cache
def palette() -> dict[str, str]:
    """Return each colour of light screens by its name, which the style sheet has first."""
    light = STYLE_SHEET.read_text(encoding="utf-8").partition("}")[0]
    return dict(re.findall(r"--([\w-]+): *(#[0-9a-f]{6})", light))


def as_file(drawing: Drawing) -> bytes:
    """Return a drawing as the content of an SVG file, on white."""
    colours = palette()
    borders = f"<style>path {{ stroke: {colours['paper']} }} circle {{ stroke: {colours['faint']} }}</style>"
    paper = f'<rect width="100%" height="100%" fill="{colours["paper"]}"/>'
    return _svg(drawing, colours.__getitem__, borders + paper).encode()


def in_page(drawing: Drawing) -> str:
    """Return a drawing as SVG for the page, in the page's colours."""
    return _svg(drawing, lambda name: f"var(--{name})")


def _svg(drawing: Drawing, colour: Callable[[str], str], ground: str = "") -> str:
    written = "".join(_written(shape, colour) for shape in drawing.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
        f' font-family="system-ui, sans-serif" role="img" aria-label="{_words(drawing.words)}">{ground}{written}</svg>'
    )


def _words(text: str) -> str:
    """Return a text for SVG: XML has no control characters, not even escaped."""
    return escape(printable(text))


def _written(shape: Shape, colour: Callable[[str], str]) -> str:
    fill = f'style="fill: {colour(shape.colour)}"'
    match shape:
        case Text(x, y, words, _, size, anchor, bold):
            weight = ' font-weight="bold"' if bold else ""
            place = f'x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}"'
            return f"<text {place}{weight} {fill}>{_words(words)}</text>"
        case Box(x, y, width, height):
            return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {fill}/>'
        case Land(path, _, code, words):
            return f'<path data-code="{escape(code)}" d="{path}" {fill}><title>{_words(words)}</title></path>'
        case Dot(x, y, radius, _, code, words):
            place = f'cx="{x:g}" cy="{y:g}" r="{radius:g}"'
            return f'<circle data-code="{escape(code)}" {place} {fill}><title>{_words(words)}</title></circle>'

"""The figures that are drawn: once each, for a file by itself and for the report, where they follow light and dark.

Each is as narrow as a phone held upright, so that its letters are legible there and on paper alike.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils import WORLD_TILES

Row = dict[str, Any]

WIDTH_INCHES, WORLD_WIDTH_INCHES = 3.7, 9.0
PNG_DOTS_PER_INCH = 250
BAR_INCHES, REGION_INCHES, MARGIN_INCHES = 0.19, 0.62, 0.95  # a bar with its letters; a region's; titles and captions
LETTERS_POINTS, TITLE_POINTS, CAPTION_POINTS, TILE_POINTS = 8, 10, 6.5, 6.5
LEAST_INCHES = 1.5  # where there is next to nothing to draw
NAME_CHARACTERS = 28  # none is longer but what a source has spoiled
CAPTION_CHARACTERS = 46  # as many stand beside the names of the regions
TRILLION = 1000  # billions
THINNEST_SHARE = 0.01  # of the longest bar: what a piece of a bar must be to be seen

# By the name of the report's CSS variable, what a file has: text and lines, each region, and classes of GDP with the
# letters upon them. Every pair of a class and its letters is apart by 4.5 and more (WCAG AA).
INK, FAINT, PAPER = "#1b1f24", "#59636e", "#ffffff"
REGION_COLOURS = {
    "Africa": "#9a6700", "Asia": "#cf222e", "Europe": "#0969da", "North America": "#1a7f37", "Oceania": "#8250df",
    "South America": "#bc4c00",
}  # fmt: skip
UNKNOWN_COLOUR = "#6e7781"  # of a country that the reference table does not know
CLASSES_BILLION_USD = (0, 10, 50, 200, 1000, 4000)  # each holds about a sixth of the countries, but for the largest
CLASS_COLOURS = ("#e6f1fb", "#bfdcf5", "#8abdeb", "#2f72b4", "#1f5fa6", "#0b3566")
CLASS_LETTERS = ("#1b1f23", "#1b1f22", "#1b1f21", "#fffffe", "#fffffd", "#fffffc")  # told apart to be replaced apart
NO_FIGURE, NO_FIGURE_LETTERS = "#f1f2f4", "#656d77"
VARIABLES = {
    INK: "ink", FAINT: "faint", UNKNOWN_COLOUR: "unknown", NO_FIGURE: "none", NO_FIGURE_LETTERS: "none-letters",
    **{colour: name.lower().replace(" ", "-") for name, colour in REGION_COLOURS.items()},
    **{colour: f"class-{number}" for number, colour in enumerate(CLASS_COLOURS)},
    **{colour: f"letters-{number}" for number, colour in enumerate(CLASS_LETTERS)},
}  # fmt: skip
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters, to be read out, found and copied
    "svg.hashsalt": "gdp",  # the same figure is the same file
    "text.parse_math": False,  # a name out of a source may hold any letter
    "axes.facecolor": "none",  # the paper is the figure's, or the page's
    "font.size": LETTERS_POINTS, "text.color": INK, "axes.labelcolor": FAINT, "axes.edgecolor": FAINT,
    "xtick.color": FAINT, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.spines.left": False, "ytick.left": False,
}  # fmt: skip


class Drawn(NamedTuple):
    """A figure with its name and what it shows, in words for those who cannot see it."""

    name: str
    figure: Figure
    told: str


# --- the figures ------------------------------------------------------------------------------------------------------


def drawn(countries: Sequence[Row], regions: Sequence[Row], large: Sequence[Row], caption: str) -> list[Drawn]:
    """Return every figure: from countries and regions as the report has them, figures in billions of USD."""
    with rc_context(STYLE):
        return [
            large_economies(large, caption),
            region_means(regions, caption),
            regions_together(countries, caption),
            world(countries, caption),
        ]


def large_economies(large: Sequence[Row], caption: str) -> Drawn:
    """Draw the countries at or above 100 billion USD as bars, the largest on top."""
    figure, axes = _canvas(len(large) * BAR_INCHES)
    colours = [_colour(row["Region"]) for row in large]
    values = [row["GDP_USD_billion"] for row in large]
    bars = axes.barh([_short(row["Country"]) for row in large], values, color=colours, height=0.72)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(y=0.5 / max(len(large), 1))
    axes.invert_yaxis()
    first = f", the largest {large[0]['Country']} with {values[0]:,.0f} billion USD" if large else ""
    _finish(axes, f"{len(large)} countries at or above 100 billion USD", "nominal GDP, billion USD", caption)
    _legend(axes, [row["Region"] for row in large])
    return Drawn("gdp_over_100b", figure, f"Bars of {len(large)} countries' GDP{first}; the table has every figure.")


def region_means(regions: Sequence[Row], caption: str) -> Drawn:
    """Draw the mean GDP of each region's five largest economies."""
    figure, axes = _canvas(len(regions) * REGION_INCHES)
    means = [row["Mean_GDP_USD_billion"] / TRILLION for row in regions]
    bars = axes.barh([row["Region"] for row in regions], means, color=[_colour(row["Region"]) for row in regions],
                     height=0.5)  # fmt: skip
    axes.bar_label(bars, [f"{mean:,.2f}" for mean in means], padding=3)
    for place, row in enumerate(regions):
        _beneath(axes, place, ", ".join(row["Top"]))
    axes.invert_yaxis()
    _finish(axes, "Mean of each region's five largest economies", "mean nominal GDP, trillion USD", caption)
    each = "; ".join(f"{row['Region']} {row['Mean_GDP_USD_billion']:,.2f} billion USD" for row in regions)
    return Drawn("region_top5_average", figure, f"Bars of the mean GDP of each region's five largest: {each}.")


def regions_together(countries: Sequence[Row], caption: str) -> Drawn:
    """Draw each region's GDP, made up of its countries', the largest first."""
    by_region: dict[str, list[Row]] = {}
    for row in countries:
        by_region.setdefault(row["Region"] or "unknown", []).append(row)
    totals = {name: sum(row["GDP_USD_billion"] for row in rows) / TRILLION for name, rows in by_region.items()}
    names = sorted(totals, key=lambda name: -totals[name])
    world_total, longest = sum(totals.values()) or 1.0, max(totals.values(), default=1.0) or 1.0
    figure, axes = _canvas(len(names) * REGION_INCHES)
    for place, name in enumerate(names):
        _pieces(axes, place, [row["GDP_USD_billion"] / TRILLION for row in by_region[name]], _colour(name), longest)
        told = f"{totals[name]:,.1f} ({totals[name] / world_total:.0%})"
        axes.annotate(told, (totals[name], place), (3, 0), textcoords="offset points", va="center")
        largest = ", ".join(row["Country"] for row in by_region[name][:3])
        _beneath(axes, place, f"{len(by_region[name])}: {largest} …")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, longest * 1.2)
    axes.set_ylim(len(names) - 0.4, -0.5)
    _finish(axes, "GDP by region, a piece for each country", "nominal GDP, trillion USD", caption)
    each = "; ".join(f"{name} {totals[name]:,.1f} trillion USD, {totals[name] / world_total:.0%}" for name in names)
    return Drawn("gdp_by_region", figure, f"Bars of each region's GDP: {each}.")


def _pieces(axes: Axes, place: int, values: Sequence[float], colour: str, longest: float) -> None:
    left = 0.0
    for value in values:
        if value < THINNEST_SHARE * longest:  # the rest, each thinner than a line between them, are one piece
            break
        axes.add_patch(Rectangle((left, place - 0.25), value, 0.5, fc=colour, ec=PAPER, lw=0.5))
        left += value
    axes.add_patch(Rectangle((left, place - 0.25), sum(values) - left, 0.5, fc=colour, lw=0))


def world(countries: Sequence[Row], caption: str) -> Drawn:
    """Draw the world as tiles of one size, a country each, about where it lies, by the class of its GDP."""
    tiles = world_tiles()
    rows, columns = max(y for _, y in tiles.values()) + 1, max(x for x, _ in tiles.values()) + 1
    figure = Figure(figsize=(WORLD_WIDTH_INCHES, WORLD_WIDTH_INCHES * (rows + 1.6) / columns))
    axes = figure.add_axes((0, 0, 1, 1))
    by_code = {row["ISO3"]: row["GDP_USD_billion"] for row in countries}
    for code, (x, y) in tiles.items():
        place = _class_of(by_code[code]) if code in by_code else None
        fill = NO_FIGURE if place is None else CLASS_COLOURS[place]
        letters = NO_FIGURE_LETTERS if place is None else CLASS_LETTERS[place]
        axes.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fc=fill, gid=f"tile-{code}"))
        axes.text(x + 0.5, y + 0.5, code, color=letters, fontsize=TILE_POINTS, ha="center", va="center")
    _key_of_classes(axes, rows + 0.3)
    axes.text(columns, rows + 1.3, caption, color=FAINT, fontsize=CAPTION_POINTS, ha="right")
    axes.set(xlim=(0, columns), ylim=(rows + 1.6, 0))
    axes.axis("off")
    told = f"A map of the world in tiles, a country each, shaded by GDP; {len(by_code)} have a figure, as in the table."
    return Drawn("gdp_world_tiles", figure, told)


def world_tiles() -> dict[str, tuple[int, int]]:
    """Return by ISO code the column and the row of a country's tile, as data/world_tiles.txt has them."""
    lines = WORLD_TILES.read_text(encoding="ascii").splitlines()
    return {
        code: (x, y) for y, line in enumerate(lines) for x, code in enumerate(line.split()) if code != "."
    }  # fmt: skip


# --- what they share --------------------------------------------------------------------------------------------------


def _canvas(height_inches: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_INCHES, max(height_inches, LEAST_INCHES) + MARGIN_INCHES), layout="constrained")
    return figure, figure.add_subplot()


def _finish(axes: Axes, title: str, unit: str, caption: str) -> None:
    axes.set_xlabel(unit)
    axes.margins(x=0.15)
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE_POINTS, fontweight="bold")
    figure.supxlabel(caption, fontsize=CAPTION_POINTS, color=FAINT)


def _beneath(axes: Axes, place: int, told: str) -> None:
    lines = "\n".join(wrap(told, CAPTION_CHARACTERS))
    axes.text(0, place + 0.29, lines, color=FAINT, fontsize=CAPTION_POINTS, va="top", linespacing=1.1)


def _legend(axes: Axes, regions: Sequence[str | None]) -> None:
    names = sorted({name or "unknown" for name in regions})
    handles = [Rectangle((0, 0), 1, 1, fc=_colour(name)) for name in names]
    axes.legend(handles, names, loc="lower right", frameon=False)


def _key_of_classes(axes: Axes, y: float) -> None:
    limits = [*CLASSES_BILLION_USD, None]
    for place, (low, high) in enumerate(pairwise(limits)):
        told = (
            f"under {high:,} billion USD"
            if not low
            else f"{low:,} and more"
            if high is None
            else f"{low:,} to {high:,}"
        )
        axes.add_patch(Rectangle((place * 3.6, y), 0.6, 0.6, fc=CLASS_COLOURS[place]))
        axes.text(place * 3.6 + 0.75, y + 0.32, told, va="center", fontsize=TILE_POINTS)
    axes.add_patch(Rectangle((len(CLASS_COLOURS) * 3.6, y), 0.6, 0.6, fc=NO_FIGURE))
    axes.text(len(CLASS_COLOURS) * 3.6 + 0.75, y + 0.32, "no figure", va="center", fontsize=TILE_POINTS)


def _class_of(billion_usd: float) -> int:
    return sum(billion_usd >= low for low in CLASSES_BILLION_USD) - 1


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"


def _colour(region: str | None) -> str:
    return REGION_COLOURS.get(region or "", UNKNOWN_COLOUR)


# --- as files and in the report ---------------------------------------------------------------------------------------


def as_file(one: Drawn, kind: str) -> bytes:
    """Return a figure as the content of a file, kind png or svg, on white."""
    buffer = io.BytesIO()
    with rc_context(STYLE):
        one.figure.savefig(buffer, format=kind, dpi=PNG_DOTS_PER_INCH, facecolor=PAPER, metadata=_metadata(kind, one))
    return buffer.getvalue()


def in_page(one: Drawn) -> str:
    """Return a figure as SVG that stands in a page: in the page's colours, with ids of its own, and to be read out."""
    text = as_file(one, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{one.name}-", text)
    text = text.replace(f"fill: {PAPER}", "fill: none", 1)  # the paper
    text = text.replace(f"stroke: {PAPER}", "stroke: var(--paper)")
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found.group()), text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", text)
    told = one.told.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{told}" ', 1)


def _variable(colour: str) -> str:
    return f"var(--{VARIABLES[colour]})" if colour in VARIABLES else colour


def _metadata(kind: str, one: Drawn) -> dict[str, Any]:
    return {"Title": one.name, "Date": None} if kind == "svg" else {"Title": one.name, "Description": one.told}

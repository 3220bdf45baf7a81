"""The plots as PNG, for who needs pixels: the same shapes, drawn by matplotlib, which nothing else needs."""

from __future__ import annotations

import io
import re

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch, Rectangle
from matplotlib.path import Path

from gdp.report.svg import Box, Dot, Drawing, Land, Shape, Text, palette

PIXELS_PER_INCH, WIDTH_INCHES, DOTS_PER_INCH = 72, 8, 200
ANCHORS = {"start": "left", "middle": "center", "end": "right"}
STEP = re.compile(r"-?\d+")


def as_png(drawing: Drawing) -> bytes:
    """Return a drawing as the content of a PNG file, on white."""
    inches = WIDTH_INCHES, WIDTH_INCHES * drawing.height / drawing.width
    points = WIDTH_INCHES * PIXELS_PER_INCH / drawing.width  # a pixel of the drawing
    figure = Figure(figsize=inches)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    buffer = io.BytesIO()
    with rc_context({"text.parse_math": False}):  # a name out of a source may hold any letter
        for shape in drawing.shapes:
            _draw(axes, shape, points)
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Title": drawing.name})
    return buffer.getvalue()


def _draw(axes: Axes, shape: Shape, points: float) -> None:
    colour = palette()[shape.colour]
    match shape:
        case Text(x, y, words, _, size, anchor, bold):
            weight = "bold" if bold else "normal"
            axes.text(x, y, words, color=colour, fontsize=size * points, ha=ANCHORS[anchor], weight=weight)
        case Box(x, y, width, height):
            axes.add_patch(Rectangle((x, y), width, height, fc=colour, lw=0))
        case Land(path):
            axes.add_patch(PathPatch(_outlines(path), fc=colour, ec=palette()["paper"], lw=0.3))
        case Dot(x, y, radius):
            axes.add_patch(Circle((x, y), radius, fc=colour, ec=palette()["faint"], lw=0.3))


def _outlines(path: str) -> Path:
    vertices: list[tuple[int, int]] = []
    codes: list[int] = []
    for ring in path.removesuffix("z").split("z"):
        numbers = [int(step) for step in STEP.findall(ring)]
        x = y = 0
        for step_x, step_y in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + step_x, y + step_y
            vertices.append((x, y))
        steps = len(numbers) // 2
        codes += [int(Path.MOVETO), *[int(Path.LINETO)] * (steps - 1), int(Path.CLOSEPOLY)]
        vertices.append((x, y))
    return Path(vertices, codes)

"""The page: web/report.html with its style, scripts and drawings written into it, and everything else escaped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from gdp.report import world_map as world
from gdp.report.svg import Drawing, in_page, region_colour
from gdp.report.tables import share
from utils import with_commas

if TYPE_CHECKING:
    from gdp.report.summary import Overview

WEB = Path(__file__).parent / "web"
# Parts of the map: where they lie, how wide and how high they are, in its units.
VIEWS = {
    "Africa": "790 205 500 560", "Asia": "1060 60 680 530", "Caribbean": "478 285 170 140", "Europe": "845 15 345 240",
    "North America": "215 0 520 450", "Oceania": "1470 340 530 490", "South America": "460 355 320 509",
}  # fmt: skip


@cache
def template() -> Template:
    """Return the page's template, ready to be filled in: made once, as that takes a while, and can be done ahead."""
    environment = Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(figure=with_commas, share=share, count=count, region_colour=region_colour)
    environment.globals.update(as_it_stands=as_it_stands, drawn=drawn, views=VIEWS, classes=world.classes())
    return environment.get_template("report.html")


def rendered(overview: Overview, the_world: Drawing, together: Drawing) -> bytes:
    """Return the page as the content of a file."""
    without_place = world.without_place(overview.countries)
    values = {"overview": overview, "world": the_world, "together": together, "without_place": without_place}
    return template().render(values, past=as_json(overview.past)).encode()


def as_it_stands(name: str) -> Markup:
    """Return a file of ours, as it is."""
    return Markup((WEB / name).read_text(encoding="utf-8"))


def drawn(drawing: Drawing) -> Markup:
    """Return a drawing, in which every word is escaped."""
    return Markup(in_page(drawing))


def as_json(value: Any) -> Markup:
    """Return what a script reads, which no text in it can end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c"))


def count(number: int) -> str:
    """Return a whole number, its thousands by commas."""
    return f"{number:,}"

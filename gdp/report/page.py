"""The report as one file: the template of web/ with styles, scripts and drawings in it, and everything else escaped."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.bccache import Bucket
from markupsafe import Markup

from gdp.model import PUBLISHERS, is_flagged_by_check
from gdp.report import world_map
from gdp.report.revisions import COUNTED
from gdp.report.svg import Drawing, in_page, region_colour
from gdp.report.tables import share
from utils import with_commas

if TYPE_CHECKING:
    from gdp.report.summary import Summary

WEB = Path(__file__).parent / "web"
# Parts of the map: x, y, width and height in its units.
VIEWS = {
    "Africa": "790 205 500 560", "Asia": "1060 60 680 530", "Caribbean": "478 285 170 140", "Europe": "845 15 345 240",
    "North America": "215 0 520 450", "Oceania": "1470 340 530 490", "South America": "460 355 320 509",
}  # fmt: skip


class CompiledTemplates(BytecodeCache):
    """Compiled templates beside their sources, in the folder where Python keeps compiled modules."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a compiled template, if there is one; jinja checks that it is of this very source."""
        with contextlib.suppress(OSError), open(_compiled(bucket.key), "rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write a compiled template; where that cannot be, the next run compiles it again."""
        if sys.dont_write_bytecode:
            return
        path = _compiled(bucket.key)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(bucket.bytecode_to_string())
            temporary.replace(path)


def _compiled(key: str) -> Path:
    return Path(cache_from_source(str(WEB / f"{key}.html")))


@cache
def template(name: str = "report.html") -> Template:
    """Return a template of web/, compiled; report.py asks for it while load is at work."""
    environment = Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        bytecode_cache=CompiledTemplates(),
    )  # fmt: skip
    environment.filters.update(figure=with_commas, share=share, count=count, region_colour=region_colour)
    environment.tests["flagged"] = is_flagged_by_check
    environment.globals.update(
        file=web_file, drawing=drawing_in_page, views=VIEWS, classes=world_map.classes(), counted=COUNTED,
        publishers=PUBLISHERS,
    )  # fmt: skip
    return environment.get_template(name)


def render(summary: Summary, the_map: Drawing, totals: Drawing) -> bytes:
    """Return the page as the content of a file."""
    missing = world_map.without_place(summary.countries)
    values = {"summary": summary, "map": the_map, "totals": totals, "without_place": missing}
    return template().render(values, series=script_data(summary.series)).encode()


def web_file(name: str) -> Markup:
    """Return the text of a style sheet or script of web/."""
    return Markup((WEB / name).read_text(encoding="utf-8"))


def drawing_in_page(drawing: Drawing) -> Markup:
    """Return a drawing as SVG, in which every word is escaped."""
    return Markup(in_page(drawing))


def script_data(value: Any) -> Markup:
    """Return JSON for a script element, which no text in it can end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c"))


def count(number: int) -> str:
    """Return a whole number with commas between its thousands."""
    return f"{number:,}"

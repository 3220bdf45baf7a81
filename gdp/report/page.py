"""The report as one file, and the pages of a web site: templates of web/, in which everything from a source is escaped.

The report's file has its styles, scripts and drawings in it. A site has an index, the newest report, a page a vintage,
downloads and the feed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.bccache import Bucket
from markupsafe import Markup

from gdp.model import PUBLISHERS, is_flagged_by_check
from gdp.report import Row, feed, svg
from gdp.report.attribution import attribution_of
from gdp.report.revisions import COUNTED, add_changes, changed, ranking, summary
from gdp.report.tables import share_in_words
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.vintages import Vintage
from utils import with_commas, write_whole, writing

if TYPE_CHECKING:
    from gdp.report.summary import Summary

WEB = Path(__file__).parent / "web"
# Parts of the map: x, y, width and height in its units.
VIEWS = {
    "Africa": "790 205 500 560", "Asia": "1060 60 680 530", "Caribbean": "478 285 170 140", "Europe": "845 15 345 240",
    "North America": "215 0 520 450", "Oceania": "1470 340 530 490", "South America": "460 355 320 509",
}  # fmt: skip
MOST_VINTAGES = 200  # the newest have a page of their own on a site


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
    environment.filters.update(
        figure=with_commas, share=share_in_words, whole="{:,}".format, region_colour=svg.region_colour
    )
    environment.tests["flagged"] = is_flagged_by_check
    environment.globals.update(
        file=web_file, drawing=lambda drawing: Markup(svg.in_page(drawing)), views=VIEWS, classes=svg.classes(),
        counted=COUNTED, publishers=PUBLISHERS,
    )  # fmt: skip
    return environment.get_template(name)


def web_file(name: str) -> Markup:
    """Return the text of a style sheet or script of web/."""
    return Markup((WEB / name).read_text(encoding="utf-8"))


def render(summary: Summary, the_map: svg.Drawing, totals: svg.Drawing) -> bytes:
    """Return the page as the content of a file."""
    # as JSON for a script element, which no text in it can end
    series = json.dumps(summary.series, ensure_ascii=False, separators=(",", ":"))
    series = series.replace("&", "\\u0026").replace("<", "\\u003c")
    values = {"map": the_map, "totals": totals, "without_place": svg.without_place(summary.countries)}
    return template().render(values, summary=summary, series=Markup(series)).encode()


# --- the web site -----------------------------------------------------------------------------------------------------


class VintagePage(NamedTuple):
    """A page of the site: one vintage's headlines, with what changed."""

    vintage: Vintage
    attribution: str
    changes: str
    countries: list[Row]

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.vintage.publisher}-{self.vintage.as_of.replace(':', '')}.html"


def write_site(connection: Connection, folder: Path, url: str) -> None:
    """Write the site into the folder that has report.html and plots/; `url` is the address at which it is published."""
    from gdp.report.export import export

    history = History(connection)
    newest = history.newest_imf()
    assert newest, "there is a report"
    with writing(folder):
        for part in ("vintages", "data"):
            (folder / part).mkdir(exist_ok=True)
    export(connection, newest, folder / "data")
    pages = vintage_pages(history)
    for page in pages:
        content = template("vintage.html").render(page=page, url=url).encode()
        write_whole(folder / "vintages" / page.name, content)
    entries = feed.entries(history)
    write_whole(folder / "feed.xml", feed.as_atom(entries, url))  # with its address
    downloads = sorted(path.name for path in (folder / "data").iterdir() if not path.name.startswith("."))
    index = template("index.html").render(pages=pages, entries=entries, downloads=downloads, url=url)
    write_whole(folder / "index.html", index.encode())


def vintage_pages(history: History) -> list[VintagePage]:
    """Return the pages of the newest vintages that have headlines of the IMF, the newest first."""
    found = []
    before = {publisher: ranking(history, None) for publisher in PUBLISHERS}
    for vintage in history.vintages.of("IMF")[-MOST_VINTAGES - 1 :]:
        now = ranking(history, vintage)
        if now.rows:
            changes = changed(history, before[vintage.publisher], now)
            countries = list(now.rows.values())
            attribution = str(attribution_of(vintage, countries))
            add_changes(countries, changes)
            found.append(VintagePage(vintage, attribution, summary(changes), countries))
            before[vintage.publisher] = now
    return found[::-1][:MOST_VINTAGES]

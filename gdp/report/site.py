"""A web site to publish: an index, the newest report, a page a vintage, downloads and the feed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gdp.report import feed, page
from gdp.report.attribution import attribution_of
from gdp.report.export import export
from gdp.report.revisions import Row, add_changes, changed, ranking, summary
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.vintages import Vintage
from utils import write_whole, writing

MOST_VINTAGES = 200  # the newest have a page of their own


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
    history = History(connection)
    newest = history.newest_imf()
    assert newest, "there is a report"
    with writing(folder):
        for part in ("vintages", "data"):
            (folder / part).mkdir(exist_ok=True)
    export(connection, newest, folder / "data")
    pages = vintage_pages(connection, history)
    for one in pages:
        write_whole(folder / "vintages" / one.name, _rendered("vintage.html", page=one, url=url))
    entries = feed.entries(connection)
    write_whole(folder / "feed.xml", feed.as_atom(entries, url))  # with its address
    downloads = sorted(path.name for path in (folder / "data").iterdir() if not path.name.startswith("."))
    index = _rendered("index.html", pages=pages, entries=entries, downloads=downloads, url=url)
    write_whole(folder / "index.html", index)


def vintage_pages(connection: Connection, history: History) -> list[VintagePage]:
    """Return the pages of the newest vintages that have headlines of the IMF, the newest first."""
    vintages = history.vintages.of("IMF")[-MOST_VINTAGES - 1 :]
    found = []
    before = {vintage.publisher: ranking(history, None) for vintage in vintages}
    for vintage in vintages:
        now = ranking(history, vintage)
        if not now.rows:
            continue
        changes = changed(connection, before[vintage.publisher], now)
        countries = list(now.rows.values())
        attribution = str(attribution_of(connection, vintage, countries))
        add_changes(countries, changes)
        found.append(VintagePage(vintage, attribution, summary(changes), countries))
        before[vintage.publisher] = now
    return found[::-1][:MOST_VINTAGES]


def _rendered(template: str, **values: Any) -> bytes:
    return page.template(template).render(**values).encode()

"""What the report's tests share: a real browser, and a report on a database with a past."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gdp.places import Place
from report import write_report
from tests.conftest import made_once
from tests.looked_at import CHROMIUM, chromium, make_past
from tests.store.loading import DATABASE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPORT = Path("results") / "report.html"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def write(target: Path, database: Path) -> str:
    """Write the report in this process; return its text."""
    target.parent.mkdir(exist_ok=True)
    write_report(Place(database), target)
    return target.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def started_browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def browser(started_browser: Browser) -> Iterator[Browser]:
    """Yield the browser; what a test opens is closed after it, as open pages go on drawing."""
    yield started_browser
    for context in started_browser.contexts:
        context.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on a database with a past, in which France's figure before is flagged."""

    def make(folder: Path) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GDP_ETL_HOME", str(folder))
            make_past(folder)
            flagged = "Flags = 'departs-from-imf', Note = 'found altered'"
            with sqlite3.connect(folder / DATABASE) as database:
                database.execute(f"UPDATE GDP_Estimates SET {flagged} WHERE ISO3 = 'FRA' AND As_of LIKE '2025-10-15%'")
            write(folder / REPORT, folder / DATABASE)
        return folder / REPORT

    return made_once(tmp_path_factory, "report", make)


@pytest.fixture
def past(made: Path, home: Path) -> Path:
    """Return a home of the test's own with that database."""
    shutil.copytree(made.parents[1], home, dirs_exist_ok=True)
    return home


@pytest.fixture(scope="session")
def hostile(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on a database with attacks in names and Notes."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDP_ETL_HOME", str(folder))
        shutil.copytree(made.parents[1], folder, dirs_exist_ok=True)
        evil = "=1+1\x01\x0b</script><img src=x onerror=alert(1)> $x_{$ 대한민국 &quot; \"'"
        nameless = 'x,y"><img src=x onerror=alert(1)>'
        with sqlite3.connect(folder / DATABASE) as database:
            database.execute("UPDATE GDP_Estimates SET Country = ?, Note = ? WHERE ISO3 = 'KOR'", (evil, evil))
            database.execute("UPDATE GDP_Estimates SET Country = ?, ISO3 = NULL WHERE ISO3 = 'FJI'", (nameless,))
        write(folder / REPORT, folder / DATABASE)
    return folder / REPORT


class Seen:
    """An open page, with the errors and requests of the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def go(self, address: str) -> None:
        """Change the address of the open page to another one of the same page, and wait until it is shown."""
        shown = "addEventListener('hashchange', () => setTimeout(done), {once: true})"
        self.page.evaluate(f"address => new Promise(done => {{ {shown}; location.hash = address }})", address)

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.page.eval_on_selector_all(selector, "cells => cells.map(c => c.textContent)")
        return texts

    def names(self) -> list[str]:
        return self.texts("#country-table tbody tr:not([hidden]) .name")

    def figures(self) -> list[float]:
        return [float(text.replace(",", "")) for text in self.texts("#country-table tbody tr:not([hidden]) .gdp")]

    def estimates(self, number: int) -> list[str]:
        """Return a column of the table below the chart: 1 country, 2 series, 3 year, 4 kind, 5 from, 6 until, 7 GDP."""
        return self.texts(f"#estimates tbody tr > :nth-child({number})")

    def chosen(self) -> list[str]:
        return self.texts("#chosen button")

    def description(self) -> str:
        return self.page.inner_text("#chart-description")


def opened(browser: Browser, report: Path, address: str = "", **context: Any) -> Seen:
    seen = Seen(browser.new_context(**context).new_page())
    seen.page.goto(report.as_uri() + address)
    if context.get("java_script_enabled", True):
        seen.page.wait_for_selector("html[data-ready=yes]", state="attached")
    return seen

"""What tests and pictures share: a database with a past, made of the shipped page's figures, and a real Chromium."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdp.places import Place
from load import load
from tests.conftest import PROJECT
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE, clean_file_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# root needs no sandbox, and nothing is to be looked up elsewhere
CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip
DAYS = ("2024-04-20", "2024-10-25", "2025-04-23", "2025-10-15")  # about when the IMF's releases reach the page


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a real browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


def script(name: str, *arguments: str | Path) -> None:
    """Run a script of the suite, which must end well."""
    subprocess.run([sys.executable, PROJECT / name, "--quiet", *arguments], check=True, capture_output=True)


def make_past(home: Path, days: tuple[str, ...] = DAYS, revised: float = 1.0, seed: int = 7) -> None:
    """Load the shipped page, and before it vintages of the same countries with other figures, one for each day.

    `revised` is the share of figures that differ from one day to the next.
    """
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    shutil.copytree(clean_file_of(SHIPPED).parent, clean.parent, dirs_exist_ok=True)
    checks = clean.with_name("Checks.json").read_bytes()
    earlier = home / "earlier.json"
    earlier.write_text(json.dumps(list(earlier_records(json.loads(clean.read_text()), days, revised, seed))))
    load(earlier, Place(home / DATABASE), force=True)
    earlier.unlink()
    clean.with_name("Checks.json").write_bytes(checks)  # it has what transform rejected
    load(clean, Place(home / DATABASE))


def earlier_records(
    records: list[dict[str, Any]], days: tuple[str, ...], revised: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the records of vintages of these days, each revised from the one before."""
    dice = random.Random(seed)
    figures = {key_of(record): record["GDP_USD_billion"] for record in records}
    for day in days:
        for key, figure in figures.items():
            if dice.random() < revised:
                figures[key] = round(figure * dice.uniform(0.95, 1.04), 2)
        for record in records:
            figure = figures[key_of(record)]
            values = {"GDP_USD_billion": figure, "GDP_USD_million": round(figure * 1000, 1)}
            yield {**record, **values, "As_of": day, "Source": f"https://example.org/{day}"}


def key_of(record: dict[str, Any]) -> tuple[str, str, int]:
    """Return the institution, country and year of a record."""
    return record["Institution"], record["Country"], record["Year"]

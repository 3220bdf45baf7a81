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

from tests.conftest import PROJECT
from tests.page_builder import SHIPPED

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
    """Load the shipped page, and before it vintages of the same countries with other figures, some a day.

    `revised` is the share of figures that differ from one day to the next.
    """
    script("extract.py", "--page", SHIPPED)
    script("transform.py")
    said = json.loads((home / "results" / "Countries_by_GDP_Processed.json").read_text())
    dice = random.Random(seed)
    earlier = home / "earlier.json"
    records: list[dict[str, Any]] = []
    figures = {key_of(record): record["GDP_USD_billion"] for record in said}
    for day in days:
        for key, figure in figures.items():
            if dice.random() < revised:
                figures[key] = round(figure * dice.uniform(0.95, 1.04), 2)
        records += [
            {**record, "GDP_USD_billion": figures[key_of(record)], "As_of": day, "Source": f"https://example.org/{day}"}
            for record in said
        ]
    earlier.write_text(json.dumps(records))
    script("load.py", "--no-history", "--force", "--input", earlier)
    earlier.unlink()
    script("transform.py")  # what it left out stands in Checks.json, which a load writes anew
    script("load.py")


def key_of(record: dict[str, Any]) -> tuple[str, str, int]:
    """Return what a record speaks of."""
    return record["Institution"], record["Country"], record["Year"]

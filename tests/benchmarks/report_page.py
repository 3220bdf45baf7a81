"""The report on 600 current and 60,000 past estimates: the time to write it, its size, and the time until it is ready.

Usage: python tests/benchmarks/report_page.py [--runs N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from tests.conftest import query  # noqa: E402
from tests.looked_at import chromium, make_past, script  # noqa: E402

DAYS = tuple(f"{year}-{month:02}-15" for year in range(2008, 2025) for month in (2, 4, 6, 8, 10, 12))  # 102 vintages
READY = """() => new Promise(resolve => {
    const look = () => document.documentElement.dataset.ready
        ? requestAnimationFrame(() => resolve(performance.now())) : setTimeout(look, 1);
    look();
})"""


def main() -> None:
    """Make the past, write the report, and open it some times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GDP_ETL_HOME"] = folder
        make_past(Path(folder), DAYS)
        number = query(Path(folder) / "sqliteDB" / "World_Economies.db", "SELECT count(*) FROM GDP_Estimates")[0][0]
        seconds = [written() for _ in range(options.runs)]
        report = Path(folder) / "results" / "report.html"
        ready = opened(report, options.runs)
        size = report.stat().st_size
    print(f"{number:,} estimates, {size:,} bytes; medians of {options.runs}")
    print(f"written in {statistics.median(seconds):.2f} s; ready after {statistics.median(ready):.0f} ms in Chromium")


def written() -> float:
    """Return the seconds that writing the report takes."""
    began = time.perf_counter()
    script("report.py")
    return time.perf_counter() - began


def opened(report: Path, runs: int) -> list[float]:
    """Return the milliseconds until the page is sorted, filtered, drawn and shown, without the first time."""
    ready = []
    with chromium() as browser:
        for _ in range(runs + 1):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(report.as_uri(), wait_until="commit")
            ready.append(float(page.evaluate(READY)))
            page.close()
    return ready[1:]


if __name__ == "__main__":
    main()

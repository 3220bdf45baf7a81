"""Hundreds of daily runs: time, memory, descriptors, and the sizes of database and logs stay bounded.

GDP_ETL_ATTACK_DAYS sets how many (default: 500, a quarter of an hour).
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from datetime import date, timedelta
from statistics import median

from tests.attacks.harness import COUNTRIES, Home, attack
from tests.page_builder import SHIPPED

FAMILY = "years of daily runs"
FIRST_DAY = date(2024, 1, 1)
NEW_FIGURES_EVERY = 30  # days
MEMORY_GROWTH_MB, TIME_GROWTH = 30, 2.0
DATABASE_BYTES_A_DAY, LOG_BYTES_A_DAY = 10_000, 12_000


def page_of_day(page: str, number: int) -> bytes:
    """Return the page as it might be on a day: a new revision, and now and then a new figure."""
    day = FIRST_DAY + timedelta(days=number)
    text = page.replace("30 December 2025", f"{day.day} {day:%B %Y}").replace("1330326028", str(1_200_000_000 + number))
    return text.replace("<td>30,615,743", f"<td>{30_615_743 + number // NEW_FIGURES_EVERY * 1000:,}").encode()


@attack(FAMILY, "a run a day")
def daily(home: Home) -> None:
    days = int(os.environ.get("GDP_ETL_ATTACK_DAYS") or 500)
    page, path = gzip.decompress(SHIPPED.read_bytes()).decode(), home.folder / "page.html"
    for number in range(days):
        path.write_bytes(page_of_day(page, number))
        done = home.run("etl_process", "--quiet", "--no-report", "--no-history", "--page", path)
        assert done.returncode == 0, (number, done.stderr[-400:])
        if (number + 1) % 100 == 0:
            print(f"  {number + 1} daily runs: {sizes(home)}", file=sys.stderr)
    assert home.countries() == COUNTRIES
    check_growth(home, days)


def sizes(home: Home) -> str:
    logs = sum(path.stat().st_size for path in (home.folder / "log").iterdir())
    return f"database {home.database.stat().st_size:,} bytes, logs {logs:,} bytes"


def check_growth(home: Home, days: int) -> None:
    """Check that the last runs took about as much time and memory as the first, and what a day adds to the files."""
    text = "".join(path.read_text() for path in sorted((home.folder / "log").glob("runs.jsonl*"), reverse=True))
    loads = [run for run in map(json.loads, text.splitlines()) if run["stage"] == "load"]
    few = max(3, len(loads) // 10)
    for name, allowed in (("peak_memory_mb", MEMORY_GROWTH_MB), ("user_s", None)):
        first, last = (median(run[name] for run in some) for some in (loads[:few], loads[-few:]))
        assert last <= (first + allowed if allowed else first * TIME_GROWTH + 0.1), (name, first, last)
    assert home.database.stat().st_size < 500_000 + days * DATABASE_BYTES_A_DAY, sizes(home)
    logs = sum(path.stat().st_size for path in (home.folder / "log").iterdir())
    assert logs < 200_000 + days * LOG_BYTES_A_DAY, sizes(home)

"""Extracted one page: the suite beside BeautifulSoup with html.parser, pandas.read_html and lxml alone, in turns.

Every reader ends in rows of texts of the one table that matters; BeautifulSoup reads the whole page, as scripts do.
Usage: python tests/benchmarks/parsing.py [--runs N] [PAGE ...]
"""

from __future__ import annotations

import argparse
import gzip
import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lxml.html  # type: ignore[import-untyped]
import pandas as pd
from bs4 import BeautifulSoup

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from gdp.sources.wikipedia import page as wikipedia  # noqa: E402
from tests.conftest import shared_pages  # noqa: E402

A_COUNTRY, LEAST_ROWS = "Uzbekistan", 170  # in the list, and so many countries at least
SHIPPED = PROJECT / "data" / "pages" / "2025-12-30_enwiki_rev1330326028.html.gz"


def by_suite(page: bytes) -> int:
    return len({record["Country"] for record in wikipedia.parse(page, "a page").records})


def by_beautifulsoup(page: bytes) -> int:
    tables = BeautifulSoup(page, "html.parser").find_all("table")
    table = max(tables, key=lambda one: len(one.find_all("tr", recursive=False) or one.find_all("tr")))
    return len([[cell.get_text().strip() for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")])


def by_read_html(page: bytes) -> int:
    return max(map(len, pd.read_html(io.StringIO(page.decode()), match=A_COUNTRY, flavor="lxml")))


def by_lxml(page: bytes) -> int:
    tables = lxml.html.document_fromstring(page.decode()).iter("table")
    table = max(tables, key=lambda one: len(one.findall("./tbody/tr")))
    return len([[str(cell.text_content()).strip() for cell in row.iter("td", "th")] for row in table.iter("tr")])


READERS: dict[str, Callable[[bytes], int]] = {
    "BeautifulSoup with html.parser": by_beautifulsoup,
    "the suite": by_suite,
    "pandas.read_html": by_read_html,
    "lxml alone": by_lxml,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time readers of one page, in turns.")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("pages", nargs="*", type=Path, default=shared_pages() or [SHIPPED])
    options = parser.parse_args()
    print(f"| page | kB | {' | '.join(f'{name}, ms' for name in READERS)} | the suite's speed, against read_html |")
    print("|---|--:|" + "--:|" * (len(READERS) + 1))
    for path in options.pages:
        page = gzip.decompress(path.read_bytes())
        medians = {name: statistics.median(times) for name, times in measured(page, options.runs).items()}
        ratio = medians["pandas.read_html"] / medians["the suite"]
        cells = " | ".join(f"{1000 * median:.1f}" for median in medians.values())
        print(f"| {path.name[:10]} | {len(page) / 1000:.0f} | {cells} | {ratio:.2f} |", flush=True)


def measured(page: bytes, runs: int) -> dict[str, list[float]]:
    """Return seconds of each reader, in turns after one warm-up; each must find the rows of a list of countries."""
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    for turn in range(runs + 1):
        counts = set()
        for name, reader in READERS.items():
            started = time.perf_counter()
            counts.add(reader(page))
            if turn:
                seconds[name].append(time.perf_counter() - started)
        assert min(counts) >= LEAST_ROWS, counts
    return seconds


if __name__ == "__main__":
    main()

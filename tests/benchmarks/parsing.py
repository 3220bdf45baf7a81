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

SHIPPED = PROJECT / "data" / "pages" / "2025-12-30_enwiki_rev1330326028.html.gz"


def by_suite(page: bytes) -> int:
    return len({record["Country"] for record in wikipedia.parse(page, "a page").records})


def by_beautifulsoup(page: bytes) -> int:
    soup = BeautifulSoup(page, "html.parser")
    table = next(t for t in soup.find_all("table") if "Country/Territory" in t.get_text()[:200])
    rows = [[cell.get_text().strip() for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")]
    return sum(len(row) > 3 for row in rows)


def by_read_html(page: bytes) -> int:
    return len(pd.read_html(io.StringIO(page.decode()), match="Country/Territory", flavor="lxml")[-1])


def by_lxml(page: bytes) -> int:
    document = lxml.html.document_fromstring(page.decode())
    table = next(t for t in document.iter("table") if "Country/Territory" in str(t.text_content())[:200])
    rows = [[str(cell.text_content()).strip() for cell in row.iter("td", "th")] for row in table.iter("tr")]
    return sum(len(row) > 3 for row in rows)


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
    for path in options.pages:
        seconds = measured(gzip.decompress(path.read_bytes()), options.runs)
        slowest = statistics.median(seconds["BeautifulSoup with html.parser"])
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        line = ", ".join(f"{name} {median * 1000:.1f} ms ({slowest / median:.1f}x)" for name, median in medians.items())
        print(f"{path.name[:10]}: {line}")


def measured(page: bytes, runs: int) -> dict[str, list[float]]:
    """Return seconds of each reader, in turns after one warm-up; each must find the same rows."""
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    for turn in range(runs + 1):
        counts = set()
        for name, reader in READERS.items():
            started = time.perf_counter()
            counts.add(reader(page))
            if turn:
                seconds[name].append(time.perf_counter() - started)
        assert max(counts) - min(counts) <= 2, counts  # the heading rows
    return seconds


if __name__ == "__main__":
    main()

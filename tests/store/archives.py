"""Archives in which every figure of every vintage is another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from gdp.model import CleanRecord
from tests.store.test_history import COUNTRIES, vintage


def archive(vintages: int, first_year: int = 1970) -> Iterator[list[CleanRecord]]:
    """Yield vintages, one a month, of one year each."""
    for number in range(vintages):
        year = first_year + number // 12
        said = {("IMF", one.iso3, year): 100.0 + n + number / 100 for n, one in enumerate(COUNTRIES)}
        yield vintage(f"{year}-{1 + number % 12:02}-01T00:00:00Z", said)


def an_archive(path: Path, vintages: int, first_year: int = 1970) -> Path:
    """Return the path, with an archive written there as clean records."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        for records in archive(vintages, first_year):
            file.writelines(orjson.dumps(record) + b"\n" for record in records)
    return path

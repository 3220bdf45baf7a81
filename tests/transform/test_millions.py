"""GDP_USD_million makes the round trip: the source's own text, the clean record, the database and the export agree."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from gdp.model import RawRecord
from gdp.places import Place
from gdp.record_files import write_records
from gdp.report.export import export
from gdp.sources import Month, Page, Refused
from gdp.sources.registry import read_any
from gdp.store.database import asked
from gdp.store.history import History
from gdp.transform.amounts import unit_factor
from gdp.transform.rules import Fate, clean
from tests.conftest import SHARED_PAGES, query
from tests.loading import clean_file_of
from tests.page_builder import SHIPPED
from tests.store.loading import load_file
from utils import StageError

API = SHARED_PAGES.parent / "api"
DOUBLE_DIGITS = 15  # that every binary double has; a longer figure is a double in full, and rounded


def millions_in(raw: RawRecord) -> Decimal | None:
    """Return a plain figure in millions, computed by itself; None where the text is more than a number."""
    text = raw["GDP"].replace(",", "")
    if not text.replace(".", "", 1).isdigit():
        return None
    return Decimal(text) * unit_factor(raw["Column"], raw["Unit"]) * 1000


def exported(folder: Path, home: Path) -> dict[tuple[str, str, str], str]:
    """Return the millions of an export as text, by country, institution and year."""
    with asked(Place(home / "x.db")) as connection:
        newest = History(connection).newest_imf()
        assert newest
        export(connection, newest, folder, None)
    with next(folder.rglob("GDP_Estimates.csv")).open(encoding="utf-8", newline="") as file:
        return {(r["Country"], r["Institution"], r["Year"]): r["GDP_USD_million"] for r in csv.DictReader(file)}


def test_every_figure_of_the_shipped_page_is_the_same_in_each_place(home: Path) -> None:
    file = clean_file_of(SHIPPED, home)
    raws = json.loads((home / "results" / "raw.json").read_text(encoding="utf-8"))
    outcomes = [(raw, clean(raw).record) for raw in raws if clean(raw).fate == "clean"]
    published = {}
    for raw, record in outcomes:
        assert record
        own = millions_in(raw)
        published[record["Country"], record["Institution"], record["Year"]] = record["GDP_USD_million"]
        assert own is None or Decimal(repr(record["GDP_USD_million"])) == own, raw
    assert len(published) == 615 and sum(millions_in(raw) is not None for raw, _ in outcomes) > 600
    cleaned = json.loads(file.read_text(encoding="utf-8"))
    assert {(r["Country"], r["Institution"], r["Year"]): r["GDP_USD_million"] for r in cleaned} == published
    load_file(file, Place(home / "x.db"))
    stored = query(home / "x.db", "SELECT Country, Institution, Year, GDP_USD_million FROM GDP_Estimates")
    assert {tuple(row[:3]): row[3] for row in stored} == published
    as_text = exported(home / "export", home)
    assert {key: Decimal(text) for key, text in as_text.items()} == {
        (country, institution, str(year)): Decimal(repr(figure))
        for (country, institution, year), figure in published.items()
    }


FILES = sorted(path.relative_to(API).as_posix() for path in API.rglob("*.gz")) if API.exists() else []


def records_of(name: str) -> list[RawRecord]:
    """Return the raw records of a real file; none where it is refused, or is one page of several."""
    page = Page(gzip.decompress((API / name).read_bytes()), name, datetime.now(timezone.utc))
    for release in (None, Month(2024, 10)):
        try:
            return list(read_any(page, release).records)
        except (Refused, StageError):
            continue
    return []


@pytest.mark.parametrize("name", FILES)
def test_every_figure_of_a_real_answer_is_the_same_in_each_place(name: str, home: Path) -> None:
    published, cleaned = {}, []
    for raw in records_of(name):
        outcome = clean(raw)
        if outcome.record is None or outcome.fate is not Fate.CLEAN:
            continue
        million, own = outcome.record["GDP_USD_million"], millions_in(raw)
        digits = len(own.as_tuple().digits) if own is not None else 0
        assert own is None or digits > DOUBLE_DIGITS or Decimal(json.dumps(million)) == own, raw
        published[outcome.record["Country"], outcome.record["Institution"], outcome.record["Year"]] = million
        cleaned.append(outcome.record)
    if not cleaned:
        pytest.skip("the file is refused")
    write_records(home / "clean.json", cleaned)
    load_file(home / "clean.json", Place(home / "x.db"))
    stored = query(home / "x.db", "SELECT Country, Institution, Year, GDP_USD_million FROM GDP_Estimates")
    assert {tuple(row[:3]): row[3] for row in stored} == published


def test_billions_are_the_millions_rounded_half_up(home: Path) -> None:
    file = clean_file_of(SHIPPED, home)
    for record in json.loads(file.read_text(encoding="utf-8")):
        cents = int(Decimal(repr(record["GDP_USD_million"])) / 10 + Decimal("0.5"))
        assert Decimal(repr(record["GDP_USD_billion"])) * 100 == cents

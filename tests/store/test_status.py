"""Whether a figure is an estimate or a projection goes from source to database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import transform
from gdp.model import RawRecord
from gdp.options import TRANSFORM, parse
from gdp.places import Place
from gdp.transform.rules import Fate, clean
from load import load
from tests.conftest import query
from utils import StageError

DATABASE = Path("sqliteDB") / "World_Economies.db"
STATUS = "SELECT Year, As_of, Until, Status FROM GDP_Estimates WHERE ISO3 = 'KOR' ORDER BY Year, As_of"


def raw(year: str, status: str | None, as_of: str = "2024-10-22") -> RawRecord:
    record: RawRecord = {
        "Country": "KOR", "GDP": "1869.9", "Year": year, "Column": None, "Unit": "Billions of U.S. dollars",
        "Institution": "IMF", "Source": "https://www.imf.org/external/datamapper/api/v2/NGDPD", "As_of": as_of,
    }  # fmt: skip
    return record if status is None else {**record, "Status": status}


def take_in(home: Path, records: list[Any], name: str = "raw.json") -> None:
    """Take raw records through transform and load, with --force as two countries are no list."""
    folder = home / "results"
    folder.mkdir(exist_ok=True)
    stream = name.endswith("l")
    text = "".join(json.dumps(record) + "\n" for record in records) if stream else json.dumps(records)
    (folder / name).write_text(text, encoding="utf-8")
    cleaned = folder / f"clean_{name}"
    options = parse(TRANSFORM, ["--input", str(folder / name), "--output", str(cleaned)])
    transform.prepare_transform(options)()
    load(cleaned, Place(home / DATABASE), force=True)


@pytest.mark.parametrize("name", ["raw.json", "raw.jsonl"])
def test_the_status_of_a_figure_reaches_the_database_from_an_array_and_from_a_stream(name: str, home: Path) -> None:
    take_in(home, [raw("2023", "estimate"), raw("2024", "projection"), raw("2025", None)], name)
    assert [row[3] for row in query(home / DATABASE, STATUS)] == ["estimate", "projection", None]
    assert query(home / DATABASE, "SELECT Status FROM GDP_History WHERE Year = 2024") == [("projection",)]


def test_a_projection_that_became_an_estimate_is_a_new_row_of_the_same_figure(home: Path) -> None:
    take_in(home, [raw("2024", "projection")])
    take_in(home, [raw("2024", "estimate", "2025-04-22")])
    take_in(home, [raw("2024", "estimate", "2025-10-14")])
    assert query(home / DATABASE, STATUS) == [
        (2024, "2024-10-22", "2025-04-22", "projection"), (2024, "2025-04-22", "9999-12-31", "estimate")
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["certain", "", "estimate "])
def test_an_unknown_status_is_rejected_with_its_reason(status: str) -> None:
    outcome = clean(raw("2024", status))
    assert outcome.fate is Fate.REJECTED and outcome.reason == f"Status is {status!r}, not one of estimate, projection"


@pytest.mark.parametrize("name", ["clean.json", "clean.jsonl"])
@pytest.mark.parametrize("status", ["certain", 5, ["estimate"]])
def test_load_refuses_a_clean_record_with_another_status(status: object, name: str, home: Path) -> None:
    record = {**(clean(raw("2024", "estimate")).record or {}), "Status": status}
    (home / name).write_text(json.dumps(record) + "\n" if name.endswith("l") else json.dumps([record]), "utf-8")
    with pytest.raises(StageError, match="record 1: field Status is"):
        load(home / name, Place(home / DATABASE), force=True)


def test_clean_records_of_an_older_version_load_without_a_status(home: Path) -> None:
    record = dict(clean(raw("2024", None)).record or {})
    del record["Status"]
    (home / "clean.json").write_text(json.dumps([record]), "utf-8")
    load(home / "clean.json", Place(home / DATABASE), force=True)
    assert [row[3] for row in query(home / DATABASE, STATUS)] == [None]

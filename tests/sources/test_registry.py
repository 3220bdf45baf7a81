"""A source is one object: its publisher, addresses, fetch, detect and read. Nothing else lists sources."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest

import extract
import load
import report
import transform
from gdp.model import PUBLISHERS, Publisher
from gdp.options import source_names
from gdp.sources import Answer, Month, Page, Reading, Refused, Source
from gdp.sources.payloads import answer_of
from gdp.sources.registry import SOURCES, read_any, source_of
from tests.conftest import query, records, released_lock
from tests.page_builder import SHIPPED
from tests.stand_ins import PUBLISHED, billions

# --- a made-up source: its publisher, its module, and its line in the registry ----------------------------------------

MADE_UP = Publisher(
    "made_up", "Made Up", ("https://made-up.example/",), "A made-up statistics office", "https://made-up.example/gdp",
    "CC-BY-4.0", "Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/",
)  # fmt: skip
HEADER = "economy;year;million_usd"


def fetch(_release: Month | None) -> Answer:
    rows = [f"{code};{year};{billions(code, year) * 1010:.0f}" for code in sorted(PUBLISHED) for year in (2024, 2025)]
    return answer_of("\n".join([HEADER, *rows]).encode(), "Made Up")


def detect(content: bytes) -> bool:
    return content.startswith(HEADER.encode())


def read(page: Page, _release: Month | None) -> Reading:
    rows = csv.DictReader(io.StringIO(page.content.decode()), delimiter=";")
    return Reading([
        {
            "Country": row["economy"], "GDP": row["million_usd"], "Year": row["year"], "Column": None,
            "Unit": "GDP (million US$)", "Institution": "UN", "Source": "https://made-up.example/gdp",
            "As_of": "2025-11-01",
        }
        for row in rows
    ], Counter())  # fmt: skip


SOURCE = Source(MADE_UP, "UN", {"GDP_ETL_MADE_UP_URL": "https://made-up.example"}, fetch, detect, read)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Source:
    """Return a made-up source that is in the registry."""
    monkeypatch.setitem(PUBLISHERS, MADE_UP.name, MADE_UP)
    monkeypatch.setitem(SOURCES, MADE_UP.name, SOURCE)
    return SOURCE


def run_stages(*arguments: str) -> None:
    for stage, options in ((extract, arguments), (transform, ()), (load, ("--no-history",)), (report, ())):
        with released_lock():
            assert stage.main([*options, "--quiet"]) == 0, stage.__name__


def test_a_made_up_source_goes_through_all_stages(made_up: Source, home: Path) -> None:
    run_stages("--page", str(SHIPPED))  # the report is about the IMF's figures, which the page has
    run_stages("--source", "Made-Up")
    assert len(records(home / "results" / "Countries_by_GDP.json")) == 2 * len(PUBLISHED)
    database = home / "sqliteDB" / "World_Economies.db"
    made = "SELECT DISTINCT Institution FROM GDP_Estimates WHERE Publisher = 'made_up'"
    assert query(database, made) == [("UN",)]
    korea = "SELECT GDP_USD_million FROM GDP_Estimates WHERE ISO3 = 'KOR' AND Year = 2024 AND Publisher = 'made_up'"
    assert query(database, korea) == [(round(billions("KOR", 2024) * 1010),)]
    assert "Made Up" in (home / "results" / "report.html").read_text(encoding="utf-8")


def test_a_made_up_sources_cached_answer_is_recognised_and_read_again(made_up: Source, home: Path) -> None:
    with released_lock():
        assert extract.main(["--source", "made_up"]) == 0
    want = records(home / "results" / "Countries_by_GDP.json")
    (cached,) = (home / "data" / "pages").glob("2025-11-01_made_up_*.csv.gz")
    with released_lock():
        assert extract.main(["--page", str(cached)]) == 0
    assert records(home / "results" / "Countries_by_GDP.json") == want
    with released_lock():
        assert extract.main(["--archive"]) == 0
    lines = (home / "results" / "Countries_by_GDP.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["Source"].startswith("https://made-up.example/") for line in lines) == len(want)


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_its_publisher_its_addresses_and_no_other_name(name: str) -> None:
    source = SOURCES[name]
    assert source.publisher is PUBLISHERS[name] and source.name == name
    assert all(re.fullmatch("GDP_ETL_[A-Z_]+_URL", variable) for variable in source.addresses)


@pytest.mark.parametrize(("text", "name"), [("IMF", "imf"), ("World Bank", "world_bank"), ("WIKIPEDIA", "wikipedia")])
def test_a_source_is_named_in_any_case(text: str, name: str) -> None:
    assert source_names(text) == [name]
    with pytest.raises(argparse.ArgumentTypeError, match="write one of wikipedia, imf, world_bank"):
        source_names("oecd")


@pytest.mark.parametrize("content", [b"", b"\0\0", b"some words", b"a;b\n1;2", b"%PDF-1.7", b"{}", b'{"x": 1}', b"[]"])
def test_a_content_of_no_source_is_named_for_what_it_is(content: bytes) -> None:
    with pytest.raises(Refused, match="no page or file of Wikipedia, IMF, World Bank"):
        source_of(content)


def test_a_content_of_two_sources_is_refused_with_both_names(made_up: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "other", SOURCE._replace(publisher=MADE_UP._replace(name="other")))
    with pytest.raises(Refused, match="it may be of made_up or other; name one with --source"):
        read_any(made_up.fetch(None).page)

"""The real pages, whole and to the cent; they stand in ../shared, and these tests are passed over where they do not."""

from __future__ import annotations

import csv
import gzip
import re
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from gdp.sources import Reading, Refused
from gdp.sources.wikipedia import page as wikipedia
from gdp.transform.rules import clean, name_of
from tests.conftest import (
    MISJUDGED,
    OTHER_LISTS,
    PAGES,
    SHARED_PAGES,
    Run,
    page_of,
    query,
    records,
    run_stages,
    shared_pages,
)
from tests.page_builder import SHIPPED, page_of_facts, shipped_page

FACTS = SHARED_PAGES.parent / "facts" / "gdp_2025-12-30.csv"
pages = pytest.mark.parametrize("page", shared_pages(), ids=lambda path: path.name[:10])
needs_shared = pytest.mark.skipif(not FACTS.exists(), reason="../shared is not beside the project")


def read(path: Path) -> Reading:
    return wikipedia.parse(gzip.decompress(path.read_bytes()), str(path))


@needs_shared
def test_every_figure_of_every_institution_of_the_last_page_is_read() -> None:
    page = page_of("2025-12-30")
    got = {(r["Institution"], r["Country"].split("[")[0]): (r["GDP"], r["Column"]) for r in read(page).records}
    with FACTS.open(encoding="utf-8", newline="") as file:
        facts = list(csv.DictReader(file))
    assert len(facts) == len(got) == 666
    for fact in facts:
        institution = {"WB": "World Bank"}.get(fact["institution"], fact["institution"])
        text, column = got[institution, fact["country"]]
        assert text == fact["cell_text"].removesuffix("N/a")
        assert fact["year"] in (text + str(column)) or text == "—"


@pytest.mark.parametrize("page", shared_pages([*PAGES, *MISJUDGED]), ids=lambda path: path.name[:-8])
def test_every_figure_of_every_real_page_is_that_of_the_facts(page: Path) -> None:
    saved = datetime.fromisoformat(page.name[:10]).replace(tzinfo=timezone.utc)
    outcomes = map(clean, wikipedia.parse(gzip.decompress(page.read_bytes()), str(page), saved).records)
    figures = [outcome.record for outcome in outcomes if outcome.record]
    got = {(r["Institution"], r["Country"], r["Year"]): r["GDP_USD_billion"] for r in figures}
    facts = SHARED_PAGES.parent / "facts" / "pages" / page.name.replace(".html.gz", ".csv")
    with facts.open(encoding="utf-8", newline="") as file:
        want = {
            (row["institution"], name_of(row["country"])[0], int(row["year"])): (int(row["gdp_million"]) + 5)
            // 10
            / 100
            for row in csv.DictReader(file)
        }
    assert got == want


@pytest.mark.parametrize("page", shared_pages(OTHER_LISTS), ids=lambda path: path.name[:-8])
def test_a_real_page_of_another_list_is_refused_by_its_name(page: Path) -> None:
    with pytest.raises(Refused, match='expected "List of countries by GDP'):
        read(page)


@needs_shared
def test_raw_values_stay_as_the_source_has_them() -> None:
    page = page_of("2025-12-30")
    china = next(r for r in read(page).records if r["Country"].startswith("China"))
    assert china == {
        "Country": "China[n 1]", "GDP": "19,398,577", "Year": None, "Column": "IMF(2025)[6]",
        "Unit": "GDP forecast or estimate (million US$) by country", "Institution": "IMF",
        "Source": "https://en.wikipedia.org/w/index.php?title=List_of_countries_by_GDP_(nominal)&oldid=1330326028",
        "As_of": "2025-12-30T20:09:00Z",
    }  # fmt: skip
    cells = {r["GDP"] for r in read(page).records}
    assert "98,964 (2024)" in cells
    assert not any("N/a" in cell or "{" in cell or "♠" in cell for cell in cells)


@pages
def test_a_real_page_goes_through_all_stages_to_the_cent_and_nothing_is_dropped_without_a_count(
    page: Path, run: Run, home: Path
) -> None:
    done = run_stages(run, "--page", page)
    assert done.returncode == 0, done.stderr
    raw = records(home / "results" / "Countries_by_GDP.json")
    clean = records(home / "results" / "Countries_by_GDP_Processed.json")
    want = {}
    for record in raw:
        digits = re.sub(r"\(.*\)|\[.*?\]|,", "", record["GDP"]).strip()
        if record["Institution"] == "IMF" and digits.isdigit() and record["Country"] != "World":
            name = re.sub(r"\[.*?\]", "", record["Country"])
            want[name] = float((Decimal(digits) / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP))
    got = dict(query(home / "sqliteDB" / "World_Economies.db", "SELECT Country, GDP_USD_billion FROM Countries_by_GDP"))
    assert sorted(got.values()) == sorted(want.values())
    renamed = {name for name in want if name not in got}
    assert renamed <= {"East Timor", "Micronesia, Federated States of"}, renamed
    assert all(got[name] == want[name] for name in want if name in got)
    assert not query(home / "sqliteDB" / "World_Economies.db", "SELECT * FROM Countries_by_GDP WHERE Region IS NULL")
    found = re.search(r"\[transform\] (\d+) raw records: (.*)", done.stderr)
    assert found
    counts = {fate: int(count) for count, fate in re.findall(r"(\d+) ([a-z ]+)", found[2])}
    assert int(found[1]) == len(raw) == sum(counts.values())
    assert counts["clean"] == len(clean)


def test_the_shipped_page_is_what_the_page_builder_writes_from_the_facts() -> None:
    assert gzip.decompress(SHIPPED.read_bytes()).decode() == shipped_page()


def test_the_shipped_page_is_read_as_its_facts_say() -> None:
    reading = read(SHIPPED)
    facts = page_of_facts()
    got = {(r["Institution"], r["Country"]): r["GDP"] for r in reading.records}
    want = {(one.institution, name): figure.text for one in facts.series for name, figure in one.figures.items()}
    assert got == want
    assert reading.revision
    assert (reading.revision.number, reading.revision.saved) == (facts.revision, facts.saved)

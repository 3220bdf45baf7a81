"""The example pages in ../shared/cases: what must come of each when its page is read."""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from pathlib import Path

import pytest

from gdp.model import DISPUTED, UNSOURCED, has_flag
from gdp.sources import Reading, Refused
from gdp.sources.wikipedia import page as wikipedia
from gdp.transform.rules import clean
from tests.conftest import PROJECT

CASES = PROJECT.parent / "shared" / "cases" / "pages"
REAL = PROJECT.parent / "shared" / "pages"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="../shared/cases/pages is not beside the project")
Figures = dict[tuple[str, str, int], float]

REFUSED = {
    "money_row_across_2024-06-30": '"ppp"', "money_outer_title_2023-09-02": '"ppp"',
    "money_caption_sdr_2023-03-29": '"sdr"', "price_basis_2015_dollars_2026-02-25": '"2015 us\\$"',
    "quantity_caption_2025-01-07": '"household"',
}  # fmt: skip
# Each with the real page that it was made of, and how many of its IMF figures are missing: those of two countries, and
# of four rows that the case was made without.
READ = {
    "second_table_longer_2021-06-30": ("misjudged/2021-06-30_enwiki_rev1031213417", 0),
    "second_table_last_year_2021-06-30": ("misjudged/2021-06-30_enwiki_rev1031213417", 0),
    "second_table_companies_2023-03-29": ("misjudged/2023-03-29_enwiki", 0),
    "merged_figure_2024-06-30": ("2024-06-30_enwiki_rev1231904749", 6),
    "hidden_rows_2023-09-02": ("2023-09-02_enwiki_rev1171401355", 0),
    "footnote_font_2024-06-30": ("2024-06-30_enwiki_rev1231904749", 0),
    "names_soft_hyphen_2021-06-30": ("misjudged/2021-06-30_enwiki_rev1031213417", 0),
}


def read(folder: Path, name: str) -> Reading:
    day = (
        datetime.fromisoformat(name.rpartition("_")[2])
        if folder == CASES
        else datetime.fromisoformat(Path(name).name[:10])
    )
    content = gzip.decompress((folder / f"{name}.html.gz").read_bytes())
    return wikipedia.parse(content, name, day.replace(tzinfo=timezone.utc))


def figures(reading: Reading) -> Figures:
    cleaned = [outcome.record for outcome in map(clean, reading.records) if outcome.record]
    return {
        (record["Institution"], record["ISO3"] or record["Country"], record["Year"]): record["GDP_USD_million"]
        for record in cleaned if not has_flag(record["Flags"], UNSOURCED, DISPUTED)
    }  # fmt: skip


@needs_cases
@pytest.mark.parametrize("name", REFUSED)
def test_a_page_of_another_money_price_basis_or_quantity_is_refused_with_a_quotation(name: str) -> None:
    with pytest.raises(Refused, match=REFUSED[name]):
        read(CASES, name)


@needs_cases
@pytest.mark.parametrize("name", READ)
def test_the_list_is_read_and_nothing_else(name: str) -> None:
    real, missing = READ[name]
    got, want = figures(read(CASES, name)), figures(read(REAL, real))
    wrong = {key for key in got if key in want and got[key] != want[key]}
    assert not wrong and not got.keys() - want.keys()
    in_table = {key for key in want if key[0] == "IMF"} - got.keys()
    assert len(in_table) == missing


@needs_cases
def test_two_values_in_a_cell_are_never_one_figure() -> None:
    got = figures(read(CASES, "two_values_in_a_cell_2025-12-30"))
    assert 58_123 not in got.values() and 58_2023 not in got.values()


@needs_cases
def test_a_caption_with_latest_available_states_no_year_of_columns_without_one() -> None:
    reading = read(CASES, "year_latest_available_2025-01-07")
    cleaned = [outcome.record for outcome in map(clean, reading.records) if outcome.record]
    assert all(record["Flags"] for record in cleaned if record["Institution"] != "IMF" and record["Year"] == 2024)

"""The past is kept: each figure once, in any order of loading, and questions about it are answered right."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import transform
from gdp.options import TRANSFORM, parse
from gdp.places import Place
from gdp.report.revisions import OTHER_YEAR, REVISED, last_refresh, ranking
from gdp.runtime.stage import take_lock
from gdp.store.database import opened
from gdp.store.history import History
from gdp.store.vintages import END_OF_DAY
from load import load
from tests.conftest import PROJECT, page_of, query, shared_pages
from tests.page_builder import SHIPPED
from tests.sources.test_sources import REAL_ANSWER
from tests.store.loading import DATABASE, ask, clean_file_of, differences, load_file, load_page, tables_of
from tests.store.vintages import GROWTH, PAGE, RELEASE, Figures, Vintage, random_vintages, sizes, write

ALTERED = {
    "Argentina", "Bangladesh", "Brunei", "Bulgaria", "Czech Republic", "Ethiopia", "Hungary", "Macau", "Nigeria",
    "Oman", "Qatar", "Sudan", "Uzbekistan",
}  # fmt: skip
YEARS = 1994, 1995
needs_shared = pytest.mark.skipif(len(shared_pages()) < 5, reason="../shared is not beside the project")


# --- made-up vintages -------------------------------------------------------------------------------------------------


def load_vintage(home: Path, as_of: str, figures: Figures, source: str = PAGE) -> None:
    file = write(home / "results" / f"{as_of[:10]}.json", [Vintage(as_of, figures, source)])
    load_file(file, Place(home / DATABASE))


def current_at(vintages: dict[str, Figures], day: str) -> Figures:
    """Return what was current at the end of a day: of each institution, what its last vintage published."""
    current: Figures = {}
    for as_of in sorted(vintages):
        if as_of[:10] <= day:
            published = {institution for institution, _, _ in vintages[as_of]}
            current = {key: figure for key, figure in current.items() if key[0] not in published} | vintages[as_of]
    return current


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
def test_fifty_vintages_in_any_order_equal_a_replay_on_every_day(seed: int, home: Path) -> None:
    vintages = random_vintages(50, seed)
    for as_of in random.Random(seed).sample(list(vintages), len(vintages)):
        load_vintage(home, as_of, vintages[as_of])
    history = (
        "SELECT Institution, ISO3, Year, GDP_USD_billion FROM GDP_History WHERE '{}' BETWEEN First_day AND Last_day"
    )
    for day in {as_of[:10] for as_of in vintages} | {"2023-12-31", "2024-01-26", "2025-01-01"}:
        current = current_at(vintages, day)
        rows = query(home / DATABASE, history.format(day))
        assert sorted(rows) == sorted((*key, figure) for key, figure in current.items()), day
        with opened(Place(home / DATABASE)) as connection:
            past = History(connection)
            ranked = ranking(past, past.newest_imf(day + END_OF_DAY)).rows
        imf = {(code, year): figure for (name, code, year), figure in current.items() if name == "IMF"}
        best = {code: max(y for c, y in imf if c == code) for code, _ in imf}
        assert {c: r["GDP_USD_billion"] for c, r in ranked.items()} == {c: imf[c, y] for c, y in best.items()}


@pytest.mark.parametrize("seed", [4, pytest.param(5, marks=pytest.mark.long)])
def test_any_order_gives_the_same_tables_with_the_imfs_own_vintages_among_pages(seed: int, home: Path) -> None:
    vintages = [Vintage(as_of, figures) for as_of, figures in random_vintages(16, seed).items()]
    for n, figures in enumerate(random_vintages(3, seed + 100).values()):
        own = {("IMF", code, year): figure for (_, code, year), figure in figures.items()}
        vintages.append(Vintage(f"2024-01-{4 + 5 * n:02}", own or {("IMF", "KOR", 2024): 1.0}, RELEASE))
    found = []
    for seed_of_order in range(4):
        there = Place(home / f"{seed_of_order}.db")
        for one in random.Random(seed_of_order).sample(vintages, len(vintages)) if seed_of_order else sorted(vintages):
            load_file(write(home / "one.jsonl", [one]), there)
        found.append(tables_of(there))
    for tables in found[1:]:
        assert differences(tables, found[0]) == []


@needs_shared
@pytest.mark.long
def test_the_shared_pages_in_three_random_orders_give_identical_dumps(home: Path, tmp_path: Path) -> None:
    dumps = []
    for seed in range(3):
        pages = shared_pages()
        random.Random(seed).shuffle(pages)
        for page in pages:
            load_page(tmp_path / f"{seed}.db", page)
        dumps.append(tables_of(Place(tmp_path / f"{seed}.db")))
    assert dumps[0] == dumps[1] == dumps[2]
    assert any("was 145.03 on 2025-01-07" in (row[9] or "") for row in dumps[0]["GDP_Estimates"])


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.fixture
def three_pages(home: Path) -> Path:
    """Return a home in which the pages of June 2024 and of 7 and 8 January 2025 are loaded."""
    for day in ("2024-06-30", "2025-01-07", "2025-01-08"):
        load_page(home / DATABASE, page_of(day))
    return home


@needs_shared
def test_the_screens_as_of_a_day_are_those_of_that_day(home: Path) -> None:
    then: dict[str, dict[str, Any]] = {}
    for day in ("2024-06-30", "2025-01-07", "2025-12-30"):
        done = ask("--no-history", "--input", clean_file_of(page_of(day)), "--json")
        then[day] = {key: value for key, value in done.json.items() if key != "Changes"}
    for day, asked in (("2024-06-30", "2024-07-01"), ("2025-01-07", "2025-12-29"), ("2025-12-30", "2026-11-01")):
        assert ask("--as-of", asked, "--json").json == then[day]
    assert "or more: 70" in ask("--as-of", "2024-07-01").out
    early = ask("--as-of", "2020-01-01")
    assert early.code == 66 and "the first are of 2024-06-30" in early.err


@needs_shared
def test_changes_show_what_was_revised_by_how_much_and_who_moved_in_rank(three_pages: Path) -> None:
    revised = {
        row["Country"]: row for row in ask("--changes", "--json").json["Countries"] if row["Change"] == "revised"
    }
    assert revised.keys() == ALTERED - {"Bangladesh"}  # whose figure of the day before was flagged: it is no baseline
    ethiopia = revised["Ethiopia"]
    figures = ethiopia["Was_USD_billion"], ethiopia["GDP_USD_billion"], ethiopia["Revised_percent"]
    assert figures == (145.03, 230.03, 58.61)
    assert (ethiopia["Was_rank"], ethiopia["Rank"]) == (61, 57)
    since = ask("--changes", "--since", "2024-07-01", "--json").json
    assert since["Since"] == "2024-06-30T22:28:00Z" and len(since["Countries"]) > 100
    assert "Ethiopia" in ask("--changes").out


def test_a_load_reports_what_changed_or_since_when_nothing_did(home: Path) -> None:
    first = ask("--no-history", "--input", clean_file_of(SHIPPED))
    assert first.code == 0 and "first load: 194 countries" in first.err and "What changed" not in first.out
    again = ask("--input", clean_file_of(SHIPPED))
    assert again.code == 0 and "unchanged: the vintage of 2025-12-30 is loaded already" in again.err
    assert "What changed" not in again.out


@needs_shared
def test_a_load_that_changed_something_shows_the_largest_changes(home: Path) -> None:
    load_page(home / DATABASE, page_of("2025-01-07"))
    done = ask("--input", clean_file_of(page_of("2025-01-08")))
    assert "12 revised" in done.err
    table = done.out.partition("What changed between 2025-01-07 and 2025-01-08")[2]
    assert table.index("Ethiopia") < table.index("Hungary") < table.index("Brunei")


@needs_shared
def test_one_country_is_followed_through_the_vintages_by_code_or_any_name(three_pages: Path) -> None:
    found = ask("--country", "KOR", "--json").json
    imf = [(e["Year"], e["GDP_USD_billion"], e["As_of"][:10]) for e in found["Estimates"] if e["Institution"] == "IMF"]
    assert imf == [(2024, 1760.95, "2024-06-30"), (2025, 1947.13, "2025-01-07")]
    assert ask("--country", "Türkiye").out == ask("--country", "TUR").out
    unknown = ask("--country", "Sout Korea")
    assert unknown.code == 2 and "South Korea" in unknown.err


def test_a_country_that_was_renamed_is_one_country(home: Path, tmp_path: Path) -> None:
    names = [
        ("Turkey", "Türkiye"),
        ("Swaziland", "Eswatini"),
        ("Macedonia", "North Macedonia"),
        ("Czechia", "Czech Republic"),
    ]
    for n, as_of in enumerate(("2018-01-01", "2024-01-01")):
        raw = [
            {"Country": pair[n], "GDP": f"{100 + n},000", "Year": "2017", "Column": "IMF", "Unit": "million US$",
             "Institution": "IMF", "Source": "https://example.org", "As_of": as_of} for pair in names
        ]  # fmt: skip
        (tmp_path / "raw.json").write_text(json.dumps(raw), encoding="utf-8")
        transform.prepare_transform(parse(TRANSFORM, ["--input", str(tmp_path / "raw.json")]))()
        assert ask("--force", "--no-history").code == 0
    for old, new in names:
        found = ask("--country", old, "--json").json
        assert [e["GDP_USD_billion"] for e in found["Estimates"]] == [100.0, 101.0]
        assert ask("--country", new, "--json").json == found


@needs_shared
@pytest.mark.parametrize("own", [False, True])
def test_the_altered_cells_of_january_2025_depart_from_the_imfs_own_figures(own: bool, home: Path) -> None:
    if own:  # in the database, beside the bundled releases
        load_page(home / DATABASE, REAL_ANSWER, "imf")
    load_page(home / DATABASE, page_of("2025-01-08"))
    found = ask("--compare", "--json").json
    departures = {row["Country"] for row in found["Departures"]}
    assert departures - ALTERED == {"Egypt", "Norway", "Philippines", "Vietnam"} and departures >= ALTERED
    assert (found["agrees"], found["previous release"], found["not published by the IMF"]) == (100, 77, 0)
    flagged = "SELECT Country FROM GDP_Estimates WHERE Publisher = 'wikipedia' AND Flags LIKE '%departs-from-imf%'"
    assert {country for (country,) in query(home / DATABASE, flagged)} >= ALTERED
    assert "the IMF's releases of 2024-10-22 and 2024-04-16: 100 agrees" in ask("--compare").out


def test_a_question_before_the_first_load_names_what_to_run(home: Path) -> None:
    for question in (("--as-of", "2024-07-01"), ("--changes",), ("--country", "KOR"), ("--compare",), ("--findings",)):
        done = ask(*question)
        assert done.code == 66 and "run python etl_process.py first" in done.err
    assert not (home / "sqliteDB").exists()


def test_a_question_needs_no_lock_and_changes_nothing(home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    before = (home / DATABASE).read_bytes()
    held = take_lock(0)
    done = ask("--as-of", "2026-01-01")
    os.close(held)
    assert done.code == 0 and "Wikipedia on 2025-12-30" in done.out
    assert (home / DATABASE).read_bytes() == before


# --- single cases ----- --------------------------------------------------------------------------------------------


def test_a_vintage_that_is_loaded_again_gets_its_figures_back(home: Path) -> None:
    first, second = {("IMF", "KOR", 2024): 10.0, ("IMF", "JPN", 2024): 20.0}, {("IMF", "JPN", 2024): 20.0}
    load_vintage(home, "2024-01-01", first)
    load_vintage(home, "2024-02-01", second)
    load_vintage(home, "2024-02-01", first)
    rows = query(home / DATABASE, "SELECT ISO3, As_of, Until FROM GDP_Estimates ORDER BY ISO3")
    assert rows == [("JPN", "2024-01-01", "9999-12-31"), ("KOR", "2024-01-01", "9999-12-31")]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_revisions_saved_in_the_same_minute_the_later_one_counts(order: tuple[int, int], home: Path) -> None:
    for number in order:
        load_vintage(home, "2024-01-01", {("IMF", "KOR", 2024): float(number)}, f"{PAGE}/oldid={number}")
    assert query(home / DATABASE, "SELECT GDP_USD_billion FROM GDP_Estimates") == [(2.0,)]
    both = [Vintage("2024-01-01", {("IMF", "KOR", 2024): float(number)}, f"{PAGE}/oldid={number}") for number in order]
    load_file(write(home / "both.jsonl", both), Place(home / "both.db"))
    assert query(home / "both.db", "SELECT GDP_USD_billion FROM GDP_Estimates") == [(2.0,)]


def test_a_statement_has_no_figure_without_a_source(home: Path) -> None:
    load_vintage(home, "2024-01-01", {("IMF", "KOR", 2024): 1.0, ("IMF", "JPN", 2024): 2.0})
    with opened(Place(home / DATABASE)) as connection:
        connection.execute("UPDATE GDP_Estimates SET Flags = 'unsourced' WHERE ISO3 = 'JPN'")
        statement = History(connection).statements("wikipedia", "IMF", ["2024-01-01"])[0]
    assert statement.figures == {("South Korea", 2024): 1000.0}


def test_the_last_sound_figure_is_neither_flagged_by_a_check_nor_of_a_vintage_in_doubt(home: Path) -> None:
    for month in (1, 2, 3):
        load_vintage(home, f"2024-0{month}-01", {("IMF", code, 2024): float(month) for code in ("KOR", "JPN", "FRA")})
    with opened(Place(home / DATABASE)) as connection:
        connection.execute("UPDATE Loads SET Doubt = CASE As_of WHEN '2024-03-01' THEN 'all figures moved' END")
        connection.execute("UPDATE GDP_Estimates SET Flags = NULL")
        for code, flags in (("KOR", "sharp-revision"), ("JPN", "two-years"), ("FRA", "unsourced")):
            connection.execute(
                f"UPDATE GDP_Estimates SET Flags = '{flags}' WHERE ISO3 = '{code}' AND As_of = '2024-02-01'"
            )
        history = History(connection)
        found = history.last_sound("wikipedia", "IMF", "2024-03-01")
        assert found == {("South Korea", 2024): 1000.0, ("Japan", 2024): 2000.0, ("France", 2024): 1000.0}
        assert history.last_sound("wikipedia", "UN", "2024-03-01") == {}


@needs_shared
def test_a_page_is_compared_with_releases_from_before_its_day(home: Path) -> None:
    load_page(home / DATABASE, page_of("2024-06-30"))
    load_page(home / DATABASE, REAL_ANSWER, "imf")
    done = ask("--compare")
    assert "compared with the IMF's releases of 2024-04-16 and 2023-10-10: 194 agrees" in done.out
    assert ask("--changes", "--json").json["Since"] == "2024-06-30T22:28:00Z"


def test_an_empty_country_is_a_question_and_loads_nothing(home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    assert ask("--country", "").code == 2
    assert query(home / DATABASE, "SELECT count(*) FROM Loads") == [(1,)]
    assert ask("--as-of", "0999-01-01").code == 66


def test_a_reader_that_does_not_read_on_does_not_keep_a_load_waiting(home: Path) -> None:
    days = [f"20{10 + n // 25}-01-{1 + n % 25:02}" for n in range(1, 300)]
    many = [Vintage(day, {("IMF", "KOR", 2024): 1000.0 + n}) for n, day in enumerate(days)]
    load_file(write(home / "many.json", many), Place(home / DATABASE))
    command = [sys.executable, str(PROJECT / "load.py"), "--country", "KOR", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        assert reader.stdout and reader.stdout.read(1) == b"{"
        load_page(home / DATABASE, SHIPPED)
        reader.kill()


def test_a_year_that_moves_on_and_another_publisher_are_changes_too(home: Path) -> None:
    figures = {
        ("IMF", code, year): size * GROWTH ** (year - 1985) for code, size in sizes()["IMF"].items() for year in YEARS
    }
    for as_of in ("1994-05-01", "1994-11-01", "1995-02-01"):
        load_vintage(home, as_of, figures)
    assert last_changes(home) == ("1994-11-01", 195, 0)
    load_vintage(home, "1995-04-01", {key: figure * 1.01 for key, figure in figures.items()}, RELEASE)
    since, others, revised = last_changes(home)
    assert (since, others) == ("1995-02-01", 0) and revised >= 194  # Tuvalu's million rounds to the same


def last_changes(home: Path) -> tuple[str | None, int, int]:
    """Return since when the last changes are, and how many countries are for another year or revised."""
    with opened(Place(home / DATABASE)) as connection:
        history = History(connection)
        changes = last_refresh(history, history.newest_imf())
    return changes.since, changes.number(OTHER_YEAR), changes.number(REVISED)


def test_findings_list_the_most_unusual_figure_first(home: Path) -> None:
    records = json.loads(clean_file_of(SHIPPED).read_text(encoding="utf-8"))
    factors = {"TCD": 1.4, "FRA": 3.0, "KOR": 1.25}  # the smallest economy is not last, the largest not first
    for record in records:
        if record["Institution"] == "IMF" and record["ISO3"] in factors:
            million = round(record["GDP_USD_million"] * factors[record["ISO3"]])
            record |= {"GDP_USD_million": million, "GDP_USD_billion": round(million / 1000, 2)}
    path = home / "altered.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    load_file(path, Place(home / DATABASE))
    answer = ask("--findings", "--json").json
    ranks = {(one["institution"], *figure[:2]): figure[2] for one in answer["Findings"] for figure in one["figures"]}
    listed = [(one["Institution"], one["Country"], one["Year"]) for one in answer["Flagged"]]
    assert [country for _, country, _ in listed[:3]] == ["France", "Chad", "South Korea"]
    found = [ranks.get(one, 0.0) for one in listed]
    assert found == sorted(found, reverse=True)


def test_world_rows_stay_for_the_next_load_of_the_same_file(home: Path) -> None:
    (home / "results").mkdir()
    clean = home / "results" / "clean.json"
    shutil.copy(clean_file_of(SHIPPED), clean)
    checks = json.loads(clean_file_of(SHIPPED).with_name("Checks.json").read_bytes())
    for total in checks["control_totals"]:
        total["GDP_USD_million"] *= 1.3
    (home / "results" / "Checks.json").write_text(json.dumps(checks))

    def found_in(name: str) -> list[str]:
        load(clean, Place(home / name), force=True)
        with opened(Place(home / name)) as connection:
            history = History(connection)
            vintage = history.newest_imf()
            assert vintage and history.vintages.control_totals(vintage.publisher, vintage.as_of)
            return [one["check"] for one in json.loads(history.findings(vintage.publisher, vintage.as_of))]

    assert "sum against World" in found_in("a.db")
    assert "sum against World" in found_in("a.db")
    assert "sum against World" in found_in("b.db")

"""The past is kept: each figure once, whatever the order of loading, and what is asked of it is answered right."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gdp.places import Place
from gdp.model import CleanRecord
from gdp.report.revisions import last_refresh, ranking
from gdp.store.database import opened
from gdp.store.history import History
from gdp.store.vintages import END_OF_DAY
from gdp.transform.countries import reference
from load import load
from tests.conftest import PROJECT, Run, page_of, query, shared_pages
from tests.page_builder import SHIPPED
from tests.sources.test_sources import REAL_ANSWER
from tests.store.loading import DATABASE, ask, clean_file_of, load_page
from utils import take_lock

ALTERED = {
    "Argentina", "Bangladesh", "Brunei", "Bulgaria", "Czech Republic", "Ethiopia", "Hungary", "Macau", "Nigeria",
    "Oman", "Qatar", "Sudan", "Uzbekistan",
}  # fmt: skip
needs_shared = pytest.mark.skipif(len(shared_pages()) < 5, reason="../shared is not beside the project")
COUNTRIES = list(dict.fromkeys(c for c in reference().countries.values() if c.region))


def dump(database: Path) -> list[list[tuple[Any, ...]]]:
    """Return all that depends on what was loaded, and not on when."""
    return [query(database, f"SELECT * FROM {table}") for table in ("GDP_Estimates", "Countries_by_GDP")]


# --- made-up vintages -------------------------------------------------------------------------------------------------


def vintage(
    as_of: str, said: dict[tuple[str, str, int], float], source: str = "https://example.org"
) -> list[CleanRecord]:
    """Return clean records of what is said, by institution, ISO code and year."""
    by_code = {country.iso3: country for country in COUNTRIES}
    return [
        {
            "Country": by_code[code].name, "ISO3": code, "Region": by_code[code].region,
            "Subregion": by_code[code].subregion, "Institution": institution, "Year": year,
            "GDP_USD_billion": figure, "As_of": as_of, "Source": f"{source}/{as_of}", "Note": None,
        }
        for (institution, code, year), figure in said.items()
    ]  # fmt: skip


def made_up_vintages(number: int, seed: int) -> dict[str, dict[tuple[str, str, int], float]]:
    """Return by As_of what is said: figures are revised, removed and come back, an institution is left out at times."""
    chance = random.Random(seed)
    codes = [country.iso3 for country in COUNTRIES[:12]]
    said: dict[tuple[str, str, int], float] = {}
    forgotten: dict[tuple[str, str, int], float] = {}
    found = {}
    for n in range(number):
        for _ in range(chance.randint(0, 6)):
            key = chance.choice(["IMF", "UN"]), chance.choice(codes), chance.choice([2023, 2024])
            what = chance.random()
            if key in said and what < 0.3:
                forgotten[key] = said.pop(key)
            else:
                said[key] = forgotten.get(key, 1.0) if what < 0.6 else chance.randint(100, 99999) / 100
        left_out = chance.choice([None, None, None, "IMF", "UN"])
        now = {key: figure for key, figure in said.items() if key[0] != left_out}
        if now:
            found[f"2024-{1 + n // 25:02}-{1 + n % 25:02}T0{chance.randint(0, 9)}:00:00Z"] = now
    return found


def load_vintage(
    home: Path, as_of: str, said: dict[tuple[str, str, int], float], source: str = "https://e.org"
) -> None:
    path = home / "results" / f"{as_of[:10]}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(vintage(as_of, said, source)), encoding="utf-8")
    load(path, Place(home / DATABASE), force=True)


def replayed(vintages: dict[str, dict[tuple[str, str, int], float]], day: str) -> dict[tuple[str, str, int], float]:
    """Return what stood at the end of a day: of each institution what the last vintage that spoke of it said."""
    standing: dict[tuple[str, str, int], float] = {}
    for as_of in sorted(vintages):
        if as_of[:10] <= day:
            spoken_of = {institution for institution, _, _ in vintages[as_of]}
            standing = {key: figure for key, figure in standing.items() if key[0] not in spoken_of} | vintages[as_of]
    return standing


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
def test_fifty_vintages_in_any_order_equal_a_replay_on_every_date(seed: int, home: Path) -> None:
    vintages = made_up_vintages(50, seed)
    order = list(vintages)
    random.Random(seed).shuffle(order)
    for as_of in order:
        load_vintage(home, as_of, vintages[as_of])
    history = (
        "SELECT Institution, ISO3, Year, GDP_USD_billion FROM GDP_History WHERE '{}' BETWEEN First_day AND Last_day"
    )
    for day in {as_of[:10] for as_of in vintages} | {"2023-12-31", "2024-01-26", "2025-01-01"}:
        standing = replayed(vintages, day)
        rows = query(home / DATABASE, history.format(day))
        assert sorted(rows) == sorted((*key, figure) for key, figure in standing.items()), day
        with opened(Place(home / DATABASE)) as connection:
            past = History(connection)
            newest = past.newest_imf(day + END_OF_DAY)
            ranked = ranking(past, newest).rows
        imf = {(code, year): figure for (name, code, year), figure in standing.items() if name == "IMF"}
        best = {code: max(y for c, y in imf if c == code) for code, _ in imf}
        assert {c: r["GDP_USD_billion"] for c, r in ranked.items()} == {c: imf[c, y] for c, y in best.items()}


@pytest.mark.parametrize("seed", [4, 5])
def test_any_order_of_loading_gives_the_same_content_notes_and_the_imfs_own_included(seed: int, home: Path) -> None:
    vintages = {(as_of, "https://e.org"): said for as_of, said in made_up_vintages(16, seed).items()}
    for n, said in enumerate(made_up_vintages(3, seed + 100).values()):
        own = {("IMF", code, year): figure for (_, code, year), figure in said.items()}
        vintages[f"2024-01-{4 + 5 * n:02}", "https://www.imf.org/"] = own or {("IMF", "KOR", 2024): 1.0}
    dumps = []
    for order in range(4):
        there = home / str(order)
        there.mkdir()
        keys = sorted(vintages)
        random.Random(order).shuffle(keys)
        for as_of, source in keys if order else sorted(vintages):
            load_vintage(there, as_of, vintages[as_of, source], source)
        dumps.append(dump(there / DATABASE))
    assert dumps[0] == dumps[1] == dumps[2] == dumps[3]
    assert any("check: " in (row[8] or "") for row in dumps[0][0])


@needs_shared
@pytest.mark.long
def test_the_shared_pages_in_three_random_orders_give_identical_dumps(home: Path, tmp_path: Path) -> None:
    dumps = []
    for seed in range(3):
        pages = shared_pages()
        random.Random(seed).shuffle(pages)
        for page in pages:
            load_page(tmp_path / f"{seed}.db", page)
        dumps.append(dump(tmp_path / f"{seed}.db"))
    assert dumps[0] == dumps[1] == dumps[2]
    assert any("was 145.03 on 2025-01-07" in (row[8] or "") for row in dumps[0][0])


def test_the_same_page_many_times_adds_lines_to_loads_and_nothing_to_the_estimates(home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    before = dump(home / DATABASE)
    for _ in range(10):
        load_page(home / DATABASE, SHIPPED)
    assert query(home / DATABASE, "SELECT count(*) FROM Loads") == [(11,)]
    assert dump(home / DATABASE) == before


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.fixture
def three_pages(home: Path) -> Path:
    """Return a home in which the pages of June 2024 and of 7 and 8 January 2025 are loaded."""
    for day in ("2024-06-30", "2025-01-07", "2025-01-08"):
        load_page(home / DATABASE, page_of(day))
    return home


@needs_shared
def test_the_screens_as_of_a_day_are_those_of_then(run: Run, home: Path) -> None:
    then: dict[str, dict[str, Any]] = {}
    for day in ("2024-06-30", "2025-01-07", "2025-12-30"):
        done = run("load.py", "--no-history", "--input", clean_file_of(page_of(day)), "--json")
        then[day] = {key: value for key, value in json.loads(done.stdout).items() if key != "Changes"}
    for day, asked in (("2024-06-30", "2024-07-01"), ("2025-01-07", "2025-12-29"), ("2025-12-30", "2026-11-01")):
        assert ask("--as-of", asked, "--json").json == then[day]
    assert "(IMF, as of 2024-06-30): 70" in ask("--as-of", "2024-07-01").out
    early = ask("--as-of", "2020-01-01")
    assert early.code == 66 and "the first are of 2024-06-30" in early.err


@needs_shared
def test_changes_tell_what_was_revised_by_how_much_and_who_moved_in_rank(three_pages: Path) -> None:
    revised = {
        row["Country"]: row for row in ask("--changes", "--json").json["Countries"] if row["Change"] == "revised"
    }
    assert revised.keys() == ALTERED
    ethiopia = revised["Ethiopia"]
    figures = ethiopia["Was_USD_billion"], ethiopia["GDP_USD_billion"], ethiopia["Revised_percent"]
    assert figures == (145.03, 230.03, 58.61)
    assert (ethiopia["Was_rank"], ethiopia["Rank"]) == (61, 57)
    since = ask("--changes", "--since", "2024-07-01", "--json").json
    assert since["Since"] == "2024-06-30T22:28:00Z" and len(since["Countries"]) > 100
    assert "Ethiopia" in ask("--changes").out


def test_a_run_says_what_changed_and_when_nothing_did(run: Run, home: Path) -> None:
    first = run("load.py", "--no-history", "--input", clean_file_of(SHIPPED))
    assert "the first load: 194 countries" in first.stderr and "What changed" not in first.stdout
    again = run("load.py", "--input", clean_file_of(SHIPPED))
    assert "nothing changed: the newest figures are still those of 2025-12-30" in again.stderr
    assert "What changed" not in again.stdout


@needs_shared
def test_a_run_that_changed_something_shows_the_largest_changes(run: Run, home: Path) -> None:
    load_page(home / DATABASE, page_of("2025-01-07"))
    done = run("load.py", "--input", clean_file_of(page_of("2025-01-08")))
    assert "13 revised" in done.stderr
    table = done.stdout.partition("What changed between 2025-01-07 and 2025-01-08")[2]
    assert table.index("Ethiopia") < table.index("Hungary") < table.index("Brunei")


@needs_shared
def test_one_country_is_followed_through_the_vintages_by_code_or_any_name(three_pages: Path) -> None:
    told = ask("--country", "KOR", "--json").json
    imf = [(e["Year"], e["GDP_USD_billion"], e["As_of"][:10]) for e in told["Estimates"] if e["Institution"] == "IMF"]
    assert imf == [(2024, 1760.95, "2024-06-30"), (2025, 1947.13, "2025-01-07")]
    assert ask("--country", "Türkiye").out == ask("--country", "TUR").out
    unknown = ask("--country", "Sout Korea")
    assert unknown.code == 2 and "South Korea" in unknown.err


def test_a_country_renamed_between_vintages_is_one_country(run: Run, home: Path, tmp_path: Path) -> None:
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
        assert run("transform.py", "--input", tmp_path / "raw.json").returncode == 0
        assert run("load.py", "--force").returncode == 0
    for old, new in names:
        told = ask("--country", old, "--json").json
        assert [e["GDP_USD_billion"] for e in told["Estimates"]] == [100.0, 101.0]
        assert ask("--country", new, "--json").json == told


@needs_shared
@pytest.mark.parametrize(("older_page", "others"), [(True, 4), pytest.param(False, 76, marks=pytest.mark.long)])
def test_the_altered_cells_of_january_2025_are_unexplained_by_the_imfs_own_figures(
    older_page: bool, others: int, home: Path
) -> None:
    if older_page:
        load_page(home / DATABASE, page_of("2024-06-30"))
    load_page(home / DATABASE, REAL_ANSWER, "imf")
    load_page(home / DATABASE, page_of("2025-01-08"))
    told = ask("--compare", "--json").json
    unexplained = {row["Country"] for row in told["Departures"] if row["Kind"] == "unexplained"}
    assert unexplained >= ALTERED
    assert (len(unexplained - ALTERED), told["agrees"], told["not_there"]) == (others, 105, 0)
    noted = query(
        home / DATABASE,
        "SELECT Country FROM GDP_Estimates WHERE Publisher = 'wikipedia' AND Note LIKE '%the IMF itself says%'",
    )
    assert {country for (country,) in noted} >= ALTERED
    assert "against the IMF's release of 2024-10: 105 agree" in ask("--compare").out


def test_a_question_before_the_first_load_says_what_to_do(home: Path) -> None:
    for question in (("--as-of", "2024-07-01"), ("--changes",), ("--country", "KOR"), ("--compare",)):
        done = ask(*question)
        assert done.code == 66 and "run python etl_process.py first" in done.err
    assert not (home / "sqliteDB").exists()


def test_a_question_needs_no_lock_and_changes_nothing(home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    before = (home / DATABASE).read_bytes()
    held = take_lock(0)
    done = ask("--as-of", "2026-01-01")
    os.close(held)
    assert done.code == 0 and "as of 2025-12-30): 76" in done.out
    assert ask("--compare").code == 66
    assert (home / DATABASE).read_bytes() == before


# --- what a reviewer broke --------------------------------------------------------------------------------------------


def test_a_vintage_that_is_loaded_again_gets_its_figures_back(home: Path) -> None:
    first, second = {("IMF", "KOR", 2024): 10.0, ("IMF", "JPN", 2024): 20.0}, {("IMF", "JPN", 2024): 20.0}
    load_vintage(home, "2024-01-01", first)
    load_vintage(home, "2024-02-01", second)
    load_vintage(home, "2024-02-01", first)
    rows = query(home / DATABASE, "SELECT ISO3, As_of, Until FROM GDP_Estimates ORDER BY ISO3")
    assert rows == [("JPN", "2024-01-01", "9999-12-31"), ("KOR", "2024-01-01", "9999-12-31")]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_revisions_saved_in_the_same_minute_the_later_one_stands(order: tuple[int, int], home: Path) -> None:
    for number in order:
        load_vintage(home, "2024-01-01", {("IMF", "KOR", 2024): float(number)}, f"https://example.org/oldid={number}")
    assert query(home / DATABASE, "SELECT GDP_USD_billion FROM GDP_Estimates") == [(2.0,)]


@needs_shared
def test_a_page_does_not_explain_itself(home: Path) -> None:
    load_page(home / DATABASE, page_of("2024-06-30"))
    load_page(home / DATABASE, REAL_ANSWER, "imf")
    done = ask("--compare")
    assert done.code == 66 and "no release of the IMF's from before 2024-06-30 is loaded" in done.err
    assert ask("--changes", "--json").json["Since"] == "2024-06-30T22:28:00Z"


def test_an_empty_country_is_a_question_and_loads_nothing(home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    assert ask("--country", "").code == 2
    assert query(home / DATABASE, "SELECT count(*) FROM Loads") == [(1,)]
    assert ask("--as-of", "0999-01-01").code == 66


def test_a_reader_that_does_not_read_on_does_not_keep_a_load_waiting(home: Path) -> None:
    said = {f"20{10 + n // 25}-01-{1 + n % 25:02}": {("IMF", "KOR", 2024): 1000.0 + n} for n in range(1, 300)}
    many = home / "many.json"
    many.write_text(json.dumps([one for as_of, figures in said.items() for one in vintage(as_of, figures)]))
    load(many, Place(home / DATABASE), force=True)
    command = [sys.executable, str(PROJECT / "load.py"), "--country", "KOR", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        assert reader.stdout and reader.stdout.read(1) == b"{"
        load_page(home / DATABASE, SHIPPED)
        reader.kill()


def test_a_year_that_rolls_on_and_another_publisher_are_changes_too(home: Path) -> None:
    said = {("IMF", code, year): 100.0 + year - 2020 for code in ("KOR", "USA") for year in (2024, 2025)}
    load_vintage(home, "2024-05-01", said)
    load_vintage(home, "2024-11-01", said)
    load_vintage(home, "2025-02-01", said)
    with opened(Place(home / DATABASE)) as connection:
        past = History(connection)
        changes = last_refresh(past, past.newest_imf())
    assert (changes.since, changes.count("new year")) == ("2024-11-01", 2)
    api = {("IMF", code, year): figure + 1 for (_, code, year), figure in said.items()}
    load_vintage(home, "2025-04-01", api, "https://www.imf.org/x")
    with opened(Place(home / DATABASE)) as connection:
        past = History(connection)
        changes = last_refresh(past, past.newest_imf())
    assert (changes.since, changes.count("revised")) == ("2025-02-01", 2)

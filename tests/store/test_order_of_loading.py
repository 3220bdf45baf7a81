"""The order of loading changes nothing: whole tables are equal, also after repeated and killed loads."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gdp.model import DEPARTS_FROM_IMF, FATAL
from gdp.places import Place
from gdp.store import ingest
from tests.conftest import PROJECT, made_once
from tests.store.conftest import needs_postgres
from tests.store.loading import Rows, differences, load_file, tables_of
from tests.store.vintages import Vintage, made_up_list, write

Batches = list[list[Vintage]]  # what each file has, in the order of loading

MONTHS, YEARS, DECADES = 30, 300, 3_000  # numbers of pages; the IMF's own releases are among them
long = pytest.mark.long
SIZES = (MONTHS, pytest.param(YEARS, marks=long), pytest.param(DECADES, marks=long))


def one_by_one(vintages: list[Vintage]) -> Batches:
    return [[one] for one in vintages]


def shuffled(vintages: list[Vintage]) -> list[Vintage]:
    return random.Random(1).sample(vintages, len(vintages))


def some_twice(vintages: list[Vintage]) -> Batches:
    """Return single loads in a random order; some come again later."""
    order = shuffled(vintages)
    half = len(order) // 2
    return one_by_one([*order[:half], *order[:half:3], *order[half:], *order[::5]])


TOGETHER: dict[str, Callable[[list[Vintage]], Batches]] = {
    "one file, newest first": lambda vintages: [vintages[::-1]],
    "one file, in a random order": lambda vintages: [shuffled(vintages)],
    "the newer half first": lambda vintages: [vintages[len(vintages) // 2 :], vintages[: len(vintages) // 2]],
    "every third vintage first": lambda vintages: [vintages[first::3] for first in range(3)],
}
SINGLE: dict[str, Callable[[list[Vintage]], Batches]] = {
    "one by one": one_by_one,
    "one by one, newest first": lambda vintages: one_by_one(vintages[::-1]),
    "one by one, in a random order": lambda vintages: one_by_one(shuffled(vintages)),
    "some twice": some_twice,
}
ORDERS = TOGETHER | SINGLE


def loaded(batches: Batches, place: Place, folder: Path, suffix: str = ".jsonl") -> dict[str, Rows]:
    """Load files one after another, and return the tables."""
    for number, vintages in enumerate(batches):
        load_file(write(folder / f"{number}{suffix}", vintages), place)
    return tables_of(place)


def oldest_first(vintages: list[Vintage], folder: Path) -> dict[str, Rows]:
    """Return the tables of vintages that were loaded from one file, oldest first, into SQLite."""
    return loaded([vintages], Place(folder / "oldest-first.db"), folder / "oldest-first")


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """Return the tables of thirty vintages that were loaded oldest first."""

    def make(folder: Path) -> dict[str, Rows]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GDP_ETL_HOME", str(folder))
            return oldest_first(made_up_list(MONTHS, seed=1), folder)

    return made_once(tmp_path_factory, "oldest-first", make)


IN_A_RANDOM_ORDER = "one by one, in a random order"  # "some twice" is that too, and more
# The order is the business of code that both kinds of database share.
IN_POSTGRES = ("one file, in a random order", "one by one, newest first")
CASES = [
    *(pytest.param(order, "sqlite", marks=[long] * (order == IN_A_RANDOM_ORDER)) for order in ORDERS),
    *(
        pytest.param(order, "postgresql", marks=[needs_postgres, *[long] * (order not in IN_POSTGRES)])
        for order in ORDERS
    ),
]


@pytest.mark.parametrize(("order", "place"), CASES, indirect=["place"])
def test_thirty_vintages_give_the_same_tables_in_any_order(
    order: str, place: Place, expected: dict[str, Rows], home: Path
) -> None:
    vintages = made_up_list(MONTHS, seed=1)
    assert differences(loaded(ORDERS[order](vintages), place, home / "other"), expected) == []
    assert len(expected["Loads"]) == len(vintages)
    flags = {flag for row in expected["GDP_Estimates"] for flag in (row[11] or "").split()}
    assert flags >= {DEPARTS_FROM_IMF, FATAL}  # what depends on other vintages is there


@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("order", SINGLE)
@long
def test_further_lists_give_the_same_tables_in_any_order(order: str, seed: int, place: Place, home: Path) -> None:
    vintages = made_up_list(MONTHS, seed)
    assert differences(loaded(SINGLE[order](vintages), place, home / "other"), oldest_first(vintages, home)) == []


@pytest.mark.parametrize("number", [YEARS, DECADES])
@pytest.mark.parametrize("order", TOGETHER)
@long
def test_many_vintages_give_the_same_tables_in_any_order(order: str, number: int, place: Place, home: Path) -> None:
    vintages = made_up_list(number, seed=2)
    assert differences(loaded(TOGETHER[order](vintages), place, home / "other"), oldest_first(vintages, home)) == []


@pytest.mark.parametrize("order", SINGLE)
@long
def test_three_hundred_single_loads_give_the_same_tables_in_any_order(order: str, place: Place, home: Path) -> None:
    vintages = made_up_list(YEARS, seed=3)
    assert differences(loaded(SINGLE[order](vintages), place, home / "other"), oldest_first(vintages, home)) == []


def test_an_array_gives_the_same_tables_as_a_stream(home: Path) -> None:
    vintages = shuffled(made_up_list(10, seed=2))
    found = loaded([vintages], Place(home / "array.db"), home / "array", suffix=".json")
    assert differences(found, oldest_first(vintages, home)) == []


# --- kills in between -------------------------------------------------------------------------------------------------


def killed_load(clean: Path, place: Place, after_s: float) -> None:
    """Start a load and kill it after some time, wherever it is then."""
    command = [sys.executable, str(PROJECT / "load.py"), "--quiet", "--force", "--no-history"]
    command += ["--input", str(clean), "--database", place.url or str(place.path)]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    process.kill()
    process.wait()


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=long)])
def test_loads_that_were_killed_and_repeated_give_the_same_tables(
    kills: int, place: Place, expected: dict[str, Rows], home: Path
) -> None:
    vintages = made_up_list(MONTHS, seed=1)
    chance = random.Random(kills)
    batches = [shuffled(vintages)[first::4] for first in range(4)]
    files = [write(home / "killed" / f"{number}.jsonl", batch) for number, batch in enumerate(batches)]
    for number in range(kills):
        killed_load(files[number % len(files)], place, chance.uniform(0.1, 1.0))
        if number >= kills - len(files):
            load_file(files[number % len(files)], place)
    assert differences(tables_of(place), expected) == []


def test_what_is_written_in_parts_is_not_compared_half_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vintages = made_up_list(60, seed=2)
    expected = oldest_first(vintages, home)
    monkeypatch.setattr(ingest, "MANY_ROWS", 100)
    batches = TOGETHER["every third vintage first"](vintages)
    assert differences(loaded(batches, Place(home / "x.db"), home / "third"), expected) == []


def without_loads(found: list[str]) -> list[str]:
    """Return differences but for those of Loads, which has a row for each load of a vintage."""
    return [one for one in found if not one.startswith("Loads")]


def test_a_figure_that_only_the_replaced_version_of_a_vintage_had_is_no_baseline(home: Path) -> None:
    gambia = {("World Bank", "GMB", 1985): 0.410}, {("World Bank", "GMB", 1986): 0.442}
    vintages = made_up_list(16, seed=1)
    before, after = (
        [one._replace(figures=one.figures | figure) for one in vintages if one.as_of.startswith(year)]
        for figure, year in zip(gambia, ("1985", "1986"), strict=True)
    )
    early = before[1]._replace(
        figures=before[1].figures | {("World Bank", "GMB", 1986): 0.424}
    )  # digits are exchanged later
    with_it = [before[0], early, *before[2:], *after]
    found = loaded([with_it, [before[1]]], Place(home / "replaced.db"), home / "replaced")
    assert without_loads(differences(found, oldest_first([*before, *after], home))) == []


def test_a_page_of_the_day_of_a_release_is_replaced_by_another_one(home: Path) -> None:
    vintages = made_up_list(6, seed=1)
    release = next(one for one in vintages if "T" not in one.as_of)
    page, later = [one for one in vintages if one.as_of > release.as_of][:2]
    page = page._replace(as_of=release.as_of)
    changed = page._replace(figures={key: 1.01 * figure for key, figure in page.figures.items()})
    found = loaded([[page, later], [release, changed]], Place(home / "replaced.db"), home / "replaced")
    expected = loaded([[release, changed, later]], Place(home / "x.db"), home / "x")
    assert without_loads(differences(found, expected)) == []

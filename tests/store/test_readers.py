"""Readers of SQLite's file are not refused during a load, and see all of a load or nothing."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gdp.places import Place
from gdp.store.database import loading
from gdp.store.history import History
from gdp.store.ingest import ingest
from gdp.store.schema import create_tables
from gdp.store.sqlite import SMALL_LOAD_BYTES
from gdp.validate.observations import Observations, observations_in
from tests.conftest import PROJECT, Run
from tests.page_builder import SHIPPED
from tests.store.loading import load_file, load_page, next_day
from tests.store.vintages import COUNTRIES, archive, write
from utils import Exit, StageError

VINTAGES = 100  # of 4 MB together: twice what SQLite keeps in memory by default
MANY_VINTAGES = 400


@pytest.mark.parametrize("load_bytes", [0, SMALL_LOAD_BYTES + 1])
def test_a_reader_is_never_refused_during_a_load_of_an_archive_and_sees_nothing_of_it(
    tmp_path: Path, load_bytes: int
) -> None:
    file = tmp_path / "economies.db"
    with loading(Place(file), 0) as connection:
        create_tables(connection)
    reader = sqlite3.connect(file, timeout=0)

    def seen() -> int:
        return int(reader.execute("SELECT count(*) FROM GDP_Estimates").fetchone()[0])

    def vintages() -> Iterator[list[Observations]]:
        for one in archive(VINTAGES):
            yield list(observations_in(one.records))
            assert seen() == 0

    with loading(Place(file), load_bytes) as connection:
        outcome = ingest(History(connection), vintages(), force=True)
    assert seen() == VINTAGES * len(COUNTRIES)
    assert len(outcome.loaded) == VINTAGES
    reader.close()


def test_a_large_load_that_is_killed_leaves_the_old_state_and_the_next_load_one_file(home: Path, run: Run) -> None:
    clean = write(home / "archive.jsonl", archive(MANY_VINTAGES))
    first = write(home / "first.jsonl", archive(1, first_year=1960))
    assert run("load.py", "--no-history", "--database", home / "x.db", "--input", first, "--force").returncode == 0
    assert clean.stat().st_size > SMALL_LOAD_BYTES
    before = run("load.py", "--database", home / "x.db", "--as-of", "2026-01-01").stdout
    load = subprocess.Popen(
        [sys.executable, PROJECT / "load.py", "--database", home / "x.db", "--input", clean, "--force"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    log = home / "x.db-wal"
    while load.poll() is None and not (log.exists() and log.stat().st_size > 1_000_000):
        time.sleep(0.01)
    load.send_signal(signal.SIGKILL)
    assert load.wait() == -signal.SIGKILL
    assert run("load.py", "--database", home / "x.db", "--as-of", "2026-01-01").stdout == before
    done = run("load.py", "--database", home / "x.db", "--input", clean, "--force")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in home.glob("x.db*")] == ["x.db"]
    with sqlite3.connect(home / "x.db") as file_of_ours:
        assert file_of_ours.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert file_of_ours.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_another_program_holds_ends_in_75(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_page(Place(home / "x.db"), SHIPPED)
    monkeypatch.setattr("gdp.store.sqlite.LOCK_WAIT_S", 0.05)
    with contextlib.closing(sqlite3.connect(home / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StageError, match="database is locked; another program holds it") as given_up:
            load_file(next_day(home), Place(home / "x.db"))
    assert given_up.value.code == Exit.LOCKED

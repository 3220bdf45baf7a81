"""Who reads SQLite's file while an archive is loaded into it is not sent away, and sees a load whole or not at all."""

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
from gdp.store import database
from gdp.store.database import SMALL_LOAD_BYTES, loading
from gdp.store.history import History
from gdp.store.ingest import take_each
from gdp.store.schema import create_tables
from gdp.validate.observations import Said, said_in
from tests.conftest import PROJECT, Run
from tests.page_builder import SHIPPED
from tests.store.archives import an_archive, archive
from tests.store.loading import load_page
from tests.store.test_history import COUNTRIES
from utils import Exit, StageError

VINTAGES = 100  # of 4 MB together: twice what SQLite keeps in memory unasked
MANY_VINTAGES = 400


@pytest.mark.parametrize("load_bytes", [0, SMALL_LOAD_BYTES + 1])
def test_a_reader_is_never_refused_while_an_archive_is_loaded_and_sees_nothing_of_it(
    tmp_path: Path, load_bytes: int
) -> None:
    file = tmp_path / "economies.db"
    with loading(Place(file), 0) as connection:
        create_tables(connection)
    reader = sqlite3.connect(file, timeout=0)

    def seen() -> int:
        return int(reader.execute("SELECT count(*) FROM GDP_Estimates").fetchone()[0])

    def read_by_another() -> Iterator[list[Said]]:
        for records in archive(VINTAGES):
            yield list(said_in(records))
            assert seen() == 0

    with loading(Place(file), load_bytes) as connection:
        taken = take_each(History(connection), read_by_another(), force=True)
    assert seen() == VINTAGES * len(COUNTRIES)
    assert len(taken.loaded) == VINTAGES
    reader.close()


def test_a_large_load_killed_in_the_middle_leaves_the_old_and_the_next_load_one_file(home: Path, run: Run) -> None:
    clean = an_archive(home / "archive.jsonl", MANY_VINTAGES)
    first = an_archive(home / "first.jsonl", 1, first_year=1960)
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


def test_a_file_that_another_program_holds_is_told_as_held(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_page(Place(home / "x.db"), SHIPPED)
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.05)
    with contextlib.closing(sqlite3.connect(home / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StageError, match="database is locked; another program holds it") as given_up:
            load_page(Place(home / "x.db"), SHIPPED)
    assert given_up.value.code == Exit.LOCKED

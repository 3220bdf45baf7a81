"""The home that each attack has, the scripts as processes, and the list of attacks."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import NO_NETWORK, PROJECT, called
from tests.page_builder import SHIPPED

PATIENCE_S = 120  # against hanging for ever, not a measure of speed
COUNTRIES = 194  # of the page that ships with the suite


@dataclass
class Home:
    """A folder for everything that the stages write, and the scripts run in it."""

    folder: Path

    @property
    def database(self) -> Path:
        """Return where load keeps its tables."""
        return self.folder / "sqliteDB" / "World_Economies.db"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the scripts: without network."""
        return {**os.environ, **NO_NETWORK, "GDP_ETL_HOME": str(self.folder)}

    def run(self, script: str, *arguments: str | Path | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end; bytes that are no text become U+FFFD."""
        command = [sys.executable, PROJECT / f"{script}.py", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env={**self.environment, **environment}, capture_output=True, text=True,
            errors="replace", timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def fill(self, *options: str) -> None:
        """Take the page that ships with the suite through all stages but the report, in this process."""
        for script, arguments in (("extract", ["--page", str(SHIPPED)]), ("transform", []), ("load", [])):
            done = self.call(script, *arguments, *options)
            assert done.returncode == 0, done.stderr[-400:]

    def call(self, script: str, *arguments: str | Path | bytes) -> subprocess.CompletedProcess[str]:
        """Run a stage in this process, where no process is what is attacked."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            return called(f"{script}.py", [os.fsdecode(argument) for argument in arguments])

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of bash in which $PY is Python and $SUITE the project's folder."""
        environment = {**self.environment, "PY": sys.executable, "SUITE": str(PROJECT), "PAGE": str(SHIPPED)}
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True, errors="replace",
            timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def countries(self) -> int:
        """Return how many countries Countries_by_GDP has."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM Countries_by_GDP").fetchone()[0])

    def log(self) -> str:
        """Return the text log, or nothing where there is none."""
        path = self.folder / "log" / "etl_project_with_sql_log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def written(self) -> dict[str, bytes]:
        """Return the bytes of everything below the folder, by path."""
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


class NotPossible(Exception):
    """An attack cannot be tried on this machine; the message gives the reason."""


class Attack(NamedTuple):
    """One attack: its family, what is tried, and a function that raises AssertionError where the suite fails."""

    family: str
    tried: str
    work: Callable[[Home], None]


ATTACKS: list[Attack] = []


def attack(family: str, tried: str) -> Callable[[Callable[[Home], None]], Callable[[Home], None]]:
    """Put a function on the list of attacks."""

    def listed(work: Callable[[Home], None]) -> Callable[[Home], None]:
        ATTACKS.append(Attack(family, tried, work))
        return work

    return listed


@contextlib.contextmanager
def new_home(loaded: Home | None = None) -> Iterator[Home]:
    """Yield a home in a folder of its own, a copy of a loaded one or empty, and remove it."""
    with tempfile.TemporaryDirectory(prefix="gdp-attack-") as folder:
        home = Path(folder) / "home"
        if loaded:
            shutil.copytree(loaded.folder, home)
        else:
            home.mkdir()
        yield Home(home)


def one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a run ended in a code with one line of error that has some words, and no traceback."""
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert done.returncode == code, f"exit {done.returncode} and not {code}: {done.stderr[-400:]}"
    assert "Traceback" not in done.stderr + done.stdout, done.stderr[-600:]
    assert len({line.partition("error:")[2] for line in errors if " failed; " not in line}) == 1, done.stderr[-600:]
    for word in words:
        assert word in done.stderr, f"{word!r} is not in {done.stderr[-400:]}"


def needs(*programs: str) -> None:
    """Raise NotPossible where a program is missing or not allowed here."""
    for program in programs:
        command = {"strace": ["strace", "-o", os.devnull, "true"], "mount": ["unshare", "-m", "true"]}
        try:
            works = subprocess.run(command.get(program, [program]), check=False, capture_output=True).returncode == 0
        except OSError:
            works = False
        if not works:
            raise NotPossible(f"{program} is missing, or not allowed here")


def traced(call: str, fault: str, *command: str | Path) -> list[str | Path]:
    """Return a command under strace, which injects a fault into a system call."""
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:{fault}", *command]

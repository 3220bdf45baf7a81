"""Pages as clean files, made once for all tests, and the stages as functions: what is tested here is no process."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gdp.places import Place
from gdp.runtime.run_log import run_log
from gdp.store.database import opened
from gdp.store.dialect import ESTIMATES_KEY
from load import load
from tests.conftest import called
from tests.page_builder import SHIPPED

DATABASE = Path("sqliteDB") / "World_Economies.db"


@lru_cache
def _folders() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of all clean files, which goes when the tests end."""
    return tempfile.TemporaryDirectory(prefix="gdp-etl-clean-")


@lru_cache
def clean_file_of(page: Path, source: str = "wikipedia") -> Path:
    """Return the clean file of a saved page or answer, its Checks.json beside it."""
    folder = Path(tempfile.mkdtemp(dir=_folders().name))
    release = ("--release", "2024-10") if source == "imf" else ()  # the one answer that there is does not name it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDP_ETL_HOME", str(folder))
        for script, arguments in (("extract.py", ["--source", source, "--page", page, *release]), ("transform.py", [])):
            done = called(script, [str(argument) for argument in (*arguments, "--quiet")])
            assert done.returncode == 0, done.stderr
    return folder / "results" / "Countries_by_GDP_Processed.json"


def load_page(place: Place | Path, page: Path, source: str = "wikipedia", quiet: bool = True) -> Any:
    """Load a saved page or answer; return what load returns."""
    place = place if isinstance(place, Place) else Place(place)
    clean = clean_file_of(page, source)
    run_log.begin("load", quiet=quiet)
    return load(clean, place)


Rows = list[tuple[Any, ...]]
# Loads has when and from which file a vintage was loaded: nothing else may depend on that
_LOADS = "As_of, Rows, Publisher, Institutions, Source, Left_out, Findings, Doubt, Fingerprint"
TABLES = {
    "GDP_Estimates": f"SELECT * FROM GDP_Estimates ORDER BY {', '.join(ESTIMATES_KEY)}",
    "Countries_by_GDP": "SELECT * FROM Countries_by_GDP ORDER BY Country",
    "GDP_Latest": "SELECT * FROM GDP_Latest ORDER BY Publisher, Institution, Country",
    "Loads": f"SELECT {_LOADS} FROM Loads ORDER BY Publisher, As_of",
}


def tables_of(place: Place) -> dict[str, Rows]:
    """Return the rows of every table that depends on what was loaded, and not on when."""
    with opened(place) as connection:
        return {name: [tuple(row) for row in connection.execute(question)] for name, question in TABLES.items()}


def differences(found: dict[str, Rows], expected: dict[str, Rows]) -> list[str]:
    """Return which rows two databases do not share, a few of each table."""
    return [
        f"{name}: {sign} {row}"
        for name in expected
        for sign, some, others in (("missing", expected, found), ("extra", found, expected))
        for row in sorted(set(some[name]) - set(others[name]), key=str)[:2]
    ]


def load_file(path: Path, place: Place, force: bool = True) -> None:
    """Load clean records, by default also where the checks find something fatal."""
    run_log.begin("load", quiet=True)
    with contextlib.redirect_stderr(io.StringIO()):
        load(path, place, force=force)


def next_day(home: Path) -> Path:
    """Return the clean file of the shipped page, as it would be a day later with another figure for Chad."""
    records = json.loads(clean_file_of(SHIPPED).read_text(encoding="utf-8"))
    for record in records:
        record["As_of"] = record["As_of"].replace("2025-12-30", "2025-12-31")
        if record["ISO3"] == "TCD" and record["Institution"] == "IMF":
            record |= {"GDP_USD_billion": 20.0, "GDP_USD_million": 20_000}
    path = home / "next-day.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


class Answer(NamedTuple):
    """How load.py ends, and what it prints."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ask(*arguments: str | Path) -> Answer:
    """Call load.py with arguments, in this process."""
    done = called("load.py", [str(argument) for argument in arguments])
    return Answer(done.returncode, done.stdout, done.stderr)

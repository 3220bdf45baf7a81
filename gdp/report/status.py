"""The status for `etl_process.py --status`: what the database holds, and from the log how each stage ended last."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from gdp.places import Place
from gdp.report import Row
from gdp.runtime.run_log import Run, read_runs
from gdp.store.database import asked, rows_of
from utils import Exit, StageError, printable

STAGES = ("extract", "transform", "load", "report")
HELD = """
    SELECT count(*) AS Countries, coalesce(max(As_of), (SELECT max(As_of) FROM Loads)) AS As_of FROM Countries_by_GDP
"""


def status(database: Place) -> Row:
    """Return what a database holds, each stage's last success, the last failure, and what is wrong with the database.

    Raises StageError (66) when no run is recorded.
    """
    runs, skipped = read_runs()
    ours = [run for run in runs if _database_of(run) in (None, str(database))]
    done = {run["stage"]: run for run in ours if run["exit_code"] == Exit.DONE}
    # a run fails with one of its stages, which alone knows why; it fails by itself when it cannot start
    failed = [run for run in ours if run["exit_code"] != Exit.DONE and run.get("error") and not run.get("failed_stage")]
    fetched = [run for run in runs if run["stage"] == "extract" and run.get("fetched")]
    return {
        **_held_by(database),
        "stages": {name: _some_of(done.get(name), "started", "as_of", "rows_out", "wall_s") for name in STAGES},
        "last_fetch": _some_of(fetched[-1], "started", "fetched") if fetched else None,
        "last_failure": _some_of(failed[-1], "stage", "started", "exit_code", "error") if failed else None,
        "skipped_lines": skipped,
    }


def _held_by(database: Place) -> Row:
    """Return how many countries a database holds, as of when, and their age; or the problem with it."""
    held: Row = {"database": str(database), "countries": 0, "as_of": None, "age_days": None, "problem": None}
    try:
        with asked(database) as connection:
            (found,) = rows_of(connection, HELD)
            as_of = found["As_of"]
            day = datetime.fromisoformat(as_of[:10]).date() if as_of else None
    except StageError as problem:
        return {**held, "problem": str(problem), "exit_code": int(problem.code)}
    age_days = (datetime.now(timezone.utc).date() - day).days if day else None
    return {**held, "countries": found["Countries"], "as_of": as_of, "age_days": age_days}


def _database_of(run: Run) -> str | None:
    """Return the database that a run is about; None for a stage by hand that knows of none."""
    database = run.get("database", run.get("output") if run["stage"] == "load" else None)
    return database if isinstance(database, str) else None


def _some_of(run: Run | None, *names: str) -> dict[str, Any] | None:
    return {name: run.get(name) for name in names} if run else None


def as_lines(found: Row) -> list[str]:
    """Return the status as lines for people."""
    lines = []
    for name, run in found["stages"].items():
        last = f"last done {run['started']}" if run else "never"
        if run and run["rows_out"]:
            last += f", {run['rows_out']} rows" + (f" as of {run['as_of']}" if run["as_of"] else "")
        lines.append(f"{name:<10} {last}")
    lines.append(
        f"data as of {found['as_of']}, {found['age_days']} days old, {found['countries']} countries"
        if found["as_of"]
        else f"no data: {found['problem'] or 'nothing is loaded'}"
    )
    fetch, failure = found["last_fetch"], found["last_failure"]
    lines.append(f"last fetch {fetch['started']}: {fetch['fetched']}" if fetch else "never fetched")
    lines.append(
        f"last failure {failure['started']}: [{failure['stage']}] exit {failure['exit_code']}, {failure['error']}"
        if failure
        else "no failure on record"
    )
    if found["skipped_lines"]:
        lines.append(f"{found['skipped_lines']} lines of the log for machines cannot be read and were skipped")
    return [printable(line) for line in lines]

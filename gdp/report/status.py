"""What `etl_process.py --status` tells, from log/runs.jsonl: each stage's last success, and how old the data is."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from gdp.places import Place
from gdp.runtime.run_log import Run, read_runs
from utils import Exit

STAGES = ("extract", "transform", "load", "report")


def status(database: Place) -> dict[str, Any]:
    """Return the last success of each stage, the last failure, the As_of loaded into a database and its age in days.

    Raises StageError (66) when no run is on record.
    """
    runs = read_runs()
    ours = [run for run in runs if run["stage"] != "load" or run.get("output") == str(database)]
    done = {run["stage"]: run for run in ours if run["exit_code"] == Exit.DONE}
    # a run fails with one of its stages, and only that knows why; by itself it fails when it cannot start
    failed = [run for run in runs if run["exit_code"] != Exit.DONE and run.get("error") and not run.get("failed_stage")]
    as_of = done.get("load", {}).get("as_of")
    fetched = [run for run in runs if run["stage"] == "extract" and run.get("fetched")]
    return {
        "stages": {name: _in_short(done.get(name)) for name in STAGES},
        "as_of": as_of,
        "age_days": _age_days(as_of) if as_of else None,
        "last_fetch": {key: fetched[-1].get(key) for key in ("started", "fetched")} if fetched else None,
        "last_failure": {k: failed[-1].get(k) for k in ("stage", "started", "exit_code", "error")} if failed else None,
    }


def _in_short(run: Run | None) -> dict[str, Any] | None:
    return {key: run.get(key) for key in ("started", "as_of", "rows_out", "wall_s")} if run else None


def _age_days(as_of: str) -> int:
    return (datetime.now(timezone.utc).date() - datetime.fromisoformat(as_of[:10]).date()).days


def as_lines(found: dict[str, Any]) -> list[str]:
    """Return the status as lines for people."""
    stages = [
        f"{name:<10} last done {run['started']}, {run['rows_out']} rows as of {run['as_of']}"
        if run
        else f"{name:<10} never"
        for name, run in found["stages"].items()
    ]
    age = f"data as of {found['as_of']}, {found['age_days']} days old" if found["as_of"] else "no data loaded yet"
    fetch = found["last_fetch"]
    failure = found["last_failure"]
    return [
        *stages,
        age,
        f"last fetch {fetch['started']}: {fetch['fetched']}" if fetch else "never fetched",
        f"last failure {failure['started']}: [{failure['stage']}] exit {failure['exit_code']}, {failure['error']}"
        if failure
        else "no failure on record",
    ]

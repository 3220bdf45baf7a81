"""log/runs.jsonl, the log for machines: one object a stage and run, written and read."""

from __future__ import annotations

import json
import os
import resource
from datetime import datetime
from typing import Any, NamedTuple

from utils import Exit, StageError, append_line, runs_file

LAST_RUNS_BYTES = 200_000  # some hundred runs: enough to find the last one of a stage

Run = dict[str, Any]


class Spent(NamedTuple):
    """What a process took: when it had its turn, how long, its CPU times, and the most memory that it held at once."""

    started: datetime
    wall_s: float
    usage: resource.struct_rusage
    peak_memory_mb: float


def remember_run(stage: str, spent: Spent, code: int, facts: dict[str, Any]) -> None:
    """Append one object to log/runs.jsonl; raises StageError (74)."""
    run = {
        "stage": stage,
        "started": f"{spent.started:%Y-%m-%dT%H:%M:%SZ}",
        "exit_code": int(code),
        "wall_s": round(spent.wall_s, 3),
        "user_s": round(spent.usage.ru_utime, 3),
        "system_s": round(spent.usage.ru_stime, 3),
        "peak_memory_mb": round(spent.peak_memory_mb, 1),
        **facts,
    }
    append_line(runs_file(), json.dumps(run, ensure_ascii=True))


def read_runs() -> list[Run]:
    """Return the runs that are on record, oldest first; raises StageError (66) when there are none."""
    runs: list[Run] = []
    path = runs_file()
    for name in (path.with_name(f"{path.name}.1"), path):
        if name.exists():
            runs += [
                run for line in name.read_text(encoding="utf-8", errors="replace").splitlines() if (run := _run(line))
            ]
    if not runs:
        raise StageError(Exit.NO_INPUT, f"{path} tells of no run; run python etl_process.py first")
    return runs


def _run(line: str) -> Run | None:
    try:
        run = json.loads(line)
    except ValueError:  # a line that a full disk cut short
        return None
    return run if isinstance(run, dict) and {"stage", "started", "exit_code"} <= run.keys() else None


def warnings_of_last_run(stage: str) -> list[str]:
    """Return what the last run of a stage warned of; nothing where none is on record, or it cannot be read."""
    try:
        with runs_file().open("rb") as file:
            file.seek(-min(LAST_RUNS_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    of_stage = (run for line in reversed(lines) if (run := _run(line)) and run["stage"] == stage)
    warned = next(of_stage, {}).get("warnings")
    return [str(message) for message in warned] if isinstance(warned, list) else []

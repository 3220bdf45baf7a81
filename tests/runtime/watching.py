"""A run that is at work, and what it records."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import PROJECT

ETL = str(PROJECT / "etl_process.py")


def runs(home: Path) -> list[dict[str, Any]]:
    """Return the recorded runs."""
    return [json.loads(line) for line in (home / "log" / "runs.jsonl").read_text().splitlines()]


def log_of(home: Path) -> str:
    """Return the text log."""
    return (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8")


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    """Return a run whose first stage is at work."""
    command = [sys.executable, ETL, "--no-report", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while len(psutil.Process(process.pid).children()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.7)  # extract has its turn by now
    return process


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended; where process 1 reaps no orphans, it stays on as a zombie."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

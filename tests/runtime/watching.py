"""A run that is at work, and what it records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import PATIENCE_S, PROJECT

ETL = str(PROJECT / "etl_process.py")


def runs(home: Path) -> list[dict[str, Any]]:
    """Return the recorded runs."""
    return [json.loads(line) for line in (home / "log" / "runs.jsonl").read_text().splitlines()]


def log_of(home: Path) -> str:
    """Return the text log, or nothing where there is none."""
    path = home / "log" / "etl_project_with_sql_log.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    """Return a run whose first stage is at work."""
    command = [sys.executable, ETL, "--no-report", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    home = Path(os.environ["GDP_ETL_HOME"])
    deadline = time.monotonic() + PATIENCE_S
    while len(psutil.Process(process.pid).children()) < 2 or "[extract] start" not in log_of(home):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended; where process 1 reaps no orphans, it stays on as a zombie."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

"""Whoever is killed while a log rotates loses no line, and the next run works."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

from tests.attacks.harness import Home, attack, needs, traced
from tests.conftest import PROJECT
from tests.page_builder import SHIPPED

FAMILY = "kills of a log rotation"
LIMIT = {"GDP_ETL_LOG_LIMIT_BYTES": "3000"}
WRITER = "from gdp.runtime.run_log import append_log\nfor n in range({}): append_log(f'{} line {{n}} ' + 'x' * 60)"


def write(home: Home, name: str, number: int, *before: str) -> int:
    """Write lines into the log by a process of its own, under a command if there is one; return its exit code."""
    command = [*before, sys.executable, "-c", WRITER.format(number, name)]
    environment = {**home.environment, **LIMIT, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120).returncode


def lines(home: Home) -> list[str]:
    """Return the lines of all logs."""
    logs = (home.folder / "log").glob("etl_project_with_sql_log.txt*")
    return [line for path in logs for line in path.read_text(encoding="utf-8").splitlines()]


@attack(FAMILY, "SIGKILL at each rename and each lock of a rotation")
def killed_rotation(home: Home) -> None:
    needs("strace")
    for call in ("rename", "flock"):
        for number in range(1, 13):
            before = len(lines(home))
            command = traced(call, f"signal=SIGKILL:when={number}")
            code = write(home, f"{call}{number}", 120, *map(str, command))
            assert code in (0, -signal.SIGKILL, 128 + signal.SIGKILL), code
            found = [line for line in lines(home) if f" {call}{number} line " in line]
            numbers = [int(re.findall(r"line (\d+) x", line)[0]) for line in found]
            assert len(numbers) == len(set(numbers)), "a line is there twice"
            assert before == 0 or found, "nothing was written"
            assert write(home, "next", 3) == 0
    assert all(re.match(r"\d{4}-[A-Z][a-z]+-\d\d-\d\d-\d\d-\d\d, \S", line) for line in lines(home))


@attack(FAMILY, "runs whose logs rotate at every few lines")
def rotating_runs(home: Home) -> None:
    for _ in range(2):
        done = home.run("etl_process", "--no-report", "--page", SHIPPED, **LIMIT)
        assert done.returncode == 0, done.stderr[-400:]
    assert len([*(home.folder / "log").glob("*.txt.*")]) >= 2
    status = home.run("etl_process", "--status")
    assert status.returncode == 0, status.stderr


@attack(FAMILY, "a log folder in which nothing can be renamed")
def no_rename(home: Home) -> None:
    needs("strace")
    command = traced("rename", "error=EPERM", sys.executable, PROJECT / "extract.py", "--page", SHIPPED)
    done = subprocess.run(
        command, env={**home.environment, **LIMIT}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 74 and "Traceback" not in done.stderr, done.stderr[-400:]

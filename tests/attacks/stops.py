"""Signals to a run with workers, with --ping and with --notify: its end is recorded, and nothing lives on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.attacks.harness import PATIENCE_S, Home, attack
from tests.attacks.quiet import serve
from tests.conftest import PROJECT, Answer
from tests.page_builder import SHIPPED

FAMILY = "signals"
SIGNALS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def pages(home: Home, number: int = 300) -> Path:
    """Make a folder of pages."""
    folder = home.folder / "pages"
    folder.mkdir(exist_ok=True)
    for one in range(number):
        shutil.copy(SHIPPED, folder / f"2025-12-30_{one}.html.gz")
    return folder


def stopped(
    home: Home, number: signal.Signals, after_s: float, *arguments: str | Path, begun: Callable[[], bool] = lambda: True
) -> int:
    """Start a run, stop it a while after it has begun, and return its exit code; its children must be gone."""
    command = [sys.executable, str(PROJECT / "etl_process.py"), "--no-report", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home.folder
    )
    deadline = time.monotonic() + PATIENCE_S
    while not begun() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after_s)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, error = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in error, error[-500:]
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    return process.returncode


def last_run(home: Home) -> dict[str, object]:
    """Return the last recorded run."""
    lines = (home.folder / "log" / "runs.jsonl").read_text().splitlines()
    found: dict[str, object] = json.loads(lines[-1])
    return found


@attack(FAMILY, "each signal to a run with workers, at many moments")
def with_workers(home: Home) -> None:
    folder = pages(home)
    for number, code in SIGNALS.items():
        for after_s in (0.3, 0.6, 0.9, 1.3, 1.8, 2.5):
            ended = stopped(home, number, after_s, "--pages", folder, "--workers", "2")
            assert ended in (code, 0, -number), (
                number.name,
                after_s,
                ended,
            )  # the last one before Python runs our code
            if ended == code:
                run = last_run(home)
                assert (run["stage"], run["exit_code"], run["signal"]) == ("etl", code, number.name), run
    done = home.run("etl_process", "--no-report", "--quiet", "--pages", folder, "--workers", "2")
    assert done.returncode == 0, done.stderr[-400:]


@attack(FAMILY, "each signal to a run that calls --ping and --notify")
def with_calls(home: Home) -> None:
    paths: list[str] = []

    def route(path: str) -> Answer:
        paths.append(path)
        return Answer(204)

    server, address = serve(route)
    try:
        for number, code in SIGNALS.items():
            calls = ["--ping", f"{address}/ping", "--notify", f"{address}/notify"]
            paths.clear()
            ended = stopped(home, number, 0.5, "--pages", pages(home), *calls, begun=lambda: "/ping/start" in paths)
            assert ended == code, (number.name, ended)
            assert paths[-2:] == ["/ping/start", f"/ping/{code}"], paths[-4:]
    finally:
        server.shutdown()
        server.server_close()


@attack(FAMILY, "a signal to each stage alone")
def stages_alone(home: Home) -> None:
    assert home.run("etl_process", "--no-report", "--page", SHIPPED).returncode == 0
    for script in ("extract", "transform", "load", "report"):
        for number, code in SIGNALS.items():
            page = ["--page", str(SHIPPED)] if script == "extract" else []
            command = [sys.executable, str(PROJECT / f"{script}.py"), *page]
            process = subprocess.Popen(
                command, env=home.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            wait_until_it_catches_signals(process.pid)
            process.send_signal(number)
            _, error = process.communicate(timeout=PATIENCE_S)
            assert "Traceback" not in error, (script, number.name, error[-400:])
            assert process.returncode == code, (script, number.name, process.returncode)
            run = last_run(home)
            assert (run["stage"], run["exit_code"], run["signal"]) == (script, code, number.name), run


def wait_until_it_catches_signals(pid: int) -> None:
    """Wait until a process has its own answer to SIGTERM: until then Python itself is starting."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
        if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)

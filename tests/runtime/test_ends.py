"""Every end is recorded: with its signal, in the log and in runs.jsonl, and no child lives on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import PROJECT, Answer, Run, Server, run_stages
from tests.page_builder import SHIPPED
from tests.runtime.watching import is_gone, log_of, runs, started
from tests.store.loading import DATABASE, ask, clean_file_of

SIGNALS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
each_signal = pytest.mark.parametrize(("number", "code"), SIGNALS.items(), ids=[one.name for one in SIGNALS])


def check_recorded(home: Path, stage: str, number: signal.Signals, code: int) -> None:
    """Check that a stage's end is recorded with its signal, everywhere."""
    (run,) = [one for one in runs(home) if one["stage"] == stage]
    assert (run["exit_code"], run["signal"]) == (code, number.name)
    assert f"by {number.name}" in run["error"]
    assert f"] {run['error']}" in log_of(home).replace("] warning: ", "] ")


@each_signal
def test_a_signal_ends_a_run_with_its_children_and_is_recorded_and_pinged(
    number: signal.Signals, code: int, home: Path, unanswered: str, server: Server
) -> None:
    server.answers = [Answer(204)]
    process = started("--page", unanswered, "--ping", server.url)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert process.returncode == code, error
    assert "Traceback" not in error
    assert all(is_gone(child) for child in children)
    check_recorded(home, "etl", number, code)
    check_recorded(home, "extract", number, code)
    assert [one["stage"] for one in runs(home)] == ["extract", "etl"]  # transform had no turn
    assert server.paths[-1].endswith(f"/{code}")


@each_signal
def test_a_signal_ends_a_stage_alone_and_is_recorded(
    number: signal.Signals, code: int, home: Path, unanswered: str
) -> None:
    process = at_work("extract.py", "--page", unanswered)
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in error) == (code, False), error
    check_recorded(home, "extract", number, code)


@each_signal
def test_a_signal_ends_a_stage_with_its_workers_and_is_recorded(
    number: signal.Signals, code: int, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    for number_of_page in range(300):
        shutil.copy(SHIPPED, tmp_path / "pages" / f"2025-12-30_{number_of_page}.html.gz")
    process = at_work("extract.py", "--pages", tmp_path / "pages", "--workers", "2", "--output", tmp_path / "x.jsonl")
    workers = psutil.Process(process.pid).children()
    while len(workers) < 2:
        time.sleep(0.01)
        workers = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in error) == (code, False), error
    assert not psutil.wait_procs(workers, timeout=20)[1]
    check_recorded(home, "extract", number, code)


DROPPED = """
import os, signal, time, weakref
from gdp.runtime import script
from gdp.runtime.run_log import run_log
from gdp.runtime.stage import run_stage
script.start()
run_log.begin("extract")
class Thing: pass
def work():
    one = Thing()
    reference = weakref.ref(one, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del one
    time.sleep(20)
script.end(run_stage(work))
"""


def test_a_signal_that_arrives_where_python_drops_exceptions_ends_a_stage_all_the_same(home: Path) -> None:
    command = [sys.executable, "-c", DROPPED]
    done = subprocess.run(command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, "Traceback" in done.stderr) == (143, False), done.stderr
    check_recorded(home, "extract", signal.SIGTERM, 143)


COLLECTED = """
import gc, os
from gdp.runtime import script
from gdp.runtime.run_log import run_log
from gdp.runtime.stage import run_stage
script.start()
run_log.begin("load")
print(gc.isenabled(), os.environ["OPENBLAS_NUM_THREADS"])
script.end(run_stage(lambda: print(gc.isenabled())))
"""


def test_imports_run_without_the_collector_and_the_work_runs_with_it(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COLLECTED], check=True, cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "1", "True"], done.stderr


SLOW_IMPORT = """
import runpy, sys, time
_, script, importing = sys.argv
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "gdp.options":
            open(importing, "w").close()
            time.sleep(60)
sys.meta_path.insert(0, Slow())
sys.argv = [script]
runpy.run_path(script, run_name="__main__")
"""


@each_signal
@pytest.mark.parametrize("stage", ["extract", "transform", "load", "report", "etl"])
def test_a_signal_while_imports_are_going_on_is_recorded(
    stage: str, number: signal.Signals, code: int, home: Path, tmp_path: Path
) -> None:
    script, importing = PROJECT / f"{'etl_process' if stage == 'etl' else stage}.py", tmp_path / "importing"
    command = [sys.executable, "-c", SLOW_IMPORT, str(script), str(importing)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(importing.exists, process)
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in error) == (code, False), error
    check_recorded(home, stage, number, code)


def test_a_run_that_nohup_protects_from_a_closed_terminal_goes_on(home: Path, unanswered: str) -> None:
    command = ["nohup", sys.executable, str(PROJECT / "extract.py"), "--page", unanswered]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for((home / "log" / "etl_project_with_sql_log.txt").exists, process)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.terminate()
    assert process.wait(20) == 143


@pytest.mark.usefixtures("loaded")
def test_a_stage_that_was_killed_is_137_and_the_message_names_memory(home: Path, unanswered: str) -> None:
    process = started("--page", unanswered)
    (extract,) = [one for one in psutil.Process(process.pid).children() if "extract.py" in " ".join(one.cmdline())]
    extract.kill()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 137
    assert "extract was ended by SIGKILL; memory may have run out" in error
    assert runs(home)[4]["exit_code"] == 137


def test_a_stopped_run_is_in_the_status(run: Run, home: Path, unanswered: str) -> None:
    process = started("--page", unanswered)
    process.terminate()
    process.communicate(timeout=20)
    assert run_stages(run, "--page", SHIPPED).returncode == 0
    assert "[etl] exit 143, terminated by SIGTERM" in run("etl_process.py", "--status").stdout


def at_work(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Return a stage that runs alone, and has begun its work."""
    command = [sys.executable, str(PROJECT / script), *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = Path(os.environ["GDP_ETL_HOME"], "log", "etl_project_with_sql_log.txt")
    wait_for(lambda: log.exists() and "] start" in log.read_text(), process)
    return process


def wait_for(is_so: object, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Wait until something is so, while a process is at work."""
    deadline = time.monotonic() + 60
    while not is_so():  # type: ignore[operator]
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stage_that_is_called_leaves_the_signals_of_its_caller_alone(home: Path) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)]
    assert ask("--input", clean_file_of(SHIPPED), "--no-history").code == 0
    assert [signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)] == before
    assert (home / DATABASE).exists()

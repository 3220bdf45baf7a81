"""Unwatched for years: one run at a time, signals, timeouts, logs that lose no line, status, cron."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.conftest import NO_NETWORK, PROJECT, Answer, Run, Server, run_stages
from tests.page_builder import SHIPPED
from tests.runtime.watching import ETL, is_gone, runs, started

README = (PROJECT / "README.md").read_text(encoding="utf-8")


# --- two at once ------------------------------------------------------------------------------------------------------


def test_of_twenty_starts_at_once_exactly_one_works_and_the_others_name_it(
    run: Run, home: Path, unanswered: str
) -> None:
    def start(_: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, ETL, "--no-report", "--page", unanswered],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with ThreadPoolExecutor(20) as pool:
        processes = list(pool.map(start, range(20)))
    deadline = time.monotonic() + 30
    while sum(process.poll() is None for process in processes) > 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    (holder,) = [process for process in processes if process.poll() is None]
    holder.send_signal(signal.SIGTERM)
    for process in processes:
        _, output = process.communicate(timeout=20)
        assert "Traceback" not in output
        if process is not holder:
            assert process.returncode == 75
            assert re.search(rf"another run is at work in .*: process {holder.pid}, started 20\d\d-\d\d-\d\d ", output)
    assert [run["exit_code"] for run in runs(home)].count(75) == 19
    assert run("extract.py", "--page", SHIPPED).returncode == 0


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("script", ["extract.py", "load.py", pytest.param("transform.py", marks=pytest.mark.long)])
def test_a_stage_by_hand_takes_the_lock_too_and_waits_for_it_with_wait(
    script: str, run: Run, home: Path, unanswered: str
) -> None:
    holder = started("--page", unanswered)
    page = ["--page", SHIPPED] if script == "extract.py" else []
    assert run(script, *page).returncode == 75
    waiting = subprocess.Popen([sys.executable, str(PROJECT / script), "--wait", "20", *map(str, page)])
    time.sleep(0.5)
    holder.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=25) == 0
    holder.communicate(timeout=10)


def test_every_child_holds_the_lock_by_an_open_descriptor_and_leaves_when_the_orchestrator_is_killed(
    run: Run, home: Path, unanswered: str
) -> None:
    holder = started("--page", unanswered)
    children = psutil.Process(holder.pid).children()
    assert len(children) == 2
    for child in children:
        assert str(home / "log" / ".lock") in {file.path for file in child.open_files()}
    holder.kill()
    holder.communicate()
    assert run("extract.py", "--page", SHIPPED, "--wait", "10").returncode == 0
    assert all(is_gone(child) for child in children)


# --- signals and limits -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
def test_a_stage_that_hangs_is_ended_with_its_group_and_the_run_goes_on(run: Run, home: Path, unanswered: str) -> None:
    done = run("etl_process.py", "--no-report", "--page", unanswered, "--timeout", "5")
    assert done.returncode == 143
    assert "extract took longer than --timeout 5 s and was ended" in done.stderr
    assert "load       done" in done.stderr
    mine = [p for p in psutil.process_iter(["cmdline"]) if unanswered in " ".join(p.info["cmdline"] or [])]
    assert mine == []
    assert next(run for run in reversed(runs(home)) if run["stage"] == "extract")["exit_code"] == 143


def test_a_stage_that_ignores_sigterm_is_killed(run: Run, home: Path, unanswered: str) -> None:
    process = started("--page", unanswered, "--timeout", "6")
    (extract,) = (one for one in psutil.Process(process.pid).children() if "extract.py" in " ".join(one.cmdline()))
    extract.suspend()
    process.communicate(timeout=20)
    assert not extract.is_running()


# --- watching ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
def test_a_run_is_accounted_for_exactly_in_the_log_for_machines(run: Run, home: Path) -> None:
    extract, transform, load, etl = runs(home)
    assert [one["stage"] for one in (extract, transform, load, etl)] == ["extract", "transform", "load", "etl"]
    assert [one["rows_out"] for one in (extract, transform, load)] == [666, 615, 615]
    assert transform["input_sha256"] == extract["output_sha256"]
    assert load["input_sha256"] == transform["output_sha256"]
    assert transform["bytes_in"] == extract["bytes_out"] == (home / "results" / "Countries_by_GDP.json").stat().st_size
    for one in (extract, transform, load, etl):
        assert one["exit_code"] == 0
        assert float(str(one["wall_s"])) > 0
        assert 5 < float(str(one["peak_memory_mb"])) < 500
    assert extract["run"] == load["run"]


def test_the_memory_of_the_program_that_starts_a_run_is_not_counted_as_its_own(home: Path) -> None:
    command = [sys.executable, ETL, "--only", "extract", "--page", str(SHIPPED)]
    large = f"import subprocess; held = b'.' * 800_000_000; subprocess.run({command}, check=True)"
    subprocess.run([sys.executable, "-c", large], capture_output=True, check=True)
    assert [one["stage"] for one in runs(home) if float(str(one["peak_memory_mb"])) > 500] == []


def test_a_run_that_could_not_start_is_on_record_too(run: Run, home: Path, unanswered: str) -> None:
    holder = started("--page", unanswered)
    assert run("etl_process.py", "--no-report").returncode == 75
    holder.terminate()
    holder.communicate(timeout=10)
    (refused,) = [one for one in runs(home) if one["exit_code"] == 75]
    assert "another run is at work" in str(refused["error"])


def test_resources_are_sampled_on_the_interval_while_a_stage_runs(home: Path, unanswered: str) -> None:
    process = started("--page", unanswered, "--monitor-interval", "0.3")
    time.sleep(1.5)
    process.terminate()
    process.communicate(timeout=10)
    log = (home / "log" / "etl_project_with_sql_log.txt").read_text()
    sample = r"\[etl\] resources: extract cpu \d+ %, memory \d+ MB in \d processes; free: memory \d+ MB, disk \d+ MB"
    assert len(re.findall(sample, log)) >= 3


def test_the_logs_rotate_by_size_and_lose_no_line_between_processes(home: Path) -> None:
    writer = (
        "import sys; sys.path.insert(0, sys.argv[1]); from gdp.runtime.run_log import append_log\n"
        "for n in range(400): append_log(f'{sys.argv[2]} line {n} ' + 'x' * 60)"
    )
    environment = {**os.environ, "GDP_ETL_LOG_LIMIT_BYTES": "40000"}
    command = [sys.executable, "-c", writer, str(PROJECT)]
    processes = [subprocess.Popen([*command, str(name)], env=environment) for name in range(6)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 6
    files = sorted((home / "log").glob("etl_project_with_sql_log.txt*"))
    assert len(files) > 4
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert all(re.fullmatch(r"20\d\d-\w+-\d\d-\d\d-\d\d-\d\d, \d line \d+ x+", line) for line in lines)
    assert len(lines) == len({line.partition(", ")[2] for line in lines}) == 6 * 400


def test_status_shows_success_age_and_failure_and_fails_past_max_age(run: Run, home: Path) -> None:
    assert run("etl_process.py", "--no-report", "--status").returncode == 66
    assert run_stages(run, "--page", SHIPPED).returncode == 0
    assert run("etl_process.py", "--no-report", "--page", "/no/such/page").returncode == 66
    output = run("etl_process.py", "--no-report", "--status")
    assert output.returncode == 0
    assert re.search(r"load       last done 20.*, 615 rows as of 2025-12-30T20:09:00Z", output.stdout)
    assert re.search(r"data as of 2025-12-30T20:09:00Z, \d+ days old", output.stdout)
    assert re.search(r"last failure 20.*: \[etl\] exit 66, /no/such/page is not there", output.stdout)
    machine = json.loads(run("etl_process.py", "--no-report", "--status", "--json").stdout)
    assert machine["stages"]["extract"]["rows_out"] == 666
    assert run("etl_process.py", "--no-report", "--status", "--max-age", "30").returncode == 69
    assert run("etl_process.py", "--no-report", "--status", "--max-age", "36500").returncode == 0


@pytest.mark.usefixtures("loaded")
def test_status_is_of_this_folders_database_and_of_what_that_holds(run: Run, home: Path, tmp_path: Path) -> None:
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    (tmp_path / "older.json").write_text(clean.read_text().replace("2025-12-30", "2023-08-20"))
    assert run("load.py", "--input", tmp_path / "older.json").returncode == 0
    (tmp_path / "newer.json").write_text(clean.read_text().replace("2025-12-30", "2026-01-01"))
    assert run("load.py", "--input", tmp_path / "newer.json", "--database", tmp_path / "other.db").returncode == 0
    assert "data as of 2025-12-30" in run("etl_process.py", "--no-report", "--status").stdout


def test_an_unchanged_page_and_one_that_cannot_be_fetched_are_distinguished_everywhere(
    server: Server, page_bytes: bytes, run: Run, home: Path
) -> None:
    server.answers = [Answer(body=page_bytes.replace(b"1330326028", b"1330326029"))]

    def status() -> str:
        return run("etl_process.py", "--no-report", "--status").stdout

    output = {"new": run_stages(run, "--page", server.url).stderr + status()}
    output["same"] = run("etl_process.py", "--no-report", "--page", server.url).stderr + status()
    output["none"] = run_stages(run).stderr + status()
    assert output["new"].count("fetched, new") + output["new"].count("which is new") == 2
    assert output["same"].count("fetched, and nothing changed") == 1  # in the status: an unchanged run is one line
    assert output["none"].count("could not reach en.wikipedia.org") == 2
    fetched = [str(one["fetched"])[:12] for one in runs(home) if one["stage"] == "extract"]
    assert fetched == ["fetched, new", "fetched, and", "could not re"]


def test_a_dead_mans_switch_is_called_at_start_and_end_and_never_fails_the_run(server: Server, run: Run) -> None:
    server.answers = [Answer(body=b"OK")]
    extracting = ("etl_process.py", "--only", "extract", "--page", SHIPPED)
    assert run(*extracting, "--ping", server.url).returncode == 0
    assert run("etl_process.py", "--no-report", "--page", "/no/such", "--ping", server.url).returncode == 66
    assert [path.removeprefix("/wiki/List") for path in server.paths] == ["/start", "/0", "/start", "/66"]
    done = run(*extracting, "--ping", "http://127.0.0.1:9/none")
    assert done.returncode == 0
    assert "could not call the address of --ping: no connection could be made" in done.stderr


def test_what_changed_is_posted_after_a_run_that_changed_something_and_only_then(server: Server, run: Run) -> None:
    server.answers = [Answer(body=b"ok")]
    address = f"{server.base}/hook/TOKEN"
    done = [run("etl_process.py", "--page", SHIPPED, "--notify", address) for _ in range(2)]
    (message,) = server.posted
    assert re.search(r"\d+ revised, 133 for another year", message["text"])
    assert message["content"] == message["text"][:2000]
    assert message["text"].count(" billion USD, ") == 10 and "Found: " in message["text"]
    assert message["text"].splitlines()[-1].endswith("report.html")
    assert "TOKEN" not in "".join(one.stderr + one.stdout for one in done)
    assert [one.returncode for one in done] == [0, 0]


def test_a_notification_that_fails_does_not_fail_the_run_and_its_address_is_shown_nowhere(
    server: Server, run: Run, home: Path
) -> None:
    server.answers = [Answer(status=500)]
    done = run("etl_process.py", "--no-report", "--page", SHIPPED, "--notify", f"{server.base}/hook/TOKEN")
    assert done.returncode == 0 and "could not call the address of --notify: it answered 500" in done.stderr
    log = (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8")
    assert "TOKEN" not in done.stderr + done.stdout + log + (home / "log" / "runs.jsonl").read_text()


def test_a_quiet_run_prints_what_changed_for_cron_to_mail_and_nothing_when_nothing_did(run: Run) -> None:
    command = ("etl_process.py", "--no-report", "--quiet", "--changes-only", "--page", SHIPPED)
    first, again = run(*command), run(*command)
    assert first.stdout.startswith("What changed between 2025-01-08 and 2025-12-30")
    assert "Countries with" not in first.stdout
    assert (again.stdout, again.stderr) == ("", "")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("closed", "stages"),
    [("<&-", "--only extract"), (">&-", "--only extract"), ("2>&-", "--only extract"), ("<&- >&- 2>&-", "")],
)
def test_closed_standard_streams_are_no_fault(closed: str, stages: str, home: Path) -> None:
    for script, arguments in (("etl_process.py", f"--page {SHIPPED} {stages}"), ("load.py", "")):
        line = f"exec {shlex.quote(sys.executable)} {PROJECT / script} {arguments} {closed}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert (home / "log" / ".lock").read_text().split()[0].isdigit()


@pytest.mark.usefixtures("loaded")
def test_a_full_standard_output_is_an_error_and_loses_nothing(run: Run, home: Path) -> None:
    line = f"exec {shlex.quote(sys.executable)} {PROJECT / 'load.py'} > /dev/full"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 74
    assert "No space left on device" in done.stderr.splitlines()[-1]


# --- cron -------------------------------------------------------------------------------------------------------------


def as_cron(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell line as cron does: hardly an environment, cwd /, no terminal."""
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C", "SHELL": "/bin/sh", "GDP_ETL_HOME": str(home), **NO_NETWORK}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_crontab_line_of_the_readme_works_and_is_quiet_when_all_is_well(home: Path) -> None:
    (line,) = re.findall(r"^15 6 \* \* \* (.*)$", README, re.MULTILINE)
    line = line.replace("/path/.venv/bin/python", shlex.quote(sys.executable)).replace("/path/", f"{PROJECT}/")
    stale = as_cron(line, home)
    assert stale.returncode == 69
    assert "over --max-age" in stale.stderr
    fresh = line.replace("--max-age 40", "--max-age 36500")
    first = as_cron(fresh, home)
    assert first.returncode == 0, first.stderr
    again = as_cron(fresh + f" --page {SHIPPED}", home)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_the_systemd_unit_of_the_documents_names_the_same_command() -> None:
    operations = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    (unit,) = re.findall(r"^ExecStart=(.*)$", operations, re.MULTILINE)
    assert re.search(r"^OnCalendar=", operations, re.MULTILINE)
    assert unit.split()[:2] == ["/path/.venv/bin/python", "/path/etl_process.py"]
    assert "--quiet" in unit

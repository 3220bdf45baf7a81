"""Killed anywhere, out of room, out of descriptors: nothing is torn, nothing is lost, and the next run just works.

`CRASHES=thorough python -m pytest tests/runtime/test_crashes.py` kills at 200 random moments and at every system call.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import PROJECT, Run, query, run_stages, snapshot
from tests.page_builder import SHIPPED

THOROUGH = os.environ.get("CRASHES") == "thorough"
RANDOM_KILLS = 200 if THOROUGH else 8
# Every call by which a stage changes a file; SQLite's commit is the unlink of its run_log.
CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate")
DATABASE = Path("sqliteDB") / "World_Economies.db"
COUNT = "SELECT count(*), sum(GDP_USD_billion) FROM Countries_by_GDP"


def can_trace() -> bool:
    try:
        return subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


needs_strace = pytest.mark.skipif(not can_trace(), reason="strace is not installed, or may not trace here")


@pytest.fixture
def pages(tmp_path: Path) -> tuple[Path, Path]:
    """Return the page of one day and that of the next, whose figure for Chad is another."""
    page = gzip.decompress(SHIPPED.read_bytes()).decode()
    row = re.search(r"<td [^>]*>[^\n]*>Chad</a></td>\n<td>([\d,]+)", page)
    assert row
    newer = page.replace(row[0], row[0].replace(row[1], "22,222"))
    newer = newer.replace("30 December 2025", "31 December 2025").replace("1330326028", "1330326029")
    first, second = tmp_path / "first.html", tmp_path / "second.html"
    first.write_text(page)
    second.write_text(newer)
    return first, second


def check_nothing_is_torn(home: Path) -> None:
    for path in home.glob("results/*.json"):
        assert json.loads(path.read_bytes()), path
    for path in home.glob("data/pages/*.gz"):
        assert gzip.decompress(path.read_bytes())
    for path in home.glob("results/report.html"):
        assert path.read_text(encoding="utf-8").endswith("</html>")
    for path in home.glob("results/plots/*.svg"):
        assert path.read_text(encoding="utf-8").endswith("</svg>")
    assert query(home / DATABASE, "PRAGMA integrity_check") == [("ok",)]
    assert query(home / DATABASE, COUNT)[0][0] == 194
    assert query(home / DATABASE, "SELECT count(*) FROM Loads GROUP BY SHA256")[0][0] >= 1


def check_no_litter(home: Path) -> None:
    known = (
        r"\.lock|.*\.txt|runs\.jsonl|Countries_by_GDP(_Processed)?\.json|Checks\.json|World_Economies\.db|.*\.html\.gz"
        r"|report\.html|feed\.xml|CHANGES\.md|[a-z0-9_]+\.svg"
    )
    litter = [path for path in home.rglob("*") if path.is_file() and not re.fullmatch(known, path.name)]
    assert litter == []


def next_run_works(run: Run, page: Path, home: Path) -> None:
    done = run_stages(run, "--page", page)
    assert done.returncode == 0, done.stderr
    check_nothing_is_torn(home)
    check_no_litter(home)
    chad = query(home / DATABASE, "SELECT GDP_USD_billion FROM Countries_by_GDP WHERE ISO3 = 'TCD'")
    assert chad == [(22.22,)]


# --- killed at every call ---------------------------------------------------------------------------------------------


def calls_of(command: list[str], log: Path) -> list[tuple[str, int]]:
    """Return every call of a command that changes a file, as its name and which of that name it is."""
    return [(name, number) for name, number, _ in traced(command, log, ",".join(CALLS))]


def sampled(calls: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return all calls of a command, or in the ordinary run the last of each name."""
    return calls if THOROUGH else list(dict(calls).items())


@pytest.mark.usefixtures("loaded")
@needs_strace
@pytest.mark.parametrize("stage", ["extract", "transform", "load", "report", "etl_process"])
def test_a_stage_killed_at_any_write_sync_rename_or_commit_leaves_whole_files(
    stage: str, pages: tuple[Path, Path], run: Run, home: Path, tmp_path: Path
) -> None:
    _, second = pages
    earlier = {
        "transform": ["extract"],
        "load": ["extract", "transform"],
        "report": ["extract", "transform", "load", "report"],
    }
    for before in earlier.get(stage, []):
        assert run(f"{before}.py", *(["--page", second] if before == "extract" else [])).returncode == 0
    saved = tmp_path / "saved"
    shutil.copytree(home, saved)
    page = ["--page", str(second)] if stage in ("extract", "etl_process") else []
    command = [sys.executable, str(PROJECT / f"{stage}.py"), *page, *["--no-report"] * (stage == "etl_process")]
    calls = calls_of(command, tmp_path / "calls")
    assert len(calls) >= 6
    for name, number in sampled(calls):
        shutil.rmtree(home)
        shutil.copytree(saved, home)
        inject = f"inject={name}:signal=SIGKILL:when={number}"
        killed = subprocess.run(
            ["strace", "-o", os.devnull, "-e", f"trace={name}", "-e", inject, *command],
            check=False,
            capture_output=True,
        )
        assert killed.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), (name, number, killed)
        check_nothing_is_torn(home)
    if stage == "report":
        assert run("report.py").returncode == 0
    next_run_works(run, second, home)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("whom", ["a stage", "the orchestrator"])
def test_a_run_killed_at_random_moments_leaves_whole_files_and_the_next_run_works(
    whom: str, pages: tuple[Path, Path], run: Run, home: Path
) -> None:
    _, second = pages
    command = [sys.executable, str(PROJECT / "etl_process.py"), "--no-report", "--wait", "20", "--page", str(second)]
    for seed in range(RANDOM_KILLS // 2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.Random(seed).uniform(0.02, 0.7))
        victims = [psutil.Process(process.pid)]
        if whom == "a stage":
            victims = victims[0].children() or victims
        for victim in victims[:1]:
            victim.kill()
        process.wait(timeout=30)
        wait_until_free(home)
        check_nothing_is_torn(home)
    done = run("etl_process.py", "--no-report", "--page", second, "--quiet")
    assert done.returncode == 0, done.stderr
    next_run_works(run, second, home)


def wait_until_free(home: Path) -> None:
    """Wait until the children of a killed orchestrator have left, which they do by themselves."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if subprocess.run(["flock", "-n", home / "log" / ".lock", "true"], check=False).returncode == 0:
            return
        time.sleep(0.02)
    raise AssertionError("a child lives on and holds the lock")


# --- no room ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 2 MB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def commands(page: Path) -> dict[str, list[str]]:
    return {"extract": ["extract.py", "--page", str(page)], "transform": ["transform.py"], "load": ["load.py"]}


@pytest.mark.parametrize("stage", ["extract", "transform", "load"] if THOROUGH else ["load"])
def test_a_full_disk_ends_in_74_with_one_line_and_the_old_output(
    stage: str, pages: tuple[Path, Path], run: Run, small_disk: Path
) -> None:
    first, second = pages
    home = str(small_disk)
    assert run_stages(run, "--page", first, GDP_ETL_HOME=home).returncode == 0
    before = snapshot(small_disk)
    free = os.statvfs(small_disk)
    (small_disk / "fill").write_bytes(b"\0" * (free.f_bavail * free.f_frsize))
    done = run(*commands(second)[stage], GDP_ETL_HOME=home)
    assert done.returncode == 74, done.stderr
    one_error(done.stderr)
    (small_disk / "fill").unlink()
    assert snapshot(small_disk) == before
    again = run("etl_process.py", "--no-report", "--page", second, GDP_ETL_HOME=home)
    assert again.returncode == 0
    assert re.search(r"\[etl\] warning: only \d MB are free at .*, under 200; make room", again.stderr)


@pytest.mark.parametrize("stage", ["extract", "transform", "load"] if THOROUGH else ["extract"])
def test_a_read_only_disk_ends_in_74_with_one_line_and_the_old_output(
    stage: str, pages: tuple[Path, Path], run: Run, small_disk: Path
) -> None:
    first, second = pages
    assert run_stages(run, "--page", first, GDP_ETL_HOME=str(small_disk)).returncode == 0
    before = snapshot(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = run(*commands(second)[stage], GDP_ETL_HOME=str(small_disk))
    assert done.returncode == 74, done.stderr
    assert "Read-only file system" in one_error(done.stderr)
    assert snapshot(small_disk) == before


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("blocks", [0, 1, 40, 150] if THOROUGH else [40])
@pytest.mark.parametrize("stage", ["extract", "transform", "load"])
def test_a_limit_on_file_size_ends_in_74_with_one_line_and_the_old_output(
    stage: str, blocks: int, pages: tuple[Path, Path], run: Run, home: Path
) -> None:
    _, second = pages
    if stage != "extract":
        assert run("extract.py", "--page", second).returncode == 0
    if stage == "load":
        assert run("transform.py").returncode == 0
    before = snapshot(home)
    done = limited(f"ulimit -f {blocks}", commands(second)[stage])
    assert done.returncode == 74, done.stderr
    one_error(done.stderr)
    query(home / DATABASE, COUNT)  # SQLite, too, could not write under the limit: who opens next rolls back
    assert snapshot(home) == before
    next_run_works(run, second, home)


@pytest.mark.usefixtures("loaded")
@needs_strace
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EMFILE"] if THOROUGH else ["ENOSPC"])
@pytest.mark.parametrize("stage", ["extract", "transform", "load"])
def test_a_fault_at_any_write_ends_in_74_with_one_line_and_the_old_output(
    stage: str, fault: str, pages: tuple[Path, Path], run: Run, home: Path, tmp_path: Path
) -> None:
    """ENOSPC and EIO at each call that writes to a file; EMFILE at each that opens one to write."""
    _, second = pages
    if stage != "extract":
        assert run("extract.py", "--page", second).returncode == 0
    if stage == "load":
        assert run("transform.py").returncode == 0
    saved = tmp_path / "saved"
    shutil.copytree(home, saved)
    command = [sys.executable, *commands(second)[stage]]
    command[1] = str(PROJECT / command[1])
    writes = opens_to_write if fault == "EMFILE" else writes_to_files
    for name, number in sampled(writes(command, tmp_path / "calls")):
        shutil.rmtree(home)
        shutil.copytree(saved, home)
        before = snapshot(home)
        inject = f"inject={name}:error={fault}:when={number}"
        done = subprocess.run(
            ["strace", "-o", os.devnull, "-e", f"trace={name}", "-e", inject, *command],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode == 0:  # the output was in place already
            check_nothing_is_torn(home)
            continue
        assert done.returncode == (71 if fault == "EMFILE" else 74), (name, number, done.stderr)
        one_error(done.stderr)
        assert snapshot(home) == before, (name, number)
    next_run_works(run, second, home)


def traced(command: list[str], log: Path, calls: str) -> list[tuple[str, int, str]]:
    """Return a command's calls: the name, which of that name it is, and the line that strace writes."""
    subprocess.run(["strace", "-o", log, "-e", f"trace={calls}", *command], check=True, capture_output=True)
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text().splitlines():
        if name := re.match(r"(\w+)\(", line):
            counts[name[1]] += 1
            found.append((name[1], counts[name[1]], line))
    return found


def writes_to_files(command: list[str], log: Path) -> list[tuple[str, int]]:
    calls = traced(command, log, "write,pwrite64,fsync,fdatasync,rename,ftruncate")
    return [(name, number) for name, number, line in calls if not re.match(r"\w+\([12],", line)]


def opens_to_write(command: list[str], log: Path) -> list[tuple[str, int]]:
    calls = traced(command, log, "openat")
    return [
        (name, number)
        for name, number, line in calls
        if re.search(r"O_(WRONLY|RDWR|CREAT)", line) and "pyc" not in line
    ]


def limited(limit: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a script under a limit of the shell's."""
    line = f'{limit}; exec "$0" "$@"'
    script = [sys.executable, str(PROJECT / command[0]), *command[1:]]
    return subprocess.run(["bash", "-c", line, *script], capture_output=True, text=True, timeout=60, check=False)


def one_error(text: str) -> str:
    errors = [line for line in text.splitlines() if "error:" in line]
    assert len(errors) == 1, text
    assert "Traceback" not in text
    return errors[0]

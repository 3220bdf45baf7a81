"""Every machine: without /proc, /dev/shm, fsync or locks, with little memory, on macOS and Windows."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gdp.runtime import output, run_log, script
from tests.conftest import PROJECT, Run, records, snapshot
from tests.page_builder import SHIPPED
from utils import StageError, make_folder, write_whole, writing

EXTRACT = [sys.executable, str(PROJECT / "extract.py")]
PAGE = ["--page", str(SHIPPED)]
RAW = Path("results") / "Countries_by_GDP.json"


def can(*command: str) -> bool:
    """Return whether a command of the system works here."""
    try:
        return subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


needs_unshare = pytest.mark.skipif(not can("unshare", "-m"), reason="unshare is missing, or not allowed here")
needs_strace = pytest.mark.skipif(not can("strace", "-o", os.devnull), reason="strace is missing, or not allowed here")


def done(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def without(mount: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace of its own, where something is mounted over a folder."""
    return done("unshare", "-m", "sh", "-c", f'{mount} && exec "$0" "$@"', *command)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Return a folder of a few pages."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(4):
        shutil.copy(SHIPPED, folder / f"2025-12-30_{number}.html.gz")
    return folder


# --- what a system lacks ----------------------------------------------------------------------------------------------


@needs_unshare
@pytest.mark.parametrize("script", ["extract.py", "etl_process.py"])
def test_without_proc_a_stage_ends_as_anywhere(script: str, home: Path) -> None:
    only = ["--only", "extract"] * (script == "etl_process.py")
    ended = without("mount -t tmpfs none /proc", sys.executable, str(PROJECT / script), *PAGE, *only)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert len(records(home / RAW)) == 666


@needs_unshare
@pytest.mark.parametrize("mount", ["-o ro", "-o size=4k"])
def test_without_shared_memory_several_workers_do_the_work(mount: str, home: Path, pages: Path) -> None:
    target = home / "x.jsonl"
    several = ["--pages", str(pages), "--workers", "2", "--output", str(target)]
    ended = without(f"mount -t tmpfs {mount} none /dev/shm", *EXTRACT, *several)
    assert ended.returncode == 0, ended.stderr
    assert len(target.read_text().splitlines()) == 4 * 666


@needs_strace
@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS"])
def test_a_file_system_without_fsync_is_no_failure(error: str, home: Path) -> None:
    inject = ("strace", "-f", "-o", os.devnull, "-e", "trace=fsync", "-e", f"inject=fsync:error={error}")
    assert done(*inject, *EXTRACT, *PAGE).returncode == 0
    assert len(records(home / RAW)) == 666


@needs_strace
@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_named_with_the_remedy(error: str, home: Path) -> None:
    inject = ("strace", "-f", "-o", os.devnull, "-e", "trace=flock", "-e", f"inject=flock:error={error}")
    ended = done(*inject, *EXTRACT, *PAGE)
    assert ended.returncode == 71
    assert "its file system has no locks" in ended.stderr and "GDP_ETL_HOME" in ended.stderr


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert output.usable_cores() == os.cpu_count()


def test_peak_memory_is_in_bytes_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = resource.struct_rusage([0.0, 0.0, 50 * 2**20, *[0] * 13])
    monkeypatch.setattr(sys, "platform", "darwin")
    assert run_log.peak_memory_mb(usage) == 50
    monkeypatch.setattr(sys, "platform", "linux")
    assert run_log.peak_memory_mb(usage) == 50 * 1024


STAND_IN = """
import ctypes, os, sys
del os.sched_getaffinity
class Library:
    def __getattr__(self, name):
        raise AttributeError(name)
ctypes.CDLL = lambda *a, **k: Library()
"""


@needs_unshare
def test_a_stage_works_without_all_that_macos_lacks(home: Path, pages: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(STAND_IN)
    several = ["--pages", str(pages), "--workers", "2", "--output", str(home / "x.jsonl")]
    mount = "mount -t tmpfs none /proc && mount -t tmpfs -o ro none /dev/shm"
    ended = without(f"{mount} && export PYTHONPATH={tmp_path}", *EXTRACT, *several)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr


@pytest.mark.parametrize("script", ["extract", "transform", "load", "report", "etl_process"])
def test_on_windows_one_line_says_where_it_runs(script: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.platform = 'win32'\n")
    ended = done(sys.executable, str(PROJECT / f"{script}.py"), PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert "Linux and macOS" in ended.stderr and "WSL" in ended.stderr


# --- what a system refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kilobytes", [40_960, 61_440, 81_920])
def test_too_little_memory_names_the_limit(kilobytes: int, home: Path) -> None:
    ended = done("bash", "-c", f'ulimit -v {kilobytes}; exec "$0" "$@"', *EXTRACT, *PAGE)
    if ended.returncode == 127:
        pytest.skip("not even Python starts")
    assert ended.returncode in (0, 71) and "Traceback" not in ended.stderr
    if ended.returncode:
        assert f"`ulimit -v` allows {kilobytes // 1024} MiB" in ended.stderr


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


NO_MEMORY = [
    MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("can't start new thread"),
    ImportError("x.so: failed to map segment from shared object"),
    caused(ImportError("Unable to import required dependency numpy"), ImportError("x.so: cannot allocate memory")),
]  # fmt: skip
MEMORY_IS_THERE = [OSError(28, "No space left on device"), ImportError("No module named 'x'"), RuntimeError("no")]


def test_memory_that_was_refused_is_recognised_in_any_error() -> None:
    assert [script.is_out_of_memory(error) for error in NO_MEMORY] == [True] * len(NO_MEMORY)
    assert [script.is_out_of_memory(error) for error in MEMORY_IS_THERE] == [False] * len(MEMORY_IS_THERE)


@pytest.mark.parametrize("kilobytes", [30_720, 51_200])
def test_a_run_with_too_little_memory_is_71(kilobytes: int, home: Path) -> None:
    script = [sys.executable, str(PROJECT / "etl_process.py"), *PAGE]
    ended = done("bash", "-c", f'ulimit -v {kilobytes}; exec "$0" "$@"', *script)
    if ended.returncode == 127:
        pytest.skip("not even Python starts")
    assert ended.returncode in (0, 71) and "bug" not in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [12, 14, 16])
def test_too_few_descriptors_name_the_limit(number: int, home: Path) -> None:
    ended = done("bash", "-c", f'ulimit -n {number}; exec "$0" "$@"', sys.executable, str(PROJECT / "etl_process.py"))
    assert ended.returncode in (0, 71) and "Traceback" not in ended.stderr
    assert ended.returncode == 0 or "ulimit -n" in ended.stderr


@needs_strace
@pytest.mark.parametrize("script", ["extract.py", "etl_process.py"])
def test_too_few_processes_name_the_limit(script: str, home: Path, pages: Path) -> None:
    calls = "clone,clone3,fork,vfork"
    inject = ("strace", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:error=EAGAIN")
    several = ["--pages", str(pages), "--workers", "2"]
    ended = done(*inject, sys.executable, str(PROJECT / script), *several)
    assert (ended.returncode, "Traceback" in ended.stderr) == (71, False), ended.stderr
    assert "ulimit -u" in ended.stderr


def test_a_foreign_module_is_shown_as_what_it_is(home: Path, tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("from nowhere import nothing\n")
    ended = done(*EXTRACT, *PAGE, PYTHONPATH=str(tmp_path))
    assert ended.returncode == 65 and len(ended.stderr.splitlines()) == 1
    assert "No module named 'nowhere'" in ended.stderr and "memory" not in ended.stderr


# --- places that cannot be used ---------------------------------------------------------------------------------------


def test_a_mistyped_output_makes_no_folders(run: Run, home: Path, tmp_path: Path) -> None:
    ended = run("extract.py", *PAGE, "--output", tmp_path / "no" / "such" / "x.json")
    assert ended.returncode == 74 and "there is no such folder" in ended.stderr
    assert not (tmp_path / "no").exists()


def test_folders_of_the_data_folder_are_made(home: Path) -> None:
    make_folder(home / "results" / "plots")
    assert (home / "results" / "plots").is_dir()


def test_a_data_folder_is_made_where_its_parent_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDP_ETL_HOME", str(tmp_path / "new"))
    make_folder(tmp_path / "new" / "log")
    monkeypatch.setenv("GDP_ETL_HOME", str(tmp_path / "no" / "new"))
    with pytest.raises(StageError, match="there is no such folder"):
        make_folder(tmp_path / "no" / "new" / "log")


def test_a_link_that_leads_nowhere_is_named(run: Run, home: Path) -> None:
    (home / "log").symlink_to("/nowhere/log")
    ended = run("extract.py", *PAGE)
    assert ended.returncode == 74 and "it is a link to /nowhere/log" in ended.stderr
    assert "make room" not in ended.stderr and snapshot(home) == {}


REMEDIES = {
    28: ("make room", 74), 122: ("make room", 74), 13: ("permissions", 74), 30: ("read-only", 74), 36: ("shorter", 74),
    24: ("ulimit -n", 71), 12: ("end other programs", 71), 5: ("check it", 74), 2: ("is not there", 74),
}  # fmt: skip


@pytest.mark.parametrize("number", REMEDIES)
def test_each_kind_of_failure_has_the_remedy_that_fits(number: int) -> None:
    words, code = REMEDIES[number]
    with pytest.raises(StageError, match=words) as failed, writing(Path("/some/file")):
        raise OSError(number, os.strerror(number))
    assert failed.value.code == code and "/some/file" in str(failed.value) and os.strerror(number) in str(failed.value)


def test_a_file_that_has_its_content_already_is_not_written_again_but_is_of_now(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_whole(path, b"[1]")
    inode = path.stat().st_ino
    os.utime(path, (1, 1))
    write_whole(path, b"[1]")
    assert path.stat().st_ino == inode and path.stat().st_mtime > 1
    write_whole(path, b"[2]")
    assert path.read_bytes() == b"[2]" and path.stat().st_ino != inode


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_that_are_not_utf8_are_shown_escaped_and_work(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\xfe")
    folder.mkdir()
    page = folder / os.fsdecode(b"p\xe9.html.gz")
    shutil.copy(SHIPPED, page)
    ended = done(*EXTRACT, "--page", str(page), "--output", str(folder / "x.json"))
    assert ended.returncode == 0, ended.stderr
    assert r"\xff\xfe/p\xe9.html.gz" in ended.stderr
    assert (folder / "x.json").exists()

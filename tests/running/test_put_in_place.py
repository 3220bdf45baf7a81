"""A folder of parts takes another's place at once, and nobody else's; killed anywhere, one of the two is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gdp.running.spark import put_in_place, refuse_filled
from tests.conftest import PROJECT
from utils import StageError

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def parts(folder: Path, text: str) -> Path:
    folder.mkdir()
    for name in ("part-00000", "part-00001", "_SUCCESS", "._SUCCESS.crc", ".part-00000.crc"):
        (folder / name).write_text(text)
    return folder


def held(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


def test_new_parts_take_the_place_of_old_ones(tmp_path: Path) -> None:
    target = tmp_path / "out"
    put_in_place(parts(tmp_path / ".out.part", "old"), target)
    assert held(target) == {"old"}
    put_in_place(parts(tmp_path / ".out.part", "new"), target)
    assert held(target) == {"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("others", ["chapter.txt", "part-thesis"])
def test_what_somebody_else_put_there_stays(others: str, tmp_path: Path) -> None:
    target = parts(tmp_path / "out", "old")
    refuse_filled(str(target))
    (target / others).mkdir() if others.startswith("part") else (target / others).write_text("mine")
    with pytest.raises(StageError, match=f"it holds {others}"):
        refuse_filled(str(target))
    with pytest.raises(StageError, match=f"it holds {others}"):
        put_in_place(parts(tmp_path / ".out.part", "new"), target)
    assert (target / others).exists() and (target / "part-00000").read_text() == "old"


@needs_strace
@pytest.mark.parametrize("call", ["renameat2", "unlink", "unlinkat", "rmdir"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_killed_at_any_call_the_old_or_the_new_parts_are_there_whole(call: str, number: int, tmp_path: Path) -> None:
    target, part = parts(tmp_path / "out", "old"), parts(tmp_path / ".out.part", "new")
    script = "import sys; from pathlib import Path; from gdp.running.spark import put_in_place;"
    script += " put_in_place(Path(sys.argv[1]), Path(sys.argv[2]))"
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    traced = ["strace", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]
    command = [*traced, sys.executable, "-c", script, str(part), str(target)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL)
    assert held(target) in ({"old"}, {"new"}) and len(list(target.iterdir())) == 5

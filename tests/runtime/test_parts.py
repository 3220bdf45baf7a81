"""An output in parts: those that count are the old or the new ones, whole, whenever whoever makes them is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdp.record_files import LINE_LIMIT_BYTES
from gdp.remote_files import MANIFEST
from gdp.runtime.chunks import ranges_of
from gdp.runtime.run_log import run_log
from gdp.scale.partitioned_output import ChunkOutput, Note, PartitionedOutput, on_this_machine, parts_in
from tests.conftest import PROJECT
from utils import StageError

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def work(task: tuple[str, int]) -> Iterator[ChunkOutput]:
    """Give a line that says which task it is of; a task called `bad` cannot be done."""
    if task[0] == "bad":
        raise StageError(65, "bad")
    line = json.dumps({"As_of": task[0], "Number": task[1]}).encode() + b"\n"
    yield ChunkOutput(line, b'{"Stage": "x"}\n' * (task[1] == 1), task[1])


def made(folder: Path, text: str, last: str = "") -> list[Note]:
    tasks = [(text, 0), (text, 1), (last or text, 2)]
    run_log.begin("x", quiet=True)
    parts = PartitionedOutput(folder, "x", f"{text:0>16}")
    notes = parts.make(tasks, work, on_this_machine(1))
    parts.put(notes)
    return notes


def held(folder: Path) -> list[Any]:
    return [json.loads(Path(str(part)).read_text())["As_of"] for part in parts_in(folder)]


def test_new_parts_count_when_all_are_there_and_the_old_ones_are_gone(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert [note["counted"] for note in made(folder, "01d")] == [[0], [1], [2]]
    with pytest.raises(StageError, match="bad"):
        made(folder, "2e4", last="bad")
    assert held(folder) == ["01d"] * 3
    made(folder, "2e4")
    assert held(folder) == ["2e4"] * 3
    assert len(list(folder.glob("part-*"))) == 3 and not list(folder.glob("_note*"))
    assert (tmp_path / "Rejected.jsonl").read_text() == '{"Stage": "x"}\n'


@pytest.mark.parametrize("others", ["chapter.txt", "part-thesis"])
def test_what_somebody_else_filled_is_refused_and_stays_as_it_was(others: str, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / others).write_text("mine")
    with pytest.raises(StageError, match=f"it holds {others}") as refused:
        made(folder, "01d")
    assert refused.value.code == 74 and [path.name for path in folder.iterdir()] == [others]


def test_what_is_done_is_not_done_again_and_takes_the_place_of_what_spark_wrote(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("part-00000", ".part-00000.crc", "_SUCCESS"):
        (folder / name).write_text("old")
    with pytest.raises(StageError):
        made(folder, "01d", last="bad")
    first = {path.name for path in folder.glob("part-*jsonl")}
    assert len(first) == 2
    made(folder, "01d")
    assert first < {path.name for path in folder.glob("part-*jsonl")}
    assert not [path for path in folder.iterdir() if path.read_text() == "old"]


@pytest.mark.parametrize(("manifest", "code"), [(None, 66), ("[", 65), ('{"parts": []}', 65)])
def test_a_folder_without_a_manifest_or_with_a_broken_one_is_refused(
    manifest: str | None, code: int, tmp_path: Path
) -> None:
    (tmp_path / "part-00000").write_text("{}")
    if manifest:
        (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(StageError, match="run the stage that writes it") as refused:
        parts_in(tmp_path)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lines", "../secret.jsonl"), ("lines", "/etc/passwd"), ("lines", "s3://bucket/part.jsonl"), ("lines", 5),
        ("lines", "part-x.jsonl"), ("bytes", "many"), ("bytes", True), ("as_of", None), ("task", [0]), ("counted", {}),
        ("rejected", "../Rejected.jsonl"),
    ],
)  # fmt: skip
def test_a_manifest_names_files_of_its_own_folder_only(field: str, value: object, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    made(folder, "01d")
    (tmp_path / "secret.jsonl").write_text("the secret\n")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["parts"][1][field] = value
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(StageError, match=f"part 2: its {field}") as refused:
        parts_in(folder)
    assert refused.value.code == 65 and "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[1]", '{"identity": "x", "parts": 5}', '{"identity": 1, "parts": [[]]}']
)
def test_a_hostile_manifest_is_refused_in_one_line(text: str, home: Path, tmp_path: Path) -> None:
    made(tmp_path / "out", "01d")
    (tmp_path / "out" / MANIFEST).write_text(text)
    with pytest.raises(StageError, match="is no manifest") as refused:
        parts_in(tmp_path / "out")
    assert refused.value.code == 65 and "\n" not in str(refused.value)


@needs_strace
@pytest.mark.parametrize(("call", "number"), [*(("rename", n) for n in range(1, 9)), ("unlink", 1)])
def test_killed_at_any_call_the_old_or_the_new_parts_count_whole(
    call: str, number: int, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    made(folder, "01d")
    script = "import sys; from pathlib import Path; from tests.runtime.test_parts import made;"
    script += " made(Path(sys.argv[1]), '2e4')"
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    traced = ["strace", "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]
    done = subprocess.run(
        [*traced, sys.executable, "-c", script, str(folder)], cwd=PROJECT, capture_output=True, check=False
    )
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    assert held(folder) in (["01d"] * 3, ["2e4"] * 3)
    made(folder, "2e4")
    assert held(folder) == ["2e4"] * 3 and len(list(folder.iterdir())) == 5


# --- a file in ranges -------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"")), max_size=20), st.integers(1, 50))
def test_ranges_have_every_line_of_a_file_once_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], range_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("x") / "x.jsonl"
    for ending in (b"", b"\n"):
        text = b"\n".join(lines) + ending
        path.write_bytes(text)
        found = [one.lines() for one in ranges_of(path, range_bytes)]
        assert b"".join(lines for _, lines in found) == text
        assert all(text[begin : begin + len(lines)] == lines for begin, lines in found)


@pytest.mark.parametrize("length", [LINE_LIMIT_BYTES - 1, LINE_LIMIT_BYTES + 1, 3 * LINE_LIMIT_BYTES])
def test_of_a_line_that_is_too_long_a_range_has_enough_to_show_it(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"a\n" + b"x" * length + b"\nb\n")
    found = b"".join(one.lines()[1] for one in ranges_of(path, 300_000))
    if length < LINE_LIMIT_BYTES:
        assert found == path.read_bytes()
    else:
        assert found == b"a\n" + b"x" * (LINE_LIMIT_BYTES + 1) + b"b\n"

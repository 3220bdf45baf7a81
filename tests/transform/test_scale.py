"""More than fits in memory: chunk by chunk, by several processes, continued after an end, and nothing is lost."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import zstandard

from gdp.places import Place
from gdp.remote_files import MANIFEST
from gdp.runtime import output
from gdp.runtime.chunks import chunks_of
from gdp.runtime.output import Limits
from gdp.runtime.run_log import run_log
from gdp.runtime.worker_pool import results_in_order
from gdp.sources.folder_of_pages import extract_pages, pages_in
from gdp.transform.batch import Totals, clean_lines
from gdp.transform.rules import Fate, clean
from gdp.transform.run import transform_stream
from load import load
from tests.conftest import PROJECT, Run, has_line, logged, query
from tests.make_data import made_file, make_pages, make_records, records_a_page
from transform import report_control_totals
from utils import StageError

CLEAN = Path("results") / "Countries_by_GDP_Processed.jsonl"
RECORDS = 41 * records_a_page()  # of 8 MB: three chunks


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return made-up raw records, with what they are made of beside them."""
    path = tmp_path_factory.mktemp("made") / "raw.jsonl"
    made_file(path).write_text(json.dumps(make_records(RECORDS, path)), encoding="utf-8")
    return path


@pytest.fixture
def cleaned(raw: Path, home: Path, tmp_path: Path) -> Path:
    """Return what becomes of them."""
    return transformed(raw, tmp_path / "clean.jsonl")


def transformed(source: Path, target: Path, workers: int = 1) -> Path:
    """Return a stream's clean records, made by the function that transform.py calls."""
    transform_stream([source], target, Limits(workers, 0.02))
    return target


def made(raw: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made_file(raw).read_text(encoding="utf-8"))
    return found


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- the same rules ---------------------------------------------------------------------------------------------------


def test_lines_are_cleaned_by_the_rules_that_clean_a_page(raw: Path) -> None:
    text = raw.read_bytes()[: 4_000 * 300].rpartition(b"\n")[0] + b"\n"
    odd = [
        {"Country": "Chad", "GDP": "1,234 (2019)", "Year": None, "Column": "IMF (2020)", "Unit": None,
         "Institution": "IMF", "Source": "s", "As_of": "2020-05-05"},
        {"Country": "Chad", "GDP": "1,234", "Year": None, "Column": "IMF (2020)", "Unit": None,
         "Institution": "IMF", "Source": "s", "As_of": "2020-05-05"},
        {"Country": "Chad", "GDP": "1,234 (2020)", "Year": None, "Column": "IMF (2020)", "Unit": None,
         "Institution": "IMF", "Source": "s", "As_of": "2020-05-05"},
        {"Country": "Chad", "GDP": "1,234 (2020)", "Year": None, "Column": "IMF (2021)", "Unit": None,
         "Institution": "IMF", "Source": "s", "As_of": "2020-05-05"},
        {"Country": "Chad (2018)", "GDP": "1115,494", "Year": "2017", "Column": None, "Unit": "billion",
         "Institution": "UN", "Source": "s\u2028\"", "As_of": "2020-05-05"},
    ]  # fmt: skip
    text += b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in odd * 3)
    want, fates = [], []
    for line in text.split(b"\n")[:-1]:
        try:
            outcome = clean(json.loads(line))
        except ValueError:
            continue
        fates.append(outcome.fate)
        if outcome.fate is Fate.CLEAN:
            want.append(json.dumps(outcome.record, ensure_ascii=False))
    cleaned = clean_lines(text, "a file", 0)
    assert cleaned.lines.decode().split("\n")[:-1] == want
    assert cleaned.totals.counts["clean"] == len(want)
    assert cleaned.totals.counts["rejected"] == fates.count(Fate.REJECTED)


def test_the_outcomes_of_all_lines_add_up_to_what_was_made(raw: Path, run: Run, home: Path) -> None:
    done = run("transform.py", "--input", raw)
    assert done.returncode == 0, done.stderr
    counts = made(raw)["counts"]
    found = lines(home / CLEAN) if (home / CLEAN).exists() else lines(raw.with_name("x"))
    assert len(found) == counts["clean"] + counts["unknown"]
    assert sum(record["ISO3"] is None for record in found) == counts["unknown"]
    sums = {i: sum(round(r["GDP_USD_billion"] * 100) for r in found if r["Institution"] == i) for i in ("IMF", "UN")}
    assert sums.items() <= made(raw)["hundredths_of_billion"].items()
    rejected = lines(home / "results" / "Rejected.jsonl")
    assert len(rejected) == counts["rejected"] + counts["no record"]
    content = raw.read_bytes()
    for one in rejected:
        assert content[one["Byte_offset"] :].startswith(one["Text"].encode()), one


def test_a_damaged_line_is_rejected_with_its_place_and_reason(run: Run, home: Path, tmp_path: Path) -> None:
    good = {"Country": "Chad", "GDP": "1,234", "Year": "2020", "Column": "IMF", "Unit": None,
            "Institution": "IMF", "Source": "s", "As_of": "2020-05-05"}  # fmt: skip
    rows = [json.dumps(good).encode()] * 400
    rows[100] = b'{"Country": "Ch\xff"}'
    rows[200] = json.dumps({**good, "GDP": 5}).encode()
    rows[300] = b"[]"
    (tmp_path / "raw.jsonl").write_bytes(b"\n".join(rows))
    done = run("transform.py", "--input", tmp_path / "raw.jsonl")
    assert done.returncode == 0, done.stderr
    rejected = lines(home / "results" / "Rejected.jsonl")
    reasons = [one["Reason"] for one in rejected]
    assert reasons == ["is not text in UTF-8", "field GDP is 5", "is not an object but []"]
    assert rejected[0]["Byte_offset"] == 100 * (len(rows[0]) + 1)


def test_too_many_bad_lines_fail_the_run_and_leave_the_old_output(raw: Path, run: Run, home: Path) -> None:
    assert run("transform.py", "--input", raw).returncode == 0
    before = (home / CLEAN).read_bytes()
    done = run("transform.py", "--input", raw, "--max-rejected", "0.0001")
    assert done.returncode == 65 and "over --max-rejected 0.0001" in done.stderr
    assert (home / CLEAN).read_bytes() == before
    assert (home / "results" / "Rejected.jsonl").exists()


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_packed_streams_are_read_and_written(suffix: str, raw: Path, run: Run, home: Path, tmp_path: Path) -> None:
    pack: Callable[[bytes], bytes] = gzip.compress if suffix.endswith("gz") else zstandard.compress
    (tmp_path / f"raw{suffix}").write_bytes(pack(raw.read_bytes()))
    target = transformed(tmp_path / f"raw{suffix}", tmp_path / f"clean{suffix}")
    plain = transformed(raw, tmp_path / "clean.jsonl")
    unpacked = gzip.decompress(target.read_bytes()) if suffix.endswith("gz") else _unzst(target)
    assert unpacked == plain.read_bytes()
    load(target, Place(tmp_path / "x.db"))
    damaged = tmp_path / f"damaged{suffix}"
    damaged.write_bytes((tmp_path / f"raw{suffix}").read_bytes()[:-2000])
    done = run("transform.py", "--input", damaged)
    assert done.returncode == 65 and "cannot be unpacked" in done.stderr


def _unzst(path: Path) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True) as text:
        return bytes(text.read())


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 10_000])
def test_chunks_are_whole_lines_and_together_the_file(chunk_bytes: int, tmp_path: Path) -> None:
    text = b"one\n\nthree and more\r\n" + b"x" * 500 + b"\nlast without end"
    for name, content in (
        ("a.jsonl", text),
        ("a.jsonl.gz", gzip.compress(text)),
        ("a.jsonl.zst", zstandard.compress(text)),
    ):
        (tmp_path / name).write_bytes(content)
        found = list(chunks_of(tmp_path / name, chunk_bytes))
        assert b"".join(chunk.lines()[1] for chunk in found) == text
        assert all(chunk.lines()[1].endswith(b"\n") for chunk in found[:-1])
        assert [chunk.offset for chunk in found] == [sum(c.length for c in found[:n]) for n in range(len(found))]


# --- several processes ------------------------------------------------------------------------------------------------


def test_the_output_is_the_same_to_the_byte_with_any_number_of_processes(raw: Path, home: Path, tmp_path: Path) -> None:
    outputs = []
    for workers in (1, 2, 3):
        target = transformed(raw, tmp_path / f"{workers}.jsonl", workers)
        outputs.append(target.read_bytes() + (tmp_path / "Rejected.jsonl").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


def kill_once(chunk: Path) -> str:
    """Kill the process that works on the chunk, unless that was done before."""
    if chunk.name == "kills" and not chunk.exists():
        chunk.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return chunk.name


def kill(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_chunks_of_a_killed_worker_are_tried_again_with_a_warning(tmp_path: Path) -> None:
    work = [tmp_path / name for name in ("a", "b", "kills", "c", "d", "e", "f", "g")]
    with logged() as lines:
        done = list(results_in_order(kill_once, work, 2))
    assert done == [(chunk, chunk.name) for chunk in work]
    assert has_line(lines, "a worker process was killed")


def test_a_chunk_that_kills_every_worker_ends_the_run_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"processes were killed over .*deadly") as failure:
        list(results_in_order(kill, [tmp_path / "deadly"], 2))
    assert failure.value.code == 1


HOLD = """
import sys
from pathlib import Path
from gdp.runtime.output import Limits
from gdp.runtime.run_log import run_log
from gdp.remote_files import MANIFEST
from gdp.runtime.worker_pool import results_in_order
from gdp.runtime import script
from gdp.runtime.stage import run_stage
from tests.transform.test_scale import hold
script.start()
run_log.begin("transform")
script.end(run_stage(lambda: list(results_in_order(hold, [Path(name) for name in sys.argv[1:]], 2))))
"""


LOST = (
    """
import os, signal
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))
"""
    + HOLD
)


def test_a_signal_while_a_worker_is_forked_is_not_lost(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST, str(tmp_path / "a")], cwd=PROJECT, stderr=subprocess.PIPE, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 143 and "terminated by SIGTERM" in done.stderr


def hold(chunk: Path) -> None:
    """Work on a chunk for ever."""
    chunk.touch()
    while True:
        time.sleep(60)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_run_that_is_killed_or_interrupted_leaves_no_worker_behind(
    how: signal.Signals, code: int, home: Path, tmp_path: Path
) -> None:
    held = [tmp_path / "one", tmp_path / "two"]
    with subprocess.Popen([sys.executable, "-c", HOLD, *held], cwd=PROJECT, stderr=subprocess.PIPE, text=True) as run:
        while not all(path.exists() for path in held):
            assert run.poll() is None
            time.sleep(0.01)
        workers = psutil.Process(run.pid).children()
        run.send_signal(how)
        _, messages = run.communicate()
    assert run.returncode == code and "Traceback" not in messages
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


# --- continuing -------------------------------------------------------------------------------------------------------


def wait_for(note: Path, done: int, what: str) -> None:
    """Wait until the disk has how much was done: a thread writes it."""
    while not note.exists() or json.loads(note.read_bytes())["state"][what] < done:
        time.sleep(0.01)


def test_an_interrupted_transform_continues_where_it_stopped(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SAVE_EVERY_S", 0)
    make_records(30_000, tmp_path / "raw.jsonl")
    content = (tmp_path / "raw.jsonl").read_bytes()
    half = content.rfind(b"\n", 0, 6_000_000) + 1
    begin, end = gzip.compress(content[:half]), gzip.compress(content[half:])
    source, target, note = (tmp_path / name for name in ("raw.jsonl.gz", "clean.jsonl", ".clean.jsonl.going"))
    source.write_bytes(begin + b"x" * len(end))  # breaks off in the middle
    os.utime(source, (1, 1))
    with pytest.raises(StageError, match="cannot be unpacked"):
        transformed(source, target)
    wait_for(note, 1, "chunks")
    assert not target.exists()
    source.write_bytes(begin + end)
    os.utime(source, (1, 1))
    with logged() as lines:
        transform_stream([source], target, Limits(1, 0.02))
    assert has_line(lines, "continuing: 1 chunks were done before")
    assert target.read_bytes() == transformed(source, tmp_path / "want.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".clean.jsonl.done", ".want.jsonl.done"]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_extract_continues_with_the_next_page(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SAVE_EVERY_S", 0)
    make_pages(6, tmp_path / "pages", seed=2)
    paths = pages_in(tmp_path / "pages")
    (tmp_path / "pages" / paths[4].name).write_bytes(b"no page")
    want, target, limit = tmp_path / "want.jsonl", tmp_path / "raw.jsonl", Limits(1, 0.5)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_log, "warn", interrupt)
        extract_pages(paths, target, limit)
    wait_for(tmp_path / ".raw.jsonl.going", 4, "pages")
    with logged() as lines:
        extract_pages(paths, target, limit)
    assert has_line(lines, "continuing: 4 pages are done already")
    extract_pages(paths, want, limit)
    assert target.read_bytes() == want.read_bytes()


def test_what_is_done_is_not_done_again_unless_it_was_changed(home: Path, tmp_path: Path) -> None:
    pages, raw, clean_file = tmp_path / "pages", tmp_path / "raw.jsonl", tmp_path / "clean.jsonl"
    make_pages(3, pages, seed=2)

    def done_before() -> list[bool]:
        with logged() as extracting:
            extract_pages(pages_in(pages), raw, Limits(1, 1.0))
        with logged() as transforming:
            transform_stream([raw], clean_file, Limits(1, 1.0))
        return [has_line(extracting, "already done"), has_line(transforming, "done before")]

    assert done_before() == [False, False]
    assert done_before() == [True, True]
    clean_file.write_bytes(b"")
    assert done_before() == [True, False]
    (pages / "2025-12-31_enwiki_rev9.html.gz").write_bytes((pages / pages_in(pages)[0].name).read_bytes())
    assert done_before() == [False, False]


def test_the_half_done_output_of_another_input_is_not_continued(run: Run, home: Path, tmp_path: Path) -> None:
    raw, target = tmp_path / "raw.jsonl", tmp_path / "clean.jsonl"
    make_records(3_000, raw)
    (tmp_path / ".clean.jsonl.part").write_bytes(b"of another input\n")
    (tmp_path / ".clean.jsonl.rejected.part").write_bytes(b"")
    (tmp_path / ".clean.jsonl.going").write_text(
        json.dumps({"identity": {"input": "other"}, "sizes": [17, 0], "state": {"chunks": 1, "bytes": 1, "totals": {}}})
    )
    done = run("transform.py", "--input", raw, "--output", target)
    assert done.returncode == 0 and "continuing" not in done.stderr
    assert b"of another input" not in target.read_bytes()


# --- pages ------------------------------------------------------------------------------------------------------------


def test_made_up_pages_go_through_all_stages_and_the_counts_add_up(run: Run, home: Path, tmp_path: Path) -> None:
    made_up = make_pages(40, tmp_path / "pages", seed=8)
    done = run(
        "etl_process.py",
        "--no-report",
        "--no-history",
        "--pages",
        tmp_path / "pages",
        "--workers",
        "2",
        "--max-rejected",
        "0.05",
    )
    assert done.returncode == 0, done.stderr
    counts = made_up["counts"]
    raw = home / "results" / "Countries_by_GDP.jsonl"
    assert sum(1 for _ in raw.open("rb")) == counts["raw records"]
    clean_records = lines(home / CLEAN)
    assert len(clean_records) == counts["clean"]
    imf = sum(round(r["GDP_USD_billion"] * 100) for r in clean_records if r["Institution"] == "IMF")
    assert imf == made_up["hundredths_of_billion"]["IMF"]
    assert query(home / "sqliteDB" / "World_Economies.db", "SELECT count(*) FROM Loads") == [(counts["pages"],)]
    rejected = home / "results" / "Rejected.jsonl"
    assert (len(lines(rejected)) if rejected.exists() else 0) == counts.get("bad pages", 0)


def test_a_folder_without_pages_is_a_missing_input(run: Run, home: Path, tmp_path: Path) -> None:
    assert run("extract.py", "--pages", tmp_path).returncode == 66
    assert run("transform.py", "--input", tmp_path / "no.jsonl").returncode == 66


# --- load -------------------------------------------------------------------------------------------------------------


def test_a_stream_that_mixes_its_vintages_is_loaded_like_one_in_order(cleaned: Path, tmp_path: Path) -> None:
    mixed = cleaned.read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(mixed)
    (tmp_path / "mixed.jsonl").write_bytes(b"".join(mixed))
    parts = tmp_path / "parts"
    parts.mkdir()
    names = [f"part-{'0' * 16}-{n:05}-{'0' * 16}.jsonl" for n in range(4)]
    for n, name in enumerate(names):
        (parts / name).write_bytes(b"".join(mixed[n::4]))
    (parts / f"part-{'0' * 16}-00000-{'1' * 16}.jsonl").write_bytes(b"".join(mixed))  # of a killed worker
    notes: list[dict[str, Any]] = [
        {"task": n, "lines": name, "rejected": None, "bytes": 0, "as_of": "", "counted": []}
        for n, name in enumerate(names)
    ]
    (parts / MANIFEST).write_text(json.dumps({"identity": "", "parts": notes}))
    dumps = []
    for source in (cleaned, tmp_path / "mixed.jsonl", parts):
        database = tmp_path / f"{source.name}.db"
        load(source, Place(database))
        dumps.append(query(database, "SELECT * FROM GDP_Estimates"))
    assert dumps[0] == dumps[1] == dumps[2]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"Year": "2020"}, "field Year"), ({"GDP_USD_billion": -1.0}, "GDP_USD_billion"), ({"Country": " "}, "Country")],
)
def test_a_bad_line_in_a_clean_stream_is_named_and_nothing_is_loaded(
    change: dict[str, object], field: str, cleaned: Path, tmp_path: Path
) -> None:
    found = lines(cleaned)
    found[1234] |= change
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found))
    with pytest.raises(StageError, match=f"record 1235: .*{field}") as failure:
        load(tmp_path / "bad.jsonl", Place(tmp_path / "x.db"))
    assert failure.value.code == 65
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'Loads'").fetchone() == (0,)


def calls_of_the_log(vintages: int) -> int:
    """Return how many calls it takes to log the control totals of so many vintages."""
    days = [f"20{year:02}-{month:02}-{day:02}" for year in range(99) for month in range(1, 13) for day in range(1, 29)]
    sums = {f"{day} {day[:4]} IMF": [100, 100] for day in days[:vintages]}
    totals = Totals({"counts": {}, "sums": sums, "unknown": [], "first_rejects": []})
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        report_control_totals(totals)
    finally:
        sys.setprofile(None)
    return calls


def test_the_work_of_the_log_grows_as_the_archive_does_and_no_faster(home: Path) -> None:
    assert calls_of_the_log(2000) < 2.5 * calls_of_the_log(1000)

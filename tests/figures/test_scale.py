"""More than fits in memory: block by block, by several processes, gone on with, and nothing lost on the way."""

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

from gdp.figures.cleaning import Fate, clean
from gdp.figures.lines import clean_lines
from gdp.running.pieces import blocks_of
from tests.conftest import PROJECT, Run, query
from tests.make_data import made_file, make_pages, make_records, records_a_page

CLEAN = Path("results") / "Countries_by_GDP_Processed.jsonl"
RECORDS = 97 * records_a_page()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return made-up raw records, with what they are made of beside them."""
    path = tmp_path_factory.mktemp("made") / "raw.jsonl"
    made_file(path).write_text(json.dumps(make_records(RECORDS, path)), encoding="utf-8")
    return path


def made(raw: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(made_file(raw).read_text(encoding="utf-8"))
    return told


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
    assert cleaned.tally.counts["clean"] == len(want)
    assert cleaned.tally.counts["set aside"] == fates.count(Fate.REJECTED)


def test_what_became_of_every_line_adds_up_to_what_was_made(raw: Path, run: Run, home: Path) -> None:
    done = run("transform.py", "--input", raw)
    assert done.returncode == 0, done.stderr
    counts = made(raw)["counts"]
    found = lines(home / CLEAN) if (home / CLEAN).exists() else lines(raw.with_name("x"))
    assert len(found) == counts["clean"] + counts["unknown"]
    assert sum(record["ISO3"] is None for record in found) == counts["unknown"]
    sums = {i: sum(round(r["GDP_USD_billion"] * 100) for r in found if r["Institution"] == i) for i in ("IMF", "UN")}
    assert sums.items() <= made(raw)["hundredths_of_billion"].items()
    rejected = lines(home / "results" / "Rejected.jsonl")
    assert len(rejected) == counts["set aside"] + counts["no record"]
    content = raw.read_bytes()
    for one in rejected:
        assert content[one["Byte_offset"] :].startswith(one["Text"].encode()), one


def test_a_damaged_line_is_set_aside_with_its_place_and_reason(run: Run, home: Path, tmp_path: Path) -> None:
    good = {"Country": "Chad", "GDP": "1,234", "Year": "2020", "Column": "IMF", "Unit": None,
            "Institution": "IMF", "Source": "s", "As_of": "2020-05-05"}  # fmt: skip
    rows = [json.dumps(good).encode()] * 400
    rows[100] = b'{"Country": "Ch\xff"}'
    rows[200] = json.dumps({**good, "GDP": 5}).encode()
    rows[300] = b"[]"
    (tmp_path / "raw.jsonl").write_bytes(b"\n".join(rows))
    done = run("transform.py", "--input", tmp_path / "raw.jsonl")
    assert done.returncode == 0, done.stderr
    told = lines(home / "results" / "Rejected.jsonl")
    reasons = [one["Reason"] for one in told]
    assert reasons == ["is not text in UTF-8", "field GDP is 5", "is not an object but []"]
    assert told[0]["Byte_offset"] == 100 * (len(rows[0]) + 1)


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
    target = tmp_path / f"clean{suffix}"
    assert run("transform.py", "--input", tmp_path / f"raw{suffix}", "--output", target).returncode == 0
    assert run("transform.py", "--input", raw).returncode == 0
    unpacked = gzip.decompress(target.read_bytes()) if suffix.endswith("gz") else _unzst(target)
    assert unpacked == (home / CLEAN).read_bytes()
    assert run("load.py", "--input", target).returncode == 0
    damaged = tmp_path / f"damaged{suffix}"
    damaged.write_bytes((tmp_path / f"raw{suffix}").read_bytes()[:-2000])
    done = run("transform.py", "--input", damaged)
    assert done.returncode == 65 and "cannot be unpacked" in done.stderr


def _unzst(path: Path) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True) as text:
        return bytes(text.read())


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 10_000])
def test_blocks_are_whole_lines_and_together_the_file(block_bytes: int, tmp_path: Path) -> None:
    text = b"one\n\nthree and more\r\n" + b"x" * 500 + b"\nlast without end"
    for name, content in (
        ("a.jsonl", text),
        ("a.jsonl.gz", gzip.compress(text)),
        ("a.jsonl.zst", zstandard.compress(text)),
    ):
        (tmp_path / name).write_bytes(content)
        found = list(blocks_of(tmp_path / name, block_bytes))
        assert b"".join(block.read() for block in found) == text
        assert all(block.read().endswith(b"\n") for block in found[:-1])
        assert [block.offset for block in found] == [sum(b.length for b in found[:n]) for n in range(len(found))]


# --- several processes ------------------------------------------------------------------------------------------------


def test_the_output_is_the_same_to_the_byte_whatever_the_number_of_processes(
    raw: Path, run: Run, home: Path, tmp_path: Path
) -> None:
    outputs = []
    for workers in (1, 2, 3):
        target = tmp_path / f"{workers}.jsonl"
        assert run("transform.py", "--input", raw, "--output", target, "--workers", workers).returncode == 0
        outputs.append(target.read_bytes() + (tmp_path / "Rejected.jsonl").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROJECT / arguments[0]), *map(str, arguments[1:])], stderr=subprocess.PIPE, text=True
    )


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    while process.poll() is None:
        found = psutil.Process(process.pid).children()
        if len(found) >= 2:
            return found
        time.sleep(0.005)
    raise AssertionError("it ended before its workers were seen")


@pytest.fixture(scope="module")
def much_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("much") / "raw.jsonl"
    make_records(1_000_000, path)
    return path


def test_a_worker_that_is_killed_costs_its_block_a_retry_and_the_run_says_so(
    much_raw: Path, run: Run, home: Path, tmp_path: Path
) -> None:
    assert (
        run("transform.py", "--input", much_raw, "--output", tmp_path / "want.jsonl", "--workers", "1").returncode == 0
    )
    process = start("transform.py", "--input", much_raw, "--output", tmp_path / "killed.jsonl", "--workers", "2")
    workers_of(process)[0].kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "a worker process was killed" in told
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "want.jsonl").read_bytes()


def test_an_interrupted_run_goes_on_where_it_stopped_and_leaves_no_worker_behind(
    much_raw: Path, run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDP_ETL_SAVE_EVERY_S", "0")
    want, target = tmp_path / "want.jsonl", tmp_path / "clean.jsonl"
    assert run("transform.py", "--input", much_raw, "--output", want).returncode == 0
    process = start("transform.py", "--input", much_raw, "--output", target, "--workers", "2")
    workers = workers_of(process)
    note = tmp_path / ".clean.jsonl.going"
    while not note.exists() or json.loads(note.read_bytes())["state"]["blocks"] < 8:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive and not target.exists()
    done = run("transform.py", "--input", much_raw, "--output", target, "--workers", "2")
    assert done.returncode == 0, done.stderr
    told = next(line for line in done.stderr.splitlines() if "going on" in line)
    assert int(told.split("going on: ")[1].split(" ")[0]) >= 8
    assert target.read_bytes() == want.read_bytes()
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".clean.jsonl.done", ".want.jsonl.done"]


def test_what_is_done_is_not_done_again_unless_it_was_changed(run: Run, home: Path, tmp_path: Path) -> None:
    make_pages(6, tmp_path / "pages", seed=2)
    ask = ("etl_process.py", "--pages", tmp_path / "pages")
    assert "done before" not in run(*ask).stderr
    again = run(*ask)
    assert again.returncode == 0 and again.stderr.count("done before") == 2, again.stderr
    (home / CLEAN).write_bytes(b"")
    assert run(*ask).stderr.count("done before") == 1
    assert run(*ask, "--from", "transform").returncode == 0
    (tmp_path / "pages" / "2025-12-31_enwiki_rev9.html.gz").write_bytes(
        next((tmp_path / "pages").iterdir()).read_bytes()
    )
    assert "done before" not in run(*ask, "--max-rejected", "1").stderr


def test_another_input_under_the_same_name_is_not_gone_on_with(run: Run, home: Path, tmp_path: Path) -> None:
    raw, target = tmp_path / "raw.jsonl", tmp_path / "clean.jsonl"
    make_records(3_000, raw)
    (tmp_path / ".clean.jsonl.part").write_bytes(b"of another input\n")
    (tmp_path / ".clean.jsonl.rejected.part").write_bytes(b"")
    (tmp_path / ".clean.jsonl.going").write_text(
        json.dumps({"identity": {"input": "other"}, "sizes": [17, 0], "state": {"blocks": 1, "bytes": 1, "told": {}}})
    )
    done = run("transform.py", "--input", raw, "--output", target)
    assert done.returncode == 0 and "going on" not in done.stderr
    assert b"of another input" not in target.read_bytes()


# --- pages ------------------------------------------------------------------------------------------------------------


def test_made_up_pages_go_through_all_stages_and_the_counts_add_up(run: Run, home: Path, tmp_path: Path) -> None:
    told = make_pages(120, tmp_path / "pages", seed=8)
    done = run(
        "etl_process.py", "--no-report", "--pages", tmp_path / "pages", "--workers", "2", "--max-rejected", "0.05"
    )
    assert done.returncode == 0, done.stderr
    counts = told["counts"]
    raw = home / "results" / "Countries_by_GDP.jsonl"
    assert sum(1 for _ in raw.open("rb")) == counts["raw records"]
    clean_records = lines(home / CLEAN)
    assert len(clean_records) == counts["clean"]
    imf = sum(round(r["GDP_USD_billion"] * 100) for r in clean_records if r["Institution"] == "IMF")
    assert imf == told["hundredths_of_billion"]["IMF"]
    assert query(home / "sqliteDB" / "World_Economies.db", "SELECT count(*) FROM Loads") == [(counts["pages"],)]
    rejected = home / "results" / "Rejected.jsonl"
    assert (len(lines(rejected)) if rejected.exists() else 0) == counts.get("bad pages", 0)


def test_an_interrupted_extract_goes_on_with_the_next_page(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDP_ETL_SAVE_EVERY_S", "0")
    make_pages(60, tmp_path / "pages", seed=3)
    want, target = tmp_path / "want.jsonl", tmp_path / "raw.jsonl"
    limit = ("--max-rejected", "0.1")
    assert run("extract.py", "--pages", tmp_path / "pages", "--output", want, "--workers", "1", *limit).returncode == 0
    process = start("extract.py", "--pages", tmp_path / "pages", "--output", target, "--workers", "2", *limit)
    note = tmp_path / ".raw.jsonl.going"
    while not note.exists() or json.loads(note.read_bytes())["state"]["pages"] < 20:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    done = run("extract.py", "--pages", tmp_path / "pages", "--output", target, *limit)
    assert done.returncode == 0 and "going on" in done.stderr, done.stderr
    assert target.read_bytes() == want.read_bytes()


def test_a_folder_without_pages_is_a_missing_input(run: Run, home: Path, tmp_path: Path) -> None:
    assert run("extract.py", "--pages", tmp_path).returncode == 66
    assert run("transform.py", "--input", tmp_path / "no.jsonl").returncode == 66


# --- load -------------------------------------------------------------------------------------------------------------


def test_a_stream_that_mixes_its_vintages_is_loaded_like_one_in_order(
    raw: Path, run: Run, home: Path, tmp_path: Path
) -> None:
    assert run("transform.py", "--input", raw).returncode == 0
    results_in_order = (home / CLEAN).read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(results_in_order)
    (tmp_path / "mixed.jsonl").write_bytes(b"".join(results_in_order))
    parts = tmp_path / "parts"
    parts.mkdir()
    for n in range(4):
        (parts / f"part-{n:05}").write_bytes(b"".join(results_in_order[n::4]))
    (parts / "_SUCCESS").touch()
    dumps = []
    for source in (home / CLEAN, tmp_path / "mixed.jsonl", parts):
        database = tmp_path / f"{source.name}.db"
        done = run("load.py", "--input", source, "--database", database)
        assert done.returncode == 0, done.stderr
        dumps.append(query(database, "SELECT * FROM GDP_Estimates"))
    assert dumps[0] == dumps[1] == dumps[2]


@pytest.mark.parametrize(
    ("change", "told"),
    [({"Year": "2020"}, "field Year"), ({"GDP_USD_billion": -1.0}, "GDP_USD_billion"), ({"Country": " "}, "Country")],
)
def test_a_bad_line_in_a_clean_stream_is_named_and_nothing_is_loaded(
    change: dict[str, object], told: str, raw: Path, run: Run, home: Path, tmp_path: Path
) -> None:
    assert run("transform.py", "--input", raw).returncode == 0
    found = lines(home / CLEAN)
    found[1234] |= change
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found))
    done = run("load.py", "--input", tmp_path / "bad.jsonl")
    assert done.returncode == 65 and "record 1235" in done.stderr and told in done.stderr
    database = home / "sqliteDB" / "World_Economies.db"
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'Loads'").fetchone() == (0,)


def test_interrupting_a_run_by_hand_ends_it_and_its_workers(much_raw: Path, home: Path, tmp_path: Path) -> None:
    process = start("transform.py", "--input", much_raw, "--output", tmp_path / "x.jsonl", "--workers", "2")
    workers = workers_of(process)
    part = tmp_path / ".x.jsonl.part"
    while not part.exists() or not part.stat().st_size:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in told
    assert not psutil.wait_procs(workers, timeout=5)[1]

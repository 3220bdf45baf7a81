"""Values that no honest source sends."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tests.attacks.harness import COUNTRIES, PATIENCE_S, Home, attack, one_line
from tests.attacks.secrets import page_server
from tests.conftest import PROJECT
from tests.page_builder import SHIPPED

FAMILY = "values that nobody means"
STATEMENTS = (
    "UPDATE Loads SET As_of = 'yesterday'", "UPDATE Loads SET Findings = '{'", "DROP TABLE Countries_by_GDP",
    "UPDATE GDP_Estimates SET GDP_USD_billion = 'much'", "UPDATE GDP_Estimates SET Year = 'now'", "DROP TABLE Loads",
    "UPDATE Loads SET Institutions = NULL", "ALTER TABLE GDP_Estimates RENAME COLUMN Until TO Since",
    "UPDATE Countries_by_GDP SET As_of = '9999-99-99'", "UPDATE Countries_by_GDP SET As_of = 7",
    "UPDATE GDP_Estimates SET Until = 7", "UPDATE Loads SET Publisher = x'00ff'",
)  # fmt: skip
MORE_STATEMENTS = (
    "UPDATE Loads SET Findings = '[1]'", "UPDATE Loads SET Control_totals = '{'", "UPDATE Loads SET Doubt = 'x'",
    "UPDATE Loads SET Control_totals = '[1]'", "UPDATE GDP_Estimates SET GDP_USD_million = 'much'",
    "UPDATE GDP_Estimates SET GDP_USD_million = 1e-320", "UPDATE GDP_Estimates SET GDP_USD_million = -7",
    "UPDATE GDP_Estimates SET Flags = 7", "UPDATE GDP_Estimates SET As_of = 7", "UPDATE Loads SET Fingerprint = 7",
    "UPDATE GDP_Estimates SET Country = x'ff'", "UPDATE Loads SET Source = x'ff'",
)  # fmt: skip
QUESTIONS = (  # a load repairs what can be repaired, so it comes last
    "etl_process --status", "load --changes", "load --country KOR", "load --as-of 2026-01-01", "report", "load",
)  # fmt: skip
LINES_OF_RUNS = (
    '{"stage": 1, "started": [], "exit_code": "x"}', "[]",
    '{"stage": "load", "started": null, "exit_code": 0, "as_of": "soon"}',
)  # fmt: skip


def loaded(home: Home) -> Path:
    """Load the shipped page and return the clean file."""
    home.fill()
    return home.folder / "results" / "Countries_by_GDP_Processed.json"


@attack(FAMILY, "Last-Modified on an absurd day")
def absurd_day(home: Home) -> None:
    page = gzip.decompress(SHIPPED.read_bytes()).replace(b"last edited on", b"last seen on")
    for day in (
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "99999",
        "Sun, 99 Foo 2025",
        "\x7f",
    ):
        with page_server(page, Last_Modified=day) as host:
            done = home.call("extract", "--page", f"http://{host}/")
        assert done.returncode in (0, 65), (day, done.returncode, done.stderr[-300:])
        assert "this is a bug" not in done.stderr, done.stderr[-300:]


@attack(FAMILY, "As_of after tomorrow in a clean file")
def days_to_come(home: Home) -> None:
    clean = loaded(home)
    records = json.loads(clean.read_text())
    soon = f"{datetime.now(timezone.utc) + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    for as_of in ("9999-12-31", "2099-01-01T00:00:00Z", soon):
        path = home.folder / "later.json"
        path.write_text(json.dumps([{**record, "As_of": as_of} for record in records]))
        one_line(home.call("load", "--input", path), 65, "As_of")
        stream = home.folder / "later.jsonl"
        stream.write_text("".join(json.dumps({**record, "As_of": as_of}) + "\n" for record in records))
        one_line(home.call("load", "--input", stream), 65, "As_of")
    assert home.countries() == COUNTRIES


@attack(FAMILY, "a byte order mark and blank lines in a stream")
def marked_stream(home: Home) -> None:
    loaded(home)
    raws = json.loads((home.folder / "results" / "Countries_by_GDP.json").read_text())
    plain = "".join(json.dumps(raw) + "\n" for raw in raws)
    outputs = []
    for name, text in (
        ("plain", plain),
        ("marked", "\ufeff" + plain.replace("\n", "\n\n")),
        ("crlf", plain.replace("\n", "\r\n")),
    ):
        raw, clean = home.folder / f"{name}.jsonl", home.folder / f"{name}-clean.jsonl"
        raw.write_bytes(text.encode())
        done = home.run("transform", "--input", raw, "--output", clean)
        assert done.returncode == 0, (name, done.stderr[-300:])
        outputs.append(clean.read_bytes())
        clean.write_bytes(b"\xef\xbb\xbf" + clean.read_bytes().replace(b"\n", b"\n\n"))
        done = home.run("load", "--input", clean, "--database", home.folder / f"{name}.db")
        assert done.returncode == 0, (name, done.stderr[-300:])
    assert outputs[0] == outputs[1] == outputs[2]


@attack(FAMILY, "a question with half a character in it")
def half_a_character(home: Home) -> None:
    loaded(home)
    for argument in (b"\xed\xa0\x80", b"\xff\xfe", b"K\x80R"):
        one_line(home.call("load", "--country", argument), 2)


@attack(FAMILY, "a database and logs that somebody edited")
def edited_by_hand(home: Home) -> None:
    loaded(home)
    runs = home.folder / "log" / "runs.jsonl"
    original = home.database.read_bytes()
    for statement in STATEMENTS:
        home.database.write_bytes(original)
        connection = sqlite3.connect(home.database)
        try:
            connection.execute(statement)
        except sqlite3.Error:  # this schema does not let anybody do so
            continue
        finally:
            connection.commit()
            connection.close()
        for question in QUESTIONS:
            done = home.run(*question.split())
            assert done.returncode in (0, 2, 65, 66, 74), (statement, question, done.returncode, done.stderr[-300:])
            assert "this is a bug" not in done.stderr, (statement, question, done.stderr[-300:])
    home.database.write_bytes(b"this is no database at all, though it has a good many bytes" * 50)
    assert home.run("load", "--changes").returncode in (65, 66, 74)
    for line in LINES_OF_RUNS:
        runs.write_text(line + "\n")
        done = home.run("etl_process", "--status")
        assert done.returncode in (0, 65, 66), (line, done.stderr[-300:])
        assert "this is a bug" not in done.stderr, done.stderr[-300:]


@attack(FAMILY, "a newer page into a database that somebody edited")
def load_into_edited(home: Home) -> None:
    clean = loaded(home)
    newer = home.folder / "newer.json"
    newer.write_text(clean.read_text().replace("2025-12-30", "2025-12-31"))
    original = home.database.read_bytes()
    for statement in (*STATEMENTS, *MORE_STATEMENTS):
        home.database.write_bytes(original)
        with contextlib.closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
            try:
                connection.execute(statement)
            except sqlite3.Error:
                continue
        done = home.run("load", "--input", newer)
        assert done.returncode in (0, 65), (statement, done.returncode, done.stderr[-300:])
        assert "this is a bug" not in done.stderr, (statement, done.stderr[-300:])


@attack(FAMILY, "figures that are no figures, in a clean file and in World rows")
def no_figures(home: Home) -> None:
    clean = loaded(home)
    checks = home.folder / "results" / "Checks.json"
    assert home.run("transform").returncode == 0
    records, found = json.loads(clean.read_text()), json.loads(checks.read_text())
    for figure in (1e-320, 5e-324, 1e308, float("nan"), float("inf"), -1e-9, 0.0):
        records[3] |= {"GDP_USD_million": figure, "As_of": "2025-12-31T00:00:00Z"}
        (home.folder / "odd.json").write_text(json.dumps(records))
        done = home.run("load", "--input", home.folder / "odd.json", "--database", home.folder / "odd.db")
        assert done.returncode in (0, 65) and "this is a bug" not in done.stderr, (figure, done.stderr[-300:])
        for total in found["control_totals"]:
            total["GDP_USD_million"] = figure
        checks.write_text(json.dumps(found))
        done = home.run("load", "--force", "--no-history", "--database", home.folder / "world.db")
        assert done.returncode == 0 and "this is a bug" not in done.stderr, (figure, done.stderr[-300:])


@attack(FAMILY, "hardly any memory")
def no_memory(home: Home) -> None:
    for kilobytes in (40_000, 60_000, 100_000):
        for command in ("extract.py --page $PAGE", "etl_process.py --no-report --page $PAGE"):
            done = home.shell(f"ulimit -v {kilobytes}; $PY $SUITE/{command}")
            if "error while loading shared libraries" in done.stderr or done.returncode == 127:
                continue  # not even Python starts
            assert "Traceback" not in done.stderr, (kilobytes, done.stderr[-500:])
            assert done.returncode in (0, 71), (kilobytes, done.returncode)


@attack(FAMILY, "a stage that is stopped by SIGSTOP and ended by --timeout")
def stopped_stage(home: Home) -> None:
    with (home.folder / "out.txt").open("w") as out:
        command = [
            sys.executable,
            str(PROJECT / "etl_process.py"),
            "--page",
            str(SHIPPED),
            "--no-report",
            "--timeout",
            "3",
        ]
        # a page that never ends keeps extract at work until it is stopped
        environment = {**home.environment, "GDP_ETL_HOME": str(home.folder)}
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        deadline = time.monotonic() + PATIENCE_S
        while not (pids := _stages_of(process.pid)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in pids:
            _stop(pid)
        code = process.wait(PATIENCE_S)
    assert code == 143, (code, (home.folder / "out.txt").read_text()[-500:])


def _stages_of(pid: int) -> list[int]:
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children() if "extract.py" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def _stop(pid: int) -> None:
    import os

    os.kill(pid, signal.SIGSTOP)

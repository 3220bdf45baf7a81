"""Logs that are no files, that have no room for a whole line, or that a name cannot be written into."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.attacks.harness import COUNTRIES, Home, attack, one_line
from tests.page_builder import SHIPPED

FAMILY = "logs, and names in them"
TEXT, RUNS = "etl_project_with_sql_log.txt", "runs.jsonl"
RUN = ("etl_process", "--no-report", "--page", SHIPPED)


@attack(FAMILY, "a pipe that nobody reads as a log")
def pipe_as_log(home: Home) -> None:
    (home.folder / "log").mkdir()
    for name in (TEXT, RUNS):
        path = home.folder / "log" / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        one_line(home.run("extract", "--page", SHIPPED), 74, name) if name == TEXT else home.run(*RUN)
        status = home.run("etl_process", "--status")
        assert status.returncode == 66, status.stderr
        path.unlink()
    assert home.run(*RUN).returncode == 0


@attack(FAMILY, "a log that leads to the terminal")
def log_on_screen(home: Home) -> None:
    (home.folder / "log").mkdir()
    (home.folder / "log" / TEXT).symlink_to("/dev/stderr")
    done = home.run(*RUN)
    assert done.returncode == 0 and "[load] end: done" in done.stderr, done.stderr[-400:]


@attack(FAMILY, "a limit of the log's size that is no number")
def no_limit(home: Home) -> None:
    for limit in ("5MB", "-1", "1e6"):
        one_line(home.run("extract", "--page", SHIPPED, GDP_ETL_LOG_LIMIT_BYTES=limit), 2, "GDP_ETL_LOG_LIMIT_BYTES")


@attack(FAMILY, "a disk that fills in the middle of a line")
def cut_line(home: Home) -> None:
    (home.folder / "log").mkdir()
    writer = "from gdp.runtime import run_log; [run_log.append_log(f'line {n} ' + 'x' * 70) for n in range(100)]"
    home.shell(f'cd $SUITE; ulimit -f 4; GDP_ETL_HOME={home.folder} $PY -c "{writer}"')
    text = home.log()
    assert 3000 < len(text) <= 4096 and text.endswith("x\n"), text[-100:]
    assert home.run(*RUN).returncode == 0
    lines = home.log().splitlines()
    assert all(", " in line and line.count("[") <= 1 for line in lines), lines


@attack(FAMILY, "names of files that are not UTF-8, for everything that is written")
def names(home: Home) -> None:
    odd = os.fsdecode(b"caf\xe9")
    folder = home.folder / odd
    folder.mkdir()
    raw, clean, database = folder / f"{odd}.json", folder / f"{odd}-clean.json", folder / f"{odd}.db"
    steps: list[tuple[str, list[str | Path]]] = [
        ("extract", ["--page", SHIPPED, "--output", raw]), ("transform", ["--input", raw, "--output", clean]),
        ("load", ["--input", clean]), ("load", ["--findings"]), ("load", ["--export", "--output", folder]),
        ("report", []), ("etl_process", ["--status", "--json"]),
    ]  # fmt: skip
    for script, more in steps:
        where: list[str | Path] = ["--database", database] if script not in ("extract", "transform") else []
        done = home.run(script, *more, *where)
        assert done.returncode == 0, (script, more, done.stderr[-400:])
    assert json.loads((folder / "datapackage.json").read_text())
    assert len((folder / "Countries_by_GDP.csv").read_text().splitlines()) - 1 == COUNTRIES

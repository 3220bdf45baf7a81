"""What a person sees at a terminal, from 60 to 200 columns, and what stays plain for everybody else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gdp.places import Place
from load import load
from tests.conftest import PROJECT, Answer, Run, Server
from tests.looked_at import make_past
from tests.make_data import make_records
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE
from tests.terminal import at_terminal, plain

SCRIPTS = (
    "etl_process.py",
    *(pytest.param(f"{stage}.py", marks=pytest.mark.long) for stage in ("extract", "transform", "load", "report")),
)
WARNING = r"\[load\] warning: |  [A-Z]"  # and a line for each of the worst figures
ROW = re.compile(r"^ *(\d+) +(\S.*?)  +.*?([\d,]+\.\d\d)(?: |$)", re.MULTILINE)


@pytest.mark.parametrize(
    "columns", [60, *(pytest.param(columns, marks=pytest.mark.long) for columns in (80, 120, 200))]
)
def test_no_figure_is_wrapped_or_cut_at_any_width(home: Path, columns: int) -> None:
    make_past(home)
    for question in (["--as-of", "2026-01-01"], ["--changes"], ["--country", "KOR"]):
        text, code = at_terminal(columns, "load.py", *question)
        assert code == 0
        lines = plain(text).splitlines()
        assert max(len(line) for line in lines if not line.startswith("changed between")) <= columns
        assert "…" not in plain(text)
    text, _ = at_terminal(columns, "load.py", "--as-of", "2026-01-01")
    rows = {rank: figure for rank, _, figure in ROW.findall(plain(text))}
    assert (rows["1"], rows["14"], rows["76"]) == ("30,615.74", "1,858.57", "100.05")


@pytest.mark.parametrize(
    ("columns", "hidden"), [(60, "Share, Moved, Region"), pytest.param(80, "Share", marks=pytest.mark.long), (120, "")]
)
def test_what_has_no_room_is_named_the_least_wanted_first_with_how_to_see_it(
    home: Path, columns: int, hidden: str
) -> None:
    make_past(home)
    text, _ = at_terminal(columns, "load.py", "--as-of", "2026-01-01")
    in_words = " ".join(plain(text).split())
    assert (f"not shown: {hidden}; --json or a window of" in in_words) == bool(hidden)
    heading = next(line for line in plain(text).splitlines() if "Rank" in line).split()
    every = ["Rank", "Country", "Region", "Year", "GDP_USD_billion", "Share", "Revised", "Moved"]
    assert heading == [name for name in every if name not in hidden.split(", ")]


def test_a_flagged_figure_is_marked_and_the_mark_explained(home: Path) -> None:
    make_past(home)
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    wrong = json.loads(clean.read_text(encoding="utf-8"))
    for record in wrong:
        record["As_of"] = record["As_of"].replace("2025-12-30", "2025-12-31")
        if record["ISO3"] == "FRA" and record["Institution"] == "IMF":
            record |= {"GDP_USD_billion": 6500.0, "GDP_USD_million": 6_500_000}
    clean.write_text(json.dumps(wrong), encoding="utf-8")
    load(clean, Place(home / DATABASE))
    screens, _ = at_terminal(120, "load.py", "--as-of", "2026-01-01")
    assert re.search(r" France .*\*6,500\.00 ", plain(screens))
    assert re.search(r"^ *\d+ +\S.*\*", plain(screens), re.MULTILINE)
    assert "* flagged by a check" in plain(screens)
    assert re.search(r"United States .* 30,615\.74 ", plain(screens))


def test_decimals_stand_under_one_another(home: Path) -> None:
    make_past(home)
    text, _ = at_terminal(140, "load.py", "--as-of", "2026-01-01")
    rows = [line for line in plain(text).splitlines() if re.match(r" *\d+ +\S.* %", line)]
    assert len(rows) > 70
    assert len({line.index(re.findall(r"[\d,]+(\.\d\d)(?= )", line)[0]) for line in rows}) == 1
    for column in ("Rank", "Share", "Revised", "Moved"):
        assert column in plain(text)


def test_colour_is_for_terminals_and_for_those_who_want_it(run: Run, home: Path) -> None:
    make_past(home)
    coloured, _ = at_terminal(120, "load.py", "--as-of", "2026-01-01")
    assert "\x1b[32m" in coloured
    without, _ = at_terminal(120, "load.py", "--as-of", "2026-01-01", NO_COLOR="1")
    assert re.search(r"\x1b\[[0-9;]*3[0-7]", without) is None
    assert "\x1b" not in run("load.py", "--as-of", "2026-01-01").stdout


def test_the_stages_are_seen_at_work_and_the_tables_when_load_is_done(home: Path) -> None:
    text, code = at_terminal(80, "etl_process.py", "--page", SHIPPED)
    assert code == 0
    text = plain(text)
    assert "at work" in text
    for stage, rows in (("extract", 666), ("transform", 615), ("load", 615), ("report", 194)):
        assert re.search(rf"{stage} +done +\d+\.\d s +{rows} +\d+ MB", text), stage
    assert text.index("with a GDP of 100") < text.rindex("report      done")
    assert "[etl] extract" not in text and "[load]" not in text  # each stage is one line of the view
    assert re.search(r"\n\d+ warnings?, none stopped the load: python load\.py --findings\n", text)
    assert re.search(r"\nresults  .+\n         .+\n         .+\nlog      .+\ntry      python load.py", text)
    for path in ("results/Countries_by_GDP_Processed.json", "sqliteDB/World_Economies.db", "results/report.html"):
        assert re.search(rf"^(?:results|       )  \S*{re.escape(path)}$", text, re.MULTILINE), path


@pytest.mark.usefixtures("loaded")
def test_an_unchanged_run_in_a_pipe_is_one_line(run: Run, home: Path) -> None:
    again = run("etl_process.py", "--page", SHIPPED)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "unchanged since 2025-12-30\n"
    everything = run("etl_process.py", "--page", SHIPPED, "--json")
    assert everything.stderr == "" and '"Region_top_5_mean"' in everything.stdout


@pytest.mark.usefixtures("loaded")
def test_an_unchanged_run_that_fails_later_shows_its_errors(run: Run, home: Path) -> None:
    (home / "results" / "report.html").mkdir()
    done = run("etl_process.py", "--page", SHIPPED)
    assert "[report] error: " in done.stderr and "[etl] report     failed" in done.stderr


def test_a_failure_stays_in_sight(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.html").write_text("<p>nothing</p>")
    text, code = at_terminal(100, "etl_process.py", "--page", tmp_path / "empty.html")
    assert code == 65
    assert re.search(r"extract +failed, exit 65", plain(text))
    assert re.search(r"transform +not run", plain(text))
    assert "[extract] error:" in plain(text)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_stopped_in_sight_says_so_and_gives_the_cursor_back(home: Path, number: int, code: int) -> None:
    text, ended = at_terminal(100, "etl_process.py", "--page", SHIPPED, stop_at="at work", number=number)
    assert ended == code
    assert ("[etl] interrupted by SIGINT" if code == 130 else "[etl] terminated by SIGTERM") in plain(text).splitlines()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_progress_and_time_left_are_shown_of_what_takes_long(home: Path, tmp_path: Path) -> None:
    raw = home / "results" / "Countries_by_GDP.jsonl"
    raw.parent.mkdir()
    make_records(400_000, raw)
    text, code = at_terminal(100, "transform.py", "--input", raw, "--workers", "1")
    assert code == 0
    assert re.search(r"bytes read .*/s .*\d:\d\d", plain(text))


def test_a_slow_source_is_waited_for_in_sight(home: Path, server: Server, page_bytes: bytes) -> None:
    def slow(_: str) -> Answer:
        time.sleep(3)
        return Answer(200, page_bytes, {"Content-Type": "text/html; charset=UTF-8"})

    server.route = slow
    text, code = at_terminal(100, "extract.py", "--page", server.url)
    assert code == 0
    assert re.search(r"reading wikipedia 0:00:0[23]", plain(text))


def test_quiet_is_quiet_at_a_terminal_too(home: Path) -> None:
    text, code = at_terminal(100, "etl_process.py", "--quiet", "--page", SHIPPED, "--no-report")
    assert (code, [line for line in plain(text).splitlines() if not re.match(WARNING, line)]) == (0, [])


def test_without_a_terminal_all_lines_are_plain_and_the_last_has_paths_relative_to_the_current_folder(
    run: Run, home: Path
) -> None:
    done = run("etl_process.py", "--page", SHIPPED)  # from the folder that holds our home
    assert "\x1b" not in done.stdout + done.stderr
    assert "[etl] report     done" in done.stderr and "76" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "[etl] results: home/results/Countries_by_GDP_Processed.json, home/sqliteDB/World_Economies.db,"
        " home/results/report.html; log: home/log/etl_project_with_sql_log.txt"
    )


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("script", SCRIPTS)  # test_docs calls the examples of each, without a shell
def test_help_ends_in_commands_that_work_when_pasted(script: str, run: Run, home: Path, tmp_path: Path) -> None:
    helped = run(script, "--help").stdout
    examples = [line.strip() for line in helped.rpartition("examples:")[2].splitlines() if line.strip()]
    assert len(examples) >= 2
    for example in examples:
        assert example.startswith("python ")
        if "--source imf" in example:
            continue  # asks a server that is out of reach here, or for a file of the user's
        here = example.replace("/tmp/", f"{tmp_path}/").replace("results/", f"{home}/results/")
        command = here.replace("python ", f"{sys.executable} ", 1)
        done = subprocess.run(command, shell=True, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, example + done.stderr

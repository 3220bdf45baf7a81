"""A run goes on only with what was asked for, and the status shows what the database holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import etl_process
import load
import transform
from gdp.options import ETL, parse
from gdp.record_files import RAW_RECORD
from tests.conftest import Run, records, run_stages
from tests.page_builder import SHIPPED
from tests.runtime.watching import runs

CLEAN, RAW = Path("results", "Countries_by_GDP_Processed.json"), Path("results", "Countries_by_GDP.json")
DATABASE = Path("sqliteDB", "World_Economies.db")


@pytest.mark.usefixtures("loaded")
def test_the_last_good_file_of_another_source_is_no_answer(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--source", "imf", GDP_ETL_IMF_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (69, "")
    assert "results: none" in done.stderr
    for stage in ("transform", "load", "report"):
        assert f"{stage} is not run" in done.stderr
    assert "failed; load" not in done.stderr  # it was not run, so it did not fail
    assert [one["stage"] for one in runs(home)[4:]] == ["extract", "etl"]


@pytest.mark.parametrize(
    ("asked", "is_in_it"),
    [
        ("", True), ("--source wikipedia", True), ("--source imf", False), ("--source world_bank", False),
        ("--source imf,world_bank", False), ("--source imf --release 2007-04", False),
    ],
)  # fmt: skip
def test_a_file_of_another_source_or_release_is_not_what_was_asked_for(
    asked: str, is_in_it: bool, first_run: Path
) -> None:
    assert etl_process.holds_what_was_asked(first_run / RAW, parse(ETL, asked.split())) is is_in_it


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("options", [[], ["--max-age", "99999"], ["--json"]])
def test_the_status_of_a_database_that_was_deleted_is_66(options: list[str], run: Run, home: Path) -> None:
    (home / DATABASE).unlink()
    done = run("etl_process.py", "--status", *options)
    assert done.returncode == 66 and str(home / DATABASE) in done.stderr
    assert "days old" not in done.stdout


@pytest.mark.usefixtures("loaded")
def test_the_status_of_another_database_knows_nothing_of_runs_into_this_one(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--status", "--database", home / "nothere.db")
    assert done.returncode == 66
    assert "load       never" in done.stdout and "extract    never" in done.stdout


@pytest.mark.usefixtures("loaded")
def test_the_status_shows_what_the_database_holds_and_which_host_was_not_reached(run: Run, home: Path) -> None:
    assert run_stages(run).returncode == 0  # without network
    status = run("etl_process.py", "--status")
    assert "194 countries" in status.stdout and "could not reach en.wikipedia.org" in status.stdout
    assert json.loads(run("etl_process.py", "--status", "--json").stdout)["countries"] == 194


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"stage": "load", "exi', "[]", '{"stage": 1, "started": [], "exit_code": "x"}', "\x00\x01"]
)
def test_a_hostile_line_in_the_log_for_machines_is_skipped_and_counted(line: str, run: Run, home: Path) -> None:
    path = home / "log" / "runs.jsonl"
    path.write_text(line + "\n" + path.read_text() + line + "\n")
    status = run("etl_process.py", "--status")
    assert (status.returncode, "Traceback" in status.stderr) == (0, False)
    assert "2 lines of the log for machines cannot be read and were skipped" in status.stdout


@pytest.mark.parametrize("name", ["raw.json", "raw.jsonl"])
def test_a_raw_file_given_to_load_is_named_as_what_it_is(
    name: str, loaded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raws = records(loaded / RAW)
    text = json.dumps(raws) if name.endswith("n") else "".join(json.dumps(raw) + "\n" for raw in raws)
    (tmp_path / name).write_text(text)
    assert load.main(["--input", str(tmp_path / name)]) == 65
    assert f"{RAW_RECORD}; run transform.py on it first" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["clean.json", "clean.jsonl"])
def test_a_source_with_user_and_password_is_shown_and_stored_without_them(
    name: str, loaded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = records(loaded / CLEAN)
    for record in clean:
        record["Source"] = record["Source"].replace("https://", "https://me:hunter2@")
    text = json.dumps(clean) if name.endswith("n") else "".join(json.dumps(one) + "\n" for one in clean)
    (tmp_path / name).write_text(text)
    database = ["--database", str(tmp_path / "x.db")]
    assert load.main(["--input", str(tmp_path / name), *database]) == 0
    for question in (["--json", "--as-of", "2026-01-01"], ["--country", "KOR"]):
        assert load.main([*question, *database]) == 0
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err
    assert b"hunter2" not in (tmp_path / "x.db").read_bytes()


def test_a_rejected_record_is_listed_without_credentials(
    loaded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raws = records(loaded / RAW)
    raws[0] |= {"GDP": "much", "Source": "https://me:hunter2@h/x"}
    (tmp_path / "raw.json").write_text(json.dumps(raws))
    arguments = ["--input", str(tmp_path / "raw.json"), "--output", str(tmp_path / "clean.json")]
    assert transform.main(arguments) == 0
    assert "hunter2" not in capsys.readouterr().err + (tmp_path / "Rejected.jsonl").read_text()


def test_a_first_run_without_a_file_to_go_on_with_stops(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--source", "imf", "--no-report")
    assert (done.returncode, done.stdout) == (69, "")
    assert run_stages(run, "--page", SHIPPED).returncode == 0

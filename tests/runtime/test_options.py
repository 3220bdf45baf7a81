"""Wrong usage ends in exit code 2 and one line, before anything runs; options of earlier versions still work."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import etl_process
import extract
import load
import report
import transform
from gdp import __version__
from gdp.options import ETL, EXTRACT, LOAD, REFETCH, REPORT, TRANSFORM, Script, parse
from gdp.places import DATABASE_VARIABLE, Place
from tests.conftest import snapshot

SCRIPTS = {"etl": ETL, "extract": EXTRACT, "transform": TRANSFORM, "load": LOAD, "report": REPORT}
MAINS: dict[str, Callable[[list[str]], int]] = {
    "etl": etl_process.main, "extract": extract.main, "transform": transform.main, "load": load.main,
    "report": report.main,
}  # fmt: skip
WRONG = [
    ("etl --release 2025-10", "add --source imf"),
    ("etl --source imf --release banana", "banana is no month; write 2013-04"),
    ("etl --source imf,world_bank --release 2025-10", "--release is of one source"),
    ("etl --source imff", "did you mean imf?"),
    ("etl --engine spark", "add --pages or --archive"),
    ("etl --engine sparc", "did you mean spark?"),
    ("etl --master local", "--master goes with --engine spark"),
    ("etl --datbase x.db", "there is no option --datbase; did you mean --database?"),
    ("etl --rel 2025-10", "did you mean --release?"),
    ("etl banana", "'banana' belongs to no option"),
    ("etl --page", "--page: expected one argument"),
    ("etl --page a.html --archive", "give one of them"),
    ("etl --page a.html --source imf world_bank", "--page is one source's"),
    ("etl --page https://h/x --source imf", "is an address; name a file of imf"),
    ("etl --from load --page x", "--page is for extract, which is not asked for"),
    ("etl --status --page x", "--page is for extract"),
    ("etl --only report --no-report", "--no-report leaves out"),
    ("etl --only report --export", "--export is for load"),
    ("etl --from load --only load", "exclude each other"),
    ("etl --timeout 0", "0 is not between 0.1 and"),
    ("etl --timeout nan", "nan is not between"),
    ("etl --timeout 1e12", "is not between"),
    ("etl --wait -1", "-1 is not between"),
    ("etl --max-age -1", "-1 is less than 0"),
    ("etl --max-age soon", "'soon' is not a whole number"),
    ("etl --workers 0", "0 is less than 1"),
    ("etl --max-rejected 2", "2 is not between 0 and 1"),
    ("etl --as-of 9000-01-01", "9000-01-01 is in the future"),
    ("extract --revisions 2025-01-01", "is not FROM..TO"),
    ("extract --refetch", "--refetch goes with --revisions"),
    ("extract --every yearly --revisions 2020-01-01..2021-01-01", "'yearly' is unknown"),
    ("extract --pages somewhere --output x.json", "name an --output that ends in .jsonl"),
    ("extract --as-of 2025-02-30", "2025-02-30 is no day"),
    ("transform --input a.json b.json", "a.json: several inputs must be"),
    ("transform --input a.jsonl b.jsonl --output c.json", "c.json: several inputs must be"),
    ("load --country KOR --changes", "ask one thing at a time"),
    ("load --country KOR --input x.json", "--input is for loading"),
    ("load --export --country KOR", "--export goes with --as-of alone"),
    ("load --output somewhere", "--output goes with --export"),
    ("load --confirm KOR --institution IMFF", "did you mean IMF?"),
    ("load --because hm", "--because goes with --confirm"),
    ("load --csv", "--csv prints an answer"),
    ("load --as-of 9000-01-01", "9000-01-01 is in the future"),
    ("report --site-url https://h/", "--site-url goes with --site"),
]


def wrong_usage(capsys: pytest.CaptureFixture[str], line: str) -> str:
    """Return the one line with which a command line is refused."""
    name, *arguments = line.split()
    with pytest.raises(SystemExit) as ended:
        MAINS[name](arguments)
    out, error = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert re.fullmatch(rf"{SCRIPTS[name].name}: error: .+; see {SCRIPTS[name].name} --help\n", error), error
    return error


@pytest.mark.parametrize(("line", "words"), WRONG)
def test_wrong_usage_is_one_line_and_nothing_runs(
    line: str, words: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in wrong_usage(capsys, line)
    assert snapshot(home) == {} and not (home / "log").exists()


@pytest.mark.parametrize("java", ["/nowhere", None])
def test_spark_that_cannot_run_here_is_wrong_usage(
    java: str | None, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", java or "")
    monkeypatch.setenv("PATH", "/nowhere")
    words = wrong_usage(capsys, f"etl --pages {tmp_path} --engine spark")
    assert "requirements/spark.txt" in words and not (home / "log").exists()


@pytest.mark.parametrize("text", ["IMF", "imf", "Imf"])
def test_a_source_is_known_in_any_case(text: str) -> None:
    assert parse(EXTRACT, ["--source", text]).source == ["imf"]
    assert parse(EXTRACT, ["--source", "World-Bank,IMF", "imf"]).source == ["world_bank", "imf"]


def test_the_old_name_of_a_renamed_option_works_for_one_version_and_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parse(EXTRACT, ["--revisions", "2020-01-01..2021-01-01", REFETCH.old_name]).refetch is True
    assert parse(EXTRACT, ["--revisions", "2020-01-01..2021-01-01"]).refetch is False
    with pytest.raises(SystemExit):
        parse(EXTRACT, ["--help"])
    assert REFETCH.old_name not in capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_prints_its_version(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        MAINS[name](["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{SCRIPTS[name].name} {__version__}\n"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_help_is_in_groups_and_ends_in_three_commands(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(script, ["--help"])
    text = capsys.readouterr().out
    assert all(f"\n{title}:\n" in text for title in script.groups)
    examples = text.partition("\nexamples:\n")[2].splitlines()
    assert len(examples) == 3 and all(line.startswith(f"  python {script.name}") for line in examples)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_examples_of_the_help_are_right_usage(script: Script) -> None:
    for example in script.examples:
        parse(script, example.split())


def test_the_environment_names_the_database_where_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql://me:secret@h/db")
    assert parse(LOAD, []).database == Place(None, "postgresql://me:secret@h/db")
    assert parse(LOAD, ["--database", "/tmp/x.db"]).database == Place(Path("/tmp/x.db"))


def test_a_wrong_database_of_the_environment_is_wrong_usage_and_quotes_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "mysql://me:secret@h/db")
    error = wrong_usage(capsys, "load")
    assert DATABASE_VARIABLE in error and "secret" not in error


def test_a_run_hands_the_stages_what_it_parsed() -> None:
    line = "--source IMF --release 2020-10..2021-04 --workers 2 --force --quiet --export --database /tmp/x.db"
    stages = {stage.name: stage.arguments for stage in etl_process.stages_to_run(parse(ETL, line.split()))}
    for name, script in (("extract", EXTRACT), ("transform", TRANSFORM), ("load", LOAD), ("report", REPORT)):
        assert parse(script, stages[name]).quiet is True
    extracting = parse(EXTRACT, stages["extract"])
    assert extracting.source == ["imf"] and extracting.workers == 2
    assert [str(month) for month in extracting.release] == ["2020-10", "2021-04"]
    assert parse(LOAD, stages["load"]).force is True and parse(LOAD, stages["load"]).export is True
    assert parse(REPORT, stages["report"]).database == Place(Path("/tmp/x.db"))


def test_a_databases_password_is_no_argument_of_a_stage() -> None:
    options = parse(ETL, ["--database", "postgresql://me:secret@h/db"])
    assert "secret" not in str(etl_process.stages_to_run(options))

"""The stages as a user runs them: by hand, one by one, together, from other folders, and when something is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Answer, Run, Server, query, records, run_stages, snapshot
from tests.page_builder import SHIPPED
from tests.runtime.watching import runs

STAMP = re.compile(r"^\d{4}-[A-Z][a-z]+-\d\d-\d\d-\d\d-\d\d, \S")
DATABASE = Path("sqliteDB") / "World_Economies.db"
RAW, CLEAN = Path("results") / "Countries_by_GDP.json", Path("results") / "Countries_by_GDP_Processed.json"


def dump(home: Path) -> list[list[tuple[object, ...]]]:
    return [
        query(home / DATABASE, f"SELECT * FROM {table} ORDER BY {key}")
        for table, key in (("GDP_Estimates", "As_of, Institution, Country, Year"), ("Countries_by_GDP", "rowid"))
    ]


def one_line_error(done: subprocess.CompletedProcess[str], stage: str) -> str:
    """Return the stage's error line after checking that there is one, and no traceback."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"[{stage}] error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_first_run_without_network_does_the_whole_job(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "100 billion USD or more: 76" in done.stdout
    regions = re.findall(r"^([A-Z][A-Za-z ]+?)  +([\d,]+\.\d\d) +(\d)$", done.stdout, re.MULTILINE)
    assert regions[0] == ("North America", "7003.68", "5")
    assert len(regions) == 6
    assert re.search(
        r"could not reach en\.wikipedia\.org \(.+\); used the page of 2025-12-30, \d+ days old", done.stderr
    )


def test_three_stages_by_hand_from_another_folder_fill_an_empty_database(run: Run, home: Path) -> None:
    for script, arguments in (("extract.py", ["--page", SHIPPED]), ("transform.py", []), ("load.py", [])):
        done = run(script, *arguments)
        assert done.returncode == 0, done.stderr
    assert query(home / DATABASE, "SELECT count(*) FROM Countries_by_GDP") == [(194,)]
    assert query(home / DATABASE, "SELECT Country, GDP_USD_billion FROM Countries_by_GDP LIMIT 2") == [
        ("United States", 30615.74),
        ("China", 19398.58),
    ]


@pytest.mark.usefixtures("loaded")
def test_a_failed_extract_does_not_stop_the_stages_that_have_their_files(run: Run, home: Path) -> None:
    before = dump(home)
    (home / "other.html").write_text("<html><body><p>no table</p></body></html>")
    done = run("etl_process.py", "--no-report", "--page", home / "other.html")
    (home / "other.html").unlink()
    assert done.returncode == 65
    assert "other.html is refused" in one_line_error(done, "extract")
    assert "extract failed; transform goes on with" in done.stderr
    assert done.stdout == "unchanged since 2025-12-30\n"
    assert dump(home) == before


def test_a_failed_extract_without_earlier_files_stops_there(run: Run, home: Path) -> None:
    (home / "other.html").write_text("<html><body><p>no table</p></body></html>")
    done = run("etl_process.py", "--no-report", "--page", home / "other.html")
    assert done.returncode == 65
    assert "transform is not run" in done.stderr
    assert "load is not run" in done.stderr
    assert snapshot(home).keys() == {"other.html"}


@pytest.mark.usefixtures("loaded")
def test_a_page_that_was_named_and_is_not_there_ends_the_run_before_any_stage(run: Run, home: Path) -> None:
    before = dump(home)
    done = run("etl_process.py", "--no-report", "--page", "/no/such/page.html")
    assert done.returncode == 66
    assert "/no/such/page.html is not there" in one_line_error(done, "etl")
    assert "transform" not in done.stderr and done.stdout == ""
    assert dump(home) == before


def test_one_stage_alone_and_the_rest_from_one_on(run: Run, home: Path) -> None:
    assert run("etl_process.py", "--no-report", "--only", "extract", "--page", SHIPPED).returncode == 0
    assert (home / RAW).exists()
    assert not (home / CLEAN).exists()
    assert run("etl_process.py", "--no-report", "--from", "transform").returncode == 0
    assert (home / DATABASE).exists()


def test_loading_the_same_file_twice_changes_nothing(run: Run, home: Path) -> None:
    assert run_stages(run, "--page", SHIPPED, of_load=["--no-history"]).returncode == 0
    before = dump(home)
    assert run("load.py").returncode == 0
    assert dump(home) == before
    assert query(home / DATABASE, "SELECT count(*), count(DISTINCT SHA256), max(Rows) FROM Loads") == [(1, 1, 615)]


@pytest.mark.usefixtures("loaded")
def test_a_vintage_that_was_cleaned_better_replaces_what_was_made_of_it_before(run: Run, home: Path) -> None:
    right = dump(home)
    wrong = (home / CLEAN).read_text(encoding="utf-8").replace('"Turkey"', '"Turkland"')
    (home / "wrong.json").write_text(wrong, encoding="utf-8")
    assert run("load.py", "--input", home / "wrong.json").returncode == 0
    assert dump(home) != right
    assert run("load.py").returncode == 0
    assert dump(home) == right


@pytest.mark.usefixtures("loaded")
def test_queries_that_others_wrote_work_unchanged(run: Run, home: Path) -> None:
    over = "SELECT Country FROM Countries_by_GDP WHERE GDP_USD_billion >= 100"
    assert len(query(home / DATABASE, over)) == 76
    assert query(
        home / DATABASE, "SELECT Country, ISO3, Region, Year, GDP_USD_billion FROM Countries_by_GDP LIMIT 1"
    ) == [("United States", "USA", "North America", 2025, 30615.74)]


def test_json_gives_both_screens_to_a_machine(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--no-report", "--page", SHIPPED, "--json", "--quiet")
    found = json.loads(done.stdout)
    assert len(found["Countries_over_100_billion_USD"]) == 76
    assert found["Region_top_5_mean"][0] == {
        "Region": "North America", "Mean_GDP_USD_billion": 7003.68, "Countries": 5,
    }  # fmt: skip
    assert found["As_of"] == "2025-12-30T20:09:00Z"


def test_a_quiet_run_repeats_no_warning_of_the_run_before(run: Run, loaded: Path) -> None:
    assert [one["warnings"] for one in runs(loaded) if one["stage"] == "load"] != [[]]
    done = run("etl_process.py", "--no-report", "--page", SHIPPED, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "line",
    ["load.py", "load.py --country KOR", "load.py --as-of 2026-01-01", "load.py --findings", "etl_process.py --status"],
)  # fmt: skip
def test_quiet_prints_no_tables(line: str, run: Run, home: Path) -> None:
    script, *arguments = line.split()
    done = run(script, *arguments, "--quiet")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.usefixtures("loaded")
def test_json_is_no_table_and_is_printed_with_quiet_too(run: Run, home: Path) -> None:
    assert json.loads(run("load.py", "--as-of", "2026-01-01", "--quiet", "--json").stdout)


def test_the_log_has_start_and_end_of_every_stage_in_the_agreed_form_in_any_locale(run: Run, home: Path) -> None:
    assert (
        run(
            "etl_process.py", "--no-report", "--page", SHIPPED, LC_ALL="C", LANG="ko_KR.UTF-8", TZ="Asia/Seoul"
        ).returncode
        == 0
    )
    lines = (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8").splitlines()
    assert all(STAMP.match(line) for line in lines)
    stamp = time.strptime(lines[-1].partition(",")[0], "%Y-%B-%d-%H-%M-%S")
    assert abs(time.mktime((*time.gmtime()[:8], 0)) - time.mktime((*stamp[:8], 0))) < 60
    for stage in ("extract", "transform", "load"):
        assert sum(line.endswith(f"[{stage}] start") for line in lines) == 1
        assert sum(f"[{stage}] end: done after" in line for line in lines) == 1


def test_jsonl_goes_from_stage_to_stage_as_json_does(run: Run, home: Path, tmp_path: Path) -> None:
    raw, clean = tmp_path / "raw.jsonl", tmp_path / "clean.jsonl"
    assert run("extract.py", "--page", SHIPPED, "--output", raw).returncode == 0
    assert run("transform.py", "--input", raw, "--output", clean).returncode == 0
    assert run("load.py", "--input", clean).returncode == 0
    assert len(raw.read_text().splitlines()) == 666
    by_jsonl = dump(home)
    (home / DATABASE).unlink()
    assert run_stages(run, "--page", SHIPPED).returncode == 0
    assert dump(home) == by_jsonl


BAD_FILES = {
    "missing": (None, 66),
    "empty": (b"", 65),
    "broken json": (b'[{"Country": "Chi', 65),
    "wrong shape": (b'{"Country": "China"}', 65),
    "no records": (b"[]", 65),
    "not objects": (b"[1, 2]", 65),
    "missing field": (b'[{"Country": "China", "GDP": "1"}]', 65),
    "binary": (bytes(range(256)) * 8, 65),
    "endless nesting": (b"[" * 100_000, 65),
    "not a number": (b"[NaN]", 65),
    "a lone surrogate": (b'[{"Country": "\\ud800"}]', 65),
}


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("stage", ["transform", "load"])
def test_a_bad_input_file_ends_in_its_code_and_one_line_and_leaves_earlier_output(
    stage: str, case: str, run: Run, home: Path, tmp_path: Path
) -> None:
    before = snapshot(home)
    content, code = BAD_FILES[case]
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    done = run(f"{stage}.py", "--input", path)
    assert done.returncode == code, done.stderr
    assert str(path) in one_line_error(done, stage)
    assert {name: was for name, was in snapshot(home).items() if "Rejected" not in name} == before


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Year", 10**19), ("GDP_USD_billion", 10**400), ("Institution", "imf"), ("Country", ""), ("As_of", "zzz"),
        ("As_of", "9999zz"), ("Country", "\ud800"), ("Year", True),
    ],
)  # fmt: skip
def test_load_refuses_what_transform_would_not_have_written(
    field: str, value: object, run: Run, home: Path, tmp_path: Path
) -> None:
    clean = records(home / CLEAN)
    clean[3][field] = value
    path = tmp_path / "clean.json"
    path.write_text(json.dumps(clean))
    done = run("load.py", "--input", path)
    assert done.returncode == 65
    assert f"record 4: field {field} is" in one_line_error(done, "load")


def test_an_output_that_is_no_regular_file_is_left_alone_and_a_link_is_followed(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    done = run("extract.py", "--page", SHIPPED, "--output", tmp_path / "fifo")
    assert done.returncode == 74
    assert "it is no regular file" in one_line_error(done, "extract")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    assert run("extract.py", "--page", SHIPPED, "--output", tmp_path / "link.json").returncode == 0
    assert (tmp_path / "link.json").is_symlink()
    assert len(records(tmp_path / "real.json")) == 666


def test_a_wrong_field_is_named_with_its_file_and_record(run: Run, home: Path, tmp_path: Path) -> None:
    assert run("extract.py", "--page", SHIPPED).returncode == 0
    raw = records(home / RAW)
    raw[7]["GDP"] = 5
    path = tmp_path / "raw.json"
    path.write_text(json.dumps(raw))
    done = run("transform.py", "--input", path)
    assert done.returncode == 0 and f"record 8 of {path}: field GDP is 5" in done.stderr
    path.write_text(json.dumps(raw[7:8]))
    done = run("transform.py", "--input", path)
    assert done.returncode == 65 and f"record 1 of {path}: field GDP is 5" in one_line_error(done, "transform")


def _pages(page: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "truncated": page[: len(page) // 2],
        "truncated behind the table": page[:-20],
        "binary": bytes(range(256)) * 99,
        "no table": b"<html><body><p>Moved.</p></body></html>",
        "too few countries": page.replace(b"IMF", b"DIW"),
        "gzip cut short": __import__("gzip").compress(page)[:-100],
    }


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("case", _pages(b"x" * 100))
def test_a_page_that_cannot_be_read_is_refused_and_leaves_earlier_output(
    case: str, page_bytes: bytes, run: Run, home: Path, tmp_path: Path
) -> None:
    before = snapshot(home)
    path = tmp_path / "page.html"
    path.write_bytes(_pages(page_bytes)[case])
    done = run("extract.py", "--page", path)
    assert done.returncode == 65, done.stderr
    assert str(path) in one_line_error(done, "extract")
    assert snapshot(home) == before


def test_a_refused_page_says_how_many_tables_and_which_headings_it_has(
    page_bytes: bytes, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes.replace(b"IMF", b"DIW"))
    found = one_line_error(run("extract.py", "--page", path), "extract")
    assert "0 countries under IMF, fewer than 100, in 1 tables" in found
    assert "'Country/Territory', 'DIW(2025)[6]'" in found


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("stage", ["extract", "transform", "load"])
def test_an_unwritable_place_ends_in_74_and_one_line(stage: str, run: Run, home: Path, tmp_path: Path) -> None:
    before = snapshot(home)
    (tmp_path / "file").write_text("in the way of a folder")
    target = tmp_path / "file" / "below"
    option = "--database" if stage == "load" else "--output"
    page = ["--page", SHIPPED] if stage == "extract" else []
    done = run(f"{stage}.py", *page, option, target)
    assert done.returncode == 74, done.stderr
    assert "cannot" in one_line_error(done, stage)
    assert snapshot(home) == before


@pytest.mark.usefixtures("loaded")
def test_a_database_that_is_none_is_left_alone(run: Run, home: Path) -> None:
    (home / DATABASE).write_bytes(b"not a database at all, " * 99)
    before = snapshot(home)
    done = run("load.py")
    assert done.returncode == 65
    assert "not a database" in one_line_error(done, "load")
    assert snapshot(home) == before


def test_a_log_that_cannot_be_written_is_named(run: Run, home: Path) -> None:
    (home / "log").write_text("a file where the folder should be")
    done = run("extract.py", "--page", SHIPPED)
    assert done.returncode == 74
    assert "/home/log" in one_line_error(done, "extract")


def _with_bad(home: Path, path: Path, bad: int, **changes: str) -> Path:
    raw = records(home / RAW)
    for record in raw[10 : 10 + bad]:
        record.update(changes)
    path.write_text(json.dumps(raw))
    return path


@pytest.mark.parametrize("changes", [{"GDP": "abc"}, {"Year": "20x5"}, {"GDP": "-5"}, {"As_of": "yesterday"}])
def test_a_record_that_is_no_figure_is_rejected_counted_and_named(
    changes: dict[str, str], run: Run, home: Path, tmp_path: Path
) -> None:
    assert run("extract.py", "--page", SHIPPED).returncode == 0
    few = run("transform.py", "--input", _with_bad(home, tmp_path / "few.json", 13, **changes))
    assert few.returncode == 0, few.stderr
    assert "warning: 13 of 666 records were rejected" in few.stderr and "record 11 of" in few.stderr
    assert "13 rejected" in few.stderr
    many = run("transform.py", "--input", _with_bad(home, tmp_path / "many.json", 14, **changes))
    assert many.returncode == 65
    assert "14 of 666" in one_line_error(many, "transform")


def test_a_country_with_two_figures_and_rows_that_are_there_twice_are_named(
    run: Run, home: Path, tmp_path: Path
) -> None:
    assert run("extract.py", "--page", SHIPPED).returncode == 0
    raw = records(home / RAW)
    again = [{**record, "GDP": "1,000"} for record in raw if record["Country"] == "Germany"]
    path = tmp_path / "twice.json"
    path.write_text(json.dumps([*raw, *again]))
    assert run("transform.py", "--input", path).returncode == 0
    done = run("load.py")
    assert done.returncode == 0
    assert "a country twice, IMF: 1 figure\n  Germany 2025: 1.00 and 5,013.57" in done.stderr
    path.write_text(json.dumps([*raw, *raw[3:6]]))
    same = run("transform.py", "--input", path)
    assert same.returncode == 0
    done = run("load.py")
    assert done.returncode == 0
    assert done.stderr.count("a country twice") == 3


def test_an_unknown_country_is_kept_and_named_with_its_nearest_names(run: Run, home: Path, tmp_path: Path) -> None:
    assert run("extract.py", "--page", SHIPPED).returncode == 0
    raw = records(home / RAW)
    for record in raw:
        record["Country"] = record["Country"].replace("Germany", "Germani")
    path = tmp_path / "unknown.json"
    path.write_text(json.dumps(raw))
    done = run("transform.py", "--input", path)
    assert "unknown country 'Germani' kept without ISO code and region; nearest known: Germany" in done.stderr
    unknown = [r for r in records(home / CLEAN) if r["Country"] == "Germani"]
    assert {(r["ISO3"], r["Region"]) for r in unknown} == {(None, None)}


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_a_fetched_page_is_cached_once_under_its_day_and_revision(
    server: Server, page_bytes: bytes, run: Run, home: Path
) -> None:
    newer = page_bytes.replace(b"1330326028", b"1330999999").replace(b"30 December 2025", b"31 December 2025")
    server.answers = [Answer(body=newer)]
    assert run("extract.py", "--page", server.url, GDP_ETL_CONTACT="ops@example.org").returncode == 0
    cached = home / "data" / "pages" / "2025-12-31_enwiki_rev1330999999.html.gz"
    first = cached.stat().st_mtime_ns
    assert run("extract.py", "--page", server.url, GDP_ETL_CONTACT="ops@example.org").returncode == 0
    assert cached.stat().st_mtime_ns == first
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]
    assert "gdp-etl" in server.user_agents[0]
    assert "ops@example.org" in server.user_agents[0]
    offline = run("extract.py")
    assert "used the page of 2025-12-31" in offline.stderr


def test_a_busy_server_is_asked_again(server: Server, page_bytes: bytes, run: Run) -> None:
    server.answers = [Answer(503, headers={"Retry-After": "1"}), Answer(429), Answer(body=page_bytes)]
    done = run("extract.py", "--page", server.url)
    assert done.returncode == 0, done.stderr
    assert len(server.user_agents) == 3


@pytest.mark.parametrize("answer", [Answer(404), Answer(403), Answer(body=b"<html><table>"), Answer(500)])
def test_a_page_that_cannot_be_had_from_a_named_address_ends_in_69(answer: Answer, server: Server, run: Run) -> None:
    server.answers = [answer]
    done = run("extract.py", "--page", server.url)
    assert done.returncode == 69
    assert re.search(r"could not reach (127\.0\.0\.1|wikipedia) \(it", one_line_error(done, "extract"))


def test_a_cached_page_over_max_age_ends_in_69(run: Run) -> None:
    done = run("extract.py", "--max-age", "30")
    assert done.returncode == 69
    assert "days old, over --max-age 30" in one_line_error(done, "extract")
    assert run("extract.py", "--max-age", "36500").returncode == 0


@pytest.mark.parametrize("script", ["extract.py", "transform.py", "load.py", "etl_process.py"])
def test_help_ends_in_a_command_that_can_be_pasted_and_wrong_usage_is_2(script: str, run: Run) -> None:
    found = run(script, "--help")
    assert found.returncode == 0
    assert found.stdout.splitlines()[-1].startswith(f"  python {script} ")
    assert run(script, "--nonsense").returncode == 2

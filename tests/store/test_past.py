"""The bundled history: a first load into an empty database shows what changed since the newest bundled page."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from gdp.model import CLEAN_FIELDS, has_flag
from gdp.record_files import record_problem
from gdp.store.seed import HISTORY_FILE
from gdp.transform.rules import name_of
from tests.conftest import MISJUDGED, PAGES, SHARED_PAGES, Run, query, run_stages
from tests.page_builder import SHIPPED
from tests.store.loading import ask, clean_file_of

DATABASE = Path("sqliteDB") / "World_Economies.db"
FACTS = SHARED_PAGES.parent / "facts" / "pages"
NO_SOURCE = "misjudged/2025-12-30_enwiki_rev1330242352"  # and undone on the same day: it is not bundled
SHIPPED_PAGES = [Path(page).name for page in (*PAGES, *MISJUDGED) if page != NO_SOURCE]
RECORDS = [json.loads(line) for line in gzip.decompress(HISTORY_FILE.read_bytes()).splitlines()]


def test_the_bundled_history_has_clean_records_oldest_vintage_first() -> None:
    assert [problem for record in RECORDS if (problem := record_problem(record, CLEAN_FIELDS))] == []
    days = [record["As_of"] for record in RECORDS]
    assert days == sorted(days) and len(set(days)) == len(SHIPPED_PAGES)


@pytest.mark.skipif(not FACTS.exists(), reason="../shared is not beside the project")
@pytest.mark.parametrize("page", SHIPPED_PAGES)
def test_every_bundled_figure_is_that_of_the_facts(page: str) -> None:
    revision = page.partition("rev")[2].partition("_")[0]
    with (FACTS / f"{page}.csv").open(encoding="utf-8", newline="") as file:
        facts = [row for row in csv.DictReader(file) if name_of(row["country"]).country]
    expected = {  # in published millions too
        (row["institution"], name_of(row["country"]).text, int(row["year"])): (int(row["gdp_million"]) + 5) // 10 / 100
        for row in facts
    }
    days = {record["As_of"] for record in RECORDS if revision and record["Source"].endswith(f"oldid={revision}")}
    days |= {record["As_of"] for record in RECORDS if not revision and record["As_of"].startswith(page[:10])}
    found = {(r["Institution"], r["Country"], r["Year"]): r["GDP_USD_billion"] for r in RECORDS if r["As_of"] in days}
    assert found == expected


def test_a_first_run_shows_what_changed_and_a_country_has_its_years(home: Path, run: Run) -> None:
    done = run_stages(run, "--page", SHIPPED)
    assert done.returncode == 0, done.stderr
    assert "loaded 7 bundled vintages of the page, 2018-09-26 to 2025-01-08" in done.stderr
    assert "changed between 2025-01-08 and 2025-12-30" in done.stderr
    changes = ask("--changes", "--json").json
    assert (changes["Since"], changes["As_of"]) == ("2025-01-08T07:28:00Z", "2025-12-30T20:09:00Z")
    years = {row["As_of"][:4] for row in ask("--country", "KOR", "--json").json["Estimates"]}
    assert {"2018", "2021", "2023", "2024", "2025"} <= years
    assert query(home / DATABASE, "SELECT DISTINCT substr(As_of, 1, 10) FROM Countries_by_GDP") == [("2025-12-30",)]
    again = run_stages(run, "--page", SHIPPED)
    assert "bundled" not in again.stderr


def test_no_bundled_vintage_is_newer_than_what_is_loaded(home: Path) -> None:
    clean = json.loads(clean_file_of(SHIPPED).read_bytes())
    older = home / "older.json"
    older.write_text(json.dumps([{**record, "As_of": "2023-05-01T00:00:00Z"} for record in clean]), encoding="utf-8")
    done = ask("--input", older, "--force")
    assert "loaded 3 bundled vintages of the page, 2018-09-26 to 2023-03-29" in done.err
    assert query(home / DATABASE, "SELECT max(As_of) FROM Loads") == [("2023-05-01T00:00:00Z",)]
    assert query(home / DATABASE, "SELECT DISTINCT As_of FROM Countries_by_GDP") == [("2023-05-01T00:00:00Z",)]


def test_without_history_the_database_has_only_what_was_loaded(home: Path, run: Run) -> None:
    done = run_stages(run, "--page", SHIPPED, of_load=["--no-history"])
    assert done.returncode == 0 and "bundled" not in done.stderr
    assert query(home / DATABASE, "SELECT count(*) FROM Loads") == [(1,)]


def test_a_file_without_imf_figures_loads_no_bundled_headlines(home: Path) -> None:
    clean = json.loads(clean_file_of(SHIPPED).read_bytes())
    others = home / "others.json"
    others.write_text(json.dumps([record for record in clean if record["Institution"] != "IMF"]), encoding="utf-8")
    ask("--input", others, "--force")
    assert query(home / DATABASE, "SELECT count(*) FROM Countries_by_GDP") == [(0,)]


def test_flags_of_the_source_are_bundled_too() -> None:
    flagged = {record["Flags"] for record in RECORDS} - {None}
    assert all(has_flag(flags, "unsourced", "disputed", "two-years", "year-assumed") for flags in flagged)

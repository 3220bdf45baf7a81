"""The tools that people have take our outputs as they are: Frictionless, Datasette, pandas, DuckDB."""

from __future__ import annotations

import csv
import html
import json
import re
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from gdp.report.export import FIELDS
from tests.cluster import free_port
from tests.conftest import PROJECT, Run, query, records, snapshot
from tests.looked_at import make_past
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE, ask, clean_file_of, load_page

needs_pyarrow = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import pyarrow"], capture_output=True, check=False).returncode != 0,
    reason="requirements/export.txt is not installed",
)


@pytest.fixture
def exported(home: Path) -> Path:
    """Return the folder with what --export writes."""
    load_page(home / DATABASE, SHIPPED)
    done = ask("--export")
    assert done.code == 0, done.err
    return home / "results"


def rows_of_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@needs_pyarrow
def test_what_is_exported_is_what_is_loaded(exported: Path, home: Path) -> None:
    import pyarrow.parquet as pq

    names = "Country, ISO3, Region, Year, GDP_USD_billion, As_of, Source, Note"
    loaded = query(home / DATABASE, f"SELECT {names}, 'IMF', 'wikipedia' FROM Countries_by_GDP")
    order = [*names.split(", "), "Institution", "Publisher"]
    written = [
        tuple({"Year": int, "GDP_USD_billion": float}.get(name, lambda text: text or None)(row[name]) for name in order)
        for row in rows_of_csv(exported / "Countries_by_GDP.csv")
    ]
    assert written == loaded
    table = pq.read_table(exported / "Countries_by_GDP.parquet")
    assert [tuple(row[name] for name in order) for row in table.to_pylist()] == loaded
    assert b"billions of US dollars" in table.schema.field("GDP_USD_billion").metadata[b"description"]


@needs_pyarrow
def test_the_whole_history_is_exported_a_row_for_as_long_as_a_figure_stood(home: Path) -> None:
    import pyarrow.parquet as pq

    make_past(home)
    assert ask("--export").code == 0
    stood = "SELECT As_of, nullif(Until, '9999-12-31'), Institution, Country, Year, GDP_USD_billion FROM GDP_Estimates"
    loaded = query(home / DATABASE, f"{stood} ORDER BY As_of, Institution, Country, Year, Publisher")
    assert len(loaded) > 2000
    names = ("As_of", "Until", "Institution", "Country", "Year", "GDP_USD_billion")
    table = pq.read_table(home / "results" / "GDP_Estimates.parquet")
    assert [tuple(row[name] for name in names) for row in table.to_pylist()] == loaded
    rows = rows_of_csv(home / "results" / "GDP_Estimates.csv")
    assert [(row["As_of"], row["Until"] or None, row["Country"]) for row in rows] == [
        (row[0], row[1], row[3]) for row in loaded
    ]


@needs_pyarrow
def test_frictionless_accepts_the_package_and_sees_a_damaged_file(exported: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    package = str(exported / "datapackage.json")
    assert frictionless.validate(package).valid
    with (exported / "Countries_by_GDP.csv").open("a", encoding="utf-8") as file:
        file.write("Atlantis,ATL,Europe,many,1.00,,,,,\n")
    assert not frictionless.validate(package).valid


def test_the_package_tells_its_terms_its_time_its_keys_and_its_units(exported: Path) -> None:
    package = json.loads((exported / "datapackage.json").read_text())
    assert [licence["name"] for licence in package["licenses"]] == ["CC-BY-SA-4.0"]
    assert [source["title"] for source in package["sources"]] == ["Wikipedia"]
    age = datetime.now(timezone.utc) - datetime.fromisoformat(package["created"])
    assert timedelta(0) <= age < timedelta(hours=1)
    for resource in (one for one in package["resources"] if one["path"].endswith(".csv")):
        fields = {field["name"]: field for field in resource["schema"]["fields"]}
        assert set(resource["schema"]["primaryKey"]) <= fields.keys()
        assert fields["GDP_USD_billion"]["unit"] == "billion USD"
        assert all(field["description"] for field in fields.values())


def test_an_earlier_day_is_exported_under_its_own_name_and_the_newest_stands(home: Path, tmp_path: Path) -> None:
    make_past(home)
    folder = tmp_path / "taken along"
    assert ask("--export", "--output", folder).code == 0
    before = snapshot(folder)
    assert ask("--export", "--as-of", "2025-01-01", "--output", folder).code == 0
    after = snapshot(folder)
    assert {name: after[name] for name in before} == before
    assert {"Countries_by_GDP_2025-01-01.csv", "datapackage_2025-01-01.json"} <= after.keys() - before.keys()
    assert json.loads(after["datapackage_2025-01-01.json"])["title"].endswith("as of 2024-10-25")
    assert {row["As_of"] for row in rows_of_csv(folder / "Countries_by_GDP_2025-01-01.csv")} == {"2024-10-25"}
    assert not (home / "results" / "Countries_by_GDP.csv").exists()


def test_without_pyarrow_there_is_csv_and_a_parquet_of_before_is_named(run: Run, home: Path, tmp_path: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'pyarrow' else find(name, *rest)\n"
    )
    stale = home / "results" / "GDP_Estimates.parquet"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"of before")
    done = run("load.py", "--export", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(rows_of_csv(home / "results" / "Countries_by_GDP.csv")) == 194
    assert len(rows_of_csv(home / "results" / "GDP_Estimates.csv")) == 615
    assert f"warning: {stale} is of an earlier export: pip install -r requirements/export.txt" in done.stderr


def test_the_daily_run_exports_what_it_has_loaded(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--no-report", "--quiet", "--export", "--page", SHIPPED)
    assert done.returncode == 0, done.stderr
    assert rows_of_csv(home / "results" / "Countries_by_GDP.csv")[0]["GDP_USD_billion"] == "30615.74"
    refused = run("etl_process.py", "--only", "report", "--export")
    assert (refused.returncode, "--export is for load" in refused.stderr) == (2, True)


@pytest.mark.long
def test_a_long_history_is_exported_in_the_memory_of_a_short_one(run: Run, home: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    peaks = []
    for more in (0, 400_000):
        connection = sqlite3.connect(home / DATABASE)
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO GDP_Estimates (As_of, Institution, Country, Year, GDP_USD_billion, Source, Publisher, Until)"
            " SELECT '2001-01-01', 'UN', 'C' || i, 2000, 1.0, 'x', 'wikipedia', '2002-01-01' FROM n WHERE i <= ?",
            (max(more, 1), more),
        )
        connection.commit()
        connection.close()
        code = "import resource as r, load; load.main(['--export']); print(r.getrusage(r.RUSAGE_SELF).ru_maxrss)"
        done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert len(rows_of_csv(home / "results" / "GDP_Estimates.csv")) == 400_615
    assert peaks[1] - peaks[0] < 60, peaks  # MiB; the rows take ten times as much


def test_datasette_describes_the_columns_as_the_export_does() -> None:
    yaml = pytest.importorskip("yaml")
    tables = yaml.safe_load((PROJECT / "docs" / "datasette.yml").read_text())["databases"]["World_Economies"]["tables"]
    for name in ("Countries_by_GDP", "GDP_Current", "GDP_Estimates"):
        for column, text in tables[name]["columns"].items():
            if (name, column) not in {("GDP_Estimates", "As_of"), ("GDP_Estimates", "Until")}:
                assert text == FIELDS[column].what, (name, column)


def test_datasettes_question_of_a_day_gives_one_row_a_country_as_we_do_with_the_imfs_own_years_too(home: Path) -> None:
    yaml = pytest.importorskip("yaml")
    load_page(home / DATABASE, SHIPPED)
    page = [one for one in records(clean_file_of(SHIPPED)) if one["Institution"] == "IMF"]
    own = [
        {**one, "Year": year, "GDP_USD_billion": round(one["GDP_USD_billion"] * 1.01 ** (year - 2025), 2)}
        | {"As_of": "2026-04-14", "Source": "https://www.imf.org/external/datamapper/api/v2/NGDPD"}
        for one in page
        for year in range(2015, 2032)
    ]
    (home / "own.json").write_text(json.dumps(own))
    assert ask("--input", home / "own.json", "--force").code == 0
    told = yaml.safe_load((PROJECT / "docs" / "datasette.yml").read_text())["databases"]["World_Economies"]["queries"]
    connection = sqlite3.connect(home / DATABASE)
    for day, year in (("2026-04-13", 2025), ("2026-11-01", 2026)):
        answers = connection.execute(told["as_of"]["sql"], {"day": day}).fetchall()
        assert ask("--export", "--as-of", day).code == 0
        exported = rows_of_csv(home / "results" / f"Countries_by_GDP_{day}.csv")
        assert [(row[0], row[1], row[2]) for row in answers] == [
            (row["Country"], int(row["Year"]), float(row["GDP_USD_billion"])) for row in exported
        ]
        assert (len(answers), answers[0][1]) == (194, year)
    connection.close()


@pytest.fixture
def datasette(home: Path) -> Iterator[str]:
    """Yield the address of a real Datasette on the database, with our descriptions."""
    pytest.importorskip("datasette")
    load_page(home / DATABASE, SHIPPED)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "datasette",
        str(home / DATABASE),
        "--metadata",
        str(PROJECT / "docs" / "datasette.yml"),
        *("--setting", "truncate_cells_html", "80"),
    ]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}/World_Economies"
    try:
        for _ in range(100):
            try:
                fetched(address)
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.communicate()


def fetched(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return str(opener.open(address, timeout=10).read().decode())


def test_datasette_shows_descriptions_and_answers_the_queries_that_are_ready(datasette: str) -> None:
    assert "Countries at or above 100 billion USD" in fetched(datasette)
    table = fetched(f"{datasette}/Countries_by_GDP")
    for told in ("The newest IMF figures, a row a country", "billions of US dollars, two decimals"):
        assert told in table
    assert fetched(datasette).index(">GDP_Current<") < fetched(datasette).index("Countries_by_GDP")
    longest = max(re.findall(r"<td[^>]*>([^<]*)</td>", fetched(f"{datasette}/Loads")), key=len)
    assert len(html.unescape(longest).strip()) <= 81  # JSON is folded, and a row's own page has it whole
    for column in ("Institutions", "Doubt", "Findings"):
        assert f"<dt>{column}</dt>" in fetched(f"{datasette}/Loads")
    rows: dict[str, list[Any]] = {}
    for name, values in (
        ("current", {}), ("large_economies", {}), ("region_top5_mean", {}), ("as_of", {"day": "2026-01-01"}),
        ("one_country", {"iso3": "kor"}), ("doubtful", {}),
    ):  # fmt: skip
        rows[name] = json.loads(fetched(f"{datasette}/{name}.json?{urllib.parse.urlencode(values)}"))["rows"]
    assert rows["current"][0] == ["United States", 30615.74, 29184.89, 27720.7]
    assert len(rows["large_economies"]) == 76
    assert rows["region_top5_mean"][0] == ["North America", 7003.68, 5]
    assert rows["as_of"][0][:3] == ["United States", 2025, 30615.74]
    assert {row[0] for row in rows["one_country"]} == {"IMF", "World Bank", "UN"}
    assert rows["doubtful"]


@needs_pyarrow
def test_the_readmes_notebook_example_runs(exported: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "7003.68" in done.stdout and "30615.74" in done.stdout

"""Other tools read the outputs as they are: Frictionless, Datasette, pandas, DuckDB."""

from __future__ import annotations

import csv
import gzip
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gdp.model import ESTIMATE_FIELDS, HEADLINE_FIELDS
from gdp.report.export import put_in_place
from tests.cluster import free_port
from tests.conftest import PROJECT, Run, query, records, run_process, run_stages, snapshot
from tests.looked_at import make_past
from tests.make_datasette import metadata
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE, ask, clean_file_of, load_page
from utils import StageError

needs_pyarrow = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import pyarrow"], capture_output=True, check=False).returncode != 0,
    reason="requirements/export.txt is not installed",
)


@pytest.fixture
def exported(home: Path) -> Path:
    """Return the folder with an export."""
    load_page(home / DATABASE, SHIPPED)
    done = ask("--export")
    assert done.code == 0, done.err
    return home / "results"


def rows_of_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@needs_pyarrow
def test_the_exported_countries_are_the_loaded_ones(exported: Path, home: Path) -> None:
    import pyarrow.parquet as pq

    names = ", ".join(HEADLINE_FIELDS)
    loaded = query(home / DATABASE, f"SELECT {names}, 'IMF', 'wikipedia' FROM Countries_by_GDP")
    order = [*HEADLINE_FIELDS, "Institution", "Publisher"]
    written = [
        tuple(ESTIMATE_FIELDS[name].python_type(row[name]) if row[name] else None for name in order)
        for row in rows_of_csv(exported / "Countries_by_GDP.csv")
    ]
    assert written == loaded
    table = pq.read_table(exported / "Countries_by_GDP.parquet")
    assert [tuple(row[name] for name in order) for row in table.to_pylist()] == loaded
    assert table.schema.field("Year").metadata[b"description"].decode() == ESTIMATE_FIELDS["Year"].description


@needs_pyarrow
def test_the_whole_history_is_exported_a_row_for_as_long_as_a_figure_was_current(home: Path) -> None:
    import pyarrow.parquet as pq

    make_past(home)
    assert ask("--export").code == 0
    columns = (
        "SELECT As_of, nullif(Until, '9999-12-31'), Institution, Country, Year, GDP_USD_billion FROM GDP_Estimates"
    )
    loaded = query(home / DATABASE, f"{columns} ORDER BY As_of, Institution, Country, Year, Publisher")
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
        file.write("Atlantis,ATL,Europe,many,1.00,,,,,,,\n")
    assert not frictionless.validate(package).valid


def test_the_package_has_licences_time_keys_and_units(exported: Path) -> None:
    package = json.loads((exported / "datapackage.json").read_text())
    assert [licence["name"] for licence in package["licenses"]] == ["CC-BY-SA-4.0"]
    assert [source["title"] for source in package["sources"]] == ["Wikipedia"]
    age = datetime.now(timezone.utc) - datetime.fromisoformat(package["created"])
    assert timedelta(0) <= age < timedelta(hours=1)
    for resource in (one for one in package["resources"] if one["path"].endswith(".csv")):
        fields = {field["name"]: field for field in resource["schema"]["fields"]}
        assert set(resource["schema"]["primaryKey"]) <= fields.keys()
        assert "GDP_USD_billion" not in fields or fields["GDP_USD_billion"]["unit"] == "billion USD"
        assert all(field["description"] for field in fields.values())


def test_an_earlier_day_is_exported_under_its_own_name_and_changes_no_other_file(home: Path, tmp_path: Path) -> None:
    make_past(home)
    folder = tmp_path / "another folder"
    folder.mkdir()
    assert ask("--export", "--output", folder).code == 0
    before = snapshot(folder)
    assert ask("--export", "--as-of", "2025-01-01", "--output", folder).code == 0
    after = snapshot(folder)
    assert {name: after[name] for name in before} == before
    assert {"Countries_by_GDP_2025-01-01.csv", "datapackage_2025-01-01.json"} <= after.keys() - before.keys()
    assert json.loads(after["datapackage_2025-01-01.json"])["title"].endswith("as of 2024-10-25")
    assert {row["As_of"] for row in rows_of_csv(folder / "Countries_by_GDP_2025-01-01.csv")} == {"2024-10-25"}
    assert not (home / "results" / "Countries_by_GDP.csv").exists()


def test_without_pyarrow_there_is_csv_and_an_older_parquet_is_named(run: Run, home: Path, tmp_path: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'pyarrow' else find(name, *rest)\n"
    )
    stale = home / "results" / "GDP_Estimates.parquet"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"older")
    done = run_process("load.py", "--export", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(rows_of_csv(home / "results" / "Countries_by_GDP.csv")) == 194
    assert len(rows_of_csv(home / "results" / "GDP_Estimates.csv")) == 615
    assert f"warning: {stale} is from an earlier export: pip install -r requirements/export.txt" in done.stderr


def test_the_daily_run_exports_what_it_has_loaded(run: Run, home: Path) -> None:
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    done = run_stages(run, "--page", SHIPPED, of_load=["--input", clean, "--export", "--quiet"])
    assert done.returncode == 0, done.stderr
    assert rows_of_csv(home / "results" / "Countries_by_GDP.csv")[0]["GDP_USD_billion"] == "30615.74"


def test_a_missing_folder_is_refused_before_the_work(loaded: Path, tmp_path: Path) -> None:
    done = ask("--export", "--output", tmp_path / "nowhere" / "x")
    assert done.code == 74 and "there is no such folder" in done.err
    assert not (tmp_path / "nowhere").exists()


def test_an_export_that_is_killed_leaves_no_package_that_contradicts_its_files(exported: Path, tmp_path: Path) -> None:
    """Before the first file is replaced, the package that describes the old ones is removed."""
    new = [tmp_path / name for name in ("Countries_by_GDP.csv", "GDP_Estimates.csv", "datapackage.json")]
    new[0].write_text("new")  # the second one is missing: the end comes there
    with pytest.raises(StageError):
        put_in_place(new, exported)
    assert (exported / "Countries_by_GDP.csv").read_text() == "new"
    assert not (exported / "datapackage.json").exists()


def test_an_export_of_the_same_database_is_the_same_to_the_byte(exported: Path, home: Path, tmp_path: Path) -> None:
    assert ask("--export", "--output", tmp_path).code == 0
    names = [path.name for path in exported.iterdir() if path.suffix == ".csv" or path.name == "datapackage.json"]
    assert len(names) == 8
    for name in names:
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes(), name
    assert list(exported.glob(".*")) == []


def test_revisions_the_triangle_and_sdmx_are_those_of_the_estimates(home: Path) -> None:
    make_past(home)
    assert ask("--export").code == 0
    estimates = query(
        home / DATABASE,
        "SELECT As_of, GDP_USD_billion, GDP_USD_million FROM GDP_Estimates"
        " WHERE ISO3 = 'FRA' AND Institution = 'IMF' AND Flags IS NULL ORDER BY As_of",
    )
    france = {"ISO3": "FRA", "Institution": "IMF", "Year": "2025"}
    rows = [row for row in rows_of_csv(home / "results" / "GDP_Revisions.csv") if france.items() <= row.items()]
    assert [row["Release_number"] for row in rows] == [str(number) for number in range(len(estimates))]
    assert [(row["Published"], float(row["GDP_USD_billion"])) for row in rows] == [one[:2] for one in estimates]
    percents = [f"{(now[2] / was[2] - 1) * 100:.2f}" for was, now in pairwise(estimates)]
    assert [row["Revised_from_previous_percent"] for row in rows] == ["", *percents]
    first = estimates[0][2]
    assert [row["Revised_from_first_percent"] for row in rows][1:] == [
        f"{(one[2] / first - 1) * 100:.2f}" for one in estimates[1:]
    ]
    (wide,) = (row for row in rows_of_csv(home / "results" / "GDP_Triangle.csv") if france.items() <= row.items())
    by_day = dict(query(
        home / DATABASE,
        "SELECT 'GDP_' || replace(substr(As_of, 1, 10), '-', ''), printf('%.2f', GDP_USD_billion) FROM GDP_Estimates"
        " WHERE ISO3 = 'FRA' AND Institution = 'IMF'",
    ))  # fmt: skip
    assert {name: cell for name, cell in wide.items() if name.startswith("GDP_")} == by_day
    (sdmx,) = (
        row for row in rows_of_csv(home / "results" / "GDP_SDMX.csv")
        if (row["REF_AREA"], row["INSTITUTION"]) == ("FRA", "IMF")
    )  # fmt: skip
    codes = {name: sdmx[name] for name in ("OBS_VALUE", "OBS_STATUS", "UNIT_MULT", "DECIMALS", "TIME_PERIOD")}
    assert codes == {
        "OBS_VALUE": "3361.56", "OBS_STATUS": "F", "UNIT_MULT": "9", "DECIMALS": "2", "TIME_PERIOD": "2025",
    }  # fmt: skip


def test_statistics_of_revisions_have_a_row_for_each_distance_between_releases(loaded: Path) -> None:
    rows = ask("--revision-stats", "KOR", "--json").json["Revisions"]
    bundled = [row for row in rows if "suite" in row["Publisher"]]
    figures: dict[int, dict[int, float]] = {}
    with gzip.open(PROJECT / "data" / "imf_releases.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["iso3"] == "KOR" and line["year"].isdecimal():
                cells = {name: float(text) for name, text in line.items() if name[:2] == "20" and text}
                figures[int(line["year"])] = {(int(n[:4]) * 2 + (n[5:] >= "10")): cell for n, cell in cells.items()}
    one_apart = [
        (of_year[later] / of_year[earlier] - 1) * 100
        for of_year in figures.values() for earlier in of_year for later in of_year if later - earlier == 1
    ]  # fmt: skip
    assert (bundled[0]["Releases_apart"], bundled[0]["Figures"]) == (1, len(one_apart))
    assert bundled[0]["Mean_revision_percent"] == pytest.approx(sum(one_apart) / len(one_apart), abs=0.006)
    absolute = sum(map(abs, one_apart)) / len(one_apart)
    assert bundled[0]["Mean_absolute_revision_percent"] == pytest.approx(absolute, abs=0.006)
    assert "KOR" not in ask("--revision-stats", "KOR").out and "Mean absolute" in ask("--revision-stats", "KOR").out


def test_several_countries_and_csv_on_standard_output(loaded: Path) -> None:
    rows = list(csv.DictReader(ask("--country", "KOR", "Japan", "--csv").out.splitlines()))
    assert {row["ISO3"] for row in rows} == {"KOR", "JPN"}
    assert [one["Country"] for one in ask("--country", "KOR", "JPN", "--json").json] == ["South Korea", "Japan"]
    large = list(csv.DictReader(ask("--as-of", "2026-01-01", "--csv").out.splitlines()))
    assert len(large) == 76 and large[0]["GDP_USD_billion"] == "30615.74"


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


def test_the_descriptions_for_datasette_are_generated_from_the_model() -> None:
    assert (PROJECT / "docs" / "datasette.yml").read_text(encoding="utf-8") == metadata()


def test_datasettes_question_of_a_day_gives_one_row_a_country_as_we_do_with_the_imfs_own_years_too(home: Path) -> None:
    yaml = pytest.importorskip("yaml")
    load_page(home / DATABASE, SHIPPED)
    page = [one for one in records(clean_file_of(SHIPPED)) if one["Institution"] == "IMF"]
    own = [
        {
            **one,
            "Year": year,
            "GDP_USD_billion": round(one["GDP_USD_billion"] * 1.01 ** (year - 2025), 2),
            "GDP_USD_million": None,
        }
        | {"As_of": "2026-04-14", "Source": "https://www.imf.org/external/datamapper/api/v2/NGDPD"}
        for one in page
        for year in range(2015, 2032)
    ]
    (home / "own.json").write_text(json.dumps(own))
    assert ask("--input", home / "own.json", "--force").code == 0
    queries = yaml.safe_load((PROJECT / "docs" / "datasette.yml").read_text())["databases"]["World_Economies"][
        "queries"
    ]
    connection = sqlite3.connect(home / DATABASE)
    for day, year in (("2026-04-13", 2025), ("2026-11-01", 2026)):
        found = connection.execute(queries["as_of"]["sql"], {"day": day}).fetchall()
        assert ask("--export", "--as-of", day).code == 0
        exported = rows_of_csv(home / "results" / f"Countries_by_GDP_{day}.csv")
        assert [(row[0], row[1], row[2]) for row in found] == [
            (row["Country"], int(row["Year"]), float(row["GDP_USD_billion"])) for row in exported
        ]
        assert (len(found), found[0][1]) == (194, year)
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
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/World_Economies"
    try:
        while not answers(address):
            assert process.poll() is None, "it ended before it answered"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.communicate()


def answers(address: str) -> bool:
    try:
        return bool(fetched(address))
    except OSError:
        return False


def fetched(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return str(opener.open(address, timeout=10).read().decode())


def test_datasette_shows_descriptions_and_answers_the_ready_queries(datasette: str) -> None:
    assert "Countries and territories at or above 100 billion USD" in fetched(datasette)
    table = fetched(f"{datasette}/Countries_by_GDP")
    for words in ("The newest IMF figures, a row a country", "two decimals, rounded half up"):
        assert words in table
    assert fetched(datasette).index(">GDP_Latest<") < fetched(datasette).index("Countries_by_GDP")
    longest = max(re.findall(r"<td[^>]*>([^<]*)</td>", fetched(f"{datasette}/Loads")), key=len)
    assert len(html.unescape(longest).strip()) <= 81  # JSON is shortened, and a row's own page has it whole
    for column in ("Institutions", "Doubt", "Findings"):
        assert f"<dt>{column}</dt>" in fetched(f"{datasette}/Loads")
    rows: dict[str, list[Any]] = {}
    for name, values in (
        ("latest", {}), ("large_economies", {}), ("region_top5_mean", {}), ("as_of", {"day": "2026-01-01"}),
        ("one_country", {"iso3": "kor"}), ("flagged", {}),
    ):  # fmt: skip
        rows[name] = json.loads(fetched(f"{datasette}/{name}.json?{urllib.parse.urlencode(values)}"))["rows"]
    assert rows["latest"][0][:4] == ["United States", 30615.74, 29184.89, 27720.7]
    assert len(rows["large_economies"]) == 76
    assert rows["region_top5_mean"][0] == ["North America", 7003.68, 5]
    assert rows["as_of"][0][:3] == ["United States", 2025, 30615.74]
    assert {row[0] for row in rows["one_country"]} == {"IMF", "World Bank", "UN"}
    assert "flagged" in rows

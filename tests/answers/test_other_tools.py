"""The tools that people have take our outputs as they are: Frictionless, Datasette, pandas, DuckDB."""

from __future__ import annotations

import csv
import json
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gdp.answers.export import FIELDS
from tests.conftest import PROJECT, Run, query
from tests.looked_at import make_past
from tests.page_builder import SHIPPED
from tests.store.loading import DATABASE, ask, load_page

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


@needs_pyarrow
def test_what_is_exported_is_what_is_loaded(exported: Path, home: Path) -> None:
    import pyarrow.parquet as pq

    loaded = query(home / DATABASE, "SELECT * FROM Countries_by_GDP")
    with (exported / "Countries_by_GDP.csv").open(encoding="utf-8", newline="") as file:
        written = [
            (*row[:3], int(row[3]), float(row[4]), *row[5:7], row[7] or None) for row in list(csv.reader(file))[1:]
        ]
    assert written == loaded
    table = pq.read_table(exported / "Countries_by_GDP.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == loaded
    assert b"billions of US dollars" in table.schema.field("GDP_USD_billion").metadata[b"description"]


@needs_pyarrow
def test_frictionless_accepts_the_package_and_sees_a_damaged_file(exported: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    package = str(exported / "datapackage.json")
    assert frictionless.validate(package).valid
    with (exported / "Countries_by_GDP.csv").open("a", encoding="utf-8") as file:
        file.write("Atlantis,ATL,Europe,many,1.00\n")
    assert not frictionless.validate(package).valid


@needs_pyarrow
def test_an_earlier_day_is_exported_as_it_was(home: Path) -> None:
    make_past(home)
    assert ask("--export", "--as-of", "2025-01-01").code == 0
    package = json.loads((home / "results" / "datapackage.json").read_text())
    assert package["title"].endswith("as of 2024-10-25")


def test_without_pyarrow_export_says_what_to_install(run: Run, home: Path, tmp_path: Path) -> None:
    load_page(home / DATABASE, SHIPPED)
    (tmp_path / "pyarrow.py").write_text("raise ImportError")
    done = run("load.py", "--export", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install -r requirements/export.txt" in done.stderr


def test_datasette_describes_the_columns_as_the_export_does() -> None:
    yaml = pytest.importorskip("yaml")
    tables = yaml.safe_load((PROJECT / "docs" / "datasette.yml").read_text())["databases"]["World_Economies"]["tables"]
    described = {name: text.lower() for name, text in tables["Countries_by_GDP"]["columns"].items()}
    assert described == {name: text.lower() for name, _, text in FIELDS}


@pytest.fixture
def datasette(home: Path) -> Iterator[str]:
    """Yield the address of a real Datasette on the database, with our descriptions."""
    pytest.importorskip("datasette")
    load_page(home / DATABASE, SHIPPED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "datasette",
        str(home / DATABASE),
        "--metadata",
        str(PROJECT / "docs" / "datasette.yml"),
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
    rows: dict[str, list[Any]] = {}
    for name, values in (
        ("large_economies", {}), ("region_top5_mean", {}), ("as_of", {"day": "2026-01-01"}),
        ("one_country", {"iso3": "kor"}), ("doubtful", {}),
    ):  # fmt: skip
        rows[name] = json.loads(fetched(f"{datasette}/{name}.json?{urllib.parse.urlencode(values)}"))["rows"]
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

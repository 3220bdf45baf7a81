"""A column is defined once: one more field of model.Estimate reaches tables, files and exports without another edit."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from gdp.model import ESTIMATE_FIELDS
from tests.conftest import NO_NETWORK, PROJECT
from tests.page_builder import SHIPPED

FIELD = '    Mood: Annotated[str | None, "How the figure feels", NO_UNIT, MAY_BE_ABSENT]\n    Publisher: Annotated['


def one_more_column(folder: Path) -> Path:
    """Return a copy of the suite whose model.Estimate has one more field."""
    project = folder / "suite"
    project.mkdir()
    for name in ("gdp", "data", "docs"):
        shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for script in PROJECT.glob("*.py"):
        shutil.copy(script, project)
    model = project / "gdp" / "model.py"
    text = model.read_text(encoding="utf-8")
    assert text.count("    Publisher: Annotated[") == 3  # of Estimate, Load and Confirmation
    model.write_text(text.replace("    Publisher: Annotated[", FIELD, 1), encoding="utf-8")
    return project


def run(project: Path, home: Path, script: str, *arguments: str | Path) -> str:
    environment = {**os.environ, **NO_NETWORK, "GDP_ETL_HOME": str(home), "PYTHONPATH": str(project)}
    command = [sys.executable, str(project / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_more_field_of_the_model_reaches_tables_files_and_exports(home: Path, tmp_path: Path) -> None:
    project = one_more_column(tmp_path)
    run(project, home, "extract.py", "--quiet", "--page", SHIPPED)
    run(project, home, "transform.py", "--quiet")
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    records = json.loads(clean.read_text(encoding="utf-8"))
    clean.write_text(json.dumps([{**record, "Mood": "fine"} for record in records]), encoding="utf-8")
    run(project, home, "load.py", "--quiet", "--no-history")
    run(project, home, "load.py", "--export")
    with sqlite3.connect(home / "sqliteDB" / "World_Economies.db") as database:
        columns = [column[1] for column in database.execute("PRAGMA table_info(GDP_Estimates)")]
        assert columns == [*list(ESTIMATE_FIELDS)[:-2], "Mood", *list(ESTIMATE_FIELDS)[-2:]]
        assert database.execute("SELECT DISTINCT Mood FROM GDP_Estimates").fetchall() == [("fine",)]
        assert database.execute("SELECT DISTINCT Mood FROM GDP_History").fetchall() == [("fine",)]
    exported = sorted((home / "results").rglob("GDP_Estimates.csv"))
    assert exported and "Mood" in exported[0].read_text(encoding="utf-8").splitlines()[0]
    package = json.loads(next((home / "results").rglob("datapackage.json")).read_text(encoding="utf-8"))
    fields = [field["name"] for one in package["resources"] for field in one.get("schema", {"fields": []})["fields"]]
    assert "Mood" in fields


def test_a_database_from_before_the_column_gets_it_as_null(home: Path, tmp_path: Path) -> None:
    run(PROJECT, home, "extract.py", "--quiet", "--page", SHIPPED)
    run(PROJECT, home, "transform.py", "--quiet")
    run(PROJECT, home, "load.py", "--quiet", "--no-history")
    project = one_more_column(tmp_path)
    answer = run(project, home, "load.py", "--as-of", "2026-01-01", "--json")
    assert json.loads(answer)["Countries_and_territories"] == 194
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    clean.write_text(clean.read_text(encoding="utf-8").replace("2025-12-30T", "2025-12-31T"), encoding="utf-8")
    run(project, home, "load.py", "--quiet")
    with sqlite3.connect(home / "sqliteDB" / "World_Economies.db") as database:
        assert database.execute("SELECT count(*), count(Mood) FROM GDP_Estimates").fetchone() == (615, 0)


def test_no_other_module_lists_the_columns_of_an_estimate() -> None:
    places = []
    for path in [*PROJECT.glob("*.py"), *(PROJECT / "gdp").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if all(f'"{name}"' in text for name in ("Country", "Subregion", "GDP_USD_billion", "Status")):
            places.append(path.relative_to(PROJECT).as_posix())
    # transform writes a clean record, which fills each field; schema has the columns of older versions
    assert set(places) <= {
        "gdp/model.py",
        "gdp/transform/rules.py",
        "gdp/store/schema.py",
        "gdp/store/older_versions.py",
    }

"""DataFrames for notebooks have typed days, and the figures of the database."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from gdp import __version__, frames
from tests.conftest import PROJECT, query
from tests.looked_at import make_past
from tests.store.loading import DATABASE


@pytest.fixture
def database(home: Path) -> Path:
    make_past(home)
    return home / DATABASE


def test_the_newest_figures_and_those_of_a_day_are_headlines(database: Path) -> None:
    newest = frames.latest(database=database)
    assert list(newest["Country"][:3]) == ["United States", "China", "Germany"]
    assert isinstance(newest["As_of"].dtype, pd.DatetimeTZDtype) and "GDP_USD_million" not in newest
    assert frames.as_of("2026-01-01", database=database)["GDP_USD_billion"].sum() == newest["GDP_USD_billion"].sum()
    earlier = frames.as_of("2025-05-01", database=database, millions=True)
    assert set(earlier["As_of"]) == {pd.Timestamp("2025-04-23", tz="UTC")} and earlier["GDP_USD_million"].notna().all()
    assert set(frames.latest(None, database=database)["Institution"]) == {"IMF", "World Bank", "UN"}


def test_a_history_ends_in_no_day_while_a_figure_is_current(database: Path) -> None:
    korea = frames.history("South Korea", institution="IMF", database=str(database))
    assert len(korea) == 5 and korea["Until"].isna().sum() == 1
    assert (korea["Until"].dropna().array == korea["As_of"][1:].array).all()
    assert set(korea["Kind"]) == {"projection"}
    assert len(frames.history(database=database)) == query(database, "SELECT count(*) FROM GDP_Estimates")[0][0]


def test_revisions_and_the_triangle_have_typed_days(database: Path) -> None:
    revisions = frames.revisions(since="2025-06-01", database=database)
    assert revisions["Published"].min() >= pd.Timestamp("2025-06-01", tz="UTC")
    assert revisions["Revised_from_previous_percent"].notna().any()
    triangle = frames.triangle("KOR", database=database)
    days = ["2024-04-20", "2024-10-25", "2025-04-23", "2025-10-15", "2025-12-30"]
    assert list(triangle.columns) == list(pd.to_datetime(days)) and list(triangle.index) == [("wikipedia", 2025)]
    assert triangle.iloc[0, -1] == 1858.57


def test_the_import_has_no_side_effects_and_works_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    code = f"import sys; before = sys.excepthook; sys.path.insert(0, {str(PROJECT)!r}); from gdp import frames\n"
    code += "assert sys.excepthook is before; import os; assert os.listdir('.') == []"
    subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path / "elsewhere", check=True)


def test_the_project_for_uv_has_the_versions_and_packages_of_the_suite() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [line.partition("#")[0].strip() for line in lines]
    assert project["project"]["dependencies"] == list(filter(None, required))
    assert project["project"]["version"] == __version__
    assert project["tool"]["uv"] == {"package": False}


def test_the_notebook_was_run_and_has_its_outputs() -> None:
    notebook = json.loads((PROJECT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert len(outputs) >= 5 and not [one for one in outputs if one["output_type"] == "error"]


def test_the_notebook_runs(loaded: Path) -> None:
    notebook = json.loads((PROJECT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT / "docs", check=True)

"""The suite's shape, as docs/CONTRIBUTING.md describes it: imports, sizes, names, and words."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import PROJECT

SCRIPTS = ("etl_process", "extract", "transform", "load", "report")
# Imports point downwards: a module may import those of later folders, and of its own.
LAYERS = (
    ("options",), ("report",), ("store",), ("validate",), ("scale",), ("transform", "sources"),
    ("runtime",), ("remote_files",), ("places",), ("record_files",), ("model",), ("utils",),
)  # fmt: skip
MOST_AT_THE_TOP, MOST_LINES, MOST_LINES_OF_A_FUNCTION = 24, 500, 50
MOST_HABITS = 10
_SQL = re.compile(
    r"\b(?:SELECT .+ FROM|INSERT INTO|CREATE (?:TABLE|VIEW|INDEX)|DELETE FROM|UPDATE \w+ SET)\b", re.DOTALL
)

MODULES = {
    path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in (*PROJECT.glob("*.py"), *(PROJECT / "gdp").rglob("*.py"))
}


def imported(name: str) -> set[str]:
    """Return which of our modules a module imports anywhere in it, for its types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {module for module in found if module in MODULES and module != name}


def rank(name: str) -> int:
    """Return how high a module is: a script highest, utils lowest."""
    if name in (*SCRIPTS, "gdp.frames"):
        return len(LAYERS) + 1
    room = name.removeprefix("gdp").lstrip(".").split(".")[0]
    return next((len(LAYERS) - place for place, rooms in enumerate(LAYERS) if room in rooms), 0)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_downwards_and_no_stage_imports_another(name: str) -> None:
    folder = ".".join(name.split(".")[:2]) if name.startswith("gdp.") else name
    upwards = {
        module for module in imported(name)
        if rank(module) >= rank(name) and not (folder.startswith("gdp.") and module.startswith(folder))
    }  # fmt: skip
    assert upwards == set()


def test_no_two_modules_import_each_other_by_any_way_round() -> None:
    graph = {name: imported(name) for name in MODULES}

    def reached(start: str) -> Iterator[str]:
        waiting, seen = [*graph[start]], set[str]()
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph[module]
                yield module

    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert [name for name in MODULES if name not in packages and name in reached(name)] == []


def test_the_top_shows_the_suite() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False).stdout
    tops = {line.split("/")[0] for line in tracked.splitlines()}
    assert len(tops) <= MOST_AT_THE_TOP
    there = {path.name for path in PROJECT.iterdir()}
    assert {"data", "log", "results", "sqliteDB", "tests", "utils.py", "requirements.txt"} <= there
    assert {f"{script}.py" for script in SCRIPTS} <= there


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_short(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    long = {f.name for f in functions if (f.end_lineno or 0) - f.lineno >= MOST_LINES_OF_A_FUNCTION}
    assert long == set()


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(("gdp.store", "gdp.report"))])
def test_sql_stands_where_the_tables_are(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text[:60] for text in texts if _SQL.search(text)] == []


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield the functions of a module, and the methods of its classes, that others may call."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in (*tree.body, *(node for one in classes for node in one.body)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("name", MODULES)
def test_what_others_call_tells_what_it_returns_and_raises(name: str) -> None:
    """A public function that raises an error of ours says so."""
    silent = []
    for node in public_functions(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        raised = {
            getattr(one.exc.func, "id", "") for one in ast.walk(node)
            if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call)
        }  # fmt: skip
        text = ast.get_docstring(node) or ""
        ours = raised & {"StageError", "Refused", "Unreachable", "ArgumentTypeError"}
        if ours and not re.search("raise|StageError", text, re.IGNORECASE):
            silent.append(node.name)
    assert silent == []


# The habits are spelled in two parts, so that this file is not one of their places.
HABITS = re.compile("|".join(rf"\b{first}{rest}\b" for first, rest in (
    ("to", "ld"), ("sa", "id"), ("sta", "nds"), ("an", "ew"), ("what", "ever"),
)))  # fmt: skip


def test_texts_are_plain_english() -> None:
    """Words that readers had to read twice; a few places may need one, and each is listed when there are too many."""
    texts = [
        path for ending in ("py", "js", "html") for path in PROJECT.rglob(f"*.{ending}") if ".venv" not in path.parts
    ]
    lines = [f"{path.name}: {line.strip()}" for path in texts for line in path.read_text("utf-8").splitlines()]
    found = [line for line in lines if HABITS.search(line)]
    assert len(found) <= MOST_HABITS, found[:30]


def test_no_class_is_named_by_a_participle() -> None:
    """A class is a noun; an exception may say what happened, as Refused does."""
    names = [
        node.name for path in MODULES.values() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name not in {"Refused", "Stopped"}
    ]  # fmt: skip
    assert [name for name in names if re.search(r"(?:ed|aid|aken|iven|old|ade|ound|ept|Standing|Growing)$", name)] == []

"""The documents agree with the code: their commands run, generated parts are current, links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import shutil
import signal
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gdp import __version__
from gdp.options import ETL, EXTRACT, LOAD, REPORT, TRANSFORM, Script
from tests.conftest import PROJECT, released_lock
from tests.make_docs import DOCUMENTS, PART, generated
from tests.page_builder import SHIPPED
from utils import Exit

SCRIPTS = {script.name: script for script in (ETL, EXTRACT, TRANSFORM, LOAD, REPORT)}
TEXTS = {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
GUIDES = [name for name in TEXTS if name != "CHANGELOG.md"]  # it names what was removed, too
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
CALL = re.compile(r"python ([\w/]+\.py)\b([^&|;#`\n]*)")
OTHER_OPTIONS = {
    "--help",
    "--version",
    "--upgrade",
    "--follow-tags",
    "--require-hashes",
}  # of all scripts, and of others
WITH_NETWORK = (["etl_process.py"], ["extract.py"])  # they try it first, as the README's main command does
# Names of variables that our processes set for each other, and that nobody else uses
OF_PROCESSES = {"GDP_ETL_STAGE_FDS", "GDP_ETL_LIVE"}


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return [block for _, name, block in BLOCK.findall(text) if name == language]


def commands(block: str) -> Iterator[list[str]]:
    """Yield the words of each command in a block."""
    for line in block.replace("\\\n", " ").splitlines():
        yield shlex.split(line, comments=True)


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def workplace(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder like a fresh project after a first run, in which the commands work; signals are as before."""
    pages = loaded / "data" / "pages"
    pages.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED, pages)
    monkeypatch.chdir(loaded)
    monkeypatch.setattr(sys, "argv", sys.argv)
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(kind) for kind in kinds]
    yield tmp_path
    for kind, handler in zip(kinds, before, strict=True):
        signal.signal(kind, handler)


def call(words: list[str]) -> int:
    """Run a command of the documents in this process; return its exit code."""
    if words[:2] == ["mkdir", "-p"]:
        Path(words[2]).mkdir(parents=True, exist_ok=True)
        return 0
    assert words[0] == "python", words
    if words[1] == "-c":
        exec(words[2], {})
        return 0
    name = words[1].removesuffix(".py").replace("/", ".")
    if name.startswith("tests."):
        sys.argv = words[1:]
        importlib.import_module(name).main()
        return 0
    with released_lock():
        code: int = importlib.import_module(name).main(words[2:])
    return code


@pytest.mark.parametrize("name", [name for name in GUIDES if blocks(TEXTS[name], "sh") and "README" not in name])
def test_commands_of_a_document_work_in_their_order(name: str, workplace: Path) -> None:
    for block in blocks(TEXTS[name], "sh"):
        for words in commands(block.replace("/tmp/", f"{workplace}/")):
            assert call(words) == Exit.DONE, words


def test_python_of_the_documents_works(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(["python", "load.py", "--export"]) == Exit.DONE
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in GUIDES:
        for block in blocks(TEXTS[name], "python"):
            exec(compile(block, name, "exec"), {})


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_examples_in_the_help_of_a_script_work(script: Script, workplace: Path) -> None:
    for example in script.examples:
        for words in commands(f"python {script.name} {example}".replace("/tmp/", f"{workplace}/")):
            if words[1:] not in WITH_NETWORK:
                assert call(words) == Exit.DONE, words


@pytest.mark.parametrize("name", GUIDES)
def test_a_command_has_only_options_of_its_script(name: str) -> None:
    """Those that need a network, a server or a file of the reader are compared with the script's options only."""
    for block in (*blocks(TEXTS[name], "text"), *blocks(TEXTS[name], "sh"), *blocks(TEXTS[name], "ini")):
        for script, rest in CALL.findall(block.replace("\\\n", " ")):
            if script in SCRIPTS:
                unknown = set(OPTION.findall(rest)) - {option.name for option in SCRIPTS[script].options}
                assert unknown == set(), (script, rest)


# --- options, exit codes, variables -----------------------------------------------------------------------------------


def documented_options(text: str) -> set[str]:
    """Return the options that a text names outside its generated parts and its blocks of other programs."""
    return set(OPTION.findall(PART.sub("", text)))


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_each_option_is_explained_in_a_document(script: Script) -> None:
    explained = set().union(*(documented_options(text) for name, text in TEXTS.items() if name in GUIDES))
    assert {option.name for option in script.options} - explained == set()


@pytest.mark.parametrize("name", GUIDES)
def test_a_document_names_only_options_that_exist(name: str) -> None:
    prose = BLOCK.sub("", TEXTS[name])
    ours = {option.name for script in SCRIPTS.values() for option in script.options}
    assert documented_options(prose) - ours - OTHER_OPTIONS == set()


def test_operations_has_every_exit_code() -> None:
    cells = re.findall(r"^\| ([\d, ]+) \|", TEXTS["docs/operations.md"], re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == {int(code) for code in Exit}


def test_each_variable_of_the_environment_is_explained() -> None:
    sources = [*PROJECT.glob("*.py"), *(PROJECT / "gdp").rglob("*.py")]
    used = set().union(*(re.findall(r"GDP_ETL_[A-Z_]+", path.read_text(encoding="utf-8")) for path in sources))
    named = set(re.findall(r"GDP_ETL_[A-Z_]+", "".join(TEXTS.values())))
    assert used - OF_PROCESSES - named == set()
    assert named - used == set()


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_each_message_is_one_that_the_code_prints(name: str) -> None:
    """The parts of a message between its values are compared with the code; the system's own words are not ours."""
    messages = re.findall(r"^\| `([^`]*…[^`]*|[a-z]+ since DAY)` \|", PART.sub("", TEXTS[name]), re.MULTILINE)
    assert len(messages) >= 5
    sources = [*PROJECT.glob("*.py"), *(PROJECT / "gdp").rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    for message in messages:
        parts = [part.strip() for part in re.split(r"…|\b[A-Z]{3,}\b|[();]", message)]
        assert [part for part in parts if part and part not in code] == [], message


# --- generated parts and links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_generated_parts_are_current(name: str) -> None:
    assert generated(TEXTS[name]) == TEXTS[name], "run python -m tests.make_docs"


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*TEXTS, "tests/benchmarks/RESULTS.md"])
def test_links_between_documents_lead_to_a_file_and_a_heading(name: str) -> None:
    path = PROJECT / name
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_can_be_reached_from_the_readme() -> None:
    found, waiting = set[Path](), [PROJECT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path.suffix == ".md" and path not in found:
            found.add(path)
            links = (link.partition("#")[0] for link in LINK.findall(path.read_text(encoding="utf-8")))
            waiting += [(path.parent / link).resolve() for link in links if link]
    assert set(DOCUMENTS) - found == set()


# --- what CONTRIBUTING names ------------------------------------------------------------------------------------------


def defined_names(path: Path) -> set[str]:
    """Return what a module defines or imports at its top."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return names


def test_contributing_names_files_and_functions_that_exist() -> None:
    text = TEXTS["docs/CONTRIBUTING.md"]
    paths = {path for path in re.findall(r"`([\w./-]+/?)`", text) if "/" in path or path.endswith((".py", ".md"))}
    assert len(paths) > 20
    assert [path for path in paths if not (PROJECT / path).exists() and not path.startswith(".venv")] == []
    named = re.findall(r"`([\w/]+\.py)`\s\(((?:[^()]|\n)*)\)", text)
    assert len(named) > 10
    for path, names in named:
        assert set(re.findall(r"`(\w+)`", names)) - {"Loads"} <= defined_names(PROJECT / path), path


# --- the project's own facts ------------------------------------------------------------------------------------------


def requirements(name: str) -> list[str]:
    """Return the requirements in a file, without comments and other files."""
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    found = (line.partition("#")[0].strip() for line in lines)
    return sorted(line for line in found if line and not line.startswith("-"))


def test_pyproject_has_the_requirements_of_the_files() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert sorted(project["project"]["dependencies"]) == requirements("requirements.txt")
    assert sorted(project["dependency-groups"]["dev"]) == requirements("requirements/dev.txt")


def test_the_lock_file_has_each_requirement_with_a_hash() -> None:
    lock = (PROJECT / "requirements" / "lock.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    locked = {line.split("==")[0] for line in lock.splitlines() if " --hash=sha256:" in line}
    assert len(locked) == len({line.split("==")[0] for line in lock.splitlines() if "==" in line})
    folder = PROJECT / "requirements"
    others = [path for path in folder.glob("*.txt") if path.stem not in ("lock", "spark")]  # Spark needs Java too
    files = ("requirements.txt", *(f"requirements/{path.name}" for path in others))
    names = {re.split(r"[\[><=~ ]", one)[0] for file in files for one in requirements(file)}
    assert names - locked == set()


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    citation = re.search(r"^version: (.+)$", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert project["project"]["version"] == __version__
    assert citation
    assert citation[1] == __version__
    assert f"\n## {__version__}, " in TEXTS["CHANGELOG.md"]


def test_the_notebook_was_run_and_shows_results() -> None:
    notebook = json.loads((PROJECT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["source"] for cell in code if cell["execution_count"] is None] == []
    assert any(cell["outputs"] for cell in code)

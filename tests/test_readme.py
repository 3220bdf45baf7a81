"""The README is short, its commands and its sample output are true, and both languages are in step."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NO_NETWORK, PROJECT
from tests.page_builder import SHIPPED
from tests.test_docs import OPTION, blocks, call, commands
from utils import Exit

README = (PROJECT / "README.md").read_text(encoding="utf-8")
KOREAN = (PROJECT / "docs" / "README.ko.md").read_text(encoding="utf-8")
MOST_WORDS = 1_000
# Those with pip are .ci/run's, on a new machine; their main command is run below.
SHELL_BLOCKS = [block for block in blocks(README, "sh") if "venv" not in block]
MAIN_COMMAND = ["etl_process.py"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield the folder and the output of the README's main command, on a new machine without network."""
    folder = tmp_path_factory.mktemp("first")
    done = subprocess.run(
        [sys.executable, *MAIN_COMMAND], cwd=PROJECT, env={**os.environ, **NO_NETWORK, "GDP_ETL_HOME": str(folder)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == Exit.DONE, done.stderr
    yield folder, done.stdout


def test_the_readme_is_read_in_two_minutes() -> None:
    words = [word for word in README.split() if re.search(r"\w", word)]
    assert len(words) <= MOST_WORDS


def test_the_main_command_is_the_readmes() -> None:
    assert f"&& .venv/bin/python {' '.join(MAIN_COMMAND)}\n" in blocks(README, "sh")[0]


def test_the_sample_output_is_what_a_first_run_prints(printed: tuple[Path, str]) -> None:
    lines = printed[1].splitlines()
    sample = next(block for block in blocks(README, "text") if block.startswith("Countries"))
    assert [line for line in sample.splitlines() if line != "…" and line not in lines] == []


def test_a_first_run_leaves_the_files_that_the_readme_names(printed: tuple[Path, str]) -> None:
    named = re.findall(r"^\| `((?:results|sqliteDB|log)/[\w./]+)`", README, re.MULTILINE)
    assert len(named) >= 6
    assert [path for path in named if not (printed[0] / path).exists()] == []


def test_commands_after_a_first_run_work(
    printed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(SHELL_BLOCKS) >= 1
    home = tmp_path / "copy"
    shutil.copytree(printed[0], home)
    (home / "data" / "pages").mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED, home / "data" / "pages")
    monkeypatch.setenv("GDP_ETL_HOME", str(home))
    monkeypatch.chdir(home)
    for block in SHELL_BLOCKS:
        for words in commands(block):
            assert call(words) == Exit.DONE, words


def test_both_languages_have_the_same_sections_commands_options_tables_links_and_pictures() -> None:
    texts = [README.replace("](docs/", "]("), KOREAN.replace("](../", "](")]
    links, cells, files = r"\]\((?!README)[^)#]*", r"^\| ?`[^|]*\|", r"`[\w/]+\.(?:py|json|html|db|txt|jsonl)`"
    for alike in (r"^```.*?^```", r"^#+ (?=\S)", OPTION.pattern, links, cells, files, r"`GDP_\w+`"):
        found = [re.findall(alike, text, re.MULTILINE | re.DOTALL) for text in texts]
        assert sorted(found[0]) == sorted(found[1]), alike

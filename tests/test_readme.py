"""The README's commands are run, word for word, on a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NO_NETWORK, PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL_BLOCKS = [block for block in BLOCKS if "venv" not in block]  # those with pip are .ci/run's, on a new machine


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project as git has it, in which `python` is the one that runs the tests."""
    folder = tmp_path_factory.mktemp("copy")
    unwanted = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.db", "*.json.tmp", "*.txt.*")
    shutil.copytree(PROJECT, folder / "suite", ignore=unwanted)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    return folder


def test_the_commands_of_the_readme_work_in_their_order(copy: Path) -> None:
    assert len(SHELL_BLOCKS) >= 3
    without_home = {name: value for name, value in os.environ.items() if name != "GDP_ETL_HOME"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in SHELL_BLOCKS:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=copy / "suite", env={**without_home, **NO_NETWORK, "PATH": path},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, block + done.stderr


def test_the_sample_output_is_what_a_first_run_prints(copy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "etl_process.py", "--page", "data/pages/2025-12-30_enwiki_rev1330326028.html.gz"],
        cwd=copy / "suite", env={**os.environ, "GDP_ETL_HOME": str(copy)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    sample = re.search(r"^```text\n(Countries.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert sample
    printed = done.stdout.splitlines()
    assert [line for line in sample[1].splitlines() if line != "…" and line not in printed] == []


def test_both_languages_have_the_same_commands_samples_tables_and_pictures() -> None:
    korean = (PROJECT / "docs" / "README.ko.md").read_text(encoding="utf-8")
    files, links, first_cells = r"`[\w/]+\.(?:py|yml|txt)`", r"\]\((?!README)[^)]*\)", r"^\| ?[`\d][^|]*\|"
    for alike in (r"^```.*?^```", r"^## ", r"`--[a-z-]+", files, links, first_cells):
        texts = (README.replace("](docs/", "]("), korean.replace("](../", "]("))
        found = [sorted(set(re.findall(alike, text, re.MULTILINE | re.DOTALL))) for text in texts]
        assert found[0] == found[1], alike
    assert re.findall(r"^```.*?^```", README, re.M | re.S) == re.findall(r"^```.*?^```", korean, re.M | re.S)


@pytest.mark.parametrize("script", ["extract.py", "transform.py", "load.py", "report.py", "etl_process.py"])
def test_every_exit_code_and_script_is_told(script: str) -> None:
    assert f"python {script}" in README
    for code in (0, 1, 2, 65, 66, 69, 74, 130):
        assert re.search(rf"^\| {code}\b", README, re.MULTILINE), code

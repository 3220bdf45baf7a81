"""docs/refresh.yml, its steps run as a runner of GitHub would, in a scratch repository with a stand-in for `gh`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import NO_NETWORK, PROJECT, Answer, Server
from tests.page_builder import Figure, Layout, Page, build, page_of_facts

yaml = pytest.importorskip("yaml")

WORKFLOW = PROJECT / "docs" / "refresh.yml"
CODE = ("*.py", "gdp", "data", "docs", "requirements.txt", "requirements", ".gitignore")
GH = """#!/bin/sh
# GitHub's command line, with a folder for a repository: a release with an asset, and issues by title.
state="$GH_STATE"
echo "$*" >> "$state/calls"
case "$1 $2" in
  "release view") test -d "$state/release" ;;
  "release create") mkdir "$state/release" ;;
  "release download") cp "$state/release/$5" "$7/" ;;
  "release upload") cp "$4" "$state/release/" ;;
  "issue list") cat "$state/issues" 2>/dev/null || true ;;
  "issue create") echo "$4" >> "$state/issues" ;;
esac
"""
EXPRESSIONS = {"${{ vars.GDP_ETL_CONTACT }}": "tests@example.org", "${{ github.token }}": "none"}


class Runner(NamedTuple):
    """A scratch repository with a remote, and what a runner's environment has."""

    folder: Path
    environment: dict[str, str]

    @property
    def commits(self) -> int:
        """How many commits the remote has."""
        counted = subprocess.run(
            ["git", "-C", self.folder / "remote.git", "rev-list", "--count", "HEAD"], capture_output=True, check=True
        )
        return int(counted.stdout)

    @property
    def issues(self) -> list[str]:
        """The titles of the issues that were opened."""
        path = self.folder / "state" / "issues"
        return path.read_text().splitlines() if path.exists() else []

    def published(self) -> list[str]:
        """Return the files that the remote has in published/."""
        command = ["git", "-C", str(self.folder / "remote.git"), "ls-tree", "-r", "--name-only", "HEAD", "published"]
        listed: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return listed.split()

    def run(self, **environment: str) -> list[str]:
        """Run the workflow in a new clone; return the names of the steps that failed."""
        work = self.folder / "work"
        is_first = not work.exists()
        shutil.rmtree(work, ignore_errors=True)
        subprocess.run(["git", "clone", "-q", self.folder / "remote.git", work], check=True)
        for path in work.rglob("*.py"):  # so that what was compiled of it before is used again
            os.utime(path, (1, 1))
        failed: list[str] = []
        (job,) = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values()
        own = {name: EXPRESSIONS.get(value, value) for name, value in job["env"].items()}
        own |= {"GDP_ETL_HOME": str(work / "refreshed"), "SITE_URL": "https://me.github.io/gdp/"}
        for step in job["steps"]:
            if "run" in step and self._is_due(step, bool(failed)) and (is_first or step["name"] != "Install"):
                command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
                variables = {**self.environment, **own, **environment}
                done = subprocess.run(command, cwd=work, env=variables, capture_output=True, check=False)
                if done.returncode:
                    failed.append(step["name"])
        return failed

    @staticmethod
    def _is_due(step: dict[str, Any], has_failed: bool) -> bool:
        return {"success()": not has_failed, "failure()": has_failed, "always()": True}[step.get("if", "success()")]


@pytest.fixture
def runner(tmp_path: Path, server: Server) -> Runner:
    """Return a runner whose Wikipedia is a server of the test."""
    source, programs, state = tmp_path / "source", tmp_path / "bin", tmp_path / "state"
    for folder in (source, programs, state):
        folder.mkdir()
    for pattern in CODE:
        for path in PROJECT.glob(pattern):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, source / path.name)
    (source / "results").mkdir()
    for name, text in (("gh", GH), ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    git = ["git", "-C", str(source), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "The suite"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", source, tmp_path / "remote.git"], check=True)
    environment = {
        **os.environ, **NO_NETWORK, "PATH": f"{programs}:{os.environ['PATH']}", "GH_STATE": str(state),
        "GITHUB_REPOSITORY": "me/gdp", "GDP_ETL_WIKIPEDIA_URL": server.base, "PIP_NO_INDEX": "1",
        "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled"),
    }  # fmt: skip
    return Runner(tmp_path, environment)


def page_of(day: int, korea: str | None = None) -> Answer:
    """Return the page as saved on a day of January 2026, with another figure of South Korea."""
    page: Page = replace(page_of_facts(), saved=datetime(2026, 1, day, tzinfo=timezone.utc), revision=1330326028 + day)
    if korea:
        page.series[0].figures["South Korea"] = Figure(korea, 2025)
    return Answer(200, build(page, Layout()).encode(), {"Content-Type": "text/html"})


def test_a_change_is_committed_released_and_published_and_a_day_without_one_is_not(
    runner: Runner, server: Server
) -> None:
    server.answers.append(page_of(1))
    assert runner.run() == []
    assert runner.commits == 2
    assert runner.published() == [
        f"published/{name}" for name in ("CHANGES.md", "Countries_by_GDP.csv", "GDP_Estimates.csv")
    ]
    assert (runner.folder / "state" / "release" / "World_Economies.db").exists()
    site = runner.folder / "work" / "site"
    assert (site / "report.html").exists() and (site / "data" / "datapackage.json").exists()
    index = (site / "index.html").read_text()
    assert 'rel="alternate" type="application/atom+xml"' in index and 'property="og:title"' in index
    assert "vintages/wikipedia-2026-01-01" in index

    server.answers[:] = [page_of(2)]  # a later revision of the page, the same figures
    assert runner.run() == []
    assert runner.commits == 2

    server.answers[:] = [page_of(3, korea="1,900,000")]
    assert runner.run() == []
    assert runner.commits == 3
    changes = (runner.folder / "work" / "published" / "CHANGES.md").read_text()
    assert "South Korea 2025: 1,858.57 → 1,900.00 billion USD, +2.23 %" in changes
    assert "The daily refresh fails" not in runner.issues


def test_a_first_day_without_network_and_a_failing_one_open_one_issue_and_commit_nothing(
    runner: Runner, server: Server
) -> None:
    nowhere = {"GDP_ETL_WIKIPEDIA_URL": "http://127.0.0.1:9"}
    for _ in range(2):
        assert runner.run(**nowhere) == ["Refresh"]
    assert runner.commits == 1
    assert runner.issues == ["The daily refresh fails"]
    assert (runner.folder / "work" / "refreshed" / "log" / "etl_project_with_sql_log.txt").exists()

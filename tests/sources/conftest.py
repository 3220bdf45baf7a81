"""What the tests of the sources share: extract called as a function."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import extract
from gdp.runtime.run_log import run_log
from tests.conftest import Run


@pytest.fixture
def run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a script as a user would; extract.py runs in this process."""

    def call(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        if script != "extract.py":
            return run(script, *arguments, **environment)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for name, value in environment.items():
                patch.setenv(name, value)
            code = _exit_code([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return call


def _exit_code(arguments: list[str]) -> int:
    try:
        with released_lock():
            return extract.main(arguments)
    except SystemExit as end:  # wrong usage
        return int(end.code or 0)


@contextlib.contextmanager
def released_lock() -> Iterator[None]:
    """Release the lock after a stage, as the end of its process would."""
    try:
        yield
    finally:
        if run_log.lock is not None:
            os.close(run_log.lock)
        run_log.begin("test", quiet=True)

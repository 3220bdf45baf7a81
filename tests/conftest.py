"""What the tests share: a folder of their own, the stages as real processes, and a real server on 127.0.0.1."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import importlib
import io
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from gdp.runtime.run_log import run_log
from tests.page_builder import SHIPPED

# The ordinary run draws the same examples each time, so that a change is judged by what it changed;
# HYPOTHESIS_PROFILE=thorough draws others, and many.
settings.register_profile(
    "ordinary", max_examples=20, derandomize=True, deadline=None, report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
settings.register_profile("thorough", settings.get_profile("ordinary"), max_examples=10_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ordinary"))

PROJECT = Path(__file__).parents[1]
SHARED_PAGES = PROJECT.parent / "shared" / "pages"
# By name, as that folder grows: pages that were judged right from the first, pages that were not, and other lists.
PAGES = (
    "2023-09-02_enwiki_rev1171401355", "2024-06-30_enwiki_rev1231904749", "2025-01-07_enwiki_rev1267927482",
    "2025-01-08_enwiki_rev1268126394", "2025-12-30_enwiki_rev1330326028",
)  # fmt: skip
MISJUDGED = (
    "misjudged/2018-09-26_enwiki_rev861281423", "misjudged/2021-06-30_enwiki_rev1031213417",
    "misjudged/2023-03-29_enwiki", "misjudged/2025-12-30_enwiki_rev1330242352",
    "misjudged/2026-02-25_enwiki_rev1339672049_rebuilt",
)  # fmt: skip
OTHER_LISTS = ("others/NorthAmerica_per_capita_rev1003479844", "others/plwiki_nominal_rev67020310")
# A proxy at a port where nobody listens: the network is out of reach, on a machine with internet as on one without.
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}

PATIENCE_S = 300  # against hanging for ever: a machine may be slow and busy

# Files whose tests take longest, of those that are not `long`.
LONGEST = ("test_refresh", "test_spark", "test_crashes", "test_hostile_server", "test_order_of_loading")
NO_SHARED = "../shared is not beside the project"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Made = TypeVar("Made")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is alone with it at the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List by name what was passed over, below what is missing here for it."""
    passed_over: dict[str, Counter[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        missing = NO_SHARED if reason.startswith("got empty parameter set") else reason
        passed_over.setdefault(missing, Counter())[report.nodeid.partition("[")[0]] += 1
    for missing, tests in sorted(passed_over.items()):
        terminalreporter.section(f"{tests.total()} tests passed over: {missing}", sep="-")
        for name, number in sorted(tests.items()):
            terminalreporter.write_line(name + f", {number} times" * (number > 1))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Return what is made in a folder, once for all processes of a test run: the first makes it, the others wait."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"made-{name}"
    kept = folder.with_suffix(".pickle")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder.mkdir()
            kept.write_bytes(pickle.dumps(make(folder)))
    made: Made = pickle.loads(kept.read_bytes())
    return made


def shared_pages(pages: Sequence[str] = PAGES) -> list[Path]:
    """Return the real saved pages of these names that stand beside the project, if they do."""
    return [path for path in (SHARED_PAGES / f"{page}.html.gz" for page in pages) if path.exists()]


def page_of(day: str) -> Path:
    """Return the shared page of a day."""
    return SHARED_PAGES / f"{next(page for page in PAGES if page.startswith(day))}.html.gz"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own, in which the stages work, and start a new run log."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("GDP_ETL_HOME", str(folder))
    run_log.begin("test", quiet=True)
    return folder


@pytest.fixture
def home(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own folder; the network is out of reach."""
    folder = own_folder
    for name, value in NO_NETWORK.items():
        monkeypatch.setenv(name, value)
    return folder


def run_process(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a process of its own, from a folder that is not the project's."""
    return subprocess.run(
        [sys.executable, str(PROJECT / script), *map(str, arguments)], cwd=Path(os.environ["GDP_ETL_HOME"]).parent,
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a script as a user would: a stage or the status in this process.

    A run of etl_process.py, whose stages are processes, is one too, and so is what runs on Spark.
    """

    def run_script(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        if "spark" in words or (script == "etl_process.py" and not {"--status", "--help"} & set(words)):
            return run_process(script, *words, **environment)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for name, value in environment.items():
                patch.setenv(name, value)
            return called(script, words)

    return run_script


def called(script: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Call the main function of a script; return what a process of it would have printed, and its exit code."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), released_lock():
        try:
            code = importlib.import_module(script.removesuffix(".py")).main(arguments)
        except SystemExit as end:  # wrong usage
            code = int(end.code or 0)
    return subprocess.CompletedProcess([script, *arguments], int(code), out.getvalue(), error.getvalue())


def run_stages(
    run: Run, *of_extract: str | Path, of_load: Sequence[str | Path] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run extract, transform and load in turn; return the first failure's exit code, and all that they printed."""
    done = [
        run("extract.py", *of_extract, **environment),
        run("transform.py", **environment),
        run("load.py", *of_load, **environment),
    ]
    code = next((one.returncode for one in done if one.returncode), 0)
    printed, errors = ("".join(texts) for texts in zip(*((one.stdout, one.stderr) for one in done), strict=True))
    return subprocess.CompletedProcess(of_extract, code, printed, errors)


@contextlib.contextmanager
def released_lock() -> Iterator[None]:
    """Release the lock after a stage, as the end of its process would."""
    try:
        yield
    finally:
        if run_log.lock is not None:
            os.close(run_log.lock)
        run_log.begin("test", quiet=True)


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Yield the lines that this process logs meanwhile."""
    lines: list[str] = []
    run_log.detail = lines.append  # type: ignore[method-assign,assignment]
    try:
        yield lines
    finally:
        del run_log.detail


def has_line(lines: list[str], words: str) -> bool:
    """Return whether one of the lines has these words."""
    return any(words in line for line in lines)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the first run on the page that ships with the suite leaves it; it is not to be changed."""

    def make(folder: Path) -> Path:
        command = [sys.executable, str(PROJECT / "etl_process.py"), "--no-report", "--quiet", "--page", str(SHIPPED)]
        environment = {**os.environ, **NO_NETWORK, "GDP_ETL_HOME": str(folder)}
        subprocess.run(command, env=environment, capture_output=True, check=True)
        return folder

    return made_once(tmp_path_factory, "first", make)


@pytest.fixture
def loaded(first_run: Path, home: Path) -> Path:
    """Return the test's own folder, with everything in it that a first run leaves."""
    shutil.copytree(first_run, home, dirs_exist_ok=True)
    return home


@pytest.fixture(scope="session")
def page_bytes() -> bytes:
    """Return the page that ships with the suite."""
    return gzip.decompress(SHIPPED.read_bytes())


@dataclass
class Answer:
    """What the server says to one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A real server: it gives its answers in turn, the last one over and over, and remembers what it was asked.

    With a `route`, that makes the answer from the path asked for.
    """

    url: str
    answers: list[Answer]
    user_agents: list[str]
    paths: list[str]
    posted: list[Any]
    route: Callable[[str], Answer] | None = None

    @property
    def base(self) -> str:
        return self.url.removesuffix("/wiki/List")


@pytest.fixture
def server() -> Iterator[Server]:
    """Yield a server on 127.0.0.1."""
    server = Server("", [], [], [], [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.do_GET()

        def do_GET(self) -> None:
            server.user_agents.append(self.headers["User-Agent"])
            server.paths.append(self.path)
            if server.route:
                answer = server.route(self.path)
            else:
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{listening.server_address[1]}/wiki/List"
    yield server
    listening.shutdown()
    listening.server_close()


def records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON file."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    connection = sqlite3.connect(database)
    rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but the logs, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "log" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}

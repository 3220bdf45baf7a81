"""Files in a store give the same as local files, also when processes are killed and requests are refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from gdp.remote_files import MANIFEST
from tests import cluster, object_store
from tests.conftest import PROJECT, Run, query, run_process
from tests.make_data import make_pages

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("s3fs", "moto"))), reason="s3fs or moto is not installed"
)
needs_spark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
    reason="PySpark or Java is not installed: pip install -r requirements/spark.txt",
)
LONG = pytest.mark.long
TABLES = ("GDP_Estimates", "Countries_by_GDP")
LENIENT = ("--max-rejected", "0.1")  # one page of few is none
BAD = "2025-12-29_enwiki_rev7.html.gz"


class Local:
    """What the local engine makes of local pages: raw and clean lines, rejects, and the tables."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.pages, raw, clean = folder / "pages", folder / "raw.jsonl", folder / "clean.jsonl"
        for command in (
            ("extract.py", "--pages", self.pages, "--output", raw, *LENIENT),
            ("transform.py", "--input", raw, "--output", clean),
            ("load.py", "--quiet", "--input", clean, "--database", folder / "x.db"),
        ):
            done = run(*command)
            assert done.returncode == 0, done.stderr
        self.raw, self.clean, self.tables = raw.read_bytes(), clean.read_bytes(), tables(folder / "x.db")
        self.rejected = rejects((folder / "Rejected.jsonl").read_bytes())


def tables(database: Path) -> list[Any]:
    return [query(database, f"SELECT * FROM {table}") for table in TABLES]


def rejects(text: bytes) -> list[tuple[str, str]]:
    return [(Path(one["File"]).name, one["Reason"].rpartition("/")[2]) for one in map(json.loads, text.splitlines())]


def in_store(name: str) -> bytes:
    """Return an object, or all parts of a folder that count, their lines sorted."""
    system = the_store()
    if not system.isdir(f"gdp/{name}"):
        return bytes(system.cat_file(f"gdp/{name}"))
    manifest = json.loads(system.cat_file(f"gdp/{name}/{MANIFEST}"))
    named = [one[kind] for one in manifest["parts"] for kind in ("lines", "rejected") if one[kind]]
    there = [path.rpartition("/")[2] for path in system.ls(f"gdp/{name}", detail=False)]
    assert sorted(there) == sorted([MANIFEST, *named])
    return sorted_lines(b"".join(system.cat_file(f"gdp/{name}/{one}") for one in named if one.startswith("part")))


def sorted_lines(text: bytes) -> bytes:
    return b"".join(sorted(text.splitlines(keepends=True)))


def the_store() -> Any:
    import fsspec

    return fsspec.filesystem("s3", use_listings_cache=False, endpoint_url=os.environ["AWS_ENDPOINT_URL"])


def put_pages(folder: Path, number: int) -> None:
    """Make pages, and one that is none, and put them into the store too."""
    make_pages(number, folder, seed=5)
    (folder / BAD).write_bytes(b"no page")
    system = the_store()
    system.mkdir("gdp")
    system.put(f"{folder}/", "gdp/pages/", recursive=True)


def use(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def started_store() -> Iterator[dict[str, str]]:
    """Yield the environment of a store that was started for these tests."""
    with object_store.started() as environment:
        yield environment


@pytest.fixture(autouse=True)
def new_connections() -> None:
    """Forget the connections of this process to the stores of the tests before."""
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture
def store(started_store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be an empty store, and the environment name it."""
    use(started_store, monkeypatch)
    requests.post(f"{started_store['AWS_ENDPOINT_URL']}/moto-api/reset", timeout=60).raise_for_status()


# --- the same, to the byte --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["{}.jsonl", *(pytest.param(form, marks=LONG) for form in ("{}.jsonl.zst", "{}.parts"))]
)
def test_every_stage_makes_of_a_store_what_it_makes_of_local_files(
    form: str, store: None, run: Run, home: Path, tmp_path: Path
) -> None:
    put_pages(tmp_path / "pages", 15)
    want = Local(tmp_path, run)
    raw, clean = form.format("raw"), form.format("clean")
    database = tmp_path / "stored.db"
    for command in (
        ("extract.py", "--pages", "s3://gdp/pages", "--output", f"s3://gdp/{raw}", "--workers", "2", *LENIENT),
        ("transform.py", "--input", f"s3://gdp/{raw}", "--output", f"s3://gdp/{clean}", "--workers", "2"),
        ("load.py", "--input", f"s3://gdp/{clean}", "--database", database),
    ):
        done = run(*command)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        assert "hunter2" not in done.stderr + done.stdout
    assert "does not speak of this file" not in done.stderr
    if form.endswith("zst"):
        import zstandard

        found = zstandard.ZstdDecompressor().stream_reader(in_store(clean), read_across_frames=True).read()
        assert found == want.clean
    elif form.endswith("parts"):
        assert (in_store(raw), in_store(clean)) == (sorted_lines(want.raw), sorted_lines(want.clean))
    else:
        assert (in_store(raw), in_store(clean)) == (want.raw, want.clean)
    assert rejects(in_store("Rejected.jsonl")) == want.rejected
    assert tables(database) == want.tables
    again = run("transform.py", "--input", f"s3://gdp/{raw}", "--output", f"s3://gdp/{clean}", "--workers", "2")
    assert "done before" in again.stderr
    assert (home / "results").exists() and not list((home / "results").glob(".*part"))


def test_one_page_is_read_from_a_store_and_arrays_go_through_it(store: None, run: Run, home: Path) -> None:
    from tests.page_builder import SHIPPED

    the_store().mkdir("gdp")
    the_store().put(str(SHIPPED), f"gdp/{SHIPPED.name}")
    for page, where in ((SHIPPED, f"{home}/"), (f"s3://gdp/{SHIPPED.name}", "s3://gdp/")):
        done = run("extract.py", "--page", page, "--output", f"{where}raw.json")
        assert done.returncode == 0, done.stderr
        done = run("transform.py", "--input", f"{where}raw.json", "--output", f"{where}clean.json")
        assert done.returncode == 0, done.stderr
        assert run("load.py", "--input", f"{where}clean.json").returncode == 0
    assert in_store("clean.json") == (home / "clean.json").read_bytes()


# --- who dies on the way ----------------------------------------------------------------------------------------------


def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROJECT / script, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def wait_for_notes(folder: str, number: int, job: subprocess.Popen[str]) -> None:
    """Wait until so many parts are done."""
    while job.poll() is None:
        names = the_store().ls(f"gdp/{folder}", detail=False) if the_store().exists(f"gdp/{folder}") else []
        if sum("/_note" in name for name in names) >= number:
            return
        time.sleep(0.02)
    raise AssertionError(f"the job ended before: {job.stderr.read() if job.stderr else ''}")


@LONG
def test_workers_and_the_driver_killed_on_one_machine_change_nothing(
    store: None, run: Run, home: Path, tmp_path: Path
) -> None:
    put_pages(tmp_path / "pages", 160)
    want = Local(tmp_path, run)
    command = ("extract.py", "--pages", "s3://gdp/pages", "--output", "s3://gdp/raw.parts", "--workers", "2")
    job = start(*command)
    wait_for_notes("raw.parts", 1, job)
    psutil.Process(job.pid).children()[0].kill()
    wait_for_notes("raw.parts", 3, job)
    job.kill()
    assert "a worker process was killed; what was on its way is done again, from part " in job.communicate()[1]
    assert run("transform.py", "--input", "s3://gdp/raw.parts").returncode == 66
    again = run(*command)
    assert again.returncode == 0 and "partitions were made before" in again.stderr
    assert in_store("raw.parts") == sorted_lines(want.raw)


@LONG
@needs_spark
def test_on_a_cluster_that_shares_no_disk_nobody_who_dies_and_nothing_that_is_refused_changes_anything(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
    with object_store.started(refuse_one_in=10) as environment:
        use(environment, monkeypatch)
        put_pages(tmp_path / "pages", 160)
        want = Local(tmp_path, run)
        with cluster.started(tmp_path / "cluster") as (url, workers):
            spark = ("--engine", "spark", "--master", url)
            extract = ("extract.py", "--pages", "s3://gdp/pages", "--output", "s3://gdp/raw", *spark)
            job = start(*extract)
            wait_for_notes("raw", 1, job)
            job.send_signal(signal.SIGKILL)
            job.communicate()
            job = start(*extract)
            executors = cluster.executors_at_work(workers, job)
            executors[0].kill()
            cluster.kill(workers[0])
            _, text = job.communicate(timeout=180)
            assert job.returncode == 0 and "partitions were made before" in text, text
            done = run("transform.py", "--input", "s3://gdp/raw", "--output", "s3://gdp/clean", *spark)
            assert done.returncode == 0, done.stderr
        assert run("load.py", "--input", "s3://gdp/clean", "--database", tmp_path / "spark.db").returncode == 0
        assert (in_store("raw"), in_store("clean")) == (sorted_lines(want.raw), sorted_lines(want.clean))
        assert rejects(in_store("Rejected.jsonl")) == want.rejected
        assert tables(tmp_path / "spark.db") == want.tables


# --- what is not there, or not ours -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("s3://gdp/none.jsonl", 66, "is not there"), ("s3://nobucket/x.jsonl", 66, "is not there"),
        ("s3://gdp/folder", 66, "is not there"), ("s3://forbidden/x.jsonl", 77, "no permission"),
        ("hdfs://nowhere/x.jsonl", 65, "hdfs"), ("gs://bucket/x.jsonl", 2, "gcsfs"),
        ("gopher://h/x", 2, "not understood"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line_and_nothing_is_made(
    place: str, code: int, words: str, store: None, run: Run, home: Path
) -> None:
    the_store().mkdir("gdp")
    done = run("transform.py", "--input", place, "--output", "s3://gdp/clean.jsonl")
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in done.stderr.splitlines()[-1] and "hunter2" not in done.stderr
    assert the_store().ls("gdp") == []


@pytest.mark.parametrize(
    ("place", "code"), [("s3://nobucket/x.jsonl", 74), ("s3://nobucket/x.parts", 74), ("s3://forbidden/x.parts", 77)]
)
def test_what_cannot_be_written_is_one_line(
    place: str, code: int, store: None, run: Run, home: Path, tmp_path: Path
) -> None:
    make_pages(2, tmp_path / "pages")
    done = run("extract.py", "--pages", tmp_path / "pages", "--output", place)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert done.stderr.splitlines()[-1].startswith("[extract] error: ") and "hunter2" not in done.stderr
    assert ("there is no bucket" in done.stderr) == ("nobucket" in place)


def test_a_store_that_is_not_there_is_unreachable(home: Path) -> None:
    nowhere = {"AWS_ENDPOINT_URL": "http://me:hunter2@127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    keys = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    done = run_process("load.py", "--input", "s3://gdp/clean.jsonl", **nowhere, **keys)
    assert done.returncode == 69 and "Traceback" not in done.stderr
    assert "cannot be reached" in done.stderr.splitlines()[-1] and "hunter2" not in done.stderr


@pytest.mark.parametrize("missing", ["fsspec", "s3fs"])
def test_what_is_not_installed_is_named_with_how_to_install_it(missing: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / f"{missing}.py").write_text("raise ImportError('not there')")
    done = run_process("transform.py", "--input", "s3://gdp/raw.jsonl", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and "pip install -r requirements/s3.txt" in done.stderr.splitlines()[-1]
    assert not (home / "log").exists()

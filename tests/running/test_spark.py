"""Spark makes the same records, in local mode and on a cluster, and a worker that dies does not change that."""

from __future__ import annotations

import contextlib
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

import psutil
import pytest

from gdp.running.storage import MANIFEST
from tests.conftest import Run, query
from tests.make_data import make_pages, make_records, records_a_page

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
    reason="PySpark or Java is not installed: pip install -r requirements/spark.txt",
)
LOCAL = ("--engine", "spark", "--master", "local[2]")
# starts in half the time, and is none the slower on little data
QUICK_JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


@pytest.fixture(autouse=True)
def quick_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", QUICK_JAVA)


def sorted_lines(*paths: Path) -> str:
    """Return a hash of all lines, sorted: by other processes, as a child's peak memory begins at ours."""
    command = f"cat {' '.join(map(str, paths))} | LC_ALL=C sort | sha256sum"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*"))


def test_transform_on_spark_makes_the_same_records_and_rejects_from_several_inputs(
    run: Run, home: Path, tmp_path: Path
) -> None:
    inputs = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for seed, path in enumerate(inputs):
        make_records(40 * records_a_page(), path, seed=seed)
    with inputs[1].open("ab") as file:
        file.write(b'{"Country": "Ch\xff"}\n\n\n')
    done = run("transform.py", "--input", *inputs, "--output", tmp_path / "spark" / "parts", *LOCAL)
    assert done.returncode == 0, done.stderr
    alone = run("transform.py", "--input", *inputs, "--output", tmp_path / "local" / "clean.jsonl")
    assert alone.returncode == 0, alone.stderr
    found = parts(tmp_path / "spark" / "parts")
    assert len(found) > 1
    assert sorted_lines(*found) == sorted_lines(tmp_path / "local" / "clean.jsonl")
    rejected = [
        sorted(map(json.loads, (tmp_path / name / "Rejected.jsonl").open()), key=str) for name in ("spark", "local")
    ]
    assert rejected[0] == rejected[1] and rejected[0]
    told = [next(line for line in text.splitlines() if "raw records:" in line) for text in (done.stderr, alone.stderr)]
    assert told[0] == told[1]


def test_all_stages_on_spark_load_what_the_local_engine_loads(run: Run, home: Path, tmp_path: Path) -> None:
    make_pages(20, tmp_path / "pages", seed=5)
    (tmp_path / "pages" / "2025-12-29_enwiki_rev7.html.gz").write_bytes(b"no page")
    dumps = []
    for engine in ([], [*LOCAL]):
        database = tmp_path / f"{len(engine)}.db"
        done = run(
            "etl_process.py", "--pages", tmp_path / "pages", "--max-rejected", "0.2", "--database", database, *engine
        )
        assert done.returncode == 0, done.stderr
        dumps.append([query(database, f"SELECT * FROM {table}") for table in ("GDP_Estimates", "Countries_by_GDP")])
    assert dumps[0] == dumps[1]
    rejected = [json.loads(line) for line in (home / "results" / "Rejected.jsonl").open()]
    assert [Path(one["File"]).name for one in rejected] == ["2025-12-29_enwiki_rev7.html.gz"]


def test_too_many_bad_lines_fail_on_spark_too_and_leave_no_parts(run: Run, home: Path, tmp_path: Path) -> None:
    make_records(2_000, tmp_path / "raw.jsonl")
    strict = ("--max-rejected", "0.0001")
    done = run("transform.py", "--input", tmp_path / "raw.jsonl", "--output", tmp_path / "parts", *LOCAL, *strict)
    assert done.returncode == 65 and "over --max-rejected" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "parts" / MANIFEST).exists()
    assert run("load.py", "--input", tmp_path / "parts").returncode == 66


def test_a_missing_input_and_a_missing_java_are_told_in_one_line(run: Run, home: Path, tmp_path: Path) -> None:
    done = run("transform.py", "--input", tmp_path / "none.jsonl", "--output", tmp_path / "parts", *LOCAL)
    assert done.returncode == 66 and "is not there" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "raw.jsonl").write_text("{}\n")
    no_java = {"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"}
    done = run("transform.py", "--input", tmp_path / "raw.jsonl", "--output", tmp_path / "parts", *LOCAL, **no_java)
    assert done.returncode == 2 and "Java 17" in done.stderr and "Traceback" not in done.stderr


# --- a cluster --------------------------------------------------------------------------------------------------------


def _spark_class(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    import pyspark

    command = Path(pyspark.__file__).parent / "bin" / "spark-class"
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    return subprocess.Popen(
        [str(command), f"org.apache.spark.deploy.{name}", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Yield the URL of a standalone master on this machine, and its two workers."""
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    master = _spark_class("master.Master", "--host", "127.0.0.1", "--port", "17077", "--webui-port", "18080")
    url = "spark://127.0.0.1:17077"
    _wait_for_port(17077)
    workers = [
        _spark_class("worker.Worker", url, "--host", "127.0.0.1", "--cores", "1", "--memory", "1g",
                     "--webui-port", str(18081 + n), "--work-dir", str(tmp_path / f"work{n}"))
        for n in range(2)
    ]  # fmt: skip
    for n in range(2):
        _wait_for_port(18081 + n)
    yield url, workers
    for process in (*workers, master):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.wait()


def _wait_for_port(port: int) -> None:
    import socket

    for _ in range(300):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at {port}")


def test_on_a_cluster_a_worker_killed_in_the_middle_changes_nothing(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], run: Run, home: Path, tmp_path: Path
) -> None:
    url, workers = cluster
    raw = tmp_path / "raw.jsonl"
    make_records(800 * records_a_page(), raw)
    alone = run("transform.py", "--input", raw, "--output", tmp_path / "clean.jsonl")
    assert alone.returncode == 0, alone.stderr
    from tests.conftest import PROJECT

    process = subprocess.Popen(
        [sys.executable, PROJECT / "transform.py", "--input", raw, "--output", tmp_path / "parts", "--engine", "spark",
         "--master", url], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    executors = _executors_at_work(workers, process)
    executors[0].kill()
    _kill(workers[0])
    _, told = process.communicate(timeout=180)
    assert process.returncode == 0, told
    assert sorted_lines(*parts(tmp_path / "parts")) == sorted_lines(tmp_path / "clean.jsonl")


def _executors_at_work(workers: list[subprocess.Popen[bytes]], job: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the Python processes of the executors when both have been at work for a moment."""
    while job.poll() is None:
        family = [one for worker in workers for one in psutil.Process(worker.pid).children(recursive=True)]
        found = [one for one in family if _is_at_work(one)]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the job ended before its workers were seen: {job.stderr.read() if job.stderr else ''}")


def _is_at_work(process: psutil.Process) -> bool:
    try:
        return "pyspark.daemon" in " ".join(process.cmdline()) and process.cpu_times().user > 0.3
    except psutil.Error:  # it ended meanwhile
        return False


def test_a_cluster_that_is_not_there_is_unreachable(run: Run, home: Path, tmp_path: Path) -> None:
    make_records(10, tmp_path / "raw.jsonl")
    done = run(
        "transform.py", "--input", tmp_path / "raw.jsonl", "--output", tmp_path / "parts", "--engine", "spark",
        "--master", "spark://127.0.0.1:1",
    )  # fmt: skip
    assert done.returncode == 69 and "Traceback" not in done.stderr

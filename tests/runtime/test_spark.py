"""Spark makes the same records, in local mode and on a cluster, and a worker that dies does not change that."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gdp.remote_files import MANIFEST
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
    for name in ("spark", "local"):
        (tmp_path / name).mkdir()
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
    counts = [
        next(line for line in text.splitlines() if "raw records:" in line) for text in (done.stderr, alone.stderr)
    ]
    assert counts[0] == counts[1]


@pytest.mark.long
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
        assert all(re.match(r"\[\w+\] |  ", line) for line in done.stderr.splitlines())  # no word of Java's
        dumps.append([query(database, f"SELECT * FROM {table}") for table in ("GDP_Estimates", "Countries_by_GDP")])
    assert dumps[0] == dumps[1]
    rejected = [json.loads(line) for line in (home / "results" / "Rejected.jsonl").open()]
    assert [Path(one["File"]).name for one in rejected] == ["2025-12-29_enwiki_rev7.html.gz"]


@pytest.mark.long
def test_too_many_bad_lines_fail_on_spark_too_and_leave_no_parts(run: Run, home: Path, tmp_path: Path) -> None:
    make_records(2_000, tmp_path / "raw.jsonl")
    strict = ("--max-rejected", "0.0001")
    done = run("transform.py", "--input", tmp_path / "raw.jsonl", "--output", tmp_path / "parts", *LOCAL, *strict)
    assert done.returncode == 65 and "over --max-rejected" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "parts" / MANIFEST).exists()
    assert run("load.py", "--input", tmp_path / "parts").returncode == 66


def test_a_missing_input_and_a_missing_java_are_one_line(run: Run, home: Path, tmp_path: Path) -> None:
    done = run("transform.py", "--input", tmp_path / "none.jsonl", "--output", tmp_path / "parts", *LOCAL)
    assert done.returncode == 66 and "is not there" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "raw.jsonl").write_text("{}\n")
    no_java = {"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"}
    done = run("transform.py", "--input", tmp_path / "raw.jsonl", "--output", tmp_path / "parts", *LOCAL, **no_java)
    assert done.returncode == 2 and "Java 17" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("master", "words"), [("sc://127.0.0.1:1", "Spark Connect"), ("yarn", "HADOOP_CONF_DIR")])
def test_a_master_that_cannot_do_it_is_wrong_usage(
    master: str, words: str, run: Run, home: Path, tmp_path: Path
) -> None:
    make_records(10, tmp_path / "raw.jsonl")
    done = run("transform.py", "--input", tmp_path / "raw.jsonl", "--engine", "spark", "--master", master)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_a_cluster_that_is_not_there_is_unreachable(run: Run, home: Path, tmp_path: Path) -> None:
    make_records(10, tmp_path / "raw.jsonl")
    done = run(
        "transform.py", "--input", tmp_path / "raw.jsonl", "--output", tmp_path / "parts", "--engine", "spark",
        "--master", "spark://127.0.0.1:1",
    )  # fmt: skip
    assert done.returncode == 69 and "Traceback" not in done.stderr

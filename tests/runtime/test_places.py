"""Which place a text names, and that a place is always shown without its credentials."""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gdp.places import Place, database_named, file_named, without_credentials
from gdp.remote_files import RemotePath, folder_named, page_named, stream_named
from tests.conftest import PROJECT, Answer, Run, Server, run_process, snapshot
from tests.page_builder import SHIPPED


@pytest.mark.parametrize(
    ("named", "text", "place"),
    [
        (file_named, "results/a b.json", Path("results/a b.json")),
        (file_named, "file:///tmp/a%20b.json", Path("/tmp/a b.json")),
        (file_named, "FILE://localhost/tmp/x", Path("/tmp/x")),
        (file_named, "a:b.json", Path("a:b.json")),
        (page_named, "HTTPS://en.wikipedia.org/wiki/X", "https://en.wikipedia.org/wiki/X"),
        (page_named, "http://127.0.0.1:8000/wiki/@X", "http://127.0.0.1:8000/wiki/@X"),
        (page_named, "file:///tmp/x.html", Path("/tmp/x.html")),
        (page_named, "data/x.html", Path("data/x.html")),
        (page_named, "S3://bucket/x y.html", RemotePath("s3://bucket/x y.html")),
        (stream_named, "x.jsonl.gz", Path("x.jsonl.gz")),
        (stream_named, "file:///tmp/x.jsonl", Path("/tmp/x.jsonl")),
        (stream_named, "ftp://me@server:21/x", RemotePath("ftp://me@server:21/x")),
        (stream_named, "s3://bucket/a@b:c.jsonl", RemotePath("s3://bucket/a@b:c.jsonl")),
        (folder_named, "s3://bucket/", RemotePath("s3://bucket")),
        (database_named, "/tmp/y/../x.db", Place(Path("/tmp/x.db"))),
        (database_named, "file:///tmp/x.db", Place(Path("/tmp/x.db"))),
        (database_named, "sqlite:////tmp/x.db", Place(Path("/tmp/x.db"))),
        (database_named, "sqlite:///x.db", Place(Path("x.db").absolute())),
        (database_named, "Postgres://me@h/db", Place(None, "postgresql://me@h/db")),
        (database_named, "postgresql://a:1,[::1]:2/db?x=y", Place(None, "postgresql://a:1,[::1]:2/db?x=y")),
        (database_named, "postgresql:///db", Place(None, "postgresql:///db")),
    ],
)
def test_every_scheme_that_is_known_names_its_place(named: Callable[[str], Any], text: str, place: Any) -> None:
    assert named(text) == place


@pytest.mark.parametrize(
    ("named", "text"),
    [
        (file_named, "s3://me:secret@bucket/x"), (file_named, "http://me:secret@h/x"), (file_named, "file://server/x"),
        (file_named, ""), (file_named, "a\0b"), (file_named, "postgresql://me:secret@h/x"),
        (page_named, "ftp://me:secret@h/x"), (page_named, "http://"), (page_named, "http://me:secret@[::1/x"),
        (page_named, "https:"), (stream_named, "s3://bucket"), (stream_named, "s3:bucket/x"), (folder_named, "s3://"),
        (stream_named, "memory://bucket/x"), (stream_named, "simplecache::s3://bucket/x"), (stream_named, "xyz://h/x"),
        (stream_named, "s3://me:secret@bucket/x"), (stream_named, "s3://me:1/secret@bucket/x"),
        (stream_named, "ftp://me:1/secret@h/x"), (stream_named, "ftp://me:secret/@h/x"),
        (stream_named, "https://h/x"), (stream_named, "://me:secret@h"),
        (database_named, "mysql://me:secret@h/db"), (database_named, "postgresql+psycopg://me:secret@h/db"),
        (database_named, "jdbc:postgresql://me:secret@h/db"), (database_named, "s3a://me:secret@bucket/x"),
        (database_named, "host=h user=me password=secret"), (database_named, "dbname = gdp password = 'secret'"),
        (database_named, "postgresql://me:secret@h:port/db"), (database_named, "postgresql://me:secret@[::1/db"),
        (database_named, "postgresql:me:secret@h"), (database_named, "sqlite://me:secret@h/x"),
        (database_named, "mysql://me:1 secret@h/db"), (page_named, "ftp://me:'secret@h/x"),
        (file_named, "file://me:1 secret@h/x"), (page_named, "http://me:1 secret@[::1/x"),
        (database_named, "sqlite:x.db"), (database_named, "mysql:secret"),
        (database_named, "postgresql://me:se/secret@h/db"), (database_named, "postgresql://me:1/secret@h/db"),
        (database_named, "postgresql://me:1?secret@h/db"), (database_named, "postgresql://me:1#secret@h/db"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_wrong_usage_and_quotes_no_secret(named: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        named(text)
    assert "secret" not in str(refused.value) or text == "mysql:secret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pw@h:5432/db", "postgresql://h:5432/db"),
        ("postgresql://me:p@w@h/db", "postgresql://h/db"),
        ("postgresql://me:p/w#?@h/db", "postgresql://h/db"),
        ("https://h/x@y?title=Z&oldid=1", "https://h/x@y?title=Z&oldid=1"),
        ("https://me:pw@h/x@y", "https://h/x@y"),
        ("https://h/x?access_token=pw&a=b", "https://h/x?access_token=…&a=b"),
        ("s3://key:pw@bucket/x", "s3://bucket/x"),
        ("cannot reach https://me@h/x, or so", "cannot reach https://h/x, or so"),
        ("user=me password='p w' host=h", "user=… password=… host=h"),
        ("results/x@y.json", "results/x@y.json"),
    ],
)
def test_a_place_is_shown_without_its_credentials(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@given(st.from_regex(r"[A-Z][a-z]{3,8}", fullmatch=True), st.text("ab1:@/?#[]%&=._- \t'\"<>", max_size=8))
@example("Secret", " 1")
@example("Secret", "@")
@example("Secret", "/")
@example("Aaaa", '"%')  # %Aa is no sign of UTF-8: the password comes back as neither what was there nor what it means
def test_no_password_with_any_signs_is_shown_of_a_database(secret: str, signs: str) -> None:
    url = f"postgresql://me:{secret}{signs}{secret}@h:5432/db"
    try:
        place = database_named(url)
    except argparse.ArgumentTypeError as refused:
        assert secret not in str(refused)
        return
    assert secret not in str(place)
    assert secret not in place.scrubbed(f'FATAL: password "{secret}{signs}{secret}" of {url} is wrong')


@pytest.mark.parametrize(
    "command",
    [
        ("etl_process.py", "--database", "mysql://me:secret@h/db"),
        ("etl_process.py", "--pages", "s3://me:secret@bucket/x"),
        ("extract.py", "--output", "s3a://me:secret@bucket/x"),
        ("extract.py", "--page", "gopher://me:secret@h"),
        ("transform.py", "--input", "x.jsonl", "hdfs://me:secret@h/y"),
        ("load.py", "--database", "host=h password=secret"),
        ("load.py", "--datbase", "postgresql://me:secret@h/db"),
        ("load.py", "--datbase", "postgresql://me:1 secret@h/db"),
        ("load.py", "--datbase=postgresql://me:'1 secret@h/db"),
        ("report.py", "--output", "http://me:secret@h/x"),
    ],
)  # fmt: skip
def test_every_script_refuses_it_before_anything_is_made(command: tuple[str, ...], home: Path) -> None:
    done = run_process(*command)  # it starts again where a database's URL has a password
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert snapshot(home) == {} and not (home / "log").exists()


@pytest.mark.parametrize(
    ("script", "form"),
    [("etl_process.py", "--database={}"), ("load.py", "--database {}"), ("report.py", "--database={}")],
)
def test_no_process_shows_the_password_of_a_database_in_its_arguments(
    script: str, form: str, home: Path, unanswered: str
) -> None:
    if script != "etl_process.py":  # which opens no database
        pytest.importorskip("psycopg", reason="psycopg (requirements/postgres.txt) is not installed")
    (port,) = re.findall(r":(\d+)/", unanswered)  # a server that accepts connections, and answers nothing
    url = f"postgresql://me:hunter2@127.0.0.1:{port}/db?connect_timeout=30"
    more = {"etl_process.py": ["--page", unanswered], "load.py": ["--country", "KOR"], "report.py": []}[script]
    command = [sys.executable, str(PROJECT / script), *more, *form.format(url).split()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched, shown = psutil.Process(process.pid), []
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and process.poll() is None:
        for one in (watched, *watched.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                shown.append((time.monotonic() > deadline - 2, " ".join(one.cmdline())))
        time.sleep(0.05)
    process.terminate()
    process.wait(20)
    late = [line for is_late, line in shown if is_late]
    assert late and not any("hunter2" in line for line in late)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (404, 69)])
def test_the_password_of_a_pages_address_is_sent_and_shown_nowhere(
    status: int, code: int, server: Server, page_bytes: bytes, run: Run, home: Path
) -> None:
    plain = re.sub(rb'"wgRevisionId":\d+|oldid=\d+|<link rel="canonical"[^>]*>', b"", page_bytes)
    server.answers = [Answer(status, plain)]
    address = server.url.replace("http://", "http://somebody:hunter2@")
    done = run("extract.py", "--page", f"{address}?token=hunter3")
    assert done.returncode == code, done.stderr
    files = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file() and path.suffix != ".gz")
    for secret in ("hunter2", "hunter3", "somebody"):
        assert secret not in done.stderr + done.stdout and secret.encode() not in files


def test_status_max_age_and_the_last_line_speak_of_the_database_that_is_named(run: Run, home: Path) -> None:
    done = run("etl_process.py", "--no-report", "--page", SHIPPED, "--database", home / "x.db")
    assert "home/x.db;" in done.stderr.splitlines()[-1] and "World_Economies.db" not in done.stderr
    here = run("etl_process.py", "--status", "--database", f"file://{home}/x.db")
    assert "data as of 2025-12-30" in here.stdout
    nothing = run("etl_process.py", "--status")
    assert nothing.returncode == 66 and "no data: " in nothing.stdout
    old = run("etl_process.py", "--status", "--max-age", "1", "--database", home / "x.db")
    assert old.returncode == 69 and str(home / "x.db") in old.stderr
    assert run("etl_process.py", "--status", "--max-age", "9999", "--database", home / "x.db").returncode == 0

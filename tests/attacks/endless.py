"""Input without end or measure is refused in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import os
import socket

from tests.attacks.harness import COUNTRIES, Home, attack, one_line
from tests.page_builder import SHIPPED

FAMILY = "input without end or measure"
MEMORY_KB = 1_500_000  # of address space: several times what a stage needs, a fraction of what these would take
RAW = {
    "Country": "Chad", "GDP": "1,000", "Year": "2025", "Column": "IMF", "Unit": None, "Institution": "IMF",
    "Source": "s", "As_of": "2025-12-30T00:00:00Z",
}  # fmt: skip


def page_folder(home: Home) -> str:
    """Make a folder with one good page in it and return its path."""
    folder = home.folder / "pages"
    folder.mkdir()
    (folder / SHIPPED.name).write_bytes(SHIPPED.read_bytes())
    return str(folder)


def good_lines(number: int = 200) -> bytes:
    """Return raw records as lines."""
    return b"".join(json.dumps({**RAW, "Year": str(1980 + n % 45)}).encode() + b"\n" for n in range(number))


@attack(FAMILY, "a pipe, a device, a folder or a socket as a page or an input")
def not_a_file(home: Home) -> None:
    os.mkfifo(home.folder / "fifo.html")
    (home.folder / "folder.html").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.folder / "socket.html"))
    for name in ("fifo.html", "folder.html", "socket.html", "/dev/zero", "/dev/stdin"):
        one_line(home.run("extract", "--page", home.folder / name), 66)
    for name in ("fifo.html", "/dev/zero"):
        one_line(home.run("transform", "--input", home.folder / name), 66)
        one_line(home.run("load", "--input", home.folder / name), 66)
    os.mkfifo(home.folder / "fifo.jsonl")
    one_line(home.run("transform", "--input", home.folder / "fifo.jsonl"), 66)
    one_line(home.run("load", "--input", home.folder / "fifo.jsonl"), 66)


@attack(FAMILY, "a page of 10 GB")
def huge_page(home: Home) -> None:
    with (home.folder / "page.html").open("wb") as file:
        file.truncate(10 * 10**9)
    done = home.shell(f"ulimit -v {MEMORY_KB}; $PY $SUITE/extract.py --page page.html")
    one_line(done, 65, "MB")


@attack(FAMILY, "an array of 10 GB")
def huge_array(home: Home) -> None:
    with (home.folder / "records.json").open("wb") as file:
        file.truncate(10 * 10**9)
    for script in ("transform", "load"):
        one_line(
            home.shell(f"ulimit -v {MEMORY_KB}; $PY $SUITE/{script}.py --input records.json"), 65, "limit of 200 MB"
        )


@attack(FAMILY, "100 MB of blank lines in a kilobyte")
def blank_lines(home: Home) -> None:
    import zstandard

    (home.folder / "raw.jsonl.zst").write_bytes(
        zstandard.compress(good_lines()) + zstandard.compress(b"\n" * 100_000_000)
    )
    command = "$PY $SUITE/transform.py --workers 1 --input raw.jsonl.zst --output out.jsonl"
    done = home.shell(f"ulimit -v {MEMORY_KB}; ulimit -t 60; {command}")
    assert done.returncode == 0, (done.returncode, done.stderr[-400:])
    assert (home.folder / "out.jsonl").read_bytes().count(b"\n") == 200


@attack(FAMILY, "a page of 10 GB, a pipe and a bomb in a folder of pages")
def folder_of_bombs(home: Home) -> None:
    folder = page_folder(home)
    with open(f"{folder}/2020-01-01_huge.html", "wb") as file:
        file.truncate(10 * 10**9)
    os.mkfifo(f"{folder}/2020-01-02_fifo.html")
    with open(f"{folder}/2020-01-03_bomb.html.gz", "wb") as file:
        file.write(gzip.compress(bytes(300_000_000), 1))
    command = f"$PY $SUITE/etl_process.py --no-report --pages {folder} --workers 2 --max-rejected 0.9"
    done = home.shell(f"ulimit -v {2 * MEMORY_KB}; {command}")
    assert done.returncode == 0, done.stderr[-500:]
    assert home.countries() == COUNTRIES
    rejected = (home.folder / "results" / "Rejected.jsonl").read_text()
    assert rejected.count('"Stage": "extract"') == 3, rejected


def bomb(kind: str) -> bytes:
    """Return a packed text of 300 MB without a line break, after good lines."""
    if kind == "gz":
        return gzip.compress(good_lines(), 1) + gzip.compress(b"x" * 300_000_000, 1)
    import zstandard

    return zstandard.compress(good_lines()) + zstandard.compress(b"x" * 300_000_000)


@attack(FAMILY, "packed lines without a line break")
def bombs(home: Home) -> None:
    for kind in ("gz", "zst"):
        path = home.folder / f"raw.jsonl.{kind}"
        path.write_bytes(bomb(kind))
        command = f"$PY $SUITE/transform.py --workers 1 --input {path} --output out.jsonl"
        done = home.shell(f"ulimit -v {MEMORY_KB}; {command}")
        assert done.returncode in (0, 65), (kind, done.returncode, done.stderr[-400:])
        assert "Traceback" not in done.stderr
        done = home.shell(f"ulimit -v {MEMORY_KB}; $PY $SUITE/load.py --input {path}")
        one_line(done, 65)


@attack(FAMILY, "a line of 50 MB among good ones is set aside")
def long_line(home: Home) -> None:
    path = home.folder / "raw.jsonl"
    path.write_bytes(good_lines() + b'{"Country": "' + b"x" * 50_000_000 + b'"}\n' + good_lines())
    done = home.shell(f"ulimit -v {MEMORY_KB}; $PY $SUITE/transform.py --workers 1 --input {path} --output out.jsonl")
    assert done.returncode == 0, done.stderr[-400:]
    assert "1 " in done.stderr and (home.folder / "Rejected.jsonl").stat().st_size < 10_000
    assert (home.folder / "out.jsonl").read_bytes().count(b"\n") == 400


@attack(FAMILY, "a country's name of 4 MB, and other fields of 3 kB")
def long_fields(home: Home) -> None:
    raws = [{**RAW, "Year": str(1980 + n % 45)} for n in range(400)]
    raws += [{**RAW, "Country": "x" * 4_000_000}, {**RAW, "Column": "IMF " * 800}, {**RAW, "Source": "s" * 3000}]
    for name, content in (
        ("raw.json", json.dumps(raws)), ("raw.jsonl", "".join(json.dumps(raw) + "\n" for raw in raws)),
    ):  # fmt: skip
        path = home.folder / name
        path.write_text(content)
        done = home.call("transform", "--input", path, "--output", home.folder / f"out-{name}")
        assert done.returncode == 0, done.stderr[-400:]
        assert len(done.stderr) < 20_000
        assert "xxx" * 100 not in (home.folder / f"out-{name}").read_text()
        assert "3 set aside" in done.stderr.replace("3 of", "3 set aside"), done.stderr

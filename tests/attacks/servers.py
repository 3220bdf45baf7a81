"""A PostgreSQL that hangs silently, or whose disk is full."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.attacks.harness import Home, NotPossible, attack, one_line
from tests.cluster import free_port
from tests.page_builder import SHIPPED

FAMILY = "a database server in trouble"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def needs_psycopg() -> None:
    if importlib.util.find_spec("psycopg") is None:
        raise NotPossible("psycopg is not installed")


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Yield the port of a server that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        accepted = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(listening.accept())

        threading.Thread(target=accept, daemon=True).start()
        yield int(listening.getsockname()[1])


@attack(FAMILY, "a server that accepts and never answers")
def silent(home: Home) -> None:
    needs_psycopg()
    home.fill()
    with silent_server() as port:
        place = f"postgresql://me@127.0.0.1:{port}/db"
        for script, more in (("load", []), ("load", ["--country", "KOR"]), ("report", [])):
            began = time.monotonic()
            done = home.run(script, *more, "--database", place)
            one_line(done, 69)
            assert time.monotonic() - began < 90, (script, more)


def as_server(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return subprocess.run([*user, *map(str, command)], check=False, capture_output=True, cwd="/")


@contextlib.contextmanager
def server_on_small_disk() -> Iterator[tuple[str, Path]]:
    """Yield the URL of a server whose data are on a small tmpfs, and that disk's folder."""
    needs_psycopg()
    if not PROGRAMS:
        raise NotPossible("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="gdp-pg-") as name:
        disk = Path(name) / "disk"
        disk.mkdir()
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=120m", "none", disk], check=False, capture_output=True
        )
        if mount.returncode:
            raise NotPossible("a small disk cannot be mounted here")
        try:
            if os.geteuid() == 0:
                shutil.chown(name, "postgres")
                shutil.chown(disk, "postgres")
            port, data = free_port(), disk / "data"
            made = as_server(PROGRAMS[-1] / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
            assert made.returncode == 0, made.stderr[-300:]
            options = f"-p {port} -k {name} -c listen_addresses=127.0.0.1 -c max_wal_size=64MB -c min_wal_size=32MB"
            log = Path(name) / "log"
            as_server(PROGRAMS[-1] / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres", disk
            as_server(PROGRAMS[-1] / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        finally:
            subprocess.run(["umount", "-l", disk], check=False)


@attack(FAMILY, "a server whose disk is full")
def full(home: Home) -> None:
    with server_on_small_disk() as (url, disk):
        done = home.run("etl_process", "--no-report", "--page", SHIPPED, "--database", url)
        assert done.returncode == 0, done.stderr[-400:]
        fill = disk / "fill"
        with contextlib.suppress(OSError), fill.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65_536))
        clean = home.folder / "results" / "Countries_by_GDP_Processed.json"
        newer = home.folder / "newer.json"
        newer.write_text(clean.read_text().replace("2025-12-30", "2025-12-31"))
        codes = [home.run("load", "--input", newer, "--database", url) for _ in range(3)]
        for ended in codes:
            assert ended.returncode in (0, 69, 74), (ended.returncode, ended.stderr[-400:])
            assert "Traceback" not in ended.stderr
        fill.unlink()

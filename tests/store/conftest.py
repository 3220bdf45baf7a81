"""Databases for these tests: SQLite's files, and a real PostgreSQL on a port of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from gdp.places import Place, database_named
from tests.cluster import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []
HAS_POSTGRES = importlib.util.find_spec("psycopg") is not None and bool(PROGRAMS)
REASON = "psycopg (requirements/postgres.txt) or PostgreSQL (apt-get install postgresql) is not installed"
needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason=REASON)
BACKENDS = ("sqlite", pytest.param("postgresql", marks=needs_postgres))


def run_as_server(*command: str | Path) -> None:
    """Run a program of PostgreSQL's, which refuses to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, *map(str, command)], check=True, capture_output=True, cwd="/")


class PostgresServer(NamedTuple):
    """A server for these tests."""

    url: str
    data: Path
    options: str

    @property
    def log(self) -> Path:
        return self.data.with_name("log")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        run_as_server(
            PROGRAMS[-1] / "pg_ctl", "-D", self.data, "-w", "-l", self.log, "-o", self.options, "start"
        )  # fmt: skip

    def stop(self) -> None:
        """Stop it at once, also under clients at work."""
        run_as_server(PROGRAMS[-1] / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")


@contextmanager
def started_server() -> Iterator[PostgresServer]:
    """Yield a new server, which ends with the block."""
    folder = Path("/tmp") / f"gdp-etl-postgres-{os.getpid()}"  # its socket's path may have 107 characters
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    port = free_port()
    data = folder / "data"
    run_as_server(
        PROGRAMS[-1] / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"
    )
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=20"
    server = PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", data, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Yield a server that was started for these tests."""
    if not HAS_POSTGRES:
        pytest.skip(REASON)
    with started_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Yield the URL of an empty database."""
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE gdp")
    yield postgres.url.removesuffix("postgres") + "gdp"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE gdp WITH (FORCE)")


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, home: Path) -> Place:
    """Return an empty database of each kind."""
    if request.param == "sqlite":
        return Place(home / "empty.db")
    return database_named(request.getfixturevalue("postgres_url"))


@pytest.fixture
def postgres_place(postgres_url: str) -> Place:
    """Return an empty database of PostgreSQL."""
    return database_named(postgres_url)

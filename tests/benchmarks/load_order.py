"""What a load costs by order and number: vintages of one file in SQLite and PostgreSQL, oldest first and otherwise.

    python tests/benchmarks/load_order.py                        about half an hour
    python tests/benchmarks/load_order.py --vintages 25 300      a few minutes

CPU seconds are those of all processes, client and server. Statements are those that the database reports: SQLite by
its trace, in a second run that is not timed, and PostgreSQL by the server's log. The exponent is that of a power law
through the costs of ascending loads. PostgreSQL is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from tests.benchmarks.scale import machine  # noqa: E402
from tests.store.conftest import HAS_POSTGRES, PostgresServer, started_server  # noqa: E402
from tests.store.vintages import Vintage, made_up_list, write  # noqa: E402

ORDERS: dict[str, Callable[[list[Vintage]], list[Vintage]]] = {
    "ascending": list,
    "descending": lambda vintages: vintages[::-1],
    "random": lambda vintages: random.Random(1).sample(vintages, len(vintages)),
}
COUNT_STATEMENTS = """
import sqlite3, sys
connect, found = sqlite3.connect, []
def traced(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_trace_callback(found.append)
    return connection
sqlite3.connect = traced
import load
load.main(sys.argv[1:])
print(len(found), file=sys.stderr)
"""


class Cost(NamedTuple):
    """What a load cost: CPU seconds of client and server, and statements."""

    client_s: float
    server_s: float
    statements: int

    @property
    def cpu_s(self) -> float:
        return self.client_s + self.server_s


class Database:
    """A database of one kind, emptied for each case."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self.place = str(folder / "x.db")

    def empty(self) -> None:
        for path in Path(self.place).parent.glob("x.db*"):
            path.unlink()

    def cost_of(self, clean: Path) -> Cost:
        """Load a file; return what it cost."""
        copy = Path(f"{self.place}.before")
        if Path(self.place).exists():
            shutil.copyfile(self.place, copy)
        client_s = load(clean, self.place)
        after = Path(self.place).read_bytes()
        Path(self.place).unlink()
        if copy.exists():
            copy.replace(self.place)
        command = [sys.executable, "-c", COUNT_STATEMENTS, *arguments(clean, self.place)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        Path(self.place).write_bytes(after)
        return Cost(client_s, 0.0, int(done.stderr.split()[-1]))


class ServerDatabase(Database):
    """A database of PostgreSQL."""

    name = "PostgreSQL"

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.place = server.url.removesuffix("postgres") + "gdp"

    def _execute(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.server.url, autocommit=True) as owner:
            for statement in statements:
                owner.execute(statement.encode())

    def empty(self) -> None:
        self._execute("DROP DATABASE IF EXISTS gdp WITH (FORCE)", "CREATE DATABASE gdp")
        self._execute("ALTER DATABASE gdp SET log_statement = 'all'")

    def cost_of(self, clean: Path) -> Cost:
        """Load a file; return what it cost. A session's process counts for its parent when it has ended."""
        before, size = self._cpu_s(), self.server.log.stat().st_size
        client_s = load(clean, self.place)
        log = self.server.log.read_bytes()[size:].decode(errors="replace")
        return Cost(client_s, self._cpu_s() - before, len(re.findall(r"(?:statement|execute \S+):", log)))

    def _cpu_s(self) -> float:
        main = psutil.Process(int((self.server.data / "postmaster.pid").read_text().split()[0]))
        total = 0.0
        for process in (main, *main.children()):
            times = process.cpu_times()
            total += times.user + times.system
        return float(total + main.cpu_times().children_user + main.cpu_times().children_system)


def arguments(clean: Path, place: str) -> list[str]:
    force = [] if clean.name.startswith("again") else ["--force"]
    return ["--quiet", *force, "--no-history", "--input", str(clean), "--database", place]


def load(clean: Path, place: str) -> float:
    """Load a file by a process of its own; return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, str(PROJECT / "load.py"), *arguments(clean, place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- the cases --------------------------------------------------------------------------------------------------------


def by_order(database: Database, vintages: list[Vintage], folder: Path) -> Iterator[tuple[str, Cost]]:
    """Yield what one file costs in each order, and again."""
    for order, arranged in ORDERS.items():
        database.empty()
        yield order, database.cost_of(write(folder / f"{order}.jsonl", arranged(vintages)))
    yield "the same file again", database.cost_of(write(folder / "again.jsonl", ORDERS["random"](vintages)))
    yield "the same vintages in another file", database.cost_of(write(folder / "again-in-order.jsonl", vintages))


def older_into_newer(database: Database, folder: Path) -> Iterator[tuple[str, Cost]]:
    """Yield what ten older vintages cost in an empty database, and in one of twenty newer."""
    vintages = made_up_list(30, seed=2)
    older = write(folder / "older.jsonl", vintages[:10])
    newer = write(folder / "newer.jsonl", vintages[10:])
    database.empty()
    yield "10 vintages into an empty database", database.cost_of(older)
    database.empty()
    load(newer, database.place)
    yield "10 older vintages into 20 newer", database.cost_of(older)


def one_more(database: Database, number: int, folder: Path) -> Iterator[tuple[str, Cost]]:
    """Yield what one page costs in a database of so many vintages."""
    *vintages, newest = made_up_list(number, seed=2)
    database.empty()
    load(write(folder / "older.jsonl", vintages), database.place)
    yield f"one page after {len(vintages):,} vintages", database.cost_of(write(folder / "newest.json", [newest]))


def exponent(costs: dict[int, float]) -> float:
    """Return the exponent of the power law that fits costs by number best; the start of a process is not in it."""
    points = [(math.log(number), math.log(cost)) for number, cost in costs.items()]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return float(covariance / sum((x - mean_x) ** 2 for x, _ in points))


def table(database: Database, numbers: list[int], folder: Path) -> str:
    """Return the costs of all cases in a database."""
    database.empty()
    start_s = database.cost_of(write(folder / "one.jsonl", made_up_list(1, seed=2))).cpu_s
    start = f"One vintage alone: {start_s:.2f} CPU s, most of it the start of the process."
    lines = [f"## {database.name}", "", start, "",
             "| vintages | what | CPU s | of it server | against ascending | statements | a vintage |",
             "|--:|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    ascending: dict[int, float] = {}

    def add(number: int, what: str, cost: Cost, base: float) -> None:
        lines.append(f"| {number:,} | {what} | {cost.cpu_s:.2f} | {cost.server_s:.2f} | {cost.cpu_s / base:.2f} |"
                     f" {cost.statements:,} | {cost.statements / number:.1f} |")  # fmt: skip
        print(lines[-1], file=sys.stderr)

    for number in numbers:
        vintages = made_up_list(number, seed=2)
        for what, cost in by_order(database, vintages, folder):
            ascending.setdefault(number, cost.cpu_s)
            add(len(vintages), what, cost, ascending[number])
    base = 0.0
    for what, cost in older_into_newer(database, folder):
        base = base or cost.cpu_s
        add(10, what, cost, base)
    for what, cost in one_more(database, 300, folder):
        add(1, what, cost, start_s)
    if len(numbers) > 1:
        net = {number: cost - start_s for number, cost in ascending.items()}
        lines += ["", f"Fitted exponent, without the start of the process: {exponent(net):.2f}."]
    return "\n".join(lines)


@contextmanager
def databases(folder: Path) -> Iterator[list[Database]]:
    found = [Database(folder)]
    if not HAS_POSTGRES:
        yield found
        return
    with started_server() as server:
        yield [*found, ServerDatabase(server)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vintages", type=int, nargs="+", default=[25, 300, 3000])
    parser.add_argument("--output", type=Path, help="also write the tables as Markdown into this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, databases(Path(name)) as found:
        os.environ["GDP_ETL_HOME"] = name
        load_s = json.dumps([round(one, 1) for one in os.getloadavg()])
        head = f"# Order of loading\n\n{machine()}; load of the machine at the start {load_s}."
        text = "\n\n".join([head, *(table(one, options.vintages, Path(name)) for one in found)]) + "\n"
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

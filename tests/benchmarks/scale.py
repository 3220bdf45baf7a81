"""Archives: the suite beside others, in turns; the table goes to tests/benchmarks/RESULTS.md.

    python tests/benchmarks/scale.py                 all of it: about an hour, and 12 GB of disk
    python tests/benchmarks/scale.py --records 1000000 --runs 3 --only transform load

Each command is a process of its own. Memory is that of its whole tree (PSS, sampled); processor time is what the kernel
counted. On smaller data of the same kind it is checked first that all make the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from tests.make_data import make_pages, make_records, records_a_page  # noqa: E402

RESULTS = Path(__file__).with_name("RESULTS.md")
RIVALS = PROJECT / "tests" / "benchmarks" / "rivals.py"
SAMPLE_S = 0.1
MB = 1_000_000
MUCH = 2_000_000  # records
FEW = 1_000
FIELDS = (  # the others are the suite's own
    "Country", "ISO3", "Region", "Subregion", "Institution", "Year", "GDP_USD_billion", "As_of", "Source",
    "GDP_USD_million",
)  # fmt: skip


class Cost(NamedTuple):
    """What a run cost."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Line(NamedTuple):
    """A line of the table: what ran, the medians, and its speed as a ratio to the reference's."""

    what: str
    cost: Cost
    ratio: float


Commands = dict[str, list[str]]


def main() -> None:
    """Make the data, run everything in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--runs-of-much", type=int, default=3, help="for over two million records")
    parser.add_argument("--records", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument(
        "--load-pages", type=int, nargs="+", default=[3240, 9700], help="vintages; half of them are new"
    )
    parser.add_argument("--only", nargs="+", default=["transform", "extract", "load", "spark"])
    parser.add_argument("--folder", type=Path, help="where the data goes (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        os.environ["GDP_ETL_HOME"] = name
        sections = [section for part in options.only for section in PARTS[part](folder, options)]
    RESULTS.write_text(with_sections(RESULTS.read_text(encoding="utf-8"), sections), encoding="utf-8")
    print("\n\n".join([f"{machine()}; load of the machine at the end {os.getloadavg()}", *sections]))


def with_sections(text: str, sections: list[str]) -> str:
    """Return results with each section in the place of the one about the same, or at the end; all others stay."""
    there = {_subject(section): section for section in re.split(r"\n\n(?=## )", text.rstrip("\n"))}
    return "\n\n".join((there | {_subject(section): section for section in sections}).values()) + "\n"


def _subject(section: str) -> str:
    """Return a section's title without the numbers that differ from run to run."""
    return re.sub(r" \(.*\)|[\d,]+ estimates", "", section.partition("\n")[0])


def machine() -> str:
    """Return what the machine is."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / 1e9
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}"


# --- measuring --------------------------------------------------------------------------------------------------------


def runs_of(number: int, options: argparse.Namespace) -> int:
    """Return how often to run: much data wavers less, and takes long."""
    return int(options.runs_of_much if number > MUCH else options.runs)


def measured(
    commands: Commands, runs: int, outputs: list[Path], prepare: Callable[[str], None] = lambda _: None
) -> dict[str, Cost]:
    """Run each command `runs` times, in turns, what was put out before removed; return the medians.

    `prepare` is called with the command's name before each run.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for run in range(runs):
        for name, command in commands.items():
            for output in outputs:
                shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
            prepare(name)
            costs[name].append(cost_of(command))
            print(f"run {run + 1}: {name}: {costs[name][-1]}", file=sys.stderr)
    return {name: Cost(*map(statistics.median, zip(*some, strict=True))) for name, some in costs.items()}


def cost_of(command: list[str]) -> Cost:
    """Run a command to its end; return what it cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, peak = time.monotonic(), 0.0
    process = psutil.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while True:
        try:
            process.wait(SAMPLE_S)
            break
        except psutil.TimeoutExpired:
            peak = max(peak, _pss_mb(process))
    wall = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{command} ended in {process.returncode}: {process.stderr.read().decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak)


def _pss_mb(process: psutil.Process) -> float:
    total = 0.0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss / MB
    except psutil.Error:
        pass
    return total


def table(title: str, costs: dict[str, Cost], reference: str, units: float, unit: str) -> str:
    """Return costs as a table; the ratio is speed against the reference's."""
    lines = [
        f"## {title}",
        "",
        f"| | {unit}/s | ratio | CPU s per million | peak memory, MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, cost in costs.items():
        ratio = costs[reference].wall_s / cost.wall_s
        per_million = cost.cpu_s / units * 1e6
        lines.append(f"| {name} | {units / cost.wall_s:,.0f} | {ratio:.2f} | {per_million:.2f} | {cost.peak_mb:,.0f} |")
    return "\n".join(lines)


# --- the parts --------------------------------------------------------------------------------------------------------


def transform(folder: Path, options: argparse.Namespace) -> list[str]:
    """Raw lines to clean ones."""
    for distinct in (False, True):
        check_same_rows(folder, distinct)
    kinds = (("figures that repeat", False), ("every figure different", True))
    return [
        transform_of(number, kind, distinct, folder, options) for number in options.records for kind, distinct in kinds
    ]


def transform_of(number: int, kind: str, distinct: bool, folder: Path, options: argparse.Namespace) -> str:
    """Return the table of raw lines of a kind to clean ones."""
    raw = folder / "raw.jsonl"
    make_records(number, raw, broken_lines=False, distinct=distinct)
    out = {name: folder / f"{name}.out" for name in ("pandas, whole file", "Polars", "DuckDB")}
    rivals = {"pandas, whole file": "pandas", "Polars": "polars", "DuckDB": "duckdb"}
    if number > MUCH:
        del rivals["pandas, whole file"]  # a million takes gigabytes
    ours = str(PROJECT / "transform.py")
    commands = {
        f"suite, {workers} worker{'s' * (workers > 1)}": [
            ours, "--quiet", "--input", str(raw), "--output", str(folder / "clean.jsonl"), "--workers", str(workers)
        ]
        for workers in (2, 1)
    }  # fmt: skip
    commands |= {name: [str(RIVALS), "transform", rival, str(raw), str(out[name])] for name, rival in rivals.items()}
    every = [*out.values(), folder / "clean.jsonl"]
    costs = measured(commands, runs_of(number, options), every)
    for path in (*out.values(), raw):
        path.unlink(missing_ok=True)
    return table(f"Transform, {number:,} records, {kind}", costs, "Polars", number, "records")


def check_same_rows(folder: Path, distinct: bool) -> None:
    """Stop when the rivals and we do not make the same rows."""
    raw = folder / "few.jsonl"
    make_records(20 * records_a_page(), raw, broken_lines=False, distinct=distinct)
    found = {}
    for name in ("pandas", "polars", "duckdb"):
        command = [sys.executable, str(RIVALS), "transform", name, str(raw), str(folder / name)]
        subprocess.run(command, check=True)
        found[name] = rows(folder / name)
    cleaned(raw, folder / "few.clean.jsonl")
    ours = rows(folder / "few.clean.jsonl")
    different = [name for name, theirs in found.items() if theirs != ours]
    if different:
        raise SystemExit(f"{different} do not make the same rows as we")


def cleaned(raw: Path, target: Path) -> None:
    """Clean raw records, not timed."""
    command = [sys.executable, str(PROJECT / "transform.py"), "--quiet", "--input", str(raw), "--output", str(target)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def rows(path: Path) -> list[str]:
    """Return the records of a file of lines, in an order of their own."""
    return sorted(str([json.loads(line).get(name) for name in FIELDS]) for line in path.open(encoding="utf-8"))


def extract(folder: Path, options: argparse.Namespace) -> list[str]:
    """Pages to raw lines."""
    make_pages(options.pages, folder / "pages")
    target = folder / "pages.jsonl"
    ours = [
        str(PROJECT / "extract.py"),
        "--quiet",
        "--pages",
        str(folder / "pages"),
        "--output",
        str(target),
        "--workers",
    ]
    commands = {"suite, 2 workers": [*ours, "2"], "suite, 1 worker": [*ours, "1"]} | {
        name: [str(RIVALS), "extract", kind, str(folder / "pages"), str(folder / "cells")]
        for name, kind in (("pandas.read_html", "read_html"), ("lxml alone", "lxml"))
    }
    costs = measured(commands, options.runs, [target, folder / "cells"])
    return [table(f"Extract, {options.pages:,} pages", costs, "suite, 1 worker", options.pages, "pages")]


def load(folder: Path, options: argparse.Namespace) -> list[str]:
    """Clean lines to SQLite: figures that mostly repeat, and figures that never do, into an empty database and on.

    On, as an archive grows: after the older half was loaded, which is not timed.
    """
    sections = []
    for pages in options.load_pages:
        for kind, distinct in (("99 % of them as before", False), ("each figure different", True)):
            older, newer = clean_halves(folder, pages, distinct)
            for into, before, clean in (("an empty database", None, older), ("that of the older half", older, newer)):
                costs = measured_loads(folder, options, before, clean)
                count = sum(1 for _ in clean.open("rb"))
                title = f"Load, {count:,} estimates of {pages // 2:,} vintages, {kind}, into {into}"
                sections.append(table(title, costs, "suite", count, "estimates") + "\n\n" + as_ratios(costs))
    return sections


def clean_halves(folder: Path, pages: int, distinct: bool) -> tuple[Path, Path]:
    """Make clean lines of so many pages; return the older half of the pages, and the newer."""
    halves = folder / "older.jsonl", folder / "newer.jsonl"
    raw = folder / "raw.jsonl"
    make_records(pages * records_a_page(), raw, distinct=distinct)
    cleaned(raw, folder / "clean.jsonl")
    raw.unlink()
    with (folder / "clean.jsonl").open("rb") as lines, halves[0].open("wb") as older, halves[1].open("wb") as newer:
        seen: set[str] = set()
        for line in lines:
            seen.add(json.loads(line)["As_of"])
            (older if len(seen) <= pages // 2 else newer).write(line)
    return halves


def measured_loads(folder: Path, options: argparse.Namespace, before: Path | None, clean: Path) -> dict[str, Cost]:
    """Load clean lines in turns, each where its own tool had loaded what was before."""
    database, number = folder / "x.db", sum(1 for _ in clean.open("rb"))

    def commands(source: Path) -> Commands:
        ours = [str(PROJECT / "load.py"), "--quiet", "--input", str(source), "--database", str(database)]
        return {"suite": ours} | {
            name: [str(RIVALS), "load", kind, str(source), str(database)]
            for name, kind in (("executemany into a keyed table", "executemany"), ("DataFrame.to_sql", "to_sql"))
        }

    full: dict[str, Path] = {}
    for name, command in commands(before).items() if before else ():
        cost_of(command)
        full[name] = database.replace(folder / f"{len(full)}.db")
    costs = measured(commands(clean), runs_of(number, options), [database], lambda name: put(full.get(name), database))
    for path in (*full.values(), database):
        path.unlink()
    return costs


def put(source: Path | None, target: Path) -> None:
    """Put a copy of a file in a place, if there is one."""
    if source:
        shutil.copyfile(source, target)


def as_ratios(costs: dict[str, Cost]) -> str:
    """Return how many times as fast the suite is as the others."""
    ratios = [f"{cost.wall_s / costs['suite'].wall_s:.2f} of {name}" for name, cost in costs.items() if name != "suite"]
    return f"The suite's speed: {', '.join(ratios)}."


def spark(folder: Path, options: argparse.Namespace) -> list[str]:
    """The two engines on the same records; a run on next to nothing is what Spark's start costs."""
    sections, taken = [], {}
    for number in (FEW, options.records[-1]):
        raw = folder / "raw.jsonl"
        make_records(number, raw)
        ours = [str(PROJECT / "transform.py"), "--quiet", "--input", str(raw), "--output"]
        commands = {
            "suite, 2 workers": [*ours, str(folder / "clean.jsonl"), "--workers", "2"],
            "suite on Spark, local[2]": [*ours, str(folder / "parts"), "--engine", "spark", "--master", "local[2]"],
        }
        costs = measured(commands, runs_of(number, options), [folder / "clean.jsonl", folder / "parts"])
        title = f"Transform on Spark, {number:,} records ({costs['suite on Spark, local[2]'].wall_s:.1f} s on Spark)"
        sections.append(table(title, costs, "suite, 2 workers", number, "records"))
        taken[number] = [cost.wall_s for cost in costs.values()]
    return [*sections, when_spark_pays(taken[FEW], taken[options.records[-1]], options.records[-1])]


def when_spark_pays(few: list[float], many: list[float], number: int) -> str:
    """Return from which size Spark takes less time than one machine, by calculation from what was measured."""
    (local_start, spark_start), (local, on_spark) = few, many
    local_rate, spark_rate = number / (local - local_start), number / (on_spark - spark_start)
    reason = f"""Measured above: one machine starts in {local_start:.1f} s and then cleans {local_rate:,.0f} records a
second; Spark starts in {spark_start:.1f} s and then cleans {spark_rate:,.0f} a second on the same two cores. If m such
machines on Spark clean m times as much, n records take start + n / (m × rate) there, and Spark is done first from n =
(difference of the starts) / (1 / one machine's rate - 1 / (m × Spark's rate)) on. Where all of them read one disk or
network, that is the limit instead."""
    lines = ["## From which size Spark pays", "", reason, ""]
    for machines in (2, 8, 100):
        gain = 1 / local_rate - 1 / (machines * spark_rate)
        size = f"from {(spark_start - local_start) / gain:,.0f} records on" if gain > 0 else "never"
        lines.append(f"- {machines} machines: {size}")
    return "\n".join(lines)


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[str]]] = {
    "transform": transform, "extract": extract, "load": load, "spark": spark,
}  # fmt: skip

if __name__ == "__main__":
    main()

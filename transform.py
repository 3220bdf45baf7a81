"""Stage 2: raw figures in, clean figures out.

Reads  results/Countries_by_GDP.json             raw records, as the source has them
Writes results/Countries_by_GDP_Processed.json   billions of US dollars, years, ISO codes and regions, highest first

From one .jsonl file to another, block by block and in the order of the lines, whatever their number.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gdp.checks.findings import Finding, as_checks
from gdp.checks.vintage import check_control_total
from gdp.figures.cleaning import WORLD, Fate, clean, left_out
from gdp.figures.countries import reference
from gdp.records import RAW_FIELDS, STREAMS, CleanRecord, RawRecord, is_stream, read_records, write_records
from gdp.running.command_line import add_bulk_options, bulk_options, command_line
from gdp.running.journal import Journal
from gdp.running.places import is_of_hadoop, stream_named
from gdp.running.stage import leave, run_stage
from utils import Exit, StageError, checks_file, clean_file, clean_parts, clean_stream, raw_file, write_whole

if TYPE_CHECKING:
    import pandas as pd

MAX_REJECTED_SHARE = 0.02  # a typo or two in each column of a page of 600 figures; more, and it was read wrong
MAX_NAMED = 5  # how many rejects a warning names; the log has them all
SAID_TWICE = "said twice"
KEY = ["As_of", "Institution", "Country", "Year"]

Cleaned = tuple[list[CleanRecord], list[CleanRecord], list[str], Counter[str]]


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse_arguments(arguments)
    journal = Journal("transform", options.quiet)
    return run_stage(journal, prepared(options, journal), options.wait)


def prepared(options: argparse.Namespace, journal: Journal) -> Callable[[], None]:
    """Return the work, what it needs imported: that may happen before our turn comes, while extract is at work."""
    many, sources = bulk_options(options), options.input or [str(raw_file())]
    if options.engine == "spark":
        from gdp.running.spark import transform_on_spark

        return lambda: transform_on_spark(
            sources, options.output or str(clean_parts()), options.master or "local[*]", many, journal
        )
    source, *others = map(Path, sources)
    target = Path(options.output or (clean_stream() if is_stream(source) else clean_file()))
    if is_stream(source) and is_stream(target):
        from gdp.figures.bulk import transform_stream

        return lambda: transform_stream([source, *others], target, many, journal)
    if others:
        raise SystemExit(f"transform.py: error: several inputs must be {', '.join(STREAMS)}, and the output too")
    import pandas  # noqa: F401

    return lambda: transform(source, target, options.max_rejected, journal)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Turn raw GDP figures into billions of US dollars with years, ISO codes and regions.",
        "python transform.py",
        "python transform.py --input results/Countries_by_GDP.json --output /tmp/clean.json",
    )
    add = parser.add_argument
    add(
        "--input",
        type=stream_named,
        nargs="+",
        metavar="FILE",
        help=f"raw records (default: extract's); {', '.join(STREAMS)}: by blocks",
    )
    add("--output", type=stream_named, metavar="FILE", help="where clean records go (default: for load)")
    add_bulk_options(parser)
    options = parser.parse_args(arguments)
    if options.engine != "spark" and any(map(is_of_hadoop, [*(options.input or ()), options.output])):
        parser.error("--input and --output: only --engine spark reads and writes what Hadoop holds")
    return options


def transform(source: Path, target: Path, max_rejected: float | None, journal: Journal) -> None:
    """Clean the raw records of `source` into `target`; raises StageError, and leaves `target` as it was."""
    raw, raw_sha256 = read_records(source, RAW_FIELDS)
    journal.note_input(source, len(raw), raw_sha256)
    journal.say(f"{len(raw)} raw records read from {source}")
    records, aggregates, rejects, counts = clean_all(raw)
    refuse_rejects(rejects, len(raw), MAX_REJECTED_SHARE if max_rejected is None else max_rejected, journal)
    if not records:
        raise StageError(Exit.BAD_DATA, f"{source} holds no figure of any country; run extract.py again")
    name_unknown(records, journal)
    table, findings = in_order(records, counts)
    findings += check_totals(table, aggregates, journal)
    tell_counts(len(raw), len(table), counts, journal)
    count, sha256 = write_records(target, to_records(table))
    journal.note_output(target, count, sha256)
    journal.attempt(
        lambda: write_whole(target.with_name(checks_file().name), as_checks(findings, sha256, left_out(counts)))
    )
    journal.facts["as_of"] = str(table["As_of"].iloc[0])
    journal.say(f"{count} clean records written to {target}")


def clean_all(raw: Iterable[RawRecord]) -> Cleaned:
    """Return the clean records of countries, those of aggregates, the rejects, and the count of each fate."""
    records: list[CleanRecord] = []
    aggregates: list[CleanRecord] = []
    rejects: list[str] = []
    counts: Counter[str] = Counter()
    for number, raw_record in enumerate(raw, 1):
        outcome = clean(raw_record)
        counts[outcome.fate.value] += 1
        if outcome.fate is Fate.REJECTED:
            rejects.append(f"record {number} ({raw_record['Institution']}, {raw_record['Country']}): {outcome.reason}")
        elif outcome.record:
            (aggregates if outcome.fate is Fate.AGGREGATE else records).append(outcome.record)
    return records, aggregates, rejects, counts


def refuse_rejects(rejects: list[str], total: int, max_rejected: float, journal: Journal) -> None:
    """Name the records set aside; raise StageError (65) when they are more than a share of all."""
    if not rejects:
        return
    for reject in rejects:
        journal.log(f"set aside: {reject}")
    named = "; ".join(rejects[:MAX_NAMED]) + ("; …" if len(rejects) > MAX_NAMED else "")
    told = f"{len(rejects)} of {total} records have no readable figure or year: {named}"
    if len(rejects) > max_rejected * total:
        raise StageError(Exit.BAD_DATA, f"{told}; over {max_rejected:.0%}: look at the page, run extract.py again")
    journal.warn(told)


def name_unknown(records: list[CleanRecord], journal: Journal) -> None:
    """Warn of countries that the reference table does not know, with the nearest names that it does know."""
    for name in dict.fromkeys(record["Country"] for record in records if record["ISO3"] is None):
        near = reference().nearest(name)
        hint = f"; nearest known: {', '.join(near)}" if near else ""
        journal.warn(f"unknown country {name!r} kept without ISO code and region{hint}")


def in_order(records: list[CleanRecord], counts: Counter[str]) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the records as a table, highest first within As_of, institution and year, and what was said twice.

    A figure said twice counts once and is noted; two different figures for one country both stay, for load to refuse.
    """
    import pandas as pd

    table = pd.DataFrame.from_records(records)
    again = table.duplicated([*KEY, "GDP_USD_billion"])
    twice = table.duplicated([*KEY, "GDP_USD_billion"], keep=False)
    table.loc[twice, "Note"] = SAID_TWICE
    counts[SAID_TWICE] = int(again.sum())
    counts[Fate.CLEAN.value] -= counts[SAID_TWICE]
    findings = [
        Finding(
            "a country twice", False, str(institution), str(as_of), f"{country} twice, alike", "once", {}, "transform"
        )
        for as_of, institution, country in table.loc[again, KEY[:3]].itertuples(index=False)
    ]
    ascending = [False, True, False, False, True]
    order = ["As_of", "Institution", "Year", "GDP_USD_billion", "Country"]
    return table[~again].sort_values(order, ascending=ascending), findings


def check_totals(table: pd.DataFrame, aggregates: list[CleanRecord], journal: Journal) -> list[Finding]:
    """Log the sum of each column beside its World row, the control total; return a finding where they are apart."""
    findings: list[Finding] = []
    worlds: dict[tuple[str, str], dict[int, float]] = {}
    for record in aggregates:
        if record["Country"] in WORLD:
            worlds.setdefault((record["As_of"], record["Institution"]), {})[record["Year"]] = record["GDP_USD_billion"]
    sums: dict[tuple[str, str], dict[int, float]] = {}
    added = table.groupby(KEY[:2] + KEY[3:])["GDP_USD_billion"].sum().reset_index()
    for as_of, institution, year, total in added.itertuples(index=False):
        sums.setdefault((as_of, institution), {})[year] = total
    for (as_of, institution), by_year in worlds.items():
        series = sums.get((as_of, institution), {})
        for year, control in by_year.items():
            # a column may have figures of other years; where there are several columns, the year tells them apart
            total = sum(series.values()) if len(by_year) == 1 else series.get(year, 0.0)
            told = f"{total:.2f} billion USD, {total / control:.3f} of World ({control:.2f})"
            journal.log(f"{institution} {year} as of {as_of}: the figures add up to {told}")
            findings += check_control_total(institution, as_of, total, control)
    return findings


def tell_counts(read: int, written: int, counts: Counter[str], journal: Journal) -> None:
    """Tell what became of every record read; raises AssertionError when a record is lost, which is a fault of ours."""
    assert read == counts.total() and written == counts[Fate.CLEAN.value], f"{read} records read, but {counts} told"
    parts = ", ".join(f"{count} {fate}" for fate, count in counts.items() if count)
    journal.say(f"{read} raw records: {parts}")


def to_records(table: pd.DataFrame) -> list[CleanRecord]:
    """Return a table's rows as clean records, missing values as None."""
    columns = [table[name].astype(object).where(table[name].notna(), None).tolist() for name in table.columns]
    return [dict(zip(table.columns, row, strict=True)) for row in zip(*columns, strict=True)]  # type: ignore[misc]


if __name__ == "__main__":
    leave(main())

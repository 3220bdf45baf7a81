"""Stage 2: raw figures in, clean figures out.

Reads  results/Countries_by_GDP.json             raw records, as the source has them
Writes results/Countries_by_GDP_Processed.json   billions of US dollars, years, ISO codes and regions, highest first
       results/Rejected.jsonl and Checks.json    rejected records with the reason; World rows, which load needs

A .jsonl file becomes another one, chunk by chunk, in the order of its lines, at any size.
"""

from __future__ import annotations

if __name__ == "__main__":
    from gdp.runtime import script

    script.start()

import argparse
import json
from collections.abc import Callable

from gdp.options import TRANSFORM, limits_of, parse, partition_maker
from gdp.record_files import holds_lines, is_stream
from gdp.remote_files import Where, check_folder, stands_for
from gdp.runtime.output import rejected_file
from gdp.runtime.run_log import run_log
from gdp.runtime.script import end
from gdp.runtime.stage import run_stage
from gdp.transform.batch import MAX_UNKNOWN, Totals
from gdp.transform.countries import reference
from utils import MAX_NAMED, checks_file, clean_file, raw_file, which_file, write_whole


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse(TRANSFORM, arguments)
    run_log.begin("transform", options.quiet)
    work = prepare_transform(options)

    def check_and_work() -> None:
        if options.output:
            check_folder(options.output)
        work()

    return run_stage(check_and_work, options.wait)


def prepare_transform(options: argparse.Namespace) -> Callable[[], None]:
    """Return the work, with its imports done: that happens before its turn, while extract runs."""
    from gdp.transform.run import transform_sorted, transform_stream

    limits, sources = limits_of(options), options.input or [raw_file()]
    named = ", ".join(map(str, sources))
    if run := partition_maker(options):
        from gdp.scale.partitioned_output import transform_parts

        folder = options.output or clean_file(".parts")
        return lambda: report_totals(transform_parts(sources, folder, limits, run), named, folder)
    source = sources[0]
    target = options.output or (clean_file(".jsonl") if holds_lines(source) else clean_file())
    if holds_lines(source) and is_stream(target):
        from gdp.scale.partitioned_output import files_of

        return lambda: report_totals(transform_stream(files_of(sources), target, limits), named, target)
    import pandas  # noqa: F401 - it sorts

    def clean_and_sort() -> None:
        totals, sha256 = transform_sorted(source, target, limits)
        report_totals(totals, named, target, sha256)

    return clean_and_sort


def report_totals(totals: Totals, source: str, target: Where, sha256: str | None = None) -> None:
    """Report what became of every record, on screen, in the log and in Checks.json beside the target."""
    run_log.settle()
    run_log.record_output(target, totals.written, sha256)
    run_log.facts |= {
        "input": source, "rows_in": totals.total, "rejected": totals.rejected, "as_of": totals.newest,
    }  # fmt: skip
    counts = ", ".join(f"{count:,} {fate}" for fate, count in totals.by_fate.items())
    run_log.info(f"{totals.total:,} raw records: {counts}")
    report_rejects(totals, target)
    report_unknown(totals.unknown)
    report_control_totals(totals)
    checks = {
        "clean_file": which_file(stands_for(target), sha256),
        "left_out": totals.left_out,
        "control_totals": [total.as_json() for total in totals.control_totals()],
        "findings": [],
    }
    content = json.dumps(checks, ensure_ascii=False, indent=1).encode() + b"\n"
    run_log.attempt(lambda: write_whole(target.with_name(checks_file().name), content))
    run_log.info(f"{totals.written:,} clean records written to {target}")


def report_rejects(totals: Totals, target: Where) -> None:
    """Warn of rejected records, with the first few in the log; Rejected.jsonl has them all."""
    if not totals.rejected:
        return
    for reject in totals.first_rejects:
        run_log.detail(f"rejected: {reject}")
    where = f"see {rejected_file(target)}: {totals.first_rejects[0]}"
    run_log.warn(f"{totals.rejected:,} of {totals.total:,} records were rejected, {where}")


def report_unknown(names: list[str]) -> None:
    """Warn of names that the reference table does not know, the first ones with the nearest known names."""
    for name in names[:MAX_NAMED]:
        near = reference().nearest(name)  # takes as long as a thousand records
        hint = f"; nearest known: {', '.join(near)}" if near else ""
        run_log.warn(f"unknown country {name!r} kept without ISO code and region{hint}")
    for name in names[MAX_NAMED:]:
        run_log.detail(f"unknown country {name!r} kept without ISO code and region")
    if len(names) > MAX_NAMED:
        at_least = "at least " if len(names) == MAX_UNKNOWN else ""
        run_log.warn(f"{at_least}{len(names) - MAX_NAMED} more unknown names: the log has them")


def report_control_totals(totals: Totals) -> None:
    """Log the sums of the newest vintage and their World rows; load checks them."""
    newest = totals.newest  # found once: it is a look at every total
    for total in totals.control_totals():
        if total.as_of == newest:
            share = f"{total.countries:.2f} billion USD, {total.countries / total.world:.3f} of World"
            which = f"{total.institution} {total.year} as of {total.as_of}"
            run_log.detail(f"{which}: the figures add up to {share} ({total.world:.2f})")


if __name__ == "__main__":
    end(main())

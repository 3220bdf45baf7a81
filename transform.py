"""Stage 2: raw figures in, clean figures out.

Reads  results/Countries_by_GDP.json             raw records, as the source has them
Writes results/Countries_by_GDP_Processed.json   billions of US dollars, years, ISO codes and regions, highest first
       results/Rejected.jsonl and Checks.json    what was set aside and why; the sums that depart from World

From one .jsonl file to another, block by block and in the order of the lines, whatever their number.
"""

from __future__ import annotations

if __name__ == "__main__":
    from gdp.runtime import script

    script.start()

import argparse
from collections.abc import Callable

from gdp.options import TRANSFORM, holds_lines, limits_of, parse, partition_maker
from gdp.record_files import is_stream
from gdp.remote_files import Where, stands_for
from gdp.runtime.rejects import rejected_file
from gdp.runtime.run_log import run_log
from gdp.runtime.script import end
from gdp.runtime.stage import run_stage
from gdp.transform.countries import reference
from gdp.transform.rules import left_out
from gdp.transform.totals import MAX_UNKNOWN, Tally
from gdp.validate.findings import Finding, as_checks
from gdp.validate.single_vintage import check_control_totals
from utils import (
    MAX_NAMED,
    checks_file,
    clean_file,
    clean_parts,
    clean_stream,
    first_few,
    raw_file,
    which_file,
    write_whole,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse(TRANSFORM, arguments)
    run_log.begin("transform", options.quiet)
    return run_stage(prepared(options), options.wait)


def prepared(options: argparse.Namespace) -> Callable[[], None]:
    """Return the work, what it needs imported: that may happen before our turn comes, while extract is at work."""
    from gdp.transform import run as transforming

    bulk, sources = limits_of(options), options.input or [raw_file()]
    named = transforming.all_named(sources)
    if run := partition_maker(options):
        folder = options.output or clean_parts()
        from gdp.scale.partitioned_stages import transform_parts

        return lambda: tell(transform_parts(sources, folder, bulk, run), named, folder)
    source = sources[0]
    target = options.output or (clean_stream() if holds_lines(source) else clean_file())
    if holds_lines(source) and is_stream(target):
        from gdp.scale.partitioned_stages import files_of

        return lambda: tell(transforming.transform_stream(files_of(sources), target, bulk), named, target)
    import pandas  # noqa: F401 - what sorts

    def clean_and_sort() -> None:
        tally, sha256 = transforming.transform_sorted(source, target, bulk)
        tell(tally, named, target, sha256)

    return clean_and_sort


# --- what is told -----------------------------------------------------------------------------------------------------


def tell(tally: Tally, source: str, target: Where, sha256: str | None = None) -> None:
    """Tell what became of every record, on screen, in the log and in Checks.json beside the target."""
    run_log.settle()
    run_log.record_output(target, tally.written, sha256)
    facts = {"input": source, "rows_in": tally.total, "rejected": tally.rejected, "as_of": tally.newest}
    run_log.facts |= facts
    parts = ", ".join(f"{count:,} {fate}" for fate, count in tally.by_fate.items())
    run_log.info(f"{tally.total:,} raw records: {parts}")
    name_rejects(tally, target)
    name_unknown(tally.unknown)
    findings = against_world(tally)
    checks = as_checks(findings, which_file(stands_for(target), sha256), left_out(tally.by_fate))
    run_log.attempt(lambda: write_whole(target.with_name(checks_file().name), checks))
    run_log.info(f"{tally.written:,} clean records written to {target}")


def name_rejects(tally: Tally, target: Where) -> None:
    """Warn of what was set aside, and name the first few in the log; Rejected.jsonl has them all."""
    if not tally.rejected:
        return
    for reject in tally.first_rejects:
        run_log.detail(f"set aside: {reject}")
    where = f"see {rejected_file(target)}: {tally.first_rejects[0]}"
    run_log.warn(f"{tally.rejected:,} of {tally.total:,} records were set aside, {where}")


def name_unknown(names: list[str]) -> None:
    """Tell of countries that the reference table does not know: warn of the first, with the names nearest to them."""
    for name in names[:MAX_NAMED]:
        near = reference().nearest(name)  # takes as long as a thousand records
        hint = f"; nearest known: {', '.join(near)}" if near else ""
        run_log.warn(f"unknown country {name!r} kept without ISO code and region{hint}")
    for name in names[MAX_NAMED:]:
        run_log.detail(f"unknown country {name!r} kept without ISO code and region")
    if len(names) > MAX_NAMED:
        at_least = "at least " if len(names) == MAX_UNKNOWN else ""
        run_log.warn(f"{at_least}{len(names) - MAX_NAMED} more unknown names: the log has them")


def against_world(tally: Tally) -> list[Finding]:
    """Log the newest sums beside their World rows, the control totals; return findings where any are apart."""
    findings: list[Finding] = []
    of_vintage: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
    newest = tally.newest
    for total in tally.control_totals():
        if total.as_of == newest:
            share = f"{total.countries:.2f} billion USD, {total.countries / total.world:.3f} of World"
            when = f"{total.institution} {total.year} as of {total.as_of}"
            run_log.detail(f"{when}: the figures add up to {share} ({total.world:.2f})")
        sums = of_vintage.setdefault((total.institution, total.as_of), {})
        sums[total.year] = total.countries, total.world
    for (institution, as_of), sums in of_vintage.items():
        findings += check_control_totals(institution, as_of, sums)
    if findings:
        run_log.detail(f"apart from World: {first_few((f'{one.as_of}: {one}' for one in findings), '; ')}")
    return findings


if __name__ == "__main__":
    end(main())

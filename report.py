"""Stage 4: the report on what is loaded.

Reads  sqliteDB/World_Economies.db
Writes results/report.html   one page that needs nothing else: no network, no other file
       results/plots/        gdp_over_100b, region_top5_average, gdp_by_region, gdp_world: .svg
       results/feed.xml      what changed, as an Atom feed
       results/CHANGES.md    the same as release notes
       With --site: a folder to publish as a web site

A failure here never fails a run: the figures are loaded by then.
"""

from __future__ import annotations

if __name__ == "__main__":
    from gdp.runtime import script

    script.start()

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gdp.options import REPORT, parse
from gdp.places import Place, default_database
from gdp.runtime.run_log import run_log
from gdp.runtime.script import end
from gdp.runtime.stage import run_stage
from gdp.store.database import asked
from gdp.store.history import History
from utils import Exit, StageError, make_folder, report_file, write_whole, writing

if TYPE_CHECKING:
    from gdp.report.summary import Summary
    from gdp.report.svg import Drawing


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse(REPORT, arguments)
    run_log.begin("report", options.quiet)
    return run_stage(prepare_report(options), options.wait)


def prepare_report(options: argparse.Namespace) -> Callable[[], None]:
    """Return the work. Modules are imported, the template compiled and releases read first: load may be at work then.

    The work raises StageError: 2 where a package is missing, and as write_report does.
    """
    missing = ""
    try:
        from gdp.report import page, summary
        from gdp.report.attribution import last_actual_years

        page.template()
        with contextlib.suppress(StageError):  # the work explains what is missing
            summary.newest_bundled()
            last_actual_years()
    except ImportError as error:
        missing = str(error)

    def work() -> None:
        if missing:
            raise StageError(Exit.USAGE, f"cannot write the report: {missing}; pip install -r requirements.txt")
        database = options.database or default_database()
        write_report(database, options.output or report_file(), options.site)
        if options.site:
            with asked(database) as connection:
                page.write_site(connection, options.site, options.site_url)
            run_log.info(f"web site written to {options.site}")

    return work


def write_report(database: Place, target: Path, site: Path | None = None) -> None:
    """Write the page, the plots and what changed, also into the folder of a site.

    Raises StageError: 66 before the first load, 74 where they cannot be written.
    """
    from gdp.report import feed, page
    from gdp.report.summary import summarize

    for folder in (target.parent, *([site] if site else [])):
        make_folder(folder)
    with asked(database) as connection:
        summary = summarize(connection)
        entries = feed.entries(History(connection))
    the_map, totals, files = drawings(summary)
    files |= {"feed.xml": feed.as_atom(entries), "CHANGES.md": feed.as_release_notes(entries)}
    content = page.render(summary, the_map, totals)
    write_files(target.parent, {target.name: content, **files})
    if site:
        write_files(site, {"report.html": content, **files})
    run_log.facts["as_of"] = summary.newest.as_of
    run_log.settle()
    run_log.record_output(target, len(summary.countries))
    if summary.omitted_estimates:
        omitted = f"{summary.omitted_estimates:,} of {summary.all_estimates:,} estimates, the oldest"
        run_log.info(f"{omitted}, are not in the page")
    run_log.info(f"{len(summary.countries)} countries and territories in {target}, plots and feed.xml beside it")


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files by their paths in a folder; raises StageError (74)."""
    with writing(folder):
        (folder / "plots").mkdir(exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)


def drawings(summary: Summary) -> tuple[Drawing, Drawing, dict[str, bytes]]:
    """Return the map and the regions' totals for the page, and the content of every plot's file by its path."""
    from gdp.report import svg

    caption = f"Source: {summary.attribution}"
    the_map = svg.world_map(summary.countries, caption)
    totals = svg.region_totals(summary.countries, [row["Region"] for row in summary.regions], caption)
    files = [
        svg.large_economies(summary.large, caption),
        svg.region_means(summary.regions, caption),
        totals,
        svg.with_key(the_map, "Nominal GDP by country, billion USD", caption),
    ]
    return the_map, totals, {f"plots/{drawing.name}.svg": svg.as_file(drawing) for drawing in files}


if __name__ == "__main__":
    end(main())

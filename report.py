"""Stage 4: what is loaded, to be looked at.

Reads  sqliteDB/World_Economies.db
Writes results/report.html   one page that needs nothing else: no network, no other file
       results/plots/        gdp_over_100b, region_top5_average, gdp_by_region, gdp_world: .svg (--png: .png too)

A failure here never fails a run: the figures are loaded by then.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gdp.options import command_line
from gdp.places import Place, database_named, default_database, file_named
from gdp.runtime.run_log import run_log
from gdp.runtime.stage import leave, run_stage
from gdp.store.database import asked
from utils import Exit, StageError, report_file, write_whole, writing

if TYPE_CHECKING:
    from gdp.report.svg import Drawing


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse_arguments(arguments)
    run_log.begin("report", options.quiet)
    return run_stage(prepared(options), options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Draw what is loaded: a page to look at, and plots.",
        "python report.py",
        "python report.py --png --output /tmp/report.html",
    )
    add = parser.add_argument
    said = "a file or postgresql://… (default: sqliteDB/World_Economies.db)"
    add("--database", type=database_named, metavar="FILE_OR_URL", help=said)
    said = "the page (default: results/report.html); plots/ stands beside it"
    add("--output", type=file_named, metavar="FILE", help=said)
    add("--png", action="store_true", help="write the plots as PNG too, which needs requirements/plots.txt")
    return parser.parse_args(arguments)


def prepared(options: argparse.Namespace) -> Callable[[], None]:
    """Return the work, its modules imported and the page's template ready: while load may be at work.

    The work raises StageError: 2 where a package is missing, and as report does.
    """
    try:
        from gdp.report import page
        from gdp.report import summary as overview  # noqa: F401

        page.template()
        missing = ""
    except ImportError as error:
        missing = str(error)

    def work() -> None:
        if missing:
            raise StageError(Exit.USAGE, f"cannot draw: {missing}; pip install -r requirements.txt")
        as_png = drawer_of_png() if options.png else None
        report(options.database or default_database(), options.output or report_file(), as_png)

    return work


def drawer_of_png() -> Callable[[Drawing], bytes]:
    """Return what makes a PNG of a drawing; raises StageError (2) where matplotlib is missing."""
    try:
        from gdp.report.png import as_png
    except ImportError as error:
        remedy = "pip install -r requirements/plots.txt"
        raise StageError(Exit.USAGE, f"cannot draw PNG: {error}; {remedy}") from None
    return as_png


def report(database: Place, target: Path, as_png: Callable[[Drawing], bytes] | None = None) -> None:
    """Write the page and the plots; raises StageError: 66 before the first load, 74 where they cannot be written."""
    from gdp.report import page
    from gdp.report import svg as plots
    from gdp.report import world_map as world
    from gdp.report.summary import overview

    with asked(database) as connection:
        told = overview(connection)
    the_world = world.world(told.countries, told.caption)
    together = plots.regions_together(told.countries, told.caption)
    files = [
        plots.large_economies(told.large, told.caption),
        plots.region_means(told.regions, told.caption),
        together,
        world.with_key(the_world, "Nominal GDP by country, billion USD", told.caption),
    ]
    with writing(target):
        (target.parent / "plots").mkdir(parents=True, exist_ok=True)
    write_whole(target, page.rendered(told, the_world, together))
    for drawing in files:
        write_whole(target.parent / "plots" / f"{drawing.name}.svg", plots.as_file(drawing))
        if as_png:
            write_whole(target.parent / "plots" / f"{drawing.name}.png", as_png(drawing))
    run_log.facts["as_of"] = told.newest.as_of
    run_log.settle()
    run_log.record_output(target, len(told.countries))
    if told.left_out_of_past:
        run_log.info(f"{told.left_out_of_past:,} of {told.all_estimates:,} estimates, the oldest, are not in the page")
    run_log.info(f"{len(told.countries)} countries drawn into {target}, and plots beside it")


if __name__ == "__main__":
    leave(main())

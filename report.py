"""Stage 4: what is loaded, to be looked at.

Reads  sqliteDB/World_Economies.db
Writes results/report.html   one page that needs nothing else: no network, no other file
       results/plots/        gdp_over_100b.png, region_top5_average.png, gdp_by_region.svg

A failure here never fails a run: the figures are loaded by then.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from gdp.running.command_line import command_line
from gdp.running.journal import Journal
from gdp.running.places import Place, database_named, default_database, file_named
from gdp.running.stage import leave, run_stage
from gdp.store.database import asked
from utils import PROJECT, Exit, StageError, report_file, write_whole, writing

WEB = PROJECT / "gdp" / "answers" / "web"  # the page's template, style and script
PLOTS = {"gdp_over_100b": "png", "region_top5_average": "png", "gdp_by_region": "svg"}  # the world is for the page only


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse_arguments(arguments)
    journal = Journal("report", options.quiet)
    return run_stage(journal, prepared(options, journal), options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Draw what is loaded: a page to look at, and plots.",
        "python report.py",
        "python report.py --output /tmp/report.html",
    )
    add = parser.add_argument
    add(
        "--database",
        type=database_named,
        metavar="FILE_OR_URL",
        help="a file or postgresql://… (default: sqliteDB/World_Economies.db)",
    )
    said = "the page (default: results/report.html); plots/ stands beside it"
    add("--output", type=file_named, metavar="FILE", help=said)
    return parser.parse_args(arguments)


def prepared(options: argparse.Namespace, journal: Journal) -> Callable[[], None]:
    """Return the work, the drawing library imported: that may happen while load is at work."""
    missing = ""
    try:
        import logging
        import warnings

        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its own font cache
        warnings.simplefilter("ignore", UserWarning)  # and of letters that its font has not got
        import jinja2  # noqa: F401

        from gdp.answers import plots  # noqa: F401
    except ImportError as error:
        missing = str(error)

    def work() -> None:
        if missing:
            raise StageError(Exit.USAGE, f"cannot draw: {missing}; pip install -r requirements.txt")
        report(options.database or default_database(), options.output or report_file(), journal)

    return work


def report(database: Place, target: Path, journal: Journal) -> None:
    """Write the page and the plots; raises StageError: 66 before the first load, 74 where they cannot be written."""
    from gdp.answers.overview import overview

    with asked(database) as connection:
        told = overview(connection)
    from gdp.answers import plots

    caption = f"Source: {told.said_by}, as of {told.as_of}"
    figures = plots.drawn(told.countries, told.regions, told.large, caption)
    page = rendered(
        told=told,
        figures={one.name: plots.in_page(one) for one in figures},
        past=json.dumps(told.past, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    )
    with writing(target):
        (target.parent / "plots").mkdir(parents=True, exist_ok=True)
    write_whole(target, page.encode())
    for one in figures:
        if one.name in PLOTS:
            kind = PLOTS[one.name]
            write_whole(target.parent / "plots" / f"{one.name}.{kind}", plots.as_file(one, kind))
    journal.facts["as_of"] = told.newest.as_of
    journal.settle()
    journal.note_output(target, len(told.countries))
    if told.left_out_of_past:
        journal.say(f"{told.left_out_of_past:,} of {told.all_estimates:,} estimates, the oldest, are not in the page")
    journal.say(f"{len(told.countries)} countries drawn into {target}, and plots beside it")


def rendered(**values: object) -> str:
    """Return the page: web/report.html with its style and scripts written into it, everything else escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    def as_it_stands(name: str) -> str:
        return (WEB / name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(as_it_stands=as_it_stands, **values)


if __name__ == "__main__":
    leave(main())

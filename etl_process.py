"""Run the stages one after another, each as a process of its own: extract, transform, load, report.

A stage is started while the one before is at work, so that its imports cost no time, and waits for its turn at a pipe.
A failed stage does not stop the next where the file that it reads is there; the exit code is the first failure's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from gdp.options import (
    add_bulk_options,
    add_sources,
    command_line,
    days,
    folder_named,
    page_named,
    some_seconds,
    sources_of,
)
from gdp.places import Place, database_named, default_database
from gdp.report import status
from gdp.runtime import live
from gdp.runtime import supervisor as watch
from gdp.runtime.run_log import record_run, run_log
from gdp.runtime.stage import answer, leave, run_stage
from utils import (
    Exit,
    StageError,
    clean_file,
    clean_parts,
    clean_stream,
    log_file,
    raw_file,
    raw_parts,
    raw_stream,
    report_file,
)

RULE = "=" * 24
NAMES = ("extract", "transform", "load", "report")
REPORT = NAMES[-1]  # the figures are loaded by then, so it never fails a run


class Stage(NamedTuple):
    """A stage to run: its script's name, the file that it reads if that is another stage's, and its arguments."""

    name: str
    reads: Path | None
    arguments: list[str]


class Ended(NamedTuple):
    """How a stage ended: its exit code, or None when it was not run, and after how long."""

    stage: str
    code: int | None
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """Return how it ended, in words."""
        if self.code is None:
            return "not run"
        return "done" if self.code == Exit.DONE else f"failed, exit {self.code}"

    def __str__(self) -> str:
        took = "" if self.code is None else f" {self.seconds:6.2f} s"
        return f"{self.stage:<10} {self.outcome:<16}{took}".rstrip()


class Stopped(BaseException):
    """SIGINT or SIGTERM reached us; the exit code tells which."""

    def __init__(self, code: Exit) -> None:
        super().__init__(code)
        self.code = code


def main(arguments: list[str] | None = None) -> int:
    """Run the stages asked for, or tell the status; return the first failure's exit code."""
    options = parse_arguments(arguments)
    run_log.begin("etl", options.quiet)
    if options.status:
        return answer(lambda: tell_status(options))
    ended: list[Ended] = []

    def work() -> None:
        run_log.facts["run"] = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}, process {os.getpid()}"
        run_log.detail(f"{RULE} run of {run_log.facts['run']} {RULE}")
        refuse_missing(options)
        watch.warn_of_low_disk()
        stages = stages_asked_for(options)
        with live.shown([stage.name for stage in stages]) as view:
            run_all(stages, ended, options, view)
        sum_up(ended, stages, options.database or default_database(), seen=view is not None)

    catch_signals()
    ping(options.ping, "/start")
    try:
        code = run_stage(work, options.wait)
    except Stopped as stopped:
        code = run_log.stop(stopped.code)
    ping(options.ping, f"/{code:d}")
    notify(options)
    return code


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Refresh the table of GDP by country: extract, transform, load, report.",
        "python etl_process.py",
        "python etl_process.py --page data/pages/2025-12-30_enwiki_rev1330326028.html.gz",
        "python etl_process.py --from transform --no-report",
        "python etl_process.py --status",
    )
    add = parser.add_argument
    add("--page", type=page_named, metavar="FILE_OR_URL", help="a saved page or an address (default: the live page)")
    add_sources(parser)
    add("--release", metavar="MONTH[..MONTH]", help="with --source: a past release, or those of a span of months")
    add("--archive", action="store_true", help="take everything kept in data/pages through the stages")
    add("--pages", type=folder_named, metavar="DIR", help="take every page in a folder through the stages")
    add_bulk_options(parser)
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--from", dest="first", choices=NAMES, help="begin with this stage")
    some.add_argument("--only", choices=NAMES, help="run this stage alone")
    some.add_argument(
        "--status", action="store_true", help="tell when each stage last succeeded and how old the data is"
    )
    add(
        "--max-age", type=days, metavar="DAYS", help="data older than this is a failure: of a kept page, or of --status"
    )
    add(
        "--database",
        type=database_named,
        metavar="FILE_OR_URL",
        help="where load keeps its tables: a file or postgresql://…",
    )
    add("--force", action="store_true", help="load in spite of fatal findings, and note them on the rows")
    add("--no-history", action="store_true", help="leave out the past that comes with the suite, in an empty database")
    add("--no-report", action="store_true", help="end with load: write no page and no plots")
    add("--export", action="store_true", help="write what is loaded into results as CSV, and Parquet with pyarrow")
    add("--json", action="store_true", help="print the results as one JSON object")
    add_watch(parser)
    options = parser.parse_args(arguments)
    if contradiction := contradiction_in(options):
        parser.error(contradiction)
    return options


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a run is watched, and of who is told of it."""
    add = parser.add_argument
    add("--timeout", type=some_seconds, metavar="SECONDS", help="end a stage that takes longer")
    add(
        "--monitor-interval",
        type=some_seconds,
        metavar="SECONDS",
        default=5.0,
        help="between resource lines in the log",
    )
    add("--ping", metavar="URL", help="a dead-man's switch to call at start and end")
    add("--notify", metavar="URL", help="a chat's webhook to post to what changed, after a run that changed something")
    add("--changes-only", action="store_true", help="print what changed and nothing else: with --quiet for cron's mail")


def contradiction_in(options: argparse.Namespace) -> str | None:
    """Return what is wrong with options that do not go together, or None."""
    if options.no_report and REPORT in (options.only, options.first):
        return "--no-report leaves out the stage that is asked for"
    one_page = options.page is not None or bool(options.source or options.release)
    many = options.archive or options.pages is not None
    begins_later = options.status or "extract" not in {stage.name for stage in stages_asked_for(options)}
    if one_page and begins_later:
        return "--page and --source are for extract, which is not asked for"
    if options.export and "load" not in {stage.name for stage in stages_asked_for(options)}:
        return "--export is for load, which is not asked for"
    if (many and one_page) or (options.archive and options.pages):
        return "--archive and --pages read many pages, and take no --page or --source"
    return None


def stages_asked_for(options: argparse.Namespace) -> list[Stage]:
    """Return the stages to run, in order, with the arguments that are theirs.

    Many pages go from stage to stage as streams, a record a line.
    """
    quiet = ["--quiet"] * options.quiet
    flags = ("json", "force", "export", "no_history", "changes_only")
    for_load = [f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)]
    database = [f"--database={options.database.as_argument}"] if options.database else []
    raw, clean = between_stages(options)
    many = given(options, "workers", "max_rejected", "engine", "master")
    source = [f"--source={','.join(sources_of(options))}"] if options.source else []
    release = given(options, "release")
    stream = [*["--archive"] * options.archive, *given(options, "pages"), *source, *release, f"--output={raw}", *many]
    one_page = [*given(options, "page"), *source, *release, *given(options, "max_age")]
    stages = [
        Stage("extract", None, [*(stream if is_stream_of_many(options) else one_page), *quiet]),
        Stage("transform", raw, [f"--input={raw}", f"--output={clean}", *many, *quiet]),
        Stage("load", clean, [f"--input={clean}", *database, *for_load, *quiet]),
    ]
    if not options.no_report:
        stages.append(Stage(REPORT, (options.database or default_database()).path, [*database, *quiet]))
    if options.only:
        return [stages[NAMES.index(options.only)]]
    return stages[NAMES.index(options.first) if options.first else 0 :]


def between_stages(options: argparse.Namespace) -> tuple[Path, Path]:
    """Return where raw and clean records stand: for one page, for many, or for Spark."""
    if options.engine == "spark":
        return raw_parts(), clean_parts()
    return (raw_stream(), clean_stream()) if is_stream_of_many(options) else (raw_file(), clean_file())


def is_stream_of_many(options: argparse.Namespace) -> bool:
    """Tell whether many pages, or the releases of a span, go from stage to stage a record a line."""
    return bool(options.archive or options.pages or ".." in (options.release or ""))


def given(options: argparse.Namespace, *names: str) -> list[str]:
    """Return those of the options that were given, as a stage takes them."""
    values = {name: getattr(options, name) for name in names}
    return [
        f"--{name.replace('_', '-')}={getattr(value, 'as_argument', value)}"
        for name, value in values.items() if value is not None
    ]  # fmt: skip


def refuse_missing(options: argparse.Namespace) -> None:
    """Raise StageError (66) when a page or folder that the user named is not there: nothing else does in its place."""
    if isinstance(options.page, Path) and not options.page.exists():
        raise StageError(
            Exit.NO_INPUT, f"{options.page} is not there; name another with --page, or none: the live page"
        )
    if isinstance(options.pages, Path) and not options.pages.is_dir():
        raise StageError(Exit.NO_INPUT, f"{options.pages} is no folder of pages; name another with --pages")


def catch_signals() -> None:
    """Let SIGINT and SIGTERM raise Stopped, so that the children end before we do."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)  # a second one must not stop the stopping
        raise Stopped(Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def run_all(stages: list[Stage], ended: list[Ended], options: argparse.Namespace, view: live.View | None) -> None:
    """Run the stages in turn, one started ahead; append how each ended to `ended`."""
    assert run_log.lock is not None
    started: dict[str, watch.Process] = {}
    try:
        for number, stage in enumerate(stages):
            for ahead in reversed(stages[len(started) : number + 2]):  # transform first: pandas takes longest to import
                started[ahead.name] = watch.start(ahead.name, ahead.arguments, run_log.lock, view)
            if may_run(stage, ended):
                if view:
                    view.begin(started[stage.name])
                account = watch.take_turn(started[stage.name], options.timeout, options.monitor_interval)
                ended.append(record(stage, account, options))
                if view:
                    view.end(stage.name, ended[-1].outcome, account.facts.get("rows_out"), account.spent.peak_memory_mb)
            else:
                ended.append(Ended(stage.name, None))
                if view:
                    view.end(stage.name, ended[-1].outcome)
    finally:
        for process in started.values():
            watch.end(process)


def may_run(stage: Stage, ended: list[Ended]) -> bool:
    """Tell whether a stage may run: after a failure, only where the file that it reads is there; say which it is."""
    failed = [before.stage for before in ended if before.code != Exit.DONE]
    if not failed or stage.reads is None:
        return True
    path = stage.reads
    if not path.exists():
        run_log.warn(f"{stage.name} is not run: {failed[-1]} failed, and {path} is not there")
        return False
    written = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    run_log.warn(f"{failed[-1]} failed; {stage.name} goes on with {path} of {written:%Y-%m-%d %H:%M}")
    return True


def record(stage: Stage, account: watch.Account, options: argparse.Namespace) -> Ended:
    """Put a stage's end on record: in the text log and in log/runs.jsonl."""
    facts = run_log.facts | account.facts
    if account.timed_out:
        facts["error"] = f"{stage.name} took longer than --timeout {options.timeout:g} s and was ended"
        run_log.warn(facts["error"])
    elif account.signal:  # and the stage could not tell
        facts.setdefault("error", f"{stage.name} was ended by {signal.Signals(account.signal).name}")
        run_log.warn(facts["error"])
    run_log.facts["changed"] = account.facts.get("changed", run_log.facts.get("changed"))
    watch.tell_spent(stage.name, account.spent)
    record_run(stage.name, account.spent, account.code, facts)
    result = Ended(stage.name, account.code, account.spent.wall_s)
    run_log.detail(str(result))
    return result


def sum_up(ended: list[Ended], stages: list[Stage], database: Place, seen: bool) -> None:
    """Tell how each stage ended and where the results lie; raises StageError with the first failure's exit code.

    `seen` says that a person at a terminal has seen how each stage ended.
    """
    counted = [result for result in ended if result.stage != REPORT or len(ended) == 1]
    failure = next((result for result in counted if result.code != Exit.DONE), None)
    for result in ended:
        if not seen and (failure or not run_log.quiet):
            print(f"[etl] {result}", file=sys.stderr)
    written = [stage.reads for stage in stages if stage.name == "load" and stage.reads]
    drawn = [report_file() for stage in stages if stage.name == REPORT]
    loaded = [database] if database.path is None or database.path.exists() else []
    results = [*(path for path in written if path.exists()), *loaded, *(path for path in drawn if path.exists())]
    run_log.info(f"results: {', '.join(map(str, results)) or 'none yet'}; log: {log_file()}")
    if failure and failure.code:
        run_log.facts["failed_stage"] = failure.stage
        raise StageError(failure.code, f"{failure.stage} failed; its error stands above and in {log_file()}")


def tell_status(options: argparse.Namespace) -> None:
    """Print the status; raises StageError: 69 when the data is older than --max-age, 66 when there has been no run."""
    database = options.database or default_database()
    found = status.status(database)
    print(json.dumps(found, indent=2) if options.json else "\n".join(status.as_lines(found)))
    if options.max_age is not None and (found["age_days"] is None or found["age_days"] > options.max_age):
        age = "no data is loaded" if found["age_days"] is None else f"the data is {found['age_days']} days old"
        age += f" in {database}"
        raise StageError(Exit.UNREACHABLE, f"{age}, over --max-age {options.max_age}; run python etl_process.py")


def ping(url: str | None, ending: str) -> None:
    """Call a dead-man's switch (healthchecks' convention: /start, then /exit-code); it never fails the run."""
    if url is None:
        return
    from gdp.sources.http import call

    reach("--ping", url, lambda: call(url.rstrip("/") + ending))


def notify(options: argparse.Namespace) -> None:
    """Post what changed, after a run that changed something; it never fails the run."""
    if not options.notify or not run_log.facts.get("changed"):
        return
    from gdp.report.notify import message
    from gdp.sources.http import post
    from gdp.store.database import asked

    def tell() -> None:
        with asked(options.database or default_database()) as connection:
            said = message(connection, None if options.no_report else report_file())
        post(options.notify, said)

    reach("--notify", options.notify, tell)


def reach(option: str, url: str, work: Callable[[], None]) -> None:
    """Do what asks the address that an option gives; where that cannot be, warn without any word of the address."""
    from gdp.sources import Unreachable

    try:
        work()
    except (Unreachable, StageError) as reason:
        # whoever knows the address may call it too, and a library's error may quote a part of it
        tells = "://" in str(reason) or any(word in str(reason) for word in re.findall(r"\w{4,}", url))
        why = "" if tells else f": {reason}"
        run_log.warn(f"could not call the address of {option}{why}")


if __name__ == "__main__":
    leave(main())

"""Run the stages one after another, each as a process of its own: extract, transform, load, report.

A stage is started while the one before is at work, so that its imports cost no time, and waits for its turn at a pipe.
A failed stage does not stop the next where the file that it reads is there; the exit code is the first failure's.
"""

from __future__ import annotations

if __name__ == "__main__":
    from gdp.runtime import script

    script.start()

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from gdp import options as our
from gdp.model import WIKIPEDIA, publisher_of
from gdp.options import ETL, STAGES, Options, as_arguments, parse
from gdp.places import DATABASE_VARIABLE, Place, default_database
from gdp.record_files import ARRAY_LIMIT_BYTES
from gdp.remote_files import check_folder
from gdp.runtime import supervisor
from gdp.runtime.run_log import Usage, record_run, run_log
from gdp.runtime.script import Interruption, end
from gdp.runtime.stage import answer, run_stage
from gdp.runtime.supervisor import Process, Viewer, shown_run
from utils import Exit, StageError, clean_file, escaped, from_here, log_file, raw_file, read_bytes, report_file

RULE = "=" * 24
SIGNAL_CODES = (Exit.HUNG_UP, Exit.INTERRUPTED, Exit.KILLED, Exit.TERMINATED)
REPORT = STAGES[-1]  # the figures are loaded by then, so it never fails a run


class Stage:
    """A stage to run: its script's name, the file that it reads if that is another stage's, and its arguments.

    `code` is its exit code, None until it was run, and `seconds` is how long that took.
    """

    def __init__(self, name: str, reads: Path | None, arguments: list[str]) -> None:
        self.name, self.reads, self.arguments = name, reads, arguments
        self.code: int | None = None
        self.seconds = 0.0

    @property
    def ending(self) -> str:
        """Return how it ended, in words."""
        if self.code is None:
            return "not run"
        return "done" if self.code == Exit.DONE else f"failed, exit {self.code}"

    def __str__(self) -> str:
        took = "" if self.code is None else f" {self.seconds:6.2f} s"
        return f"{self.name:<10} {self.ending:<16}{took}".rstrip()


def main(arguments: list[str] | None = None) -> int:
    """Run the stages asked for, or print the status; return the first failure's exit code."""
    options = parse(ETL, arguments)
    run_log.begin("etl", options.quiet)
    if options.status:
        return answer(lambda: print_status(options))
    ping(options.ping, "/start")
    code = run_stage(lambda: run_stages(options), options.wait)
    ping(options.ping, f"/{code:d}")
    notify(options)
    return code


def run_stages(options: Options) -> None:
    """Run the stages; raises StageError: 66 for a page that is not there, and with the first failed stage's code."""
    run_log.facts["run"] = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}, process {os.getpid()}"
    run_log.facts["database"] = str(options.database or default_database())
    run_log.detail(f"{RULE} run of {run_log.facts['run']} {RULE}")
    refuse_missing(options)
    supervisor.warn_of_low_disk()
    stages = stages_to_run(options)
    with shown_run([stage.name for stage in stages], is_short=is_one_page(options)) as viewer:
        warnings = Runner(options, viewer).run(stages)
    sum_up(stages, warnings, options, is_seen=viewer.is_seen)


# --- what to run ------------------------------------------------------------------------------------------------------


def stages_to_run(options: Options) -> list[Stage]:
    """Return the stages to run, in order, with their arguments; many pages go from stage to stage as streams."""
    quiet = as_arguments(options, (our.QUIET,))
    bulk = as_arguments(options, our.BULK_OPTIONS)
    place = options.database or default_database()
    database = [f"--database={place}"] if place.path else []  # a URL may have a password: it goes into the environment
    raw, clean = files_between_stages(options)
    page = as_arguments(options, our.OF_EXTRACT)
    page += as_arguments(options, (our.MAX_AGE,)) if is_one_page(options) else [f"--output={raw}", *bulk]
    loading = as_arguments(options, (our.JSON, our.FORCE, our.EXPORT, our.NO_HISTORY, our.CHANGES_ONLY))
    stages = (
        Stage("extract", None, [*page, *quiet]),
        Stage("transform", raw, [f"--input={raw}", f"--output={clean}", *bulk, *quiet]),
        Stage("load", clean, [f"--input={clean}", *database, *loading, *quiet]),
        Stage(REPORT, place.path, [*database, *quiet]),
    )
    return [stage for stage in stages if stage.name in our.stage_names(options)]


def files_between_stages(options: Options) -> tuple[Path, Path]:
    """Return where raw and clean records are: of one page, of many, or on Spark."""
    ending = ".json" if is_one_page(options) else ".jsonl"
    if options.engine == "spark":
        ending = ".parts"
    return raw_file(ending), clean_file(ending)


def is_one_page(options: Options) -> bool:
    """Return whether the run is of one page; many, or the releases of a span, go from stage to stage as streams."""
    is_span = options.release is not None and options.release[0] != options.release[1]
    return not (options.archive or options.pages or is_span)


def refuse_missing(options: Options) -> None:
    """Raise StageError where a page or folder that the user named is not there (66), or the database's folder (74)."""
    page, pages = options.page, options.pages
    if isinstance(page, Path) and not page.exists():
        raise StageError(Exit.NO_INPUT, f"{page} is not there; name another with --page, or none: the live page")
    if pages is not None and not pages.is_dir():
        raise StageError(Exit.NO_INPUT, f"{pages} is no folder of pages; name another with --pages")
    if options.database and options.database.path:
        check_folder(options.database.path)


# --- running ----------------------------------------------------------------------------------------------------------


class Runner:
    """Runs stages in turn, starts later ones ahead, and records how each ended."""

    def __init__(self, options: Options, viewer: Viewer) -> None:
        self._options, self._viewer = options, viewer
        self._warnings = 0  # of the stages
        self._processes: dict[str, Process] = {}

    def run(self, stages: list[Stage]) -> int:
        """Run the stages; return how often they warned."""
        try:
            for number, stage in enumerate(stages):
                # transform is started before extract, as pandas takes longest to import; then all others
                for ahead in reversed(stages[len(self._processes) : None if number else 2]):
                    self._processes[ahead.name] = self._start(ahead)
                if may_run(stage, stages[:number], self._options):
                    self._give_turn(stage)
                else:
                    self._viewer.end(stage.name, stage.ending)
        finally:
            for process in self._processes.values():
                process.close()
        return self._warnings

    def _start(self, stage: Stage) -> Process:
        assert run_log.lock is not None
        url = (self._options.database or default_database()).url
        secrets = {DATABASE_VARIABLE: url} if url else {}
        return supervisor.start_stage(stage.name, stage.arguments, run_log.lock, self._viewer, secrets)

    def _give_turn(self, stage: Stage) -> None:
        process = self._processes[stage.name]
        self._viewer.begin(process)
        try:
            used = supervisor.give_turn(process, self._options.timeout, self._options.monitor_interval)
        except Interruption as stopped:
            self._record(stage, process, process.stop(stopped.number))
            raise
        self._record(stage, process, used)

    def _record(self, stage: Stage, process: Process, used: Usage) -> None:
        """Record a stage's end in the text log and in log/runs.jsonl."""
        stage.code, stage.seconds = process.code, used.wall_s
        facts = run_log.facts | process.facts
        number = process.signal or (process.code - 128 if process.code in SIGNAL_CODES else None)
        problem = None
        if number:
            facts["signal"] = signal.Signals(number).name
        if process.timed_out:
            problem = f"{stage.name} took longer than --timeout {self._options.timeout:g} s and was ended"
        elif number and "error" not in process.facts:  # it could not explain its end itself
            hint = "; memory may have run out: end other programs, or use --workers 1" * (number == signal.SIGKILL)
            problem = f"{stage.name} was ended by {facts['signal']}{hint}"
        if problem:
            facts["error"] = problem
            run_log.warn(problem)
        for fact in ("changed", "unchanged_since"):
            run_log.facts[fact] = process.facts.get(fact, run_log.facts.get(fact))
        self._warnings += len(process.facts.get("warnings", ()))
        supervisor.log_usage(stage.name, used)
        record_run(stage.name, used, process.code, facts)
        run_log.detail(str(stage))
        self._viewer.end(stage.name, stage.ending, process)


def may_run(stage: Stage, before: list[Stage], options: Options) -> bool:
    """Return whether a stage may run: after a failure, only with a good file of what was asked for, and a warning."""
    failed = next((one for one in reversed(before) if one.code != Exit.DONE), None)
    if not failed or stage.reads is None:
        return True
    reason = f"{failed.name} {'was not run' if failed.code is None else 'failed'}"
    path = stage.reads
    if not path.exists():
        run_log.warn(f"{stage.name} is not run: {reason}, and {path} is not there")
    elif stage.name == REPORT and failed.code is None:
        run_log.warn(f"{stage.name} is not run: {reason}")
    elif not holds_what_was_asked(path, options):
        run_log.warn(f"{stage.name} is not run: {reason}, and {path} has other figures than those asked for")
    else:
        written = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        run_log.warn(f"{reason}; {stage.name} goes on with {path} of {written:%Y-%m-%d %H:%M}")
        return True
    return False


def holds_what_was_asked(path: Path, options: Options) -> bool:
    """Return whether a file between stages has records of the sources that were asked for, and of no others.

    Files of many pages are not read: whoever reads a folder of pages names no source.
    """
    if not is_one_page(options) or not path.is_file():
        return True
    if options.release is not None:  # the file may be another release's
        return False
    try:
        records = json.loads(read_bytes(path, ARRAY_LIMIT_BYTES))
        publishers = {publisher_of(record["Source"]) for record in records}
    except (StageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return True  # the stage that reads it explains what is wrong with it
    return publishers <= set(options.source or [WIKIPEDIA.name])


# --- what is shown at the end -----------------------------------------------------------------------------------------


def sum_up(stages: list[Stage], warnings: int, options: Options, is_seen: bool) -> None:
    """Show how the stages ended and where the results are; raises StageError with the first failure's exit code.

    `is_seen` says that a person at a terminal has seen how each stage ended.
    """
    failures = [stage for stage in stages if stage.code != Exit.DONE]
    failure = next((stage for stage in failures if stage.name != REPORT or len(stages) == 1), None)
    since = run_log.facts.get("unchanged_since")
    if since and not failures:
        run_log.detail(f"unchanged since {since}")  # which load has printed
        return
    results = results_of({stage.name for stage in stages} - {stage.name for stage in failures}, options)
    if is_seen:
        show_next_steps(results, warnings)
    else:
        if failure or not run_log.quiet:
            for stage in stages:
                print(f"[etl] {stage}", file=sys.stderr)
        run_log.info(f"results: {', '.join(map(str, results)) or 'none'}; log: {log_file()}")
    if failure and failure.code:
        run_log.facts["failed_stage"] = failure.name
        raise StageError(failure.code, f"{failure.name} failed; its error is above and in {log_file()}")


def show_next_steps(results: list[Path | Place], warnings: int) -> None:
    """Show a person at a terminal the number of warnings, a path a line, and what to try next."""
    lines = [f"{'' if number else 'results':<9}{path}" for number, path in enumerate(results)]
    lines.append(f"{'log':<9}{log_file()}")
    if any(isinstance(place, Place) for place in results):  # load is done
        if warnings:
            lines.insert(
                0, f"{warnings} warning{'s' * (warnings > 1)}, none stopped the load: python load.py --findings"
            )
        lines.append(f"{'try':<9}python load.py --country KOR, --changes, or --as-of 2025-01-31")
    for line in lines:
        run_log.detail(line)
        print(from_here(escaped(line)), file=sys.stderr)


def results_of(done: set[str], options: Options) -> list[Path | Place]:
    """Return what the stages that are done have written: files, and the database."""
    raw, clean = files_between_stages(options)
    records = [clean] if done & {"transform", "load"} else [raw] * ("extract" in done)
    database = [options.database or default_database()] * ("load" in done)
    return [*records, *database, *[report_file()] * (REPORT in done)]


def print_status(options: Options) -> None:
    """Print the status; raises StageError: 66 where the database is missing, 69 where its data is too old."""
    from gdp.report import status

    database = options.database or default_database()
    found = status.status(database)
    if options.json:
        print(json.dumps(found, indent=2))
    elif not options.quiet:
        print("\n".join(status.as_lines(found)))
    if found["problem"]:
        raise StageError(found["exit_code"], found["problem"])
    if options.max_age is not None and (found["age_days"] is None or found["age_days"] > options.max_age):
        age = "no data is loaded" if found["age_days"] is None else f"the data is {found['age_days']} days old"
        problem = f"{age} in {database}, over --max-age {options.max_age}"
        raise StageError(Exit.UNREACHABLE, f"{problem}; run python etl_process.py")


# --- whom to call -----------------------------------------------------------------------------------------------------


def ping(url: str | None, ending: str) -> None:
    """Call a monitoring service (healthchecks' convention: /start, then /exit-code); it never fails the run."""
    if url is None:
        return
    from gdp.sources.http import call

    reach("--ping", url, lambda: call(url.rstrip("/") + ending))


def notify(options: Options) -> None:
    """Post what changed, after a run that changed something; it never fails the run."""
    if not options.notify or not run_log.facts.get("changed"):
        return

    def post_changes() -> None:
        from gdp.report.feed import message
        from gdp.sources.http import post
        from gdp.store.database import asked
        from gdp.store.history import History

        with asked(options.database or default_database()) as connection:
            text = message(History(connection), None if options.no_report else report_file())
        post(options.notify, text)

    reach("--notify", options.notify, post_changes)


def reach(option: str, url: str, work: Callable[[], None]) -> None:
    """Do what calls the address of an option; on any failure, warn without a word of the address."""
    try:
        work()
    except Exception as reason:
        # whoever knows the address may call it too, and a library's error may quote a part of it
        is_quoted = "://" in str(reason) or any(word in str(reason) for word in re.findall(r"\w{4,}", url))
        why = "" if is_quoted else f": {reason}"
        run_log.warn(f"could not call the address of {option}{why}")


if __name__ == "__main__":
    end(main())

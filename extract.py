"""Stage 1: from sources to raw figures.

Reads  Wikipedia's "List of countries by GDP (nominal)", or the page given with --page; with --source the IMF's or the
       World Bank's own figures, with --release past ones; with --pages or --archive many pages and files
Writes results/Countries_by_GDP.json   every figure of every institution, as published
       data/pages/                     everything fetched, compressed
"""

from __future__ import annotations

if __name__ == "__main__":
    from gdp.runtime import script

    script.start()

import argparse
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from functools import partial
from itertools import chain
from urllib.parse import urlsplit

from gdp.model import IMF, WIKIPEDIA
from gdp.options import EXTRACT, limits_of, parse, partition_maker
from gdp.places import without_credentials
from gdp.record_files import write_records
from gdp.remote_files import Where, check_folder
from gdp.runtime.run_log import run_log
from gdp.runtime.script import end
from gdp.runtime.stage import run_stage
from gdp.runtime.terminal import waiting
from gdp.sources import Answer, Month, Page, Reading, Refused, Source, Unreachable
from gdp.sources.cache import cache_page, cached_name, cached_pages, everything_cached, is_cached, open_page
from gdp.sources.http import within
from gdp.sources.payloads import MIN_COUNTRIES, check_whole, country_count
from gdp.sources.registry import SOURCES, fetch_releases, releases_in, source_of
from gdp.sources.wikipedia.page import fetch_from
from utils import Exit, StageError, raw_file

NOTHING_CHANGED, FETCHED_NEW = "fetched, and nothing changed", "fetched, new"
WITNESS_DEADLINE_S = 10.0
WITNESS_DAYS = 7  # it changes twice a year


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse(EXTRACT, arguments)
    run_log.begin("revisions" if options.revisions else "extract", options.quiet)
    return run_stage(lambda: extract_as_asked(options), options.wait)


def extract_as_asked(options: argparse.Namespace) -> None:
    """Do what the options ask for; raises StageError."""
    if options.output:
        check_folder(options.output)
    if options.revisions:
        from gdp.sources.wikipedia.backfill import fetch_revisions

        fetch_revisions(options.revisions, options.every, options.pause, options.refetch)
    elif options.archive or options.pages:
        extract_many(options)
    elif options.release and options.release[0] != options.release[1]:
        extract_releases(options)
    else:
        extract(options, options.output or raw_file())
        if options.verify and (options.page or run_log.facts.get("fetched") == FETCHED_NEW):
            fetch_witness(SOURCES[IMF.name])


# --- many pages -------------------------------------------------------------------------------------------------------


def extract_many(options: argparse.Namespace) -> None:
    """Read all pages of a folder, or the whole cache, a record a line; raises StageError.

    Unreadable pages of the cache, such as vandalised ones, are listed and are no failure.
    """
    from gdp.sources.folder_of_pages import extract_pages, pages_in

    paths = pages_in(options.pages) if options.pages else everything_cached()
    limits = limits_of(options, 1.0) if options.archive else limits_of(options)
    if maker := partition_maker(options):
        from gdp.scale.partitioned_output import extract_parts

        extract_parts(paths, options.output or raw_file(".parts"), limits, maker)
    else:
        extract_pages(paths, options.output or raw_file(".jsonl"), limits)


def extract_releases(options: argparse.Namespace) -> None:
    """Fetch the past releases that are not cached yet, and read all, a record a line; raises StageError.

    If some could not be fetched the others are written before that is raised (69).
    """
    from gdp.sources.folder_of_pages import extract_pages

    (name,) = options.source
    paths, problem = fetch_releases(SOURCES[name], options.release, options.pause)
    if paths:
        extract_pages(paths, options.output or raw_file(".jsonl"), limits_of(options))
    if problem:
        raise StageError(Exit.UNREACHABLE, problem)


# --- one page, or one answer of each source ---------------------------------------------------------------------------


def extract(options: argparse.Namespace, target: Where) -> None:
    """Read the sources into `target`; raises StageError, and leaves `target` as it was if none could be read.

    If some could, their figures are written before the first failure is raised.
    """
    names = options.source or [WIKIPEDIA.name]
    with waiting(f"reading {', '.join(names)}"):
        outcomes = side_by_side([partial(read_source, SOURCES[name], options) for name in names])
    readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, StageError)]
    for failure in failures[1:]:
        run_log.warn(str(failure))
    if not readings:
        raise failures[0]
    for reason, count in chain(*(reading.dropped.items() for reading in readings)):
        run_log.warn(f"dropped: {count} × {reason}")
    count, sha256 = write_records(target, chain(*(reading.records for reading in readings)))
    run_log.settle()
    run_log.record_output(target, count, sha256)
    run_log.info(f"{count} raw records written to {target}")
    for failure in failures:
        raise failure


def side_by_side(tasks: list[Callable[[], Reading]]) -> list[Reading | StageError]:
    """Return what each task returns, or the StageError that it raises; several tasks run at the same time.

    Any other exception of a task is raised here.
    """
    outcomes: dict[int, Reading | BaseException] = {}

    def run(number: int) -> None:
        try:
            outcomes[number] = tasks[number]()
        except BaseException as error:  # handed to the thread that waits
            outcomes[number] = error

    if len(tasks) == 1:
        run(0)
    else:  # daemons: an interruption need not wait for them
        threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(tasks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found: list[Reading | StageError] = []
    for _, outcome in sorted(outcomes.items()):
        if isinstance(outcome, BaseException) and not isinstance(outcome, StageError):
            raise outcome
        found.append(outcome)
    return found


def read_source(source: Source, options: argparse.Namespace) -> Reading:
    """Return the records of a source: fetched now, or of the file or address given with --page; raises StageError.

    A file's source is recognised by its content, unless --source names it.
    """
    if isinstance(options.page, str):
        if source.name != WIKIPEDIA.name:
            raise StageError(Exit.USAGE, f"--page {options.page} is an address; name a file of {source.name}")
        return fetch_source(source, partial(fetch_from, options.page), None, options.as_of)
    release = options.release[0] if options.release else None
    if options.page:
        return read_file(None if source.name == WIKIPEDIA.name else source, options.page, release, options.as_of)
    try:
        release = releases_in(source, options.release)[0] if options.release else None
        return fetch_source(source, partial(source.fetch, release), release, options.as_of)
    except Unreachable as reason:
        raise unreachable(source.name, reason) from reason
    except StageError as failure:
        if failure.code is not Exit.UNREACHABLE or release:
            raise
        return read_cached(source, failure, options.max_age)


def read_file(source: Source | None, path: Where, release: Month | None, as_of: str | None) -> Reading:
    """Return the records of a file; `as_of` is the day of a page that states none. Raises StageError."""
    page = dated(open_page(path), as_of)
    with refused_as(page.location):
        source = source or source_of(page.content)
    reading = read_page(source, page, release)
    if as_of and (source.name != WIKIPEDIA.name or states_date(reading)):
        stated = reading.records[0]["As_of"][:10]
        run_log.warn(f"--as-of {as_of} is not used: {page.location} states its date, {stated}")
    countries = country_count(reading.records)
    if countries < MIN_COUNTRIES:
        run_log.warn(f"{page.location} is about {countries} countries: a part of a release, and no vintage by itself")
    return reading


def read_page(source: Source, page: Page, release: Month | None = None) -> Reading:
    """Return the records of a page, and report them; raises StageError (65) when the page is refused."""
    with refused_as(page.location):
        reading = source.read(page, release)
    run_log.facts |= {
        "input": page.location,
        "input_sha256": hashlib.sha256(page.content).hexdigest(),
        "bytes_in": len(page.content),
        "as_of": max(reading.records[0]["As_of"], run_log.facts.get("as_of", "")),
    }
    countries = country_count(reading.records)
    run_log.info(f"{len(reading.records)} figures of {countries} countries and aggregates read from {page.location}")
    if source.name == WIKIPEDIA.name and not states_date(reading):
        run_log.warn(f"{page.location} does not state its date: used {page.saved:%Y-%m-%d}; name another with --as-of")
    return reading


def states_date(reading: Reading) -> bool:
    """Return whether a page states when it was saved."""
    return reading.revision is not None and reading.revision.saved is not None


def dated(page: Page, as_of: str | None) -> Page:
    """Return a page with the day that the user gives to one that states none."""
    return page._replace(saved=datetime.fromisoformat(as_of).replace(tzinfo=timezone.utc)) if as_of else page


@contextmanager
def refused_as(location: str) -> Iterator[None]:
    """Raise StageError (65) for a page that cannot be read right."""
    try:
        yield
    except Refused as reason:
        message = f"{location} is refused: {reason}; look at it, or name another with --page"
        raise StageError(Exit.BAD_DATA, message) from reason


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch_source(
    source: Source, fetch: Callable[[], Answer], release: Month | None, as_of: str | None = None
) -> Reading:
    """Return the records of what is fetched, and cache it; raises StageError: 69 unreachable, 65 refused, 74.

    A page that states its revision is cached before it is read, as a refused one is worth a look. Anything else is
    cached after it could be read.
    """
    answer = fetched(source, fetch, release)
    page, revision = dated(answer.page, as_of), answer.revision
    if revision and revision.number:
        cache_once(source, str((revision.saved or page.saved).date()), answer)
    reading = read_page(source, page, release)
    with refused_as(page.location):
        check_whole(reading.records)
    if not (revision and revision.number):
        cache_once(source, reading.records[0]["As_of"][:10], answer)
    return reading


def fetched(source: Source, fetch: Callable[[], Answer], release: Month | None) -> Answer:
    """Return a source's answer, or its bundled release without network; raises StageError: 69 unreachable, 65."""
    if source.name == WIKIPEDIA.name and not os.environ.get("GDP_ETL_CONTACT"):
        run_log.detail("GDP_ETL_CONTACT is not set; Wikimedia asks for a contact and may answer 403 without")
    try:
        with refused_as(source.name):
            answer = fetch()
    except Unreachable as reason:
        run_log.facts["fetched"] = f"could not fetch: {without_credentials(str(reason))}"
        bundled = source.releases.bundled(release) if source.releases and release else None
        if bundled is None:
            raise unreachable(source.name, reason) from reason
        run_log.warn(f"could not reach {source.name} ({without_credentials(str(reason))}); used {bundled.sender}")
        answer = bundled
    run_log.info(f"{source.name}: {urlsplit(answer.sender).hostname or answer.sender} answered")
    return answer


def cache_once(source: Source, day: str, answer: Answer) -> None:
    """Cache an answer, unless it is in the cache already."""
    content = answer.page.content
    name = cached_name(source.name, day, content, answer.revision.number if answer.revision else None)
    if is_cached(name):
        run_log.facts["fetched"] = NOTHING_CHANGED
        run_log.info(f"{NOTHING_CHANGED}: it is in the cache already, as {name}")
    else:
        path = cache_page(name, content)
        run_log.facts["fetched"] = FETCHED_NEW
        run_log.info(f"fetched, new as of {day}; cached as {path}")


def read_cached(source: Source, failure: StageError, max_age_days: int | None) -> Reading:
    """Return the records of a source's newest cached page, and report its age; raises the `failure` (69) if none."""
    reason = str(failure).partition("; try again")[0]
    for path in reversed(cached_pages(source.name)):
        day = date.fromisoformat(path.name[:10])
        age = (datetime.now(timezone.utc).date() - day).days
        if max_age_days is not None and age > max_age_days:
            too_old = f"{age} days old, over --max-age {max_age_days}"
            raise StageError(Exit.UNREACHABLE, f"{reason}; the newest cached page is {too_old}; try again later")
        try:
            reading = read_page(source, open_page(path))
        except StageError as unreadable:
            run_log.warn(str(unreadable))
            continue
        run_log.facts["fetched"] = f"{reason}; used the page of {day}, {age} days old"
        run_log.warn(run_log.facts["fetched"])
        return reading
    raise failure


def fetch_witness(source: Source) -> None:
    """Fetch a source's current release into the cache, for the checks of load; a failure is no failure of the run."""
    if any(time.time() - path.stat().st_mtime < WITNESS_DAYS * 86_400 for path in cached_pages(source.name)):
        run_log.detail(f"--verify: {source.name} was asked less than {WITNESS_DAYS} days ago")
        return
    try:
        answer = within(WITNESS_DEADLINE_S, lambda: source.fetch(None))
        reading = source.read(answer.page, None)
        check_whole(reading.records)
        name = cached_name(source.name, reading.records[0]["As_of"][:10], answer.page.content)
        cache_page(name, answer.page.content)  # also if it is there already: the file's time is when it was asked
        run_log.info(f"--verify: {answer.sender} answered; cached as {name}")
    except (Unreachable, Refused, StageError) as reason:
        run_log.info(f"--verify: could not ask {source.name} for its release: {without_credentials(str(reason))}")


def unreachable(name: str, reason: Unreachable) -> StageError:
    """Return the error (69) for a source that cannot be reached."""
    problem = f"could not reach {reason.host or name} ({without_credentials(str(reason))})"
    return StageError(Exit.UNREACHABLE, f"{problem}; try again later, or name a saved page or file with --page")


if __name__ == "__main__":
    end(main())

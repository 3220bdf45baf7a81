"""Stage 1: what the sources say in, raw figures out.

Reads  Wikipedia's "List of countries by GDP (nominal)", or the page given with --page; with --source also the IMF's and
       the World Bank's own answers and files, with --release those of the past; with --archive everything kept
Writes results/Countries_by_GDP.json   every figure of every institution, as it stands
Keeps  data/pages/                     everything fetched, compressed; with --revisions the page's past
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from gdp.model import IMF, WIKIPEDIA, WORLD_BANK
from gdp.options import (
    add_bulk_options,
    add_sources,
    bulk_options,
    command_line,
    day,
    days,
    folder_named,
    page_named,
    parts_made_by,
    some_seconds,
    sources_of,
    stream_named,
)
from gdp.places import without_credentials
from gdp.record_files import STREAMS, is_stream, write_records
from gdp.remote_files import PARTS, Where
from gdp.runtime.run_log import run_log
from gdp.runtime.stage import leave, run_stage
from gdp.runtime.terminal import waiting
from gdp.sources import Extracted, Refused, Revision, Unreachable
from gdp.sources.asking import Span, fetch_answer, read_file
from gdp.sources.cache import Page, kept_name, kept_pages, open_page
from gdp.sources.detect import source_in
from gdp.sources.imf.releases import month_span
from gdp.sources.telling import keep_once, refusal, tell_reading, unreachable
from gdp.sources.wikipedia import page as wikipedia
from gdp.sources.wikipedia import page_metadata as identity
from gdp.sources.wikipedia import unwrap as forms
from utils import Exit, StageError, raw_file, raw_parts, raw_stream

FIRST_DAY = datetime(2001, 1, 15, tzinfo=timezone.utc)  # Wikipedia's: no page was changed before


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse_arguments(arguments)
    run_log.begin("revisions" if options.revisions else "extract", options.quiet)
    target = options.output or raw_file()

    def work() -> None:
        if options.revisions:
            from gdp.sources.folder_of_pages import fetch_revisions

            fetch_revisions(options.revisions, options.every, options.pause, options.anew)
        elif options.archive or options.pages:
            extract_many(options)
        elif options.release and options.release[0] != options.release[1]:
            extract_releases(options)
        else:
            extract(sources_of(options) or [WIKIPEDIA.name], options.page, target, options.max_age, options.release)

    return run_stage(work, options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Read the countries' nominal GDP from Wikipedia's list, or from the IMF or the World Bank, as it stands.",
        "python extract.py --page data/pages/2025-12-30_enwiki_rev1330326028.html.gz",
        "python extract.py --pages data/pages --output /tmp/raw.jsonl",
        "python extract.py --source imf --release 2007-10..2026-04",
        "python extract.py --source imf --page WEOApr2013all.xls",
    )
    add = parser.add_argument
    add_sources(parser)
    add(
        "--page",
        type=page_named,
        metavar="FILE_OR_URL",
        help="a saved page or answer, or a page's address (default: the live one)",
    )
    add("--output", type=stream_named, metavar="FILE", help="where raw records go (default: for transform)")
    add("--max-age", type=days, metavar="DAYS", help="when the network fails, refuse an older kept page")
    add(
        "--release",
        type=months,
        metavar="MONTH[..MONTH]",
        help="a past release of the IMF, or version of the World Bank",
    )
    past = parser.add_argument_group("the page's past")
    past.add_argument("--archive", action="store_true", help="read every page and answer that was kept, into .jsonl")
    past.add_argument("--pages", type=folder_named, metavar="DIR", help="read every page in a folder, into .jsonl")
    past.add_argument("--revisions", type=span, metavar="FROM..TO", help="fetch the page's revisions of these days")
    past.add_argument("--every", choices=("month", "quarter", "release"), default="month", help="the last one of each")
    past.add_argument("--anew", action="store_true", help="with --revisions: fetch again what is kept but unreadable")
    past.add_argument("--pause", type=some_seconds, metavar="SECONDS", help="between requests (default: by the policy)")
    add_bulk_options(parser)
    options = parser.parse_args(arguments)
    if sum(map(bool, (options.page or options.source, options.archive, options.pages, options.revisions))) > 1:
        parser.error("--page and --source, --archive, --pages, --revisions: one of them")
    if options.engine == "spark" and not (options.archive or options.pages):
        parser.error("--engine spark is for many pages: --pages or --archive")
    many = options.archive or options.pages
    in_lines = not options.output or is_stream(options.output) or options.output.name.endswith(PARTS)
    if many and options.engine != "spark" and not in_lines:
        parser.error(f"--archive and --pages write a record a line: name an --output that ends in {STREAMS[0]}")
    if options.page and len(sources_of(options)) > 1:
        parser.error("--page is of one source")
    check_release(parser, options)
    return options


def check_release(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End in wrong usage where --release has no source that has releases, or names several for one file."""
    if options.release and sources_of(options) not in ([IMF.name], [WORLD_BANK.name]):
        parser.error(f"--release is of one source: --source {IMF.name}, or --source {WORLD_BANK.name}")
    if options.release and options.page and options.release[0] != options.release[1]:
        parser.error("--page is of one release: name it as --release 2025-10")
    if options.release and options.engine == "spark":
        parser.error("--release is fetched one after another, and not by --engine spark")


def months(text: str) -> Span:
    """Return the first and last month of MONTH or MONTH..MONTH; raises ArgumentTypeError."""
    try:
        return month_span(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no month; write 2013-04, or 2007-10..2026-04") from None


def span(text: str) -> tuple[str, str]:
    """Return the two days of FROM..TO; raises ArgumentTypeError."""
    first, dots, last = text.partition("..")
    if not dots or day(first) > day(last):
        raise argparse.ArgumentTypeError(f"{text} is not FROM..TO; write it as 2015-01-01..2026-11-01")
    return day(first), day(last)


def extract(
    sources: list[str],
    page: str | Where | None,
    target: Where,
    max_age_days: int | None,
    release: Span | None = None,
) -> None:
    """Read the sources into `target`; raises StageError, and leaves `target` as it was where none could be read.

    Where some could, their figures are written, and then the first failure is raised.
    """
    readings: list[Extracted] = []
    failures: list[StageError] = []
    with waiting(f"asking {', '.join(sources)}"):
        outcomes = side_by_side([partial(read_source, source, page, max_age_days, release) for source in sources])
    for outcome in outcomes:
        (failures if isinstance(outcome, StageError) else readings).append(outcome)  # type: ignore[arg-type]
    for failure in failures[1:]:
        run_log.warn(str(failure))
    if not readings:
        raise failures[0]
    for reading in readings:
        for reason, count in reading.left_out.items():
            run_log.warn(f"left out: {count} × {reason}")
    count, sha256 = write_records(target, (record for reading in readings for record in reading.records))
    run_log.settle()
    run_log.record_output(target, count, sha256)
    run_log.info(f"{count} raw records written to {target}")
    for failure in failures:
        raise failure


def extract_many(options: argparse.Namespace) -> None:
    """Read all pages of a folder, or everything kept, a record a line; raises StageError.

    Of what was kept some may be unreadable, as somebody had spoiled the page just then: that is listed, and no failure.
    """
    from gdp.scale.partitioned_stages import extract_parts
    from gdp.sources.folder_of_pages import everything_kept, extract_pages, pages_in

    paths = pages_in(options.pages) if options.pages else everything_kept()
    many = bulk_options(options, most=1.0) if options.archive else bulk_options(options)
    if run := parts_made_by(options):
        extract_parts(paths, options.output or raw_parts(), many, run)
    else:
        extract_pages(paths, options.output or raw_stream(), many)


def extract_releases(options: argparse.Namespace) -> None:
    """Fetch the past releases that are not kept yet, and read them, a record a line; raises StageError.

    Where some could not be had the others are written, and then that is told (69).
    """
    from gdp.sources.folder_of_pages import extract_pages
    from gdp.sources.past_releases import fetch_releases

    (source,) = sources_of(options)
    paths, missing = fetch_releases(source, options.release, options.pause)
    if paths:
        extract_pages(paths, options.output or raw_stream(), bulk_options(options))
    if missing:
        raise StageError(Exit.UNREACHABLE, missing)


def side_by_side(tasks: list[Callable[[], Extracted]]) -> list[Extracted | StageError]:
    """Return what each task returns, or the StageError that it raises, done at once where there are several."""

    def outcome(task: Callable[[], Extracted]) -> Extracted | StageError:
        try:
            return task()
        except StageError as failure:
            return failure

    if len(tasks) == 1:
        return [outcome(tasks[0])]
    outcomes: dict[int, Extracted | StageError] = {}

    def note(number: int, task: Callable[[], Extracted]) -> None:
        outcomes[number] = outcome(task)

    # daemons: an interruption need not wait for them
    threads = [threading.Thread(target=note, args=numbered, daemon=True) for numbered in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[number] for number in range(len(tasks))]


def read_source(
    source: str, page: str | Where | None, max_age_days: int | None, release: Span | None = None
) -> Extracted:
    """Return what a source says: live, or in the file or at the address that `page` names; raises StageError.

    A file is of the source that its content tells, where none is named.
    """
    if page is None:
        return read_live_page(max_age_days) if source == WIKIPEDIA.name else fetch_answer(source, release)
    if isinstance(page, str):
        if source == WIKIPEDIA.name:
            return read_url(page)
        raise StageError(Exit.USAGE, f"--page {page} is an address; name a file that holds an answer of {source}")
    found = open_page(page)
    source = source_in(found.content) if source == WIKIPEDIA.name else source
    return read_page(found) if source == WIKIPEDIA.name else read_file(source, found, release)


# --- the page ---------------------------------------------------------------------------------------------------------


def read_live_page(max_age_days: int | None) -> Extracted:
    """Return what the live page says or, where that cannot be reached, the newest kept page that can be read."""
    try:
        return read_url(wikipedia.page_url())
    except StageError as failure:
        if failure.code is not Exit.UNREACHABLE:
            raise
        return read_kept_page(failure, max_age_days)


def read_url(url: str) -> Extracted:
    """Return what the page at `url` says, and keep it; raises StageError: 69 unreachable, 65 refused, 74 not kept.

    A page that tells its revision is kept before it is read, for a page that is refused is worth a look; one that does
    not may be anything, and is kept when it could be read.
    """
    page, revision = fetch(url)
    if revision.number:
        keep_page(page, revision)
    reading = read_page(page)
    if not revision.number:
        keep_page(page, revision)
    return reading


def fetch(url: str) -> tuple[Page, Revision]:
    """Return the page at `url` and what it says of its revision; raises StageError: 69 unreachable, 65 no text."""
    if not os.environ.get("GDP_ETL_CONTACT"):
        run_log.detail("GDP_ETL_CONTACT is not set; Wikimedia asks for a contact and may answer 403 without")
    try:
        host = urlsplit(url).hostname or url
    except ValueError as error:
        raise StageError(Exit.USAGE, f"{url} is no address: {error}; name another with --page") from None
    try:
        answer = wikipedia.fetch(url)
        revision = identity.read_revision(forms.page_in(answer.content))
    except Unreachable as reason:
        run_log.facts["fetched"] = f"could not fetch: {without_credentials(str(reason))}"
        raise unreachable(host, reason, "try again later, or name a saved page with --page") from reason
    except Refused as reason:
        raise refusal(without_credentials(url), reason) from reason
    return Page(answer.content, without_credentials(answer.url), last_modified(answer.last_modified)), revision


def last_modified(header: str | None) -> datetime:
    """Return the moment in a Last-Modified header, or now where it is none that a page can have been changed in."""
    now = datetime.now(timezone.utc)
    try:
        moment = parsedate_to_datetime(header or "").astimezone(timezone.utc)
        return moment if FIRST_DAY <= moment <= now + timedelta(days=1) else now
    except (ValueError, OverflowError):  # no date, or one that no calendar has
        return now


def keep_page(page: Page, revision: Revision) -> None:
    """Keep a fetched page under its As_of and revision."""
    day = (revision.saved or page.saved).date()
    keep_once(kept_name(str(day), page.content, revision.number), page, f"the page of {day}")


def read_kept_page(failure: StageError, max_age_days: int | None) -> Extracted:
    """Return what the newest kept page says, and tell its age; raises the `failure` (69) when none will do."""
    reason = str(failure).partition(";")[0]
    for path in reversed(kept_pages()):
        day = datetime.fromisoformat(path.name[:10]).replace(tzinfo=timezone.utc)
        age = (datetime.now(timezone.utc).date() - day.date()).days
        if max_age_days is not None and age > max_age_days:
            too_old = f"{age} days old, over --max-age {max_age_days}"
            raise StageError(Exit.UNREACHABLE, f"{reason}; the newest kept page is {too_old}; try again later")
        try:
            reading = read_page(open_page(path))
        except StageError as unreadable:
            run_log.warn(str(unreadable))
            continue
        used = f"{reason}; used the page of {day:%Y-%m-%d}, {age} days old"
        run_log.facts["fetched"] = used
        run_log.warn(used)
        return reading
    raise failure


def read_page(page: Page) -> Extracted:
    """Return what a page says; raises StageError (65) when it is refused."""
    try:
        reading = wikipedia.parse(page.content, page.location, page.saved)
    except Refused as reason:
        raise refusal(page.location, reason) from reason
    if reading.revision is None or reading.revision.saved is None:
        run_log.warn(f"{page.location} does not say when it was saved; took {page.saved:%Y-%m-%d %H:%M} for As_of")
    tell_reading(reading, page)
    return reading


if __name__ == "__main__":
    leave(main())

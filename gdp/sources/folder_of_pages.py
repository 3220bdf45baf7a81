"""The page's past: its revisions fetched into data/pages/, politely, and everything kept there read in one go."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gdp.model import IMF, WORLD_BANK
from gdp.remote_files import Where
from gdp.runtime.chunks import packed
from gdp.runtime.rejects import Limits, Reject, rejected_file, rejected_lines
from gdp.runtime.resumable import ResumableOutput, fingerprint_of
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order
from gdp.sources import NotThere, Refused, Unreachable
from gdp.sources.cache import Page, keep, kept_name, kept_pages, kept_revisions, open_page
from gdp.sources.detect import read_kind
from gdp.sources.wikipedia.backfill import PastRevision, by_period, fetch_revision, list_revisions
from utils import Exit, StageError, first_few, pages_folder

# Wikimedia's limit of 2026 is 200 requests a minute for a client that gives a contact, and 10 for one that does not.
PAUSE_S, PAUSE_WITHOUT_CONTACT_S = 60 / 150, 60 / 8
STAGE = "extract"
Wait = Callable[[], None]
TRIES_A_PERIOD = 5  # revisions; who vandalises a page is reverted within a few
NOTHING_YET = {"pages": 0, "records": 0, "unread": 0, "as_of": ""}
# What a page, an answer or a file of figures is called; what it is, its content tells.
FORMS = (".mhtml", ".mht", ".html", ".json", ".xml", ".csv", ".tsv", ".txt", ".xls", ".xlsx", ".zip", ".js", ".ts")
PAGE_NAMES = (*FORMS, *(f"{form}.gz" for form in FORMS))


def fetch_revisions(days: tuple[str, str], every: str, pause_s: float | None, anew: bool = False) -> None:
    """Fetch the last revision of each period between two days that is not kept yet, one request at a time.

    Where that was deleted, or cannot be read, the one before it is taken. With `anew` what is kept and cannot be read
    is fetched again. Raises StageError (69) at the end when some could not be had; run again, it goes on with those.
    """
    wait = paced(pause_s or (PAUSE_S if os.environ.get("GDP_ETL_CONTACT") else PAUSE_WITHOUT_CONTACT_S))
    try:
        wanted = by_period(list_revisions(*days, wait), every)
    except Unreachable as reason:
        raise StageError(
            Exit.UNREACHABLE, f"could not list the page's revisions ({reason}); try again later"
        ) from reason
    kept = {number for number, path in kept_revisions().items() if not (anew and problem_of(path))}
    missing = [period for period in wanted if period[0].number not in kept]
    run_log.info(
        f"{len(wanted)} revisions, the last of each {every} from {days[0]} to {days[1]}:"
        f" {len(wanted) - len(missing)} kept already, {len(missing)} to fetch"
    )
    failed = fetch_all(missing, kept, wait)
    run_log.facts |= {"rows_in": len(wanted), "rows_out": len(wanted) - len(failed)}
    if failed:
        raise StageError(
            Exit.UNREACHABLE,
            f"{len(failed)} of {len(wanted)} revisions could not be had: {first_few(failed, '; ')}; run again",
        )


def fetch_all(missing: list[list[PastRevision]], kept: set[int], wait: Wait) -> list[str]:
    """Fetch and keep a revision of each period; return why some have none."""
    failed: list[str] = []
    with progress(len(missing), "revisions fetched") as advance:
        for period in missing:
            failed += fetch_last(period, kept, wait)
            advance(1)
    return failed


def fetch_last(period: list[PastRevision], kept: set[int], wait: Wait) -> list[str]:
    """Fetch and keep the last revision of a period that can be had; return why there is none, or nothing.

    Only where a revision is not there, or cannot be read, the one before will do: all else may pass, and is told.
    """
    reasons: list[str] = []
    for revision in period[:TRIES_A_PERIOD]:
        if revision.number in kept:
            return []
        try:
            content = fetch_twice(revision, wait)
            keep(kept_name(revision.saved[:10], content, revision.number), content)
            return []
        except (Unreachable, Refused) as reason:
            reasons.append(f"{revision.number} of {revision.saved[:10]} ({reason})")
            run_log.detail(f"could not fetch revision {reasons[-1]}")
            if not isinstance(reason, NotThere | Refused):
                break
    return reasons[:1]


def fetch_twice(revision: PastRevision, wait: Wait) -> bytes:
    """Return a revision's page; one that broke off on the way is asked for once more."""
    wait()
    try:
        return fetch_revision(revision)
    except NotThere:
        raise
    except Unreachable:
        wait()
        return fetch_revision(revision)


def paced(pause_s: float) -> Wait:
    """Return a function that returns no sooner than `pause_s` after its last return."""
    last = -pause_s

    def wait() -> None:
        nonlocal last
        time.sleep(max(0.0, last + pause_s - time.monotonic()))
        last = time.monotonic()

    return wait


# --- many pages -------------------------------------------------------------------------------------------------------


class PageLines(NamedTuple):
    """What became of a page: its raw records as lines, or why it could not be read."""

    lines: bytes
    records: int
    as_of: str
    problem: str | None
    fault: str = ""  # the traceback, where it is a fault of ours


def pages_in(folder: Where) -> list[Where]:
    """Return the pages in a folder, in the order of their names; raises StageError (66) when there are none."""
    there = folder.iterdir() if folder.is_dir() else ()
    found = sorted((path for path in there if path.name.endswith(PAGE_NAMES)), key=lambda path: path.name)
    if not found:
        raise StageError(Exit.NO_INPUT, f"{folder} holds no pages ({', '.join(PAGE_NAMES)}); name another folder")
    return found


def everything_kept() -> list[Path]:
    """Return every page that is kept, and of each release of an API the last answer, oldest first."""
    answers = [path for source in (IMF.name, WORLD_BANK.name) for path in kept_pages(source)]
    answers.sort(key=lambda path: path.stat().st_mtime_ns)
    last_of_release = {path.name.rpartition("_")[0]: path for path in answers}
    return sorted((*kept_pages(), *last_of_release.values()), key=lambda path: path.name)


def extract_pages(paths: Sequence[Where], target: Where, limits: Limits) -> None:
    """Read pages into `target`, a record a line; what cannot be read is set aside with its reason.

    Raises StageError (65) when too much was, and leaves `target` as it was. Interrupted, it goes on where it stopped.
    """
    output = ResumableOutput(target, STAGE, fingerprint_of(paths))
    if done := output.finished_state():
        output.drop()
        limits.check_rejected(done["unread"], done["pages"], "pages")
        tell_pages(done, target, "done before, from the same pages: ")
        return
    state = output.state or dict(NOTHING_YET)
    if output.state:
        run_log.info(f"going on: {state['pages']} pages were done before")
    work = partial(packed_lines, target=target)
    with progress(len(paths), "pages read", state["pages"]) as advance:
        for path, page in results_in_order(work, paths[state["pages"] :], limits.workers):
            add_page(state, page)
            output.add(page.lines, rejected_page(path, page), lambda: state)
            advance(1)
    finish_pages(output, state, limits, target)
    tell_pages(state, target)


def add_page(state: dict[str, Any], page: PageLines) -> None:
    """Count a page; tell why it could not be read, if it could not."""
    state["pages"] += 1
    state["records"] += page.records
    state["as_of"] = max(state["as_of"], page.as_of)
    if page.problem:
        state["unread"] += 1
        run_log.warn(page.problem)
        for line in page.fault.splitlines():
            run_log.detail(line)


def rejected_page(path: Where, page: PageLines) -> bytes:
    """Return the line of Rejected.jsonl on a page that could not be read; nothing on another."""
    return rejected_lines(STAGE, [Reject(str(path), page.problem)]) if page.problem else b""


def tell_pages(state: dict[str, Any], target: Where, before: str = "") -> None:
    """Tell how many records of how many pages there are."""
    pages, unread = state["pages"], state["unread"]
    run_log.facts |= {"input": f"{pages} pages", "rows_in": pages, "unread": unread, "as_of": state["as_of"]}
    run_log.settle()
    run_log.record_output(target, state["records"])
    written = f"{state['records']:,} raw records of {pages - unread:,} pages written to {target}"
    run_log.info(f"{before}{written}; {unread:,} not read")


def finish_pages(output: ResumableOutput, state: dict[str, Any], limits: Limits, target: Where) -> None:
    """Put the outputs in place; raises StageError (65) when too much was set aside."""
    pages, unread = state["pages"], state["unread"]
    output.save(state)
    output.put_rejected()
    refuse_pages(unread, pages, limits, target)
    output.put(state)


def refuse_pages(unread: int, pages: int, limits: Limits, target: Where) -> None:
    """Raise StageError (65) when no page could be read, or too many could not."""
    if unread == pages:
        raise StageError(Exit.BAD_DATA, f"none of {pages} pages could be read; {rejected_file(target)} tells why")
    limits.check_rejected(unread, pages, "pages")


def packed_lines(path: Where, target: Where) -> PageLines:
    """Return what becomes of one page, its lines as they go into `target`."""
    page = page_lines(path, opened_page(path))
    return page._replace(lines=packed(page.lines, target))


def opened_page(path: Where) -> Page | StageError:
    """Return a page, or why it cannot be opened."""
    try:
        return open_page(path)
    except StageError as problem:
        if problem.code in (Exit.UNREACHABLE, Exit.CANNOT_WRITE):  # of the store, and not of the page
            raise
        return problem


def page_lines(path: Where, opened: Page | StageError) -> PageLines:
    """Return what becomes of one page that was opened."""
    try:
        if isinstance(opened, StageError):
            raise opened
        lines = lines_of(opened)
    except (StageError, Refused) as problem:
        said = f"{path} is refused: {problem}" if isinstance(problem, Refused) else str(problem)
        return PageLines(b"", 0, "", said + remedy(path))
    except Exception as error:  # one page must not cost the others; what went wrong is told, its traceback logged
        said = f"{path} is set aside for a fault of ours: {error!r}; please report it with the log"
        return PageLines(b"", 0, "", said, traceback.format_exc())
    return PageLines("".join(lines).encode(), len(lines), json.loads(lines[0])["As_of"], None)


def remedy(path: Where) -> str:
    """Return how a revision that is kept and cannot be read is fetched anew; "" for what is no revision."""
    day, _, name = path.name.partition("_")
    is_kept = isinstance(path, Path) and path.parent == pages_folder() and name.startswith("enwiki_rev")
    return f"; fetch it anew with extract.py --revisions {day}..{day} --anew" if is_kept else ""


def problem_of(path: Path) -> str | None:
    """Return why something kept cannot be read, or None."""
    try:
        read_kind(open_page(path))
    except (StageError, Refused) as problem:
        return str(problem)
    return None


def lines_of(page: Page) -> list[str]:
    """Return the raw records of a kept page or answer as lines; raises Refused."""
    return [json.dumps(record, ensure_ascii=False) + "\n" for record in read_kind(page).records]

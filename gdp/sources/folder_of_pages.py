"""A folder of pages and files of any source: all read into one stream of raw records, by several processes."""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from gdp.model import RAW_FIELDS, RawRecord
from gdp.remote_files import Where
from gdp.runtime.chunks import packed
from gdp.runtime.output import Limits, Reject, ResumableOutput, fingerprint_of, rejected_file, rejected_lines
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order
from gdp.sources import Page, Refused
from gdp.sources.cache import open_page
from gdp.sources.registry import read_any
from utils import Exit, StageError, pages_folder

STAGE = "extract"
NOTHING_YET = {"pages": 0, "records": 0, "unread": 0, "as_of": ""}
# Names of pages, answers and files; their content shows what they are.
FORMS = (".mhtml", ".mht", ".html", ".htm", ".json", ".xml", ".csv", ".tsv", ".txt", ".xls", ".xlsx", ".zip")
PAGE_NAMES = (*FORMS, *(f"{form}.gz" for form in FORMS))


class PageLines(NamedTuple):
    """A page's raw records as lines, or the problem with it."""

    lines: bytes
    records: int
    as_of: str
    problem: str | None
    fault: str = ""  # the traceback, if it is a bug


def pages_in(folder: Where) -> list[Where]:
    """Return the pages in a folder, in the order of their names; raises StageError (66) when there are none."""
    there = folder.iterdir() if folder.is_dir() else ()
    found = sorted((path for path in there if path.name.lower().endswith(PAGE_NAMES)), key=lambda path: path.name)
    if not found:
        raise StageError(Exit.NO_INPUT, f"{folder} holds no pages ({', '.join(PAGE_NAMES)}); name another folder")
    return found


def extract_pages(paths: Sequence[Where], target: Where, limits: Limits) -> None:
    """Read pages into `target`, a record a line; unreadable pages are rejected with their reason.

    Raises StageError (65) when too many were, and leaves `target` as it was. After an interruption it continues.
    """
    output = ResumableOutput(target, STAGE, fingerprint_of(paths))
    if done := output.finished_state():
        output.drop()
        limits.check_rejected(done["unread"], done["pages"], "pages")
        report_pages(done, target, "already done, from the same pages: ")
        return
    state = output.state or dict(NOTHING_YET)
    if output.state:
        run_log.info(f"continuing: {state['pages']} pages are done already")
    work = partial(packed_lines, target=target)
    with progress(len(paths), "pages read", state["pages"]) as advance:
        for path, page in results_in_order(work, paths[state["pages"] :], limits.workers):
            add_page(state, page)
            output.add(page.lines, rejected_page(path, page), lambda: state)
            advance(1)
    output.save(state)
    output.put_rejected()
    refuse_pages(state, limits, target)
    output.put(state)
    report_pages(state, target)


def add_page(state: dict[str, Any], page: PageLines) -> None:
    """Count a page, and log the problem with it, if there is one."""
    state["pages"] += 1
    state["records"] += page.records
    state["as_of"] = max(state["as_of"], page.as_of)
    if page.problem:
        state["unread"] += 1
        run_log.warn(page.problem)
        for line in page.fault.splitlines():
            run_log.detail(line)


def rejected_page(path: Where, page: PageLines) -> bytes:
    """Return the line of Rejected.jsonl for an unreadable page; nothing for another."""
    return rejected_lines(STAGE, [Reject(str(path), page.problem)]) if page.problem else b""


def report_pages(state: dict[str, Any], target: Where, before: str = "") -> None:
    """Report the number of records and pages."""
    pages, unread = state["pages"], state["unread"]
    run_log.facts |= {"input": f"{pages} pages", "rows_in": pages, "unread": unread, "as_of": state["as_of"]}
    run_log.settle()
    run_log.record_output(target, state["records"])
    written = f"{state['records']:,} raw records of {pages - unread:,} pages written to {target}"
    run_log.info(f"{before}{written}; {unread:,} not read")


def refuse_pages(state: dict[str, Any], limits: Limits, target: Where) -> None:
    """Raise StageError (65) when no page could be read, or too many could not."""
    pages, unread = state["pages"], state["unread"]
    if unread == pages:
        reasons = f"the reasons are in {rejected_file(target)}"
        raise StageError(Exit.BAD_DATA, f"none of {pages} pages could be read; {reasons}")
    limits.check_rejected(unread, pages, "pages")


# --- one page ---------------------------------------------------------------------------------------------------------


def packed_lines(path: Where, target: Where) -> PageLines:
    """Return the lines of one page, packed as `target` is."""
    page = page_lines(path, opened_page(path))
    return page._replace(lines=packed(page.lines, target))


def opened_page(path: Where) -> Page | StageError:
    """Return a page, or the error in opening it."""
    try:
        return open_page(path)
    except StageError as problem:
        if problem.code in (Exit.UNREACHABLE, Exit.CANNOT_WRITE):  # the store's fault, not the page's
            raise
        return problem


def page_lines(path: Where, opened: Page | StageError) -> PageLines:
    """Return the lines of one page that was opened."""
    try:
        if isinstance(opened, StageError):
            raise opened
        records = read_any(opened).records
    except (StageError, Refused) as problem:
        message = f"{path} is refused: {problem}" if isinstance(problem, Refused) else str(problem)
        day, _, name = path.name.partition("_")
        if isinstance(path, Path) and path.parent == pages_folder() and name.startswith("enwiki_rev"):
            message += f"; fetch it again with extract.py --revisions {day}..{day} --refetch"
        return PageLines(b"", 0, "", message)
    except Exception as error:  # one page must not stop the others
        message = f"{path} is rejected because of a bug: {error!r}; please report it with the log"
        return PageLines(b"", 0, "", message, traceback.format_exc())
    return PageLines(b"".join(map(_line, records)), len(records), records[0]["As_of"], None)


def _line(record: RawRecord) -> bytes:
    """Return a record as json.dumps does, in a fifth of the time: a column's records differ in three fields only."""
    begin = f'"Country": {_quoted(record["Country"])}, "GDP": {_quoted(record["GDP"])}, "Year": '
    year = "null" if record["Year"] is None else _quoted(record["Year"])
    return f"{{{begin}{year}{_rest(*islice(record.values(), 3, None))}\n".encode()


_quoted = json.encoder.encode_basestring


@lru_cache(1024)
def _rest(*values: str | None) -> str:
    fields = dict(zip(islice(RAW_FIELDS, 3, None), values, strict=False))
    return f", {json.dumps(fields, ensure_ascii=False)[1:]}"

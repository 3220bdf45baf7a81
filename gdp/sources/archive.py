"""The page's past: its revisions fetched into data/pages/, politely, and everything kept there read in one go."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gdp.figures.streams import rejected_line
from gdp.records import IMF_ITSELF, WORLD_BANK_ITSELF
from gdp.running.command_line import BulkOptions
from gdp.running.journal import Journal
from gdp.running.pieces import Growing, identity_of, packed, results_in_order
from gdp.running.screen import progress
from gdp.sources import Refused, Unreachable
from gdp.sources.kinds import read_kind
from gdp.sources.pages import Page, keep, kept_name, kept_pages, kept_revisions, open_page
from gdp.sources.revisions import PastRevision, fetch_revision, last_of_each, list_revisions
from utils import Exit, StageError, rejected_file

# Wikimedia's limit of 2026 is 200 requests a minute for a client that gives a contact, and 10 for one that does not.
PAUSE_S, PAUSE_WITHOUT_CONTACT_S = 60 / 150, 60 / 8
MAX_NAMED = 5
# What a page, an answer or a file of figures is called; what it is, its content tells.
FORMS = (".html", ".json", ".xml", ".csv", ".tsv", ".txt", ".xls", ".xlsx", ".zip", ".js", ".ts")
PAGE_NAMES = (*FORMS, *(f"{form}.gz" for form in FORMS))


def fetch_revisions(days: tuple[str, str], every: str, pause_s: float | None, journal: Journal) -> None:
    """Fetch the last revision of each period between two days that is not kept yet, one request at a time.

    Raises StageError (69) at the end when some could not be had; run again, it goes on with what is missing.
    """
    wait = paced(pause_s or (PAUSE_S if os.environ.get("GDP_ETL_CONTACT") else PAUSE_WITHOUT_CONTACT_S))
    try:
        wanted = last_of_each(list_revisions(*days, wait), every)
    except Unreachable as reason:
        raise StageError(
            Exit.UNREACHABLE, f"could not list the page's revisions ({reason}); try again later"
        ) from reason
    kept = kept_revisions()
    missing = [revision for revision in wanted if revision.number not in kept]
    journal.say(
        f"{len(wanted)} revisions, the last of each {every} from {days[0]} to {days[1]}:"
        f" {len(wanted) - len(missing)} kept already, {len(missing)} to fetch"
    )
    failed = fetch_all(missing, wait, journal)
    journal.facts |= {"rows_in": len(wanted), "rows_out": len(wanted) - len(failed)}
    if failed:
        raise StageError(
            Exit.UNREACHABLE, f"{len(failed)} of {len(wanted)} revisions could not be had: {some(failed)}; run again"
        )


def fetch_all(missing: list[PastRevision], wait: Callable[[], None], journal: Journal) -> list[str]:
    """Fetch and keep revisions; return why some could not be had."""
    failed: list[str] = []
    with progress(len(missing), "revisions fetched", journal) as advance:
        for revision in missing:
            try:
                content = fetch_twice(revision, wait)
                keep(kept_name(revision.saved[:10], content, revision.number), content)
            except (Unreachable, Refused) as reason:
                failed.append(f"{revision.number} of {revision.saved[:10]} ({reason})")
                journal.log(f"could not fetch revision {failed[-1]}")
            advance(1)
    return failed


def fetch_twice(revision: PastRevision, wait: Callable[[], None]) -> bytes:
    """Return a revision's page; one that broke off on the way is asked for once more."""
    wait()
    try:
        return fetch_revision(revision)
    except Unreachable:
        wait()
        return fetch_revision(revision)


def paced(pause_s: float) -> Callable[[], None]:
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


def pages_in(folder: Path) -> list[Path]:
    """Return the pages in a folder, in the order of their names; raises StageError (66) when there are none."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(PAGE_NAMES)) if folder.is_dir() else []
    if not found:
        raise StageError(Exit.NO_INPUT, f"{folder} holds no pages ({', '.join(PAGE_NAMES)}); name another folder")
    return found


def everything_kept() -> list[Path]:
    """Return every page that is kept, and of each release of an API the last answer, oldest first."""
    answers = [path for source in (IMF_ITSELF, WORLD_BANK_ITSELF) for path in kept_pages(source)]
    answers.sort(key=lambda path: path.stat().st_mtime_ns)
    last_of_release = {path.name.rpartition("_")[0]: path for path in answers}
    return sorted((*kept_pages(), *last_of_release.values()), key=lambda path: path.name)


def extract_pages(paths: list[Path], target: Path, many: BulkOptions, journal: Journal) -> None:
    """Read pages into `target`, a record a line; what cannot be read is set aside with its reason.

    Raises StageError (65) when too much was, and leaves `target` as it was. Interrupted, it goes on where it stopped.
    """
    growing = Growing(target, "extract", {"pages": identity_of(paths)})
    if done := growing.was_done():
        growing.drop()
        many.refuse(done["unread"], done["pages"], "pages")
        tell_pages(done, target, journal, "done before, from the same pages: ")
        return
    state = growing.state or {"pages": 0, "records": 0, "unread": 0, "as_of": ""}
    if growing.state:
        journal.say(f"going on: {state['pages']} pages were done before")
    work = partial(page_lines, target=target)
    with progress(len(paths), "pages read", journal, state["pages"]) as advance:
        for path, page in results_in_order(work, paths[state["pages"] :], many.workers, journal):
            state["pages"] += 1
            state["records"] += page.records
            state["as_of"] = max(state["as_of"], page.as_of)
            rejected = b""
            if page.problem:
                journal.warn(page.problem)
                state["unread"] += 1
                rejected = rejected_line("extract", str(path), None, page.problem)
            growing.add(page.lines, rejected, lambda: state)
            advance(1)
    finish_pages(growing, state, many, target)
    tell_pages(state, target, journal)


def tell_pages(state: dict[str, Any], target: Path, journal: Journal, before: str = "") -> None:
    """Tell how many records of how many pages there are."""
    pages, unread = state["pages"], state["unread"]
    journal.facts |= {"input": f"{pages} pages", "rows_in": pages, "unread": unread, "as_of": state["as_of"]}
    journal.note_output(target, state["records"])
    told = f"{state['records']:,} raw records of {pages - unread:,} pages written to {target}; {unread:,} not read"
    journal.say(before + told)


def finish_pages(growing: Growing, state: dict[str, Any], many: BulkOptions, target: Path) -> None:
    """Put the outputs in place; raises StageError (65) when too much was set aside."""
    pages, unread = state["pages"], state["unread"]
    growing.save(state)
    growing.put_rejected()
    if unread == pages:
        raise StageError(Exit.BAD_DATA, f"none of {pages} pages could be read; {rejected_file(target)} tells why")
    many.refuse(unread, pages, "pages")
    growing.put(state)


def page_lines(path: Path, target: Path) -> PageLines:
    """Return what becomes of one page."""
    try:
        lines = lines_of(open_page(path))
    except (StageError, Refused) as problem:
        return PageLines(b"", 0, "", f"{path} is refused: {problem}" if isinstance(problem, Refused) else str(problem))
    return PageLines(packed("".join(lines).encode(), target), len(lines), json.loads(lines[0])["As_of"], None)


def lines_of(page: Page) -> list[str]:
    """Return the raw records of a kept page or answer as lines; raises Refused."""
    return [json.dumps(record, ensure_ascii=False) + "\n" for record in read_kind(page).records]


def some(reasons: list[str]) -> str:
    """Return the first few of several reasons on one line."""
    return "; ".join(reasons[:MAX_NAMED]) + ("; …" if len(reasons) > MAX_NAMED else "")

"""The page's past: its revisions fetched into data/pages/, politely, and everything kept there read in one go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pages import keep, kept_name, kept_pages, kept_revisions
from records import IMF_ITSELF, WORLD_BANK_ITSELF, RawRecord, write_records
from screen import progress
from sources import Reading, Refused, Unreachable
from sources.revisions import PastRevision, fetch_revision, last_of_each, list_revisions
from stage import Journal
from utils import Exit, StageError

# Wikimedia's limit of 2026 is 200 requests a minute for a client that gives a contact, and 10 for one that does not.
PAUSE_S, PAUSE_WITHOUT_CONTACT_S = 60 / 150, 60 / 8
MAX_NAMED = 5

Read = Callable[[Path, Journal], Reading]


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
            advance()
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


def extract_archive(target: Path, read: Read, journal: Journal) -> None:
    """Read everything kept into `target`, oldest first; what cannot be read is told with its reason, and passed over.

    Raises StageError (65) when nothing could be read, and leaves `target` as it was.
    """
    paths = sorted(
        (path for source in (None, IMF_ITSELF, WORLD_BANK_ITSELF) for path in kept_pages(source)),
        key=lambda path: path.name,
    )
    unread: list[str] = []
    count, sha256 = write_records(target, records_of(paths, read, unread, journal))
    journal.gave(target, count, sha256)
    for reason in unread:
        journal.warn(reason)
    journal.facts |= {"input": f"{len(paths)} kept pages", "rows_in": len(paths), "unread": len(unread)}
    journal.say(f"{count} raw records of {len(paths) - len(unread)} pages written to {target}; {len(unread)} not read")


def records_of(paths: list[Path], read: Read, unread: list[str], journal: Journal) -> Iterator[RawRecord]:
    """Yield the records of every page that can be read; append to `unread` why one cannot."""
    silent = Journal(journal.stage, quiet=True)
    with progress(len(paths), "pages read", journal) as advance:
        for path in paths:
            try:
                yield from read(path, silent).records
            except StageError as reason:
                unread.append(str(reason))
            advance()
    journal.facts |= {"as_of": silent.facts.get("as_of")}
    if len(unread) == len(paths):
        raise StageError(Exit.BAD_DATA, f"none of {len(paths)} kept pages could be read: {some(unread)}")


def some(reasons: list[str]) -> str:
    """Return the first few of several reasons on one line."""
    return "; ".join(reasons[:MAX_NAMED]) + ("; …" if len(reasons) > MAX_NAMED else "")

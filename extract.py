"""Stage 1: a source's page in, raw figures out.

Reads  Wikipedia's "List of countries by GDP (nominal)", or the page given with --page
Writes results/Countries_by_GDP.json   every figure of every institution, as it stands
Keeps  data/pages/                     every page fetched, compressed
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from records import write_records
from sources import SIZE_LIMIT_BYTES, Refused, Unreachable, wikipedia
from stage import Journal, command_line, days, leave, run_stage
from utils import SHIPPED_PAGES, Exit, StageError, pages_folder, raw_file, read_bytes, write_whole

GZIP_MAGIC = b"\x1f\x8b"
NOTHING_CHANGED = "fetched, and nothing changed"
KEPT_PAGE = re.compile(r"(\d{4}-\d\d-\d\d)_(?:enwiki_rev(\d+)|page_[0-9a-f]{8})\.html\.gz")


@dataclass(frozen=True)
class Page:
    """A page to read: its bytes, where it is from, and when it was saved in case that it does not say so itself."""

    content: bytes
    location: str
    saved: datetime


def main(arguments: list[str] | None = None) -> int:
    """Run the stage as a script; return its exit code."""
    options = parse_arguments(arguments)
    journal = Journal("extract", options.quiet)
    target = options.output or raw_file()
    return run_stage(journal, lambda: extract(options.page, target, options.max_age, journal), options.wait)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = command_line(
        "Read Wikipedia's list of countries by nominal GDP and keep its figures as they stand.",
        "python extract.py --page data/pages/2025-12-30_enwiki_rev1330326028.html.gz",
    )
    parser.add_argument("--page", metavar="FILE_OR_URL", help="a saved page or an address (default: the live page)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where raw records go (default: for transform)")
    parser.add_argument(
        "--max-age", type=days, metavar="DAYS", help="when the network fails, refuse an older kept page"
    )
    return parser.parse_args(arguments)


def extract(page: str | None, target: Path, max_age_days: int | None, journal: Journal) -> None:
    """Read one page into `target`; raises StageError, and leaves `target` as it was."""
    if page is None:
        reading = read_live_page(max_age_days, journal)
    elif page.startswith(("http://", "https://")):
        reading = read_url(page, journal)
    else:
        reading = read_page(open_page(Path(page)), journal)
    for reason, count in reading.left_out.items():
        journal.warn(f"left out: {count} × {reason}")
    count, sha256 = write_records(target, reading.records)
    journal.gave(target, count, sha256)
    journal.say(f"{count} raw records written to {target}")


def read_live_page(max_age_days: int | None, journal: Journal) -> wikipedia.Reading:
    """Return what the live page says or, where that cannot be reached, the newest kept page that can be read."""
    try:
        return read_url(wikipedia.PAGE_URL, journal)
    except StageError as failure:
        if failure.code is not Exit.UNREACHABLE:
            raise
        return read_kept_page(failure, max_age_days, journal)


def read_url(url: str, journal: Journal) -> wikipedia.Reading:
    """Return what the page at `url` says, and keep it; raises StageError: 69 unreachable, 65 refused, 74 not kept.

    A page that tells its revision is kept before it is read, for a page that is refused is worth a look; one that does
    not may be anything, and is kept when it could be read.
    """
    page, revision = fetch(url, journal)
    if revision.number:
        keep_page(page, revision, journal)
    reading = read_page(page, journal)
    if not revision.number:
        keep_page(page, revision, journal)
    return reading


def fetch(url: str, journal: Journal) -> tuple[Page, wikipedia.Revision]:
    """Return the page at `url` and what it says of its revision; raises StageError: 69 unreachable, 65 no text."""
    if not os.environ.get("GDP_ETL_CONTACT"):
        journal.log("GDP_ETL_CONTACT is not set; Wikimedia asks for a contact and may answer 403 without")
    try:
        host = urlsplit(url).hostname or url
    except ValueError as error:
        raise StageError(Exit.USAGE, f"{url} is no address: {error}; name another with --page") from None
    try:
        answer = wikipedia.fetch(url)
        revision = wikipedia.read_revision(wikipedia.decode(answer.content))
    except Unreachable as reason:
        journal.facts["fetched"] = f"could not fetch: {reason}"
        raise StageError(
            Exit.UNREACHABLE, f"could not reach {host} ({reason}); try again later, or name a saved page with --page"
        ) from reason
    except Refused as reason:
        raise refusal(url, reason) from reason
    return Page(answer.content, answer.url, last_modified(answer.last_modified)), revision


def last_modified(header: str | None) -> datetime:
    """Return the moment in a Last-Modified header, or now."""
    try:
        return parsedate_to_datetime(header or "").astimezone(timezone.utc)
    except ValueError:
        return datetime.now(timezone.utc)


def keep_page(page: Page, revision: wikipedia.Revision, journal: Journal) -> None:
    """Keep a fetched page under its As_of and revision, unless it is there already."""
    day = (revision.saved or page.saved).date()
    mark = f"enwiki_rev{revision.number}" if revision.number else f"page_{hashlib.sha256(page.content).hexdigest()[:8]}"
    name = f"{day}_{mark}.html.gz"
    path = pages_folder() / name
    if path.exists() or (SHIPPED_PAGES / name).exists():
        journal.facts["fetched"] = NOTHING_CHANGED
        journal.say(f"{NOTHING_CHANGED}: the page of {day} is kept already as {name}")
        return
    write_whole(path, gzip.compress(page.content, mtime=0))
    journal.facts["fetched"] = "fetched, new"
    journal.say(f"fetched the page of {day}, which is new; kept as {path}")


def read_kept_page(failure: StageError, max_age_days: int | None, journal: Journal) -> wikipedia.Reading:
    """Return what the newest kept page says, and tell its age; raises the `failure` (69) when none will do."""
    reason = str(failure).partition(";")[0]
    for path in kept_pages():
        day = datetime.fromisoformat(path.name[:10]).replace(tzinfo=timezone.utc)
        age = (datetime.now(timezone.utc).date() - day.date()).days
        if max_age_days is not None and age > max_age_days:
            too_old = f"{age} days old, over --max-age {max_age_days}"
            raise StageError(Exit.UNREACHABLE, f"{reason}; the newest kept page is {too_old}; try again later")
        try:
            reading = read_page(open_page(path), journal)
        except StageError as unreadable:
            journal.warn(str(unreadable))
            continue
        used = f"{reason}; used the page of {day:%Y-%m-%d}, {age} days old"
        journal.facts["fetched"] = used
        journal.warn(used)
        return reading
    raise failure


def kept_pages() -> Iterator[Path]:
    """Yield the kept pages, newest As_of and revision first; the one that ships with the suite is among them."""
    found: dict[str, Path] = {}
    for folder in (SHIPPED_PAGES, pages_folder()):
        found |= {path.name: path for path in folder.glob("*.html.gz") if KEPT_PAGE.fullmatch(path.name)}
    yield from sorted(found.values(), key=_as_of_and_revision, reverse=True)


def _as_of_and_revision(path: Path) -> tuple[str, int]:
    name = KEPT_PAGE.fullmatch(path.name)
    assert name
    return name[1], int(name[2] or 0)


def open_page(path: Path) -> Page:
    """Return a saved page; raises StageError: 66 when it is not there, 65 when it cannot be unpacked."""
    content = read_bytes(path)
    if content.startswith(GZIP_MAGIC):
        content = decompressed(content, path)
    saved = KEPT_PAGE.fullmatch(path.name)
    if saved:
        return Page(content, str(path), datetime.fromisoformat(saved[1]).replace(tzinfo=timezone.utc))
    return Page(content, str(path), datetime.fromtimestamp(path.stat().st_mtime, timezone.utc))


def decompressed(content: bytes, path: Path) -> bytes:
    """Return what a gzip file holds; raises StageError (65) when it is cut short, damaged or larger than any page."""
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        page = unpack.decompress(content, SIZE_LIMIT_BYTES)
    except zlib.error as error:
        raise StageError(Exit.BAD_DATA, f"{path} is not a whole gzip file: {error}; fetch it again") from None
    if unpack.unconsumed_tail:
        limit = f"{SIZE_LIMIT_BYTES // 1_000_000} MB"
        raise StageError(Exit.BAD_DATA, f"{path} unpacks to over {limit}, which no page has; fetch it again")
    if not unpack.eof:
        raise StageError(Exit.BAD_DATA, f"{path} is cut short; fetch it again")
    return page


def read_page(page: Page, journal: Journal) -> wikipedia.Reading:
    """Return what a page says; raises StageError (65) when it is refused."""
    try:
        reading = wikipedia.parse(page.content, page.location, page.saved)
    except Refused as reason:
        raise refusal(page.location, reason) from reason
    if reading.revision.saved is None:
        journal.warn(f"{page.location} does not say when it was saved; took {page.saved:%Y-%m-%d %H:%M} for As_of")
    journal.facts |= {
        "input": page.location,
        "input_sha256": hashlib.sha256(page.content).hexdigest(),
        "bytes_in": len(page.content),
        "as_of": reading.records[0]["As_of"],
    }
    countries = len({record["Country"] for record in reading.records})
    journal.say(f"{len(reading.records)} figures of {countries} countries and aggregates read from {page.location}")
    return reading


def refusal(location: str, reason: Refused) -> StageError:
    """Return the error (65) for a page that cannot be read right."""
    return StageError(Exit.BAD_DATA, f"{location} is refused: {reason}; look at it, or name an older page with --page")


if __name__ == "__main__":
    leave(main())

"""The pages and answers that were kept in data/pages/, compressed: written once, and opened with care."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from gdp.remote_files import Where
from gdp.sources import FILE_LIMIT_BYTES
from utils import SHIPPED_PAGES, Exit, StageError, pages_folder, read_bytes, write_whole

GZIP_MAGIC = b"\x1f\x8b"
# A page by its revision, or by its bytes where it tells none; an API's answer by its release and bytes.
_KEPT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)_(?:(?:enwiki_rev(?P<revision>\d+)|page_[0-9a-f]{8})\.html"
    r"|(?P<source>imf|world_bank)_[0-9a-f]{8}\.(?:json|xml))\.gz"
)
_DAY_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d-\d\d)(-\d\d)?(?!\d)")


@dataclass(frozen=True)
class Page:
    """A page to read: its bytes, where it is from, and when it was saved in case that it does not say so itself."""

    content: bytes
    location: str
    saved: datetime


def kept_name(day: str, content: bytes, revision: int | None = None, source: str | None = None) -> str:
    """Return the name under which something fetched is kept."""
    mark = hashlib.sha256(content).hexdigest()[:8]
    if source:
        return f"{day}_{source}_{mark}.{'xml' if content.lstrip().startswith(b'<') else 'json'}.gz"
    return f"{day}_enwiki_rev{revision}.html.gz" if revision else f"{day}_page_{mark}.html.gz"


def is_kept(name: str) -> bool:
    """Tell whether a page of that name is kept, or ships with the suite."""
    return (pages_folder() / name).exists() or (SHIPPED_PAGES / name).exists()


def keep(name: str, content: bytes) -> Path:
    """Keep a page, and return where; raises StageError (74)."""
    path = pages_folder() / name
    write_whole(path, gzip.compress(content, mtime=0))
    return path


def kept_pages(source: str | None = None) -> list[Path]:
    """Return the kept pages of Wikipedia, or answers of another source, oldest As_of and revision first.

    The page that ships with the suite is among them.
    """
    found: dict[str, Path] = {}
    for folder in (SHIPPED_PAGES, pages_folder()):
        found |= {path.name: path for path in folder.glob("*.gz") if (kept := _KEPT.fullmatch(path.name))
                  and kept["source"] == source}  # fmt: skip
    return sorted(found.values(), key=_as_of_and_revision)


def kept_revisions() -> dict[int, Path]:
    """Return where the revisions that are kept are, by their numbers."""
    names = ((_KEPT.fullmatch(path.name), path) for path in kept_pages())
    return {int(name["revision"]): path for name, path in names if name and name["revision"]}


def _as_of_and_revision(path: Path) -> tuple[str, int]:
    name = _KEPT.fullmatch(path.name)
    assert name
    return name["day"], int(name["revision"] or 0)


def open_page(path: Where) -> Page:
    """Return a saved page; raises StageError: 66 when it is not there, 65 when it cannot be unpacked.

    Where it does not say when it was saved, its name may, and else the file's own date does.
    """
    content = read_bytes(path, FILE_LIMIT_BYTES)
    return page_of(str(path), content, datetime.fromtimestamp(path.stat().st_mtime, timezone.utc))


def page_of(location: str, content: bytes, written: datetime) -> Page:
    """Return a page of bytes that were found somewhere, and written there then; raises StageError as open_page does."""
    if content.startswith(GZIP_MAGIC):
        content = decompressed(content, location)
    return Page(content, location, _day_in(location.rpartition("/")[2]) or written)


def _day_in(name: str) -> datetime | None:
    named = _DAY_IN_NAME.search(name)
    try:
        return named and datetime.fromisoformat(f"{named[1]}{named[2] or '-01'}").replace(tzinfo=timezone.utc)
    except ValueError:  # the 31st of June
        return None


def decompressed(content: bytes, path: str) -> bytes:
    """Return what a gzip file holds; raises StageError (65) when it is cut short, damaged or larger than any page."""
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        page = unpack.decompress(content, FILE_LIMIT_BYTES)
    except zlib.error as error:
        raise StageError(Exit.BAD_DATA, f"{path} is not a whole gzip file: {error}; fetch it again") from None
    if unpack.unconsumed_tail:
        limit = f"{FILE_LIMIT_BYTES // 1_000_000} MB"
        raise StageError(Exit.BAD_DATA, f"{path} unpacks to over {limit}, which no page has; fetch it again")
    if not unpack.eof:
        raise StageError(Exit.BAD_DATA, f"{path} is cut short; fetch it again")
    return page

"""The cache of fetched pages and answers, data/pages/: compressed, written once, and opened with care."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zipfile
import zlib
from datetime import datetime, timezone
from pathlib import Path

from gdp.model import PUBLISHERS, WIKIPEDIA
from gdp.remote_files import Where
from gdp.sources import FILE_LIMIT_BYTES, Page
from utils import SHIPPED_PAGES, Exit, StageError, open_to_read, pages_folder, read_bytes, write_whole

GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
# A page of Wikipedia by its revision, or by its bytes if it states none; another source's answer by release and bytes.
_NAME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)_(?:(?:enwiki_rev(?P<revision>\d+)|page_[0-9a-f]{8})\.html"
    r"|(?P<source>[a-z_]+)_[0-9a-f]{8}\.(?:json|xml|csv))\.gz"
)
_DAY_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d-\d\d)(-\d\d)?(?!\d)")


def cached_name(source: str, day: str, content: bytes, revision: int | None = None) -> str:
    """Return the name of something fetched in the cache."""
    mark = hashlib.sha256(content).hexdigest()[:8]
    if source == WIKIPEDIA.name:
        return f"{day}_enwiki_rev{revision}.html.gz" if revision else f"{day}_page_{mark}.html.gz"
    first = content.lstrip()[:1]
    return f"{day}_{source}_{mark}.{'xml' if first == b'<' else 'json' if first in (b'{', b'[') else 'csv'}.gz"


def is_cached(name: str) -> bool:
    """Return whether a page of that name is in the cache, or ships with the suite."""
    return (pages_folder() / name).exists() or (SHIPPED_PAGES / name).exists()


def cache_page(name: str, content: bytes) -> Path:
    """Write a page into the cache, and return its path; raises StageError (74)."""
    path = pages_folder() / name
    write_whole(path, gzip.compress(content, mtime=0))
    return path


def cached_pages(source: str = WIKIPEDIA.name) -> list[Path]:
    """Return the cached pages of a source, oldest As_of and revision first; the page that ships is one of them."""
    found: dict[str, Path] = {}
    for folder in (SHIPPED_PAGES, pages_folder()):
        found |= {path.name: path for path in folder.glob("*.gz") if _source_of(path) == source}
    return sorted(found.values(), key=_as_of_and_revision)


def _source_of(path: Path) -> str | None:
    name = _NAME.fullmatch(path.name)
    source = (name["source"] or WIKIPEDIA.name) if name else None
    return source if source in PUBLISHERS else None


def cached_revisions() -> dict[int, Path]:
    """Return the cached revisions of the page by their numbers."""
    names = ((_NAME.fullmatch(path.name), path) for path in cached_pages())
    return {int(name["revision"]): path for name, path in names if name and name["revision"]}


def everything_cached() -> list[Path]:
    """Return every cached page, and of each release of the other sources the last answer, oldest first."""
    answers = [path for source in PUBLISHERS if source != WIKIPEDIA.name for path in cached_pages(source)]
    answers.sort(key=lambda path: path.stat().st_mtime_ns)
    last_of_release = {path.name.rpartition("_")[0]: path for path in answers}
    return sorted((*cached_pages(), *last_of_release.values()), key=lambda path: path.name)


def _as_of_and_revision(path: Path) -> tuple[str, int]:
    name = _NAME.fullmatch(path.name)
    assert name
    return name["day"], int(name["revision"] or 0)


# --- opening ----------------------------------------------------------------------------------------------------------


def open_page(path: Where) -> Page:
    """Return a saved page; raises StageError: 66 when it is missing, 65 when it cannot be unpacked.

    If it does not state when it was saved, a day in its name is used, else the file's own date.
    """
    content = (_bulk_content(path) if isinstance(path, Path) else None) or read_bytes(path, FILE_LIMIT_BYTES)
    return page_of(str(path), content, datetime.fromtimestamp(path.stat().st_mtime, timezone.utc))


def _bulk_content(path: Path) -> bytes | None:
    """Return what is read of a file that is too large to be read whole; None for any other file."""
    try:
        is_large = path.stat().st_size > FILE_LIMIT_BYTES or _unpacked_size(path) > FILE_LIMIT_BYTES
    except (OSError, zipfile.BadZipFile):  # which reading it explains
        return None
    if not is_large:
        return None
    from gdp.sources.world_bank.files import bulk_content  # a page needs none of it

    return bulk_content(path)


def _unpacked_size(path: Path) -> int:
    """Return the size of a packed file as it states it itself; 0 for any other file."""
    with open_to_read(path) as file:  # a pipe has no end
        magic = file.read(4)
        if magic.startswith(GZIP_MAGIC):
            file.seek(-4, os.SEEK_END)
            return int.from_bytes(file.read(4), "little")
    if magic == ZIP_MAGIC and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    return 0


def page_of(location: str, content: bytes, written: datetime) -> Page:
    """Return a page of bytes that were found and written somewhere; raises StageError as open_page does."""
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
    """Return the content of a gzip file; raises StageError (65) if it is cut short, damaged or larger than any page."""
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

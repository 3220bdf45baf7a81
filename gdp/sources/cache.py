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

from gdp.model import PUBLISHERS, WIKIPEDIA, is_as_of
from gdp.remote_files import Where
from gdp.sources import FILE_LIMIT_BYTES, GZIP_MAGIC, ZIP_MAGIC, Page
from utils import PROJECT, Exit, StageError, open_to_read, pages_folder, read_bytes, write_whole

SHIPPED_PAGES = PROJECT / "data" / "pages"
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
    found: dict[str, tuple[str, int, Path]] = {}
    for folder in (SHIPPED_PAGES, pages_folder()):
        for path in folder.glob("*.gz"):
            name = _NAME.fullmatch(path.name)
            if name and is_as_of(name["day"]) and source in PUBLISHERS and source == (name["source"] or WIKIPEDIA.name):
                found[path.name] = name["day"], int(name["revision"] or 0), path
    return [path for *_, path in sorted(found.values())]


def cached_revisions() -> dict[int, Path]:
    """Return the cached revisions of the page by their numbers."""
    names = ((_NAME.fullmatch(path.name), path) for path in cached_pages())
    return {int(name["revision"]): path for name, path in names if name and name["revision"]}


def everything_cached() -> list[Path]:
    """Return every cached page, and of each release of the other sources the last answer, oldest first."""
    answers = [path for source in PUBLISHERS if source != WIKIPEDIA.name for path in cached_pages(source)]
    answers.sort(key=lambda path: path.stat().st_mtime_ns if path.exists() else 0)  # a link may lead nowhere
    last_of_release = {path.name.rpartition("_")[0]: path for path in answers}
    return sorted((*cached_pages(), *last_of_release.values()), key=lambda path: path.name)


# --- opening ----------------------------------------------------------------------------------------------------------


def open_page(path: Where) -> Page:
    """Return a saved page; raises StageError: 66 when it is missing, 65 when it cannot be unpacked.

    If it does not state when it was saved, a day in its name is used, else the file's own date. Of a bulk file, which
    is too large to be read whole, the lines of nominal GDP are read.
    """
    content = None
    if isinstance(path, Path) and _is_large(path):
        from gdp.sources.tabular_files import lines_with  # a page needs none of it
        from gdp.sources.world_bank import INDICATOR

        content = lines_with(INDICATOR, path)
    if content is None:
        content = read_bytes(path, FILE_LIMIT_BYTES)
    if content.startswith(GZIP_MAGIC):
        content = decompressed(content, str(path))
    return Page(content, str(path), _day_in(path.name) or datetime.fromtimestamp(path.stat().st_mtime, timezone.utc))


def _is_large(path: Path) -> bool:
    """Return whether a file is over the limit, or a packed one states that it is."""
    try:
        return path.stat().st_size > FILE_LIMIT_BYTES or _unpacked_size(path) > FILE_LIMIT_BYTES
    except (OSError, zipfile.BadZipFile):  # which reading it explains
        return False


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

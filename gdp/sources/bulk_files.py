"""Bulk files of the World Bank: one CSV of 1,500 indicators, of which one is read, as a stream in bounded memory."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gdp.sources import FILE_LIMIT_BYTES
from gdp.sources.world_bank.files import INDICATOR, ROWS_BEFORE_HEADER
from utils import Exit, StageError

GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
LINE_LIMIT_BYTES = 1_000_000  # a line of a bulk file has 1 kB
STREAM_LIMIT_BYTES = 4_000_000_000  # unpacked; the World Development Indicators have 200 MB
FEWEST_LINES = 100  # of the indicator: one a country


def bulk_content(path: Path) -> bytes | None:
    """Return the header and the lines of nominal GDP of a bulk file, also a packed one; None for any other file.

    Raises StageError (65) for a packed file that is broken.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    try:
        if magic == ZIP_MAGIC:
            return _from_archive(path)
        with gzip.open(path) if magic.startswith(GZIP_MAGIC) else path.open("rb") as file:
            return _lines_of_indicator(file)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise StageError(Exit.BAD_DATA, f"{path} is broken or locked: {error}; fetch it again") from None


def _from_archive(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.file_size, reverse=True):
            with archive.open(member) as file:
                if content := _lines_of_indicator(file):
                    return content
    return None


def _lines_of_indicator(file: IO[bytes]) -> bytes | None:
    """Return the first lines of a stream, and those with the indicator; None if it has too few, or is no text."""
    code = INDICATOR.encode()
    kept: list[bytes] = []
    size = found = 0
    for number, line in enumerate(_lines(file)):
        has_code = code in line
        if has_code or number < ROWS_BEFORE_HEADER:
            kept.append(line)
            found += has_code
            size += len(line)
        if size > FILE_LIMIT_BYTES:
            return None
    return b"".join(kept) if found >= FEWEST_LINES else None


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream, up to the first one that no bulk file has."""
    total = 0
    while (line := file.readline(LINE_LIMIT_BYTES)) and total < STREAM_LIMIT_BYTES:
        total += len(line)
        if len(line) == LINE_LIMIT_BYTES:
            return
        yield line

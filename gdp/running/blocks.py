"""A file's lines in blocks, plain or packed, in memory that is bounded also where a line never ends."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from gdp.records import LINE_LIMIT_BYTES, PACKED
from utils import Exit, StageError, open_to_read

RAW_BLOCK_BYTES = 4_000_000  # some ten thousand records: a tenth of a second's work, and 40 MB a process
PIECE_BYTES = 250_000  # of a text at once
PACKED_BYTES = 1_024  # of a .zst at once: repeated letters unpack to thirty thousand times as many
MAX_WINDOW_BYTES = 128 * 2**20  # what zstd itself unpacks without being asked to


class Block(NamedTuple):
    """Whole lines of a file: where they begin (in its text, if it is packed), and the text where it was unpacked."""

    path: Path
    offset: int
    length: int
    text: bytes | None = None

    def read(self) -> bytes:
        """Return the lines."""
        if self.text is not None:
            return self.text
        with open_to_read(self.path) as file:
            file.seek(self.offset)
            return file.read(self.length)

    def __str__(self) -> str:
        return f"{self.path} at byte {self.offset}"


def blocks_of(path: Path, block_bytes: int = RAW_BLOCK_BYTES) -> Iterator[Block]:
    """Yield a file's lines in blocks, of a line longer than LINE_LIMIT_BYTES no more than tells that it is.

    Raises StageError: 66 not there, or no file; 65 when it cannot be unpacked.
    """
    try:
        yield from (_unpacked_blocks if path.suffix in PACKED else _plain_blocks)(path, block_bytes)
    except OSError as error:
        raise StageError(Exit.NO_INPUT, f"{path} cannot be read: {error}; name another") from error


def _plain_blocks(path: Path, block_bytes: int) -> Iterator[Block]:
    with open_to_read(path) as file:
        size, offset = os.fstat(file.fileno()).st_size, 0
        while offset < size:
            wanted = min(offset + block_bytes, size)
            end = _end_of_line(file, wanted - 1, size)
            if end - wanted > LINE_LIMIT_BYTES:
                file.seek(offset)
                whole = file.read(wanted - offset).rfind(b"\n") + 1
                if whole:
                    yield Block(path, offset, whole)
                offset += whole
                file.seek(offset)
                yield Block(path, offset, end - offset, file.read(LINE_LIMIT_BYTES + 1))
            else:
                yield Block(path, offset, end - offset)
            offset = end


def _end_of_line(file: IO[bytes], begin: int, size: int) -> int:
    """Return where the line ends that stands at `begin`, its end of line included."""
    file.seek(begin)
    while piece := file.read(PIECE_BYTES):
        if b"\n" in piece:
            return begin + piece.index(b"\n") + 1
        begin += len(piece)
    return size


def _unpacked_blocks(path: Path, block_bytes: int) -> Iterator[Block]:
    text, offset = bytearray(), 0
    passed_over = 0  # bytes of a line that is too long, whose begin is kept in `text`
    for piece in _unpacked(path):
        more = piece
        if passed_over:
            end = piece.find(b"\n") + 1
            if not end:
                passed_over += len(piece)
                continue
            yield Block(path, offset, passed_over + end, bytes(text))
            offset, passed_over, more = offset + passed_over + end, 0, piece[end:]
            text.clear()
        text += more
        end = text.rfind(b"\n") + 1
        is_too_long = len(text) - end > LINE_LIMIT_BYTES
        if end >= block_bytes or (end and is_too_long):
            yield Block(path, offset, end, bytes(text[:end]))
            offset += end
            del text[:end]
        if is_too_long:
            passed_over = len(text)
            del text[LINE_LIMIT_BYTES + 1 :]
    if text:
        yield Block(path, offset, passed_over or len(text), bytes(text))


def _unpacked(path: Path) -> Iterator[bytes]:
    """Yield a packed file's text in pieces; raises StageError (65) when it is damaged or cut short."""
    import zlib

    import zstandard

    try:
        with open_to_read(path) as file:
            yield from _of_zst(file) if path.suffix == ".zst" else _of_gzip(file)
    except (zlib.error, zstandard.ZstdError, gzip.BadGzipFile, EOFError) as error:
        raise StageError(Exit.BAD_DATA, f"{path} cannot be unpacked: {error}; make it again") from None


def _of_gzip(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.open(file) as text:
        while piece := text.read(PIECE_BYTES):
            yield piece


def _of_zst(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    frame = unpacker.decompressobj()
    while packed_text := frame.unused_data or file.read(PACKED_BYTES):
        if frame.eof:
            frame = unpacker.decompressobj()
        text = frame.decompress(packed_text)
        yield from (text[begin : begin + PIECE_BYTES] for begin in range(0, len(text), PIECE_BYTES))
    if not frame.eof:
        raise EOFError("it is cut short")


def packed(text: bytes, path: Path) -> bytes:
    """Return text as it goes into a file of that name; packed pieces one after another are a packed file."""
    if path.suffix == ".gz":
        return gzip.compress(text, compresslevel=6, mtime=0)
    if path.suffix == ".zst":
        import zstandard

        return zstandard.compress(text)
    return text

"""The lines of a file in chunks, packed or not; memory is bounded also where a line never ends."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from functools import partial
from typing import IO, NamedTuple

from gdp.record_files import LINE_LIMIT_BYTES, PACKED
from gdp.remote_files import RemotePath, Where, ahead, read_range
from utils import Exit, StageError, open_to_read

RAW_CHUNK_BYTES = 3_000_000  # some ten thousand records: less than a tenth of a second, and 30 MB a process
MARGIN_BYTES = 8_192  # read after a range: the last line that begins in it, as a rule
AHEAD, RANGES_AHEAD = 2, 4  # chunks in flight: where several processes read, and where one does
READ_BYTES = 250_000  # of a text at once
PACKED_READ_BYTES = 1_024  # of a .zst at once: repeated letters unpack to thirty thousand times as many
MAX_WINDOW_BYTES = 128 * 2**20  # what zstd itself unpacks by default


class Chunk(NamedTuple):
    """The lines that begin in a range of a file: their text, or None where whoever needs it reads it."""

    path: Where
    offset: int
    length: int
    text: bytes | None = None

    def __str__(self) -> str:
        return f"{self.path} at byte {self.offset}"

    def lines(self) -> tuple[int, bytes]:
        """Return where the first line begins, and the lines; of a line that is too long, more than the limit."""
        if self.text is not None:
            return self.offset, self.text
        begin, end, size = self.offset, self.offset + self.length, self.path.stat().st_size
        before = min(begin, 1)  # the byte that shows whether a line begins here
        text, read, until = b"", begin - before, min(end, begin + RAW_CHUNK_BYTES) + MARGIN_BYTES
        most = until + LINE_LIMIT_BYTES  # the last line that begins here may be of any length
        while read < min(size, most) and b"\n" not in text[before + end - begin - 1 :]:
            text += read_range(self.path, read, min(until, size))
            read, until = until, until + READ_BYTES
        skipped = text.find(b"\n") + 1 if before else 0
        first = begin - before + skipped
        if before and (not skipped or first >= end):
            return end, b""
        text = text[skipped:]
        last = text.find(b"\n", end - first - 1) + 1 or len(text)
        return first, text[: min(last, text.rfind(b"\n", 0, last - 1) + 1 + LINE_LIMIT_BYTES + 1)]


def ranges_of(path: Where, range_bytes: int = RAW_CHUNK_BYTES, begin: int = 0, end: int | None = None) -> list[Chunk]:
    """Return the ranges of a plain file, or of a part of it."""
    end = path.stat().st_size if end is None else end
    return [Chunk(path, offset, min(range_bytes, end - offset)) for offset in range(begin, end, range_bytes)]


def is_packed(path: Where) -> bool:
    """Return whether a file is packed, and so must be read from its beginning."""
    return path.suffix in PACKED


def _is_in_ranges(path: Where) -> bool:
    """Return whether a file is cut into ranges without reading it: another is cut at its line ends."""
    return isinstance(path, RemotePath) and not is_packed(path)


def chunks_of(path: Where, chunk_bytes: int = RAW_CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield a file's lines in chunks, or in ranges to read; raises StageError: 66 no file, 65 it cannot be unpacked."""
    try:
        if _is_in_ranges(path):
            yield from ranges_of(path, chunk_bytes)
        else:
            yield from (_unpacked_chunks if is_packed(path) else _ranges_at_line_ends)(path, chunk_bytes)
    except OSError as error:
        raise StageError(Exit.NO_INPUT, f"{path} cannot be read: {error}; name another") from error


def chunks_in(paths: list[Where], chunk_bytes: int) -> Iterator[Chunk]:
    """Yield the lines of several files in chunks; those in a store come with their text, read ahead."""
    if not all(map(_is_in_ranges, paths)):
        for path in paths:
            yield from chunks_of(path, chunk_bytes)
        return
    ranges = [one for path in paths for one in ranges_of(path)]
    for one, (offset, text) in zip(ranges, ahead(Chunk.lines, ranges, RANGES_AHEAD), strict=True):
        begin = 0
        while begin < len(text):
            end = text.find(b"\n", min(begin + chunk_bytes, len(text)) - 1) + 1 or len(text)
            yield Chunk(one.path, offset + begin, end - begin, text[begin:end])
            begin = end


def read_ahead(task: Chunk) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a large range, or of a whole packed file, in chunks that are read ahead."""
    if is_packed(task.path):
        yield from (chunk.lines() for chunk in chunks_of(task.path))
    else:
        ranges = ranges_of(task.path, RAW_CHUNK_BYTES, task.offset, task.offset + task.length)
        yield from ahead(Chunk.lines, ranges, AHEAD)


def _ranges_at_line_ends(path: Where, range_bytes: int) -> Iterator[Chunk]:
    with open_to_read(path) as file:
        size, offset = file.seek(0, io.SEEK_END), 0
        while offset < size:
            file.seek(min(offset + range_bytes, size) - 1)
            while (more := file.readline(READ_BYTES)) and not more.endswith(b"\n"):
                pass
            yield Chunk(path, offset, file.tell() - offset)
            offset = file.tell()


def _unpacked_chunks(path: Where, chunk_bytes: int) -> Iterator[Chunk]:
    text, offset = bytearray(), 0
    long_bytes = 0  # of a line that is too long, whose beginning is in `text`
    for more in _unpacked(path):
        if long_bytes:
            end = more.find(b"\n") + 1
            if not end:
                long_bytes += len(more)
                continue
            yield Chunk(path, offset, long_bytes + end, bytes(text))
            offset, long_bytes, more = offset + long_bytes + end, 0, more[end:]  # noqa: PLW2901
            text.clear()
        text += more
        end = text.rfind(b"\n") + 1
        is_too_long = len(text) - end > LINE_LIMIT_BYTES
        if end >= chunk_bytes or (end and is_too_long):
            yield Chunk(path, offset, end, bytes(text[:end]))
            offset += end
            del text[:end]
        if is_too_long:
            long_bytes = len(text)
            del text[LINE_LIMIT_BYTES + 1 :]
    if text:
        yield Chunk(path, offset, long_bytes or len(text), bytes(text))


def _unpacked(path: Where) -> Iterator[bytes]:
    """Yield a packed file's text bit by bit; raises StageError (65) when it is damaged or cut short."""
    import zlib

    import zstandard

    try:
        with open_to_read(path) as file:
            if path.suffix == ".zst":
                yield from _unpacked_zst(file)
            else:
                yield from iter(partial(gzip.GzipFile(fileobj=file).read, READ_BYTES), b"")
    except (zlib.error, zstandard.ZstdError, gzip.BadGzipFile, EOFError) as error:
        raise StageError(Exit.BAD_DATA, f"{path} cannot be unpacked: {error}; make it again") from None


def _unpacked_zst(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    frame = unpacker.decompressobj()
    while packed_text := frame.unused_data or file.read(PACKED_READ_BYTES):
        if frame.eof:
            frame = unpacker.decompressobj()
        text = frame.decompress(packed_text)
        yield from (text[begin : begin + READ_BYTES] for begin in range(0, len(text), READ_BYTES))
    if not frame.eof:
        raise EOFError("it is cut short")


def packed(text: bytes, path: Where) -> bytes:
    """Return a text as it goes into a file of that name; packed texts one after another are a packed file."""
    if path.suffix == ".gz":
        return gzip.compress(text, compresslevel=6, mtime=0)
    if path.suffix == ".zst":
        import zstandard

        return zstandard.compress(text)
    return text

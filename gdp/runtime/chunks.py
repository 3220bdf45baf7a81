"""A file's lines in blocks, plain or packed, in memory that is bounded also where a line never ends."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from gdp.record_files import LINE_LIMIT_BYTES, PACKED
from gdp.remote_files import Stored, Where, ahead, read_range
from utils import Exit, StageError, open_to_read

RAW_BLOCK_BYTES = 3_000_000  # some ten thousand records: less than a tenth of a second, and 30 MB a process
MARGIN_BYTES = 8_192  # read after a range: the last line that begins in it, as a rule
AHEAD, RANGES_AHEAD = 2, 4  # blocks on their way, where several processes ask and where one does
PIECE_BYTES = 250_000  # of a text at once
PACKED_BYTES = 1_024  # of a .zst at once: repeated letters unpack to thirty thousand times as many
MAX_WINDOW_BYTES = 128 * 2**20  # what zstd itself unpacks without being asked to


class Block(NamedTuple):
    """Whole lines of a file: where they begin (in its text, if it is packed), and the text where it was unpacked."""

    path: Where
    offset: int
    length: int
    text: bytes | None = None

    def lines(self) -> tuple[int, bytes]:
        """Return where the lines begin, and the lines."""
        return self.offset, self.read()

    def read(self) -> bytes:
        """Return the lines."""
        if self.text is not None:
            return self.text
        with open_to_read(self.path) as file:
            file.seek(self.offset)
            return file.read(self.length)

    def __str__(self) -> str:
        return f"{self.path} at byte {self.offset}"


class Range(NamedTuple):
    """A range of a plain file: whoever reads it asks for that range alone, and takes the lines that begin in it."""

    path: Where
    offset: int
    length: int

    def lines(self) -> tuple[int, bytes]:
        """Return where the first line begins, and the lines; of one that is too long, more than the limit."""
        begin, end, size = self.offset, self.offset + self.length, self.path.stat().st_size
        before = min(begin, 1)  # the byte that tells whether a line begins here
        text = read_range(self.path, begin - before, min(end + MARGIN_BYTES, size))
        passed_over = text.find(b"\n") + 1 if before else 0
        first = begin - before + passed_over
        if before and (not passed_over or first >= end):
            return end, b""
        text = text[passed_over:] + self._rest(text, end - begin + before, min(end + MARGIN_BYTES, size))
        last = text.find(b"\n", end - first - 1) + 1 or len(text)
        return first, text[: min(last, text.rfind(b"\n", 0, last - 1) + 1 + LINE_LIMIT_BYTES + 1)]

    def _rest(self, text: bytes, length: int, read: int) -> bytes:
        """Return more, after what was read, where the last line that begins in the range does not end in it."""
        rest, size = bytearray(), self.path.stat().st_size
        is_open = b"\n" not in text[length - 1 :]
        while is_open and read < size and len(rest) <= LINE_LIMIT_BYTES:
            piece = read_range(self.path, read, min(read + PIECE_BYTES, size))
            rest, read, is_open = rest + piece, read + len(piece), b"\n" not in piece
        return bytes(rest)

    def __str__(self) -> str:
        return f"{self.path} at byte {self.offset}"


def ranges_of(path: Where, range_bytes: int = RAW_BLOCK_BYTES, begin: int = 0, end: int | None = None) -> list[Range]:
    """Return a plain file, or what of it begins and ends somewhere, in ranges."""
    end = path.stat().st_size if end is None else end
    return [Range(path, offset, min(range_bytes, end - offset)) for offset in range(begin, end, range_bytes)]


def is_packed(path: Where) -> bool:
    """Tell whether a file is packed, and so must be read from its beginning."""
    return path.suffix in PACKED


def portions_of(path: Where) -> Iterable[Block | Range]:
    """Return a file's lines in portions, of which each is read by whoever is given it; raises StageError as blocks_of.

    A file of a store is cut in ranges, without a look at it; another at its ends of lines.
    """
    return ranges_of(path) if _is_in_ranges(path) else blocks_of(path)


def _is_in_ranges(path: Where) -> bool:
    return isinstance(path, Stored) and not is_packed(path)


def read_ahead(task: Range) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a large range, or of a whole packed file, in blocks that are read while others are at work.

    Raises StageError as blocks_of does.
    """
    if is_packed(task.path):
        yield from (block.lines() for block in blocks_of(task.path))
    else:
        ranges = ranges_of(task.path, RAW_BLOCK_BYTES, task.offset, task.offset + task.length)
        yield from ahead(Range.lines, ranges, AHEAD)


def blocks_in(paths: list[Where], block_bytes: int) -> Iterator[Block]:
    """Yield the lines of several files in blocks; those of a store come with their text, some requests on their way."""
    if not all(map(_is_in_ranges, paths)):
        for path in paths:
            yield from blocks_of(path, block_bytes)
        return
    ranges = [one for path in paths for one in ranges_of(path)]
    for one, (offset, text) in zip(ranges, ahead(Range.lines, ranges, RANGES_AHEAD), strict=True):
        begin = 0
        while begin < len(text):
            end = text.find(b"\n", min(begin + block_bytes, len(text)) - 1) + 1 or len(text)
            yield Block(one.path, offset + begin, end - begin, text[begin:end])
            begin = end


def blocks_of(path: Where, block_bytes: int = RAW_BLOCK_BYTES) -> Iterator[Block]:
    """Yield a file's lines in blocks, of a line longer than LINE_LIMIT_BYTES no more than tells that it is.

    Raises StageError: 66 not there, or no file; 65 when it cannot be unpacked.
    """
    try:
        yield from (_unpacked_blocks if is_packed(path) else _plain_blocks)(path, block_bytes)
    except OSError as error:
        raise StageError(Exit.NO_INPUT, f"{path} cannot be read: {error}; name another") from error


def _plain_blocks(path: Where, block_bytes: int) -> Iterator[Block]:
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


def _unpacked_blocks(path: Where, block_bytes: int) -> Iterator[Block]:
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


def _unpacked(path: Where) -> Iterator[bytes]:
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


def packed(text: bytes, path: Where) -> bytes:
    """Return text as it goes into a file of that name; packed pieces one after another are a packed file."""
    if path.suffix == ".gz":
        return gzip.compress(text, compresslevel=6, mtime=0)
    if path.suffix == ".zst":
        import zstandard

        return zstandard.compress(text)
    return text

"""Rejected records and pages: how many are allowed, and the file Rejected.jsonl that lists them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import NamedTuple

from gdp.places import without_credentials
from gdp.remote_files import Where
from utils import Exit, StageError, open_to_read, whole_file

# A typo or two in each column of a page of 600 figures; more, and the page was read wrong.
MAX_REJECTED_SHARE = 0.02
BYTE_OFFSET, RECORD = "Byte_offset", "Record"  # what a reject's place counts: bytes of a stream, records of an array
MAX_TEXT_CHARACTERS = 1000  # of a rejected record
SHOWN_CHARACTERS = 60  # of its text in a message: up to the figure
SPOOLED_BYTES = 8_000_000  # in memory, before it goes to the disk


class Limits(NamedTuple):
    """How many processes may work, and which share of the records may be rejected."""

    workers: int
    max_rejected: float

    def check_rejected(self, rejected: int, total: int, what: str) -> None:
        """Raise StageError (65) when too many were rejected."""
        if rejected > self.max_rejected * total:
            raise StageError(
                Exit.BAD_DATA,
                f"{rejected:,} of {total:,} {what} were rejected, over --max-rejected {self.max_rejected:g};"
                " look at Rejected.jsonl, or allow more",
            )


class Reject(NamedTuple):
    """A rejected record: its file, the reason, its place in the file, what that place counts, and its text."""

    file: str
    reason: str
    place: int | None = None
    counted: str = BYTE_OFFSET
    text: str = ""

    def __str__(self) -> str:
        where = f"{self.counted.replace('_', ' ').lower()} {self.place} of {self.file}"
        return f"{where}: {self.reason}: {without_credentials(self.text)[:SHOWN_CHARACTERS]}"


def rejected_file(beside: Where) -> Where:
    """Return the path of Rejected.jsonl, which is beside the stage's output."""
    return beside.with_name("Rejected.jsonl")


def rejected_lines(stage: str, rejects: Iterable[Reject]) -> bytes:
    """Return a stage's rejects as lines of Rejected.jsonl."""
    lines = [
        {
            "Stage": stage,
            "File": one.file,
            one.counted: one.place,
            "Reason": one.reason,
            "Text": without_credentials(one.text)[:MAX_TEXT_CHARACTERS],
        }
        for one in rejects
    ]
    return b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n" for line in lines)


def put_rejected(target: Where, stage: str, lines: Iterable[bytes]) -> None:
    """Replace a stage's lines in the Rejected.jsonl beside its output; other stages' lines stay.

    Raises StageError (74) when the file cannot be written.
    """
    path, mine = rejected_file(target), json.dumps({"Stage": stage})[:-1].encode()
    if not lines and not path.exists():
        return
    import shutil
    import tempfile

    old = open_to_read(path) if path.exists() else io.BytesIO()
    with old, tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as new:
        new.writelines(line for line in old if not line.startswith(mine))
        new.writelines(lines)
        if new.tell():
            new.seek(0)
            with whole_file(path) as file:
                shutil.copyfileobj(new, file)
        elif path.exists():
            path.unlink()

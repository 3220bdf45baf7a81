"""Files of records: .json, an array of flat objects, and .jsonl, one object a line. Every stage reads either."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gdp.model import MAX_NAME_CHARACTERS, MAX_TEXT_CHARACTERS, Field
from utils import Exit, Remote, StageError, read_bytes, write_whole

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ARRAY_LIMIT_BYTES = 200_000_000  # of a .json, which is read whole: half a million records; a .jsonl has no limit
LINE_LIMIT_BYTES = 1_000_000  # of a record in a stream; an honest one has about 500
PACKED = (".gz", ".zst")
STREAMS = (".jsonl", *(f".jsonl{packed}" for packed in PACKED))
# the text of a .json array before, between and after its records; and that of a .jsonl
_AROUND_ARRAY, _AROUND_LINES = (b"[\n", b",\n", b"\n]\n"), (b"", b"\n", b"\n")
_BETWEEN = re.compile(r"[\s,]*")
_SURROGATE = re.compile("[\ud800-\udfff]")

RAW_RECORD = "is a raw record, as extract.py writes it"

Fields = Mapping[str, Field]


def is_stream(path: Path | Remote) -> bool:
    """Return whether a file has one record a line, and so is read and written chunk by chunk."""
    return path.name.endswith(STREAMS)


def holds_lines(place: Path | Remote) -> bool:
    """Return whether a place has a record a line: a stream, or a folder of partitions."""
    if isinstance(place, Path):
        return is_stream(place) or place.is_dir()
    return not place.name.endswith(".json")


def write_records(path: Path | Remote, records: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Write records whole or not at all; return their number and the SHA-256 of the file. Raises StageError (74)."""
    lines = [json.dumps(record, ensure_ascii=False, allow_nan=False).encode() for record in records]
    content = joined(lines, as_lines=is_stream(path))
    write_whole(path, content)
    return len(lines), hashlib.sha256(content).hexdigest()


def joined(lines: list[bytes], as_lines: bool) -> bytes:
    """Return the content of a file with these records, each as JSON text: as lines, or as an array."""
    before, between, after = _AROUND_LINES if as_lines else _AROUND_ARRAY
    return before + between.join(lines) + (after if lines or not as_lines else b"")


def lines_of_array(path: Path | Remote) -> tuple[list[bytes], str]:
    """Return the records of a .json array as lines of its own text, and the file's SHA-256.

    Raises StageError: 66 when the file is missing, 65 when it is no array. Bytes that are not UTF-8 become U+FFFD.
    """
    text, records, sha256 = _array_in(path, "replace")
    lines, place, read = [], text.index("[") + 1, json.JSONDecoder().raw_decode
    for _ in records:
        between = _BETWEEN.match(text, place)
        assert between, "it matches nothing too"
        _, place = read(text, between.end())
        lines.append(text[between.end() : place].replace("\n", " ").encode())
    return lines, sha256


def read_array(path: Path | Remote) -> tuple[str, list[Any], str]:
    """Return the text of a .json array, its records, which may be of any kind, and the file's SHA-256.

    Raises StageError: 66 when the file is missing, 65 when it is no array, or an empty one.
    """
    text, records, sha256 = _array_in(path, "strict", parse_constant=_refuse_constant)
    if not records:
        raise bad_input(path, "has no records")
    return text, records, sha256


def _array_in(path: Path | Remote, errors: str, **options: Any) -> tuple[str, list[Any], str]:
    content = read_bytes(path, ARRAY_LIMIT_BYTES)
    try:
        text = content.decode("utf-8-sig", errors)
        records = json.loads(text, **options)
    except (ValueError, RecursionError) as error:
        raise bad_input(path, f"is not json: {error}") from None
    if not isinstance(records, list):
        raise bad_input(path, "is not an array of records")
    return text, records, hashlib.sha256(content).hexdigest()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no figure")


def bad_input(path: Path | Remote, problem: str) -> StageError:
    """Return the error (65) that says what is wrong with a file and what to do."""
    remedy = "run transform.py on it first" if problem.endswith(RAW_RECORD) else "run the stage that writes it again"
    return StageError(Exit.BAD_DATA, f"{path} {problem}; {remedy}")


def length_problem(country: str, texts: Iterable[object]) -> str | None:
    """Return which text of a record is longer than any honest one, or None: names have 60 characters, headings 200."""
    if len(country) > MAX_NAME_CHARACTERS:
        return f"field Country has {len(country):,} characters, over {MAX_NAME_CHARACTERS}"
    longest = max(map(len, [text for text in texts if isinstance(text, str)]), default=0)
    return f"a field has {longest:,} characters, over {MAX_TEXT_CHARACTERS}" if longest > MAX_TEXT_CHARACTERS else None


def record_problem(record: object, fields: Fields) -> str | None:
    """Return what is wrong with the shape of a record, in a few words that name the field, or None."""
    if not isinstance(record, dict):
        return f"is not an object but {json.dumps(record, default=str)[:40]}"
    if "ISO3" in fields and "ISO3" not in record and {"GDP", "Column"} <= record.keys():
        return RAW_RECORD
    for name, field in fields.items():
        if name not in record and field.may_be_absent:
            continue
        if name not in record:
            return f"field {name} is missing"
        # bool is an int in Python, but true is no year
        if not isinstance(record[name], field.json_types) or isinstance(record[name], bool):
            return f"field {name} is {json.dumps(record[name], default=str)[:40]}"
        if isinstance(record[name], str) and not record[name].isascii() and _SURROGATE.search(record[name]):
            return f"field {name} is no text: {json.dumps(record[name])[:40]}"
    return length_problem(record["Country"], record.values())

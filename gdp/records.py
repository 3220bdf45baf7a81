"""The two contracts between stages: raw and clean records, and the files that hold them.

A file named .json is an array of flat objects; .jsonl is one such object a line, for streams. Every stage reads either.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from utils import Elsewhere, Exit, StageError, read_bytes, write_whole


class RawRecord(TypedDict):
    """One figure as the source has it; extract writes it, transform reads it."""

    Country: str
    GDP: str
    Year: str | None
    Column: str | None
    Unit: str | None
    Institution: str
    Source: str
    As_of: str
    Status: NotRequired[str | None]  # one of STATUSES; not written where the source does not say which


class CleanRecord(TypedDict):
    """One figure in billions of US dollars; transform writes it, load reads it."""

    Country: str
    ISO3: str | None
    Region: str | None
    Subregion: str | None
    Institution: str
    Year: int
    GDP_USD_billion: float
    As_of: str
    Source: str
    Note: str | None
    Status: NotRequired[str | None]  # one of STATUSES, or null; files from before it was kept have none


INSTITUTIONS = ("IMF", "World Bank", "UN", "CIA")
# Who says what an institution estimates: the page quotes all four, the IMF and the World Bank speak for themselves.
PAGE, IMF_ITSELF, WORLD_BANK_ITSELF = "wikipedia", "imf", "world_bank"
PUBLISHERS = (PAGE, IMF_ITSELF, WORLD_BANK_ITSELF)
_HOSTS = (
    ("https://www.imf.org/", IMF_ITSELF),
    ("https://api.imf.org/", IMF_ITSELF),
    ("https://api.db.nomics.world/v22/series/IMF/", IMF_ITSELF),  # the IMF's releases, kept by DBnomics
    ("https://api.worldbank.org/", WORLD_BANK_ITSELF),
)
ESTIMATE, PROJECTION = STATUSES = ("estimate", "projection")  # up to the last year that the source calls actual; after
FIRST_YEAR, LAST_YEAR = 1900, 2100  # national accounts begin in the 1930s; the IMF projects six years ahead
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ARRAY_LIMIT_BYTES = 200_000_000  # of a .json, which is held whole: half a million records; a .jsonl has no limit
LINE_LIMIT_BYTES = 1_000_000  # of a record in a stream, which has some 500
MAX_NAME_CHARACTERS, MAX_TEXT_CHARACTERS = 200, 2_000  # of a country's name, and of any other field
MAX_BILLION_USD = 10_000_000  # eighty-five times the world's GDP of 2025
_SURROGATE = re.compile("[\ud800-\udfff]")
_AS_OF = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?")


def is_as_of(text: str) -> bool:
    """Tell whether a text is a day, or a moment in UTC."""
    try:
        return bool(_AS_OF.fullmatch(text) and datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return False


def is_to_come(as_of: str) -> bool:
    """Tell whether an As_of is after tomorrow: somewhere it is tomorrow already."""
    return as_of[:10] > (datetime.now(timezone.utc) + timedelta(days=1)).date().isoformat()


PACKED = (".gz", ".zst")
STREAMS = (".jsonl", *(f".jsonl{packed}" for packed in PACKED))


def is_stream(path: Path | Elsewhere) -> bool:
    """Tell whether a file holds a record a line, and so is read and written block by block."""
    return path.name.endswith(STREAMS)


def publisher_of(source: str) -> str:
    """Return which of PUBLISHERS a Source is of; whatever is no API's answer is a page."""
    return next((publisher for host, publisher in _HOSTS if source.startswith(host)), PAGE)


Fields = Mapping[str, tuple[type, ...]]

_TEXT, _TEXT_OR_NULL = (str,), (str, type(None))
RAW_FIELDS: Fields = {
    "Country": _TEXT, "GDP": _TEXT, "Year": _TEXT_OR_NULL, "Column": _TEXT_OR_NULL,
    "Unit": _TEXT_OR_NULL, "Institution": _TEXT, "Source": _TEXT, "As_of": _TEXT,
}  # fmt: skip
MAY_BE_ABSENT: Fields = {"Status": _TEXT_OR_NULL}
CLEAN_FIELDS: Fields = {
    "Country": _TEXT, "ISO3": _TEXT_OR_NULL, "Region": _TEXT_OR_NULL, "Subregion": _TEXT_OR_NULL,
    "Institution": _TEXT, "Year": (int,), "GDP_USD_billion": (int, float), "As_of": _TEXT, "Source": _TEXT,
    "Note": _TEXT_OR_NULL,
}  # fmt: skip

# The Notes that decide something: a figure with one of them is nobody's headline.
UNSOURCED_NOTE = "column without a source"
DOUBTED_NOTE = "source doubted on the page"  # followed by the mark that says so
SAID_TWICE = "said twice"  # the Note of a figure that its source gives twice, alike


# What the text of a .json array has before, between and after its records; and that of a .jsonl.
_AROUND_ARRAY, _AROUND_LINES = (b"[\n", b",\n", b"\n]\n"), (b"", b"\n", b"\n")
_BETWEEN = re.compile(r"[\s,]*")

UNSOURCED_NOTES = (UNSOURCED_NOTE, DOUBTED_NOTE)


def is_unsourced(note: str | None) -> bool:
    """Tell whether a Note says that the figure has no source or a doubted one; gdp.store.headlines says it in SQL."""
    return note is not None and any(part.startswith(UNSOURCED_NOTES) for part in note.split("; "))


def write_records(path: Path | Elsewhere, records: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Write records to `path`, an array for .json or one object a line for .jsonl, whole or not at all.

    Returns how many there were and the file's SHA-256; raises StageError (74).
    """
    lines = [json.dumps(record, ensure_ascii=False, allow_nan=False).encode() for record in records]
    content = joined(lines, as_lines=is_stream(path))
    write_whole(path, content)
    return len(lines), hashlib.sha256(content).hexdigest()


def joined(lines: list[bytes], as_lines: bool) -> bytes:
    """Return the content of a file with these records, each as JSON text: as lines, or as an array."""
    before, between, after = _AROUND_LINES if as_lines else _AROUND_ARRAY
    return before + between.join(lines) + (after if lines or not as_lines else b"")


def lines_of_array(path: Path | Elsewhere) -> tuple[list[bytes], str]:
    """Return the records of a .json array as its own text has them, each on a line, and the file's SHA-256.

    Raises StageError: 66 when the file is missing, 65 when it is no array. Bytes that are no text become U+FFFD.
    """
    content = read_bytes(path, ARRAY_LIMIT_BYTES)
    text = content.decode("utf-8-sig", "replace")
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_input(path, f"is not json: {error}") from None
    if not isinstance(records, list):
        raise bad_input(path, "is not an array of records")
    lines, place, read = [], text.index("[") + 1, json.JSONDecoder().raw_decode
    for _ in records:
        between = _BETWEEN.match(text, place)
        assert between, "it matches nothing too"
        _, place = read(text, between.end())
        lines.append(text[between.end() : place].replace("\n", " ").encode())
    return lines, hashlib.sha256(content).hexdigest()


def read_records(path: Path | Elsewhere, fields: Fields) -> tuple[list[Any], str]:
    """Return the records of a .json array, each checked against `fields`, and the file's SHA-256.

    Raises StageError: 66 when the file is missing, 65 when it is anything but such records, naming record and field.
    """
    content = read_bytes(path, ARRAY_LIMIT_BYTES)
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_input(path, f"is not json: {error}") from None
    if not isinstance(found, list) or not found:
        raise bad_input(path, "holds no records" if found == [] else "is not an array of records")
    for number, record in enumerate(found, 1):
        problem = record_problem(record, fields)
        if problem:
            raise bad_input(path, f"record {number}: {problem}")
    return found, hashlib.sha256(content).hexdigest()


def bad_input(path: Path | Elsewhere, problem: str) -> StageError:
    """Return the error (65) that says what is wrong with a file and what to do."""
    return StageError(Exit.BAD_DATA, f"{path} {problem}; run the stage that writes it again")


def length_problem(country: str, texts: Iterable[object]) -> str | None:
    """Return that a record's text is longer than any honest one, or None: names have 60 characters, headings 200."""
    if len(country) > MAX_NAME_CHARACTERS:
        return f"field Country has {len(country):,} characters, over {MAX_NAME_CHARACTERS}"
    longest = max(map(len, [text for text in texts if isinstance(text, str)]), default=0)
    return f"a field has {longest:,} characters, over {MAX_TEXT_CHARACTERS}" if longest > MAX_TEXT_CHARACTERS else None


def record_problem(record: object, fields: Fields) -> str | None:
    """Return what is wrong with the shape of a record, in a few words that name the field, or None."""
    if not isinstance(record, dict):
        return f"is not an object but {json.dumps(record, default=str)[:40]}"
    may_be_absent = {name: types for name, types in MAY_BE_ABSENT.items() if name in record}
    for name, types in {**fields, **may_be_absent}.items():
        if name not in record:
            return f"field {name} is missing"
        # bool is an int to Python, but true is no year
        if not isinstance(record[name], types) or isinstance(record[name], bool):
            return f"field {name} is {json.dumps(record[name], default=str)[:40]}"
        if isinstance(record[name], str) and not record[name].isascii() and _SURROGATE.search(record[name]):
            return f"field {name} is no text: {json.dumps(record[name])[:40]}"
    return length_problem(record["Country"], record.values())


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no figure")

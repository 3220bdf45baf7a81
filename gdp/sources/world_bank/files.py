"""The World Bank's files: the CSV of its site, bulk files, extracts of DataBank, and what its libraries write.

Columns say what they are: a country, an indicator, and a year a column; or a year and a value a row. A bulk file has
1,500 indicators, so it is read as a stream, in bounded memory.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from gdp.sources import FILE_LIMIT_BYTES, Refused
from gdp.sources.country_names import name_or_code
from gdp.sources.payloads import day_of
from gdp.sources.tabular_files import Table
from utils import Exit, StageError

INDICATOR = "NY.GDP.MKTP.CD"
NAME = "GDP (current US$)"
ROWS_BEFORE_HEADER = 10
NOTE_CELLS = 2  # of a line of notes: "Last Updated: 06/28/2024"
COLUMNS = {
    "country": ("country name", "country", "economy"),
    "iso": ("country code", "iso3c"),
    "code": ("indicator code", "series code", "series"),
    "name": ("indicator name", "series name"),
    "year": ("year", "date", "time"),
    "value": ("value", INDICATOR.casefold()),
}
_YEAR = re.compile(r"(?:YR)?((?:19|20)\d\d)(?:\s*\[YR\1\])?(?:\.0)?")
_UPDATED = re.compile(r"last\s+updated(?:\s+date)?\s*:?\s*", re.IGNORECASE)


class Layout(NamedTuple):
    """A table's layout: the row of its header, its columns by what they hold, and its columns of figures by year."""

    header: int
    columns: dict[str, int]
    years: dict[str, int]
    is_of_one_indicator: bool  # its column of values is named by the indicator


def layout_of(table: Table) -> Layout | None:
    """Return a table's layout, or None if it is no file of the World Bank."""
    for number, row in enumerate(table[:ROWS_BEFORE_HEADER]):
        names = [cell.strip().casefold() for cell in row]
        columns = {
            what: names.index(name) for what, known in COLUMNS.items() for name in reversed(known) if name in names
        }
        years = {found[1]: place for place, cell in enumerate(row) if (found := _YEAR.fullmatch(cell))}
        is_named = INDICATOR.casefold() in names
        has_figures = bool(years) or {"year", "value"} <= columns.keys()
        if "country" in columns and has_figures and (is_named or columns.keys() & {"code", "name"}):
            return Layout(number, columns, years, is_named)
    return None


def answer_of(table: Table) -> dict[str, Any] | None:
    """Return a table in the shape of the API's answer, None for another table; raises Refused if a row is cut short.

    Its day is None if it states none.
    """
    layout = layout_of(table)
    if layout is None:
        return None
    other = 0
    rows: list[dict[str, Any]] = []
    for row in table[layout.header + 1 :]:
        if sum(map(bool, row)) <= NOTE_CELLS and len(row) <= NOTE_CELLS + len(layout.columns):
            continue  # blank, or a note at the end
        if len(row) <= max([*layout.columns.values(), *layout.years.values()]):
            raise Refused(f"the row of {row[0][:40]} is cut short; fetch it again")
        found = list(_rows_of(row, layout))
        rows += found
        other += not found
    if not rows:
        raise Refused(f"it has {_others(table, layout)}, not {INDICATOR}")
    return {"lastupdated": _day_of(table), "rows": rows, "others": other}


def _rows_of(row: list[str], layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the figures of a row of the indicator as the API has them."""
    cell = {what: row[place] for what, place in layout.columns.items()}
    code = INDICATOR if layout.is_of_one_indicator else cell.get("code") or _code_of(cell.get("name", ""))
    if code != INDICATOR:
        return
    country = name_or_code(cell["country"], cell.get("iso", ""))
    about = {"country": {"value": country}, "indicator": {"value": cell.get("name") or NAME, "id": code}}
    for year, place in layout.years.items():
        yield {**about, "date": year, "value": row[place]}
    if not layout.years and (found := _YEAR.fullmatch(cell["year"])):
        yield {**about, "date": found[1], "value": cell["value"]}


def _code_of(name: str) -> str:
    return INDICATOR if name == NAME else name


def _others(table: Table, layout: Layout) -> str:
    place = layout.columns.get("code", layout.columns.get("name", 0))
    names = dict.fromkeys(row[place] for row in table[layout.header + 1 :] if len(row) > place and row[place])
    return ", ".join(list(names)[:3]) or "no figure"


def _day_of(table: Table) -> str | None:
    """Return the day on which a table was updated: in a line before its header, or at its end."""
    for row in (*table[:ROWS_BEFORE_HEADER], *table[-ROWS_BEFORE_HEADER:]):
        text = " ".join(row[:2]).strip()
        if (found := _UPDATED.match(text)) and (day := day_of(text[found.end() :])):
            return day
    return None


# --- the API's XML ----------------------------------------------------------------------------------------------------


def is_xml(content: bytes) -> bool:
    """Return whether a content is an answer of the API as XML."""
    head = content[:1000].lstrip()
    return head.startswith((b"<?xml", b"\xef\xbb\xbf<?xml", b"<wb:")) and b"www.worldbank.org" in head


def answer_of_xml(content: bytes) -> list[Any]:
    """Return the API's XML in the shape of its JSON; raises Refused."""
    from xml.etree import ElementTree  # which other forms do not need

    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities can make a small file fill the memory
        raise Refused("it has a document type of its own, which the World Bank's XML never has")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError) as error:
        raise Refused(f"it is cut short, or no XML: {error}"[:160]) from None
    rows = []
    for row in root:
        part = {child.tag.rpartition("}")[2]: child for child in row}
        if not {"country", "date", "value", "indicator"} <= part.keys():
            raise Refused(f"it is no answer with figures: a row has {', '.join(part) or 'nothing'}"[:160])
        rows.append({
            "country": {"value": part["country"].text or ""}, "date": part["date"].text, "value": part["value"].text,
            "indicator": {"id": part["indicator"].get("id"), "value": part["indicator"].text},
        })  # fmt: skip
        if (code := part.get("countryiso3code")) is not None:
            rows[-1]["countryiso3code"] = code.text or ""
    return [dict(root.attrib), rows]


# --- bulk files -------------------------------------------------------------------------------------------------------

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
        if magic.startswith(GZIP_MAGIC):  # it is cut short, so that its last bytes are not its size
            return None
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

"""The World Bank's files: the CSV of its site, bulk files, extracts of DataBank, and what its libraries write.

Columns say what they are: a country, an indicator, and a year a column; or a year and a value a row. A bulk file has
1,500 indicators, so it is read as a stream, in bounded memory.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from gdp.sources import FILE_LIMIT_BYTES, Refused
from gdp.sources.country_names import is_country, name_or_code
from gdp.sources.payloads import day_of, is_absent
from gdp.sources.tabular_files import PROBED_BYTES, Table, encoding_of
from utils import Exit, StageError

INDICATOR = "NY.GDP.MKTP.CD"
NAME = "GDP (current US$)"
ROWS_BEFORE_HEADER = 10
NOTE_CELLS = 2  # of a line of notes: "Last Updated: 06/28/2024"
TIME_COLUMN = f"{INDICATOR}:T"  # wbgapi's year beside a figure
# What a column is for, by its names in files and libraries. Points and underscores in them are spaces here.
COLUMNS = {
    "country": ("country name", "country value", "country", "economy", "entity", "ref area"),
    "iso": ("country code", "iso3c", "countryiso3code", "code", "economy"),
    "code": ("indicator code", "series code", "indicatorid", "indicator id", "series"),
    "name": ("indicator name", "series name", "indicator value"),
    "year": ("year", "date", "time", "time period", "variable", "ny gdp mktp cd:t"),
    "value": ("value", "obs value"),
    "indicator": ("indicator",),  # a name, a code, or both as pandas writes an object
    "power": ("unit mult",),  # of ten, in SDMX
    "updated": ("lastupdated", "last updated"),
}
_VALUE = re.compile(r"(?:GDP \(current US\$\) ?)?\[?NY\.GDP\.MKTP\.CD\]?|GDP \(current US\$\)", re.IGNORECASE)
_YEAR = re.compile(r"(?:X|YR)?((?:19|20)\d\d)(?:\s*\[YR\1\]|\.\.YR\1\.)?(?:\.0|-(?:01-01|12-31)(?:[T ]00:00:00)?)?")
_ECONOMY = re.compile(r"(?:.+ \[)?([A-Z]{3})\]?")  # "FRA", or DataBank's "France [FRA]"
_OBJECT = re.compile(r"\{'id': '(?P<id>[^']*)', 'value': (['\"])(?P<value>.*)\2\}")
_UPDATED = re.compile(r"last\s+updated(?:\s+date)?\s*:?\s*", re.IGNORECASE)


class Layout(NamedTuple):
    """A table's layout: the row of its header, its columns by what they hold, by year and by country."""

    header: int
    columns: dict[str, int]
    years: dict[str, int]
    countries: dict[str, int]
    is_of_one_indicator: bool  # its column of values is named by the indicator


def layout_of(table: Table) -> Layout | None:
    """Return a table's layout, or None if it is no file of the World Bank."""
    return next((found for place in enumerate(table[:ROWS_BEFORE_HEADER]) if (found := _layout(*place))), None)


def _layout(number: int, row: list[str]) -> Layout | None:
    """Return the layout of a header, None for any other row."""
    names = [re.sub(r"[._ ]+", " ", cell).strip().casefold() for cell in row]
    columns = {what: names.index(name) for what, known in COLUMNS.items() for name in reversed(known) if name in names}
    years = {found[1]: place for place, cell in enumerate(row) if (found := _YEAR.fullmatch(cell))}
    named = next((place for place, cell in enumerate(row) if _VALUE.fullmatch(cell)), None)
    if named is not None:
        columns["value"] = named
    if "obs value" in names and "ref area" not in names:
        return None  # the IMF's SDMX
    if years:
        columns.pop("indicator", None)  # the IMF has it beside years
    countries = _country_columns(row, columns) if not years and "country" not in columns else {}
    has_figures = bool(years) or bool(countries) or ((named is not None or "year" in columns) and "value" in columns)
    is_named = named is not None or bool(columns.keys() & {"code", "name", "indicator"})
    if has_figures and is_named and (countries or "country" in columns):
        return Layout(number, columns, years, countries, named is not None and not years)
    return None


def _country_columns(row: list[str], columns: dict[str, int]) -> dict[str, int]:
    """Return the columns that are named by a country, where a row is a year."""
    rest = {cell: place for place, cell in enumerate(row) if place not in columns.values()}
    codes = {found[1]: place for cell, place in rest.items() if (found := _ECONOMY.fullmatch(cell))}
    named = codes | {cell: place for cell, place in rest.items() if place not in codes.values() and is_country(cell)}
    return named if "year" in columns and any(map(is_country, named)) else {}


def answer_of(table: Table) -> dict[str, Any] | None:
    """Return a table in the shape of the API's answer, None for another table; raises Refused if a row is cut short.

    Its day is None if it states none.
    """
    layout = layout_of(table)
    if layout is None:
        return None
    if not (layout.years or "year" in layout.columns):
        raise Refused(f"it has {INDICATOR} of a year that nothing in it states; with wbgapi, ask for timeColumns=True")
    others = 0
    rows: list[dict[str, Any]] = []
    days = {_day_of(table)}
    for row in table[layout.header + 1 :]:
        if sum(map(bool, row)) <= NOTE_CELLS and len(row) <= NOTE_CELLS + len(layout.columns):
            continue  # blank, or a note at the end
        if len(row) <= max([*layout.columns.values(), *layout.years.values(), *layout.countries.values()]):
            raise Refused(f"the row of {row[0][:40]} is cut short; fetch it again")
        found = list(_rows_of(row, layout))
        rows += found
        others += not found
        if found and "updated" in layout.columns:
            days.add(day_of(row[layout.columns["updated"]]))
    if not rows:
        raise Refused(f"it has {_others(table, layout)}, not {INDICATOR}")
    return {"lastupdated": max(filter(None, days), default=None), "rows": rows, "others": others}


def _rows_of(row: list[str], layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the figures of a row of the indicator as the API has them."""
    cell = {what: row[place] for what, place in layout.columns.items()}
    named = cell.get("code") or cell.get("name") or cell.get("indicator", "")
    if not layout.is_of_one_indicator and _code_of(named) != INDICATOR:
        return
    about = {"indicator": {"value": cell.get("name") or NAME, "id": INDICATOR}}
    year = _YEAR.fullmatch(cell.get("year", ""))
    if cell.get("power", "0") not in ("", "0"):
        raise Refused(f"its figures are in 10^{cell['power'][:9]} US dollars (UNIT_MULT); export it in whole dollars")
    if year:
        for country, place in layout.countries.items():
            yield {**about, "country": {"value": country}, "date": year[1], "value": row[place]}
    if layout.countries:
        return
    about["country"] = {"value": name_or_code(_part(cell["country"], "value"), cell.get("iso", ""))}
    for of_year, place in layout.years.items():
        yield {**about, "date": of_year, "value": row[place]}
    if not layout.years and year:
        yield {**about, "date": year[1], "value": cell["value"]}
    elif not layout.years and cell["country"] and not is_absent(cell["value"]):
        raise Refused(f"the row of {cell['country'][:40]} is of {cell['year'][:20]!r}, which is no year")


def _part(cell: str, name: str) -> str:
    """Return the id or the value in a cell with an object of the API, {'id': 'FR', 'value': 'France'}; or the cell."""
    found = _OBJECT.fullmatch(cell)
    return found[name] if found else cell


def _code_of(named: str) -> str:
    """Return an indicator's code: WB_WDI_NY_GDP_MKTP_CD is its name in SDMX."""
    code = _part(named, "id")
    return INDICATOR if code == NAME else code.removeprefix("WB_WDI_").replace("_", ".")


def _others(table: Table, layout: Layout) -> str:
    place = next((layout.columns[what] for what in ("code", "name", "indicator") if what in layout.columns), 0)
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
LINE_LIMIT = 1_000_000  # characters; a line of a bulk file has a thousand
STREAM_LIMIT = 4_000_000_000  # characters, unpacked; the World Development Indicators have 200 million
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
    except Refused as reason:
        raise StageError(Exit.BAD_DATA, f"{path} is refused: {reason}; fetch it again, or save it in UTF-8") from None


def _from_archive(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.file_size, reverse=True):
            with archive.open(member) as file:
                if content := _lines_of_indicator(file):
                    return content
    return None


def _lines_of_indicator(file: IO[bytes]) -> bytes | None:
    """Return the first lines of a stream, and those with the indicator; None if it has too few, or is no text."""
    kept: list[str] = []
    size = found = 0
    file = io.BufferedReader(file)  # type: ignore[type-var]
    encoding = encoding_of(file.peek(PROBED_BYTES))
    if encoding == "utf-8-sig":
        encoding = "latin-1"  # keeps the bytes as they are
    try:
        for number, line in enumerate(_lines(io.TextIOWrapper(file, encoding, newline="\n"))):
            has_code = INDICATOR in line
            if has_code or number < ROWS_BEFORE_HEADER:
                kept.append(line)
                found += has_code
                size += len(line)
            if size > FILE_LIMIT_BYTES:
                return None
    except UnicodeError:
        if found:
            raise Refused(f"it is cut short, or not the text in {encoding[:6].upper()} that it begins as") from None
    return "".join(kept).encode("latin-1" if encoding == "latin-1" else "utf-8") if found >= FEWEST_LINES else None


def _lines(file: IO[str]) -> Iterator[str]:
    """Yield the lines of a stream, up to the first one that no bulk file has."""
    total = 0
    while (line := file.readline(LINE_LIMIT)) and total < STREAM_LIMIT:
        total += len(line)
        if len(line) == LINE_LIMIT:
            return
        yield line

"""Files that hold tables: text in any encoding and with any usual delimiter, workbooks, and archives of them.

A table is its rows of cells, as text. What a row means is decided by the modules of the sources.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from gdp.sources import FILE_LIMIT_BYTES, GZIP_MAGIC, ZIP_MAGIC, Refused
from gdp.sources.payloads import BYTE_ORDER_MARK, is_json, refuse_web_page
from utils import Exit, StageError, first_few

Table = list[list[str]]

OLE_MAGIC = b"\xd0\xcf\x11\xe0"
UNPACKED_LIMIT_BYTES = 200_000_000  # ten times the largest release in .xlsx, unpacked
MAX_SHEETS = 20  # the IMF's have three
CELL_LIMIT = 1_000_000  # characters; notes to a series have run to some thousands
PROBED_BYTES = 400  # the header line: ASCII, so that every second byte is 0 in UTF-16
MAX_ROWS_BEFORE_HEADER, SHOWN_CELLS = 20, 6
REMEDY = "pip install -r requirements/xlsx.txt"
_WORKBOOK = "xl/workbook.xml"
# RuntimeError: it has a password
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
_PACKED = {
    b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7-Zip", b"(\xb5/\xfd": "Zstandard", b"Rar!": "RAR",
    GZIP_MAGIC: "gzip twice",
}  # fmt: skip
_IS_NO_DATA = re.compile(r"/$|(?:^|/)(?:__MACOSX/|\._|\.DS_Store)|\.(?:html?|pdf|docx?|png|jpe?g)$", re.IGNORECASE)
_FIGURE = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?")
_FORMULA_ALONE = re.compile(
    rb"""<(?:\w+:)?c\b(?![^>]*\bt=["']str)[^>]*\br=["'](\w+)["'][^>]*><(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)"""
    rb"""(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</"""
)
_GROUPS = r"\d{1,3}(?:[.\s]\d{3})+"  # points, or spaces as in French
_DECIMAL_COMMA = re.compile(rf"[-+]?(?:{_GROUPS}|\d+),\d+(?:[eE][-+]?\d+)?")
# What cannot be a comma between thousands: one or two digits after it, more than three, or more than three before it.
_SURELY_DECIMAL = re.compile(rf"\d+,\d+[eE][-+]?\d+|\d+,(?:\d{{1,2}}|\d{{4,}})|\d{{4,}},\d+|{_GROUPS},\d+|0,\d+")
_DOTS_BETWEEN_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
_SURELY_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}")


def tables_in(content: bytes) -> list[Table]:
    """Return the tables of a file; none for JSON, for a page, and for what cannot be read."""
    if is_json(content) or content[:64].removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"<"):
        return []
    try:
        return tables_of(content)
    except Refused:
        return []


@functools.lru_cache(maxsize=1)  # each source that looks at a file, and the one that reads it, needs the same tables
def tables_of(content: bytes) -> list[Table]:
    """Return the tables of a file: each sheet of a workbook, each text in an archive, or the one text.

    Raises Refused if there is none, StageError (65) for a workbook if openpyxl or xlrd is not installed.
    """
    refuse_web_page(content, "figures")
    if packer := next((name for magic, name in _PACKED.items() if content.startswith(magic)), None):
        raise Refused(f"it is packed with {packer}, and not as a zip or with gzip once; unpack it")
    if content.startswith(ZIP_MAGIC):
        return _tables_of_zip(content)
    if content.startswith(OLE_MAGIC):
        return _tables_of_old_workbook(content)
    text = decoded(content)
    if text.lstrip("\ufeff \r\n").startswith(("{", "[")) and encoding_of(content[:PROBED_BYTES]) != "utf-8-sig":
        raise Refused(f"it is JSON in {encoding_of(content[:PROBED_BYTES])[:6].upper()}; save it in UTF-8")
    delimiter = _delimiter_of(text)
    csv.field_size_limit(CELL_LIMIT)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        table = [[cell.strip() for cell in row] for row in rows]
    except csv.Error as error:
        raise Refused(f"it is no table: {error}") from None
    return [_with_decimal_points(table, delimiter) if delimiter in ";\t" else table]


def unnamed_table(content: bytes, marks: str) -> str | None:
    """Return, for a message, what a file is whose figures have no known marks; None for a file without figures."""
    for table in tables_in(content):
        for header, row in pairwise(table[: MAX_ROWS_BEFORE_HEADER + 1]):
            if len(header) == len(row) > 1 and any(map(_FIGURE.fullmatch, row[1:])):
                shown = [f'"{cell[:60]}"' for cell in header[:SHOWN_CELLS]] + ["…"] * (len(header) > SHOWN_CELLS)
                unnamed = f"in which quantity and unit are not named, as by {marks}"
                return f"a table with the columns {', '.join(shown)}, {unnamed}"
    return None


def refuse_repeated_columns(header: list[str], pattern: re.Pattern[str]) -> None:
    """Raise Refused for a header with two columns of one year or quantity: the pattern's first group, or all of it."""
    place = min(pattern.groups, 1)
    names = Counter(found[place] for cell in header if (found := pattern.fullmatch(cell)))
    if repeated := [name for name, count in names.items() if count > 1]:
        raise Refused(f"it has two columns of {repeated[0]}, and which one is right is unclear; delete the other")


def refuse_second_heading(table: Table, is_heading: Callable[[list[str]], object], header: int = 0) -> None:
    """Raise Refused for a table with another heading below its header: two tables were put into one file."""
    for number, row in enumerate(table[header + 1 :], header + 2):
        if is_heading(row):
            raise Refused(f"row {number} is a second heading: two tables are in one; save each as a file of its own")


# --- text -------------------------------------------------------------------------------------------------------------


def encoding_of(head: bytes) -> str:
    """Return the encoding that the first bytes of a text show: UTF-16 or UTF-32 with a mark or without, else UTF-8."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = [head[place:PROBED_BYTES:2].count(0) for place in (0, 1)]
    if max(zeros) <= len(head[:PROBED_BYTES]) // 4:
        return "utf-8-sig"
    return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"


def decoded(content: bytes) -> str:
    """Return a file as text: as its first bytes show, or else Latin-1 as Windows has it; raises Refused."""
    encoding = encoding_of(content[:PROBED_BYTES])
    try:
        return content.decode(encoding)
    except UnicodeError:
        if encoding != "utf-8-sig":
            raise broken_text(encoding) from None
    return content.decode("cp1252", "replace")


def broken_text(encoding: str) -> Refused:
    """Return the refusal of a text that is not in the encoding that its first bytes show."""
    return Refused(f"it is cut short, or not the text in {encoding[:6].upper()} that it begins as")


def _delimiter_of(text: str) -> str:
    """Return what separates the cells: tabs, semicolons as in a European Excel, upright lines, or commas."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if "\t" in first:
        return "\t"
    if first.count("|") > max(1, first.count(",")):
        return "|"
    return ";" if first.count(";") > min(1, first.count(",")) else ","


def _with_decimal_points(table: Table, delimiter: str) -> Table:
    """Return a table of a European Excel with decimal points instead of commas; raises Refused if that is unclear.

    Only such an Excel writes semicolons, and it writes tabs too.
    """
    cells = [cell for row in table for cell in row if "," in cell]
    is_decimal = any(map(_SURELY_DECIMAL.fullmatch, cells))
    if is_decimal and any(map(_SURELY_THOUSANDS.fullmatch, cells)):
        raise Refused(
            f"its cells are separated by {delimiter!r}, and its commas are both decimal and between thousands"
        )
    if is_decimal:
        return [[_with_point(cell) for cell in row] for row in table]
    if delimiter != ";":
        return table
    if unclear := next((cell for cell in cells if re.fullmatch(r"\d{1,3},\d{3}", cell)), None):
        raise _unclear(unclear, unclear.replace(",", "."))
    return _without_dots_between_thousands(table)


def _without_dots_between_thousands(table: Table) -> Table:
    """Return a table with "18.805.123" as 18805123; raises Refused where "18.805" may be either."""
    dotted = {cell for row in table for cell in row if "." in cell and _FIGURE.fullmatch(cell)}
    if not dotted or not all(map(_DOTS_BETWEEN_THOUSANDS.fullmatch, dotted)):
        return table
    if all(cell.count(".") == 1 for cell in dotted):
        raise _unclear(*[max(dotted)] * 2)
    return [[cell.replace(".", "") if cell in dotted else cell for cell in row] for row in table]


def _unclear(cell: str, as_decimal: str) -> Refused:
    whole = re.sub(r"\D", "", cell)
    why = f"its cells are separated by ';', and {cell} may be {as_decimal} or {whole}"
    return Refused(f"{why}; save it with commas between cells, decimal points, and nothing between thousands")


def _with_point(cell: str) -> str:
    return re.sub(r"[.\s]", "", cell).replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


# --- large text -------------------------------------------------------------------------------------------------------

FIRST_LINES = 10  # that are kept: the header is among them
LINE_LIMIT = 1_000_000  # characters; a line of the World Bank's bulk files has a thousand
STREAM_LIMIT = 4_000_000_000  # characters, unpacked; the World Development Indicators have 200 million
FEWEST_LINES = 100  # that have the text: one a country


def lines_with(text: str, path: Path) -> bytes | None:
    """Return the first lines of a large file, also a packed one, and those with a text; None if too few have it.

    It is read as a stream, in bounded memory. Raises StageError (65) for a file that is broken.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    try:
        if magic == ZIP_MAGIC:
            with zipfile.ZipFile(path) as archive:
                members = sorted(archive.infolist(), key=lambda member: member.file_size, reverse=True)
                return next(filter(None, (_lines_with(text, archive.open(member)) for member in members)), None)
        with gzip.open(path) if magic.startswith(GZIP_MAGIC) else path.open("rb") as file:
            return _lines_with(text, file)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        if magic.startswith(GZIP_MAGIC):  # it is cut short, so that its last bytes are not its size
            return None
        raise StageError(Exit.BAD_DATA, f"{path} is broken or locked: {error}; fetch it again") from None
    except Refused as reason:
        raise StageError(Exit.BAD_DATA, f"{path} is refused: {reason}; fetch it again, or save it in UTF-8") from None


def _lines_with(text: str, file: Any) -> bytes | None:
    stream = io.BufferedReader(file)
    encoding = encoding_of(stream.peek(PROBED_BYTES))
    encoding = "latin-1" if encoding == "utf-8-sig" else encoding  # which changes no byte
    kept: list[str] = []
    total = size = found = 0
    try:
        lines = io.TextIOWrapper(stream, encoding, newline="\n")
        while total < STREAM_LIMIT and (line := lines.readline(LINE_LIMIT)) and len(line) < LINE_LIMIT:
            total += len(line)
            if text in line or len(kept) < FIRST_LINES:
                kept.append(line)
                found += text in line
                size += len(line)
            if size > FILE_LIMIT_BYTES:
                return None
    except UnicodeError:
        if found:
            raise broken_text(encoding) from None
    return "".join(kept).encode("latin-1" if encoding == "latin-1" else "utf-8") if found >= FEWEST_LINES else None


# --- archives and workbooks -------------------------------------------------------------------------------------------


def _tables_of_zip(content: bytes) -> list[Table]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_LIMIT_BYTES:
                raise Refused(f"it unpacks to over {UNPACKED_LIMIT_BYTES // 1_000_000} MB, which no release does")
            if _WORKBOOK in archive.namelist():
                _refuse_formulas_without_values(archive)
                return _tables_of_workbook(content)
    except _BROKEN_ARCHIVE as error:
        raise _broken_archive(error) from None
    return [*chain.from_iterable(_members_of(content).values())]


@functools.lru_cache(maxsize=1)
def _members_of(content: bytes) -> dict[str, list[Table]]:
    """Return the tables of each file in an archive that may have data; none for a workbook or a text."""
    if not content.startswith(ZIP_MAGIC):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [] if _WORKBOOK in archive.namelist() else archive.namelist()
            texts = {name: archive.read(name) for name in names if not _IS_NO_DATA.search(name)}
    except _BROKEN_ARCHIVE as error:
        raise _broken_archive(error) from None
    return {name: tables_of.__wrapped__(text) for name, text in texts.items() if not text.startswith(ZIP_MAGIC)}


def _broken_archive(error: Exception) -> Refused:
    return Refused(f"it is a broken or locked archive: {error}")


def refuse_two_members(content: bytes, fits: Callable[[Table], object]) -> None:
    """Raise Refused for an archive in which the tables of two files fit: which one is meant is unclear."""
    names = [name for name, tables in _members_of(content).items() if any(map(fits, tables))]
    if len(names) > 1:
        raise Refused(f"{first_few(names)} in it fit; unpack it, and name one of them with --page")


def _refuse_formulas_without_values(archive: zipfile.ZipFile) -> None:
    """Raise Refused for a workbook that a program wrote, whose formulas nobody has computed."""
    for name in archive.namelist():
        if name.startswith("xl/worksheets/") and (found := _FORMULA_ALONE.search(archive.read(name))):
            cell = found[1].decode()
            raise Refused(f"its cell {cell} has a formula without its value; open it in Excel and save it again")


def _tables_of_workbook(content: bytes) -> list[Table]:
    try:
        import openpyxl
    except ImportError:
        raise StageError(Exit.BAD_DATA, f"openpyxl is not installed, which .xlsx needs; {REMEDY}") from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        return [[_texts(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets[:MAX_SHEETS]]
    except Exception as error:  # a broken workbook makes openpyxl raise anything
        raise Refused(f"it is a broken workbook: {type(error).__name__}: {error}"[:200]) from None


def _tables_of_old_workbook(content: bytes) -> list[Table]:
    try:
        import xlrd  # type: ignore[import-untyped]
    except ImportError:
        raise StageError(Exit.BAD_DATA, f"xlrd is not installed, which a binary .xls needs; {REMEDY}") from None

    def value(cell: Any) -> object:  # days, errors and truth are numbers there
        meanings: dict[int, Callable[[Any], object]] = {
            xlrd.XL_CELL_DATE: lambda number: xlrd.xldate_as_datetime(number, book.datemode),
            xlrd.XL_CELL_ERROR: lambda code: xlrd.error_text_from_code.get(code, "#ERROR!"),
            xlrd.XL_CELL_BOOLEAN: bool,
        }
        return meanings[cell.ctype](cell.value) if cell.ctype in meanings else cell.value

    try:
        book = xlrd.open_workbook(file_contents=content)
        return [[_texts(map(value, row)) for row in sheet.get_rows()] for sheet in book.sheets()[:MAX_SHEETS]]
    except Exception as error:  # a broken workbook makes xlrd raise anything
        raise Refused(f"it is a broken binary workbook (.xls): {error}"[:200]) from None


def _texts(row: Iterable[object]) -> list[str]:
    return [_text(cell) for cell in row]


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, datetime) else str("" if cell is None else cell).strip()

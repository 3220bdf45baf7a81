"""Files that hold tables: text in any encoding and with any usual delimiter, workbooks, and archives of them.

A table is its rows of cells, as text. What a row means is decided by the modules of the sources.
"""

from __future__ import annotations

import csv
import functools
import io
import re
import zipfile
import zlib
from collections.abc import Iterable
from datetime import datetime

from gdp.sources import Refused
from gdp.sources.payloads import BYTE_ORDER_MARK, is_json, refuse_web_page
from utils import Exit, StageError

Table = list[list[str]]

OLE_MAGIC = b"\xd0\xcf\x11\xe0"
ZIP_MAGIC = b"PK\x03\x04"
WORKBOOK = "xl/workbook.xml"
UNPACKED_LIMIT_BYTES = 200_000_000  # ten times the largest release in .xlsx, unpacked
MAX_SHEETS = 20  # the IMF's have three
CELL_LIMIT = 1_000_000  # characters; notes to a series have run to some thousands
PROBED_BYTES = 400  # the header line: ASCII, so that every second byte is 0 in UTF-16


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

    Raises Refused if there is none, StageError (65) for a workbook if openpyxl is not installed.
    """
    refuse_web_page(content, "figures")
    if content.startswith(ZIP_MAGIC):
        return _tables_of_zip(content)
    if content.startswith(OLE_MAGIC):
        return _tables_of_old_workbook(content)
    text = decoded(content)
    delimiter = _delimiter_of(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        csv.field_size_limit(CELL_LIMIT)
        table = [[cell.strip() for cell in row] for row in rows]
    except csv.Error as error:
        raise Refused(f"it is no table: {error}") from None
    return [_with_decimal_points(table) if delimiter == ";" else table]


def _delimiter_of(text: str) -> str:
    """Return what separates the cells: tabs, semicolons as in a European Excel, or commas."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if "\t" in first:
        return "\t"
    return ";" if first.count(";") > first.count(",") or (";" in first and first.count(";") > 1) else ","


_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+")
# What cannot be a comma between thousands: one or two digits after it, more than three, or more than three before it.
_SURELY_DECIMAL = re.compile(r"\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+|\d{1,3}(?:\.\d{3})+,\d+|0,\d+")
_SURELY_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}")


def _with_decimal_points(table: Table) -> Table:
    """Return a table of a European Excel with decimal points instead of commas; raises Refused if that is unclear."""
    cells = [cell for row in table for cell in row if "," in cell]
    is_decimal = any(_SURELY_DECIMAL.fullmatch(cell) for cell in cells)
    if is_decimal and any(_SURELY_THOUSANDS.fullmatch(cell) for cell in cells):
        raise Refused("its cells are separated by ';', and its commas are both decimal and between thousands")
    if not is_decimal:
        if any(re.fullmatch(r"\d{1,3},\d{3}", cell) for cell in cells):
            raise Refused("its cells are separated by ';', and whether its commas are decimal is unclear; use tabs")
        return table
    return [[_with_point(cell) for cell in row] for row in table]


def _with_point(cell: str) -> str:
    return cell.replace(".", "").replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


def decoded(content: bytes) -> str:
    """Return a file as text: UTF-16 with a mark or without, UTF-8, else Latin-1 as Windows has it; raises Refused."""
    head = content[:PROBED_BYTES]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif head[1::2].count(0) > len(head) // 4:
        encoding = "utf-16-le"
    elif head[0::2].count(0) > len(head) // 4:
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeError:
        if encoding.startswith("utf-16"):
            raise Refused("it is cut short, or not the text in UTF-16 that it begins as") from None
    return content.decode("cp1252", "replace")


def _tables_of_zip(content: bytes) -> list[Table]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_LIMIT_BYTES:
                raise Refused(f"it unpacks to over {UNPACKED_LIMIT_BYTES // 1_000_000} MB, which no release does")
            if WORKBOOK in names:
                return _tables_of_workbook(content)
            texts = [archive.read(name) for name in names if not _IS_NO_DATA.search(name)]
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:  # RuntimeError: it has a password
        raise Refused(f"it is a broken or locked archive: {error}") from None
    return [table for text in texts if not text.startswith(ZIP_MAGIC) for table in tables_of.__wrapped__(text)]


_IS_NO_DATA = re.compile(r"/$|(?:^|/)(?:__MACOSX/|\._|\.DS_Store)|\.(?:html?|pdf|docx?|png|jpe?g)$", re.IGNORECASE)


def _tables_of_workbook(content: bytes) -> list[Table]:
    try:
        import openpyxl
    except ImportError:
        remedy = "pip install -r requirements/xlsx.txt"
        raise StageError(Exit.BAD_DATA, f"openpyxl is not installed, which .xlsx needs; {remedy}") from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = [[*sheet.iter_rows(values_only=True)] for sheet in book.worksheets[:MAX_SHEETS]]
    except Exception as error:  # a broken workbook makes openpyxl raise anything
        raise Refused(f"it is a broken workbook: {type(error).__name__}: {error}"[:200]) from None
    return [[_texts(row) for row in rows] for rows in sheets]


def _tables_of_old_workbook(content: bytes) -> list[Table]:
    try:
        import xlrd  # type: ignore[import-untyped]
    except ImportError:
        remedy = "pip install -r requirements/xlsx.txt"
        raise StageError(Exit.BAD_DATA, f"xlrd is not installed, which a binary .xls needs; {remedy}") from None
    try:
        sheets = xlrd.open_workbook(file_contents=content).sheets()[:MAX_SHEETS]
    except Exception as error:  # a broken workbook makes xlrd raise anything
        raise Refused(f"it is a broken binary workbook (.xls): {error}"[:200]) from None
    return [[_texts(sheet.row_values(number)) for number in range(sheet.nrows)] for sheet in sheets]


def _texts(row: Iterable[object]) -> list[str]:
    return [_text(cell) for cell in row]


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, datetime) else str(cell).strip()

"""Files that hold tables: text in any of the encodings that the IMF and the World Bank have used, and .xlsx.

A table is its rows of cells, as text. What a row means is decided by the modules of the sources.
"""

from __future__ import annotations

import csv
import functools
import io
import zipfile
import zlib
from collections.abc import Iterable
from datetime import datetime

from gdp.sources import Refused
from gdp.sources.payloads import BYTE_ORDER_MARK, is_json, refuse_web_page
from utils import Exit, StageError

Table = list[list[str]]

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
    text = decoded(content)
    first = text.lstrip().partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",")
    try:
        csv.field_size_limit(CELL_LIMIT)
        return [[[cell.strip() for cell in row] for row in rows]]
    except csv.Error as error:
        raise Refused(f"it is no table: {error}") from None


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
            texts = [archive.read(name) for name in names if name.endswith(".csv")]
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:  # RuntimeError: it has a password
        raise Refused(f"it is a broken or locked archive: {error}") from None
    return [table for text in texts for table in tables_of(text) if not text.startswith(ZIP_MAGIC)]


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


def _texts(row: Iterable[object]) -> list[str]:
    return [_text(cell) for cell in row]


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, datetime) else str(cell).strip()

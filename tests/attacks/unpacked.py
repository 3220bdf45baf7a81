"""What unpacks to more than it should: workbooks, archives, and pages."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile

from tests.attacks.harness import Home, attack, one_line

FAMILY = "what unpacks without measure"
MEMORY_KB = 1_500_000
HUGE = 2_000_000_000


def zip_of(**files: int) -> bytes:
    """Return a zip of files of zeros, or of spaces for .xml, of these sizes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, size in files.items():
            with archive.open(name.replace("__", "/").replace("_dot_", "."), "w", force_zip64=True) as file:
                for _ in range(size // 10_000_000):
                    file.write(b" " * 10_000_000)
    return packed.getvalue()


def workbook(sheet_bytes: int, strings_bytes: int = 0) -> bytes:
    """Return a workbook of Excel's whose sheet, or shared strings, unpack to so many bytes."""
    return zip_of(
        **{
            "[Content_Types]_dot_xml": 0, "xl__workbook_dot_xml": 0, "xl__worksheets__sheet1_dot_xml": sheet_bytes,
            "xl__sharedStrings_dot_xml": strings_bytes,
        }
    )  # fmt: skip


def refused(home: Home, name: str, content: bytes, *source: str) -> None:
    """Check that a file is refused in bounded memory and time."""
    (home.folder / name).write_bytes(content)
    command = f"$PY $SUITE/extract.py {' '.join(source)} --page {name}"
    done = home.shell(f"ulimit -v {MEMORY_KB}; ulimit -t 60; {command}")
    one_line(done, 65, name)


@attack(FAMILY, "a workbook whose sheet or strings unpack to 2 GB")
def workbooks(home: Home) -> None:
    refused(home, "sheet.xlsx", workbook(HUGE), "--source", "imf")
    refused(home, "strings.xlsx", workbook(0, HUGE), "--source", "imf")
    refused(home, "unnamed.xlsx", workbook(HUGE))


@attack(FAMILY, "an archive with one file of 2 GB, with a hundred thousand files, and with itself in it")
def archives(home: Home) -> None:
    refused(home, "large.zip", zip_of(API_NY_dot_csv=HUGE), "--source", "world_bank")
    refused(
        home, "many.zip", zip_of(**{f"x{number}_dot_csv": 0 for number in range(100_000)}), "--source", "world_bank"
    )
    packed = zip_of(API_NY_dot_csv=0)
    for _ in range(5):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w") as archive:
            archive.writestr("inner.zip", packed)
        packed = outer.getvalue()
    refused(home, "nested.zip", packed, "--source", "world_bank")


@attack(FAMILY, "a page of gzip in gzip, and one of 2 GB in 2 MB")
def pages(home: Home) -> None:
    huge = gzip.compress(bytes(300_000_000), 1)
    refused(home, "huge.html.gz", huge)
    refused(home, "twice.html.gz", gzip.compress(huge))


@attack(FAMILY, "a saved page of 100 MB in base64")
def saved_pages(home: Home) -> None:
    body = base64.encodebytes(b"<html>" + b"x" * 100_000_000)
    head = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    refused(home, "page.mhtml", head + body)

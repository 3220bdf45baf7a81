"""The files that people have of the IMF and the World Bank: read right, or refused for what they are."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import openpyxl
import pytest

from gdp.sources import Month, Page, Reading, Refused
from gdp.sources.registry import read_any
from gdp.sources.tabular_files import lines_with
from tests.conftest import PROJECT
from utils import StageError

FILES = PROJECT.parent / "shared" / "cases" / "files"
JANUARY_2025 = PROJECT.parent / "shared" / "api" / "imf_datamapper_v1_NGDPD_2025-01.json.gz"
REPORT_2022 = PROJECT.parent / "shared" / "api" / "weo" / "weo_2022oct_report_utf16.xls.gz"
needs_files = pytest.mark.skipif(not FILES.exists(), reason="../shared/cases/files is not beside the project")
OCTOBER_2024, JUNE_2024 = Month(2024, 10), Month(2024, 6)
Figures = dict[tuple[str, str], float]


def read(content: bytes, release: Month | None = None, name: str = "a file") -> Reading:
    return read_any(Page(content, name, datetime.now(timezone.utc)), release)


def case(name: str) -> bytes:
    content = (FILES / name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content


def figures(reading: Reading) -> Figures:
    return {(record["Country"], record["Year"]): float(record["GDP"].replace(",", "")) for record in reading.records}


# --- read again, by other means ---------------------------------------------------------------------------------------


def datamapper_again() -> Figures:
    """Return the figures of the export, by splitting lines; rows of codes are groups of countries."""
    found: Figures = {}
    lines = case("datamapper_export_2024-10.csv.gz").decode("cp1252").splitlines()
    years = lines[0].rpartition('"')[2].strip(",").split(",")
    for row in csv.reader(lines[1:]):
        if len(row) > len(years) and not (row[0].isupper() and row[0] != "WEOWORLD"):
            name = "World" if row[0] in ("World", "WEOWORLD") else row[0]
            found |= {
                (name, year): float(cell) for year, cell in zip(years, row[1:], strict=False) if cell != "no data"
            }
    return found


def bank_again() -> Figures:
    """Return the figures of the World Bank's CSV without dates, by its columns' places."""
    header, *rows = csv.reader(io.StringIO(case("world_bank_without_dates.csv.gz").decode("utf-8-sig")))
    return {
        (row[0], year): float(cell)
        for row in rows for year, cell in zip(header[4:], row[4:], strict=False) if year and cell
    }  # fmt: skip


@needs_files
@pytest.mark.parametrize(
    "name", ["datamapper_export_2024-10.csv.gz", "datamapper_export_semicolon.csv.gz", "datamapper_export.xlsx"]
)
def test_the_datamappers_export_is_read_with_its_release(name: str) -> None:
    reading = read(case(name), OCTOBER_2024)
    got = figures(reading)
    # Excel has broken the accents of the one with semicolons
    want = {key: figure for key, figure in datamapper_again().items() if key[0].isascii() and key[0] != "World"}
    assert len(want) > 8000 and {key: got[key] for key in want} == want
    assert len(got) == 9033 and {record["As_of"] for record in reading.records} == {"2024-10-22"}
    real = json.loads(gzip.decompress(JANUARY_2025.read_bytes()))["values"]["NGDPD"]
    assert got["Sudan", "2023"] == real["SDN"]["2023"]
    with pytest.raises(Refused, match="name it with --release"):
        read(case(name))


@needs_files
@pytest.mark.parametrize(
    ("name", "day"),
    [("imf-dm-export-20241022.csv", "2024-10-22"), ("imf-dm-export-20241021.csv", "2024-04-16"),
     ("imf-dm-export-20250901.xls", "2025-04-22")],
)  # fmt: skip
def test_the_date_in_the_name_of_an_export_is_that_of_the_release_of_that_day(name: str, day: str) -> None:
    content = case("datamapper_export_2024-10.csv.gz").replace(b"IMF, 2024", f"IMF, {day[:4]}".encode())
    reading = read(content, name=f"/downloads/{name}")
    assert {record["As_of"] for record in reading.records} == {day}


@needs_files
def test_weo_text_of_a_european_excel_has_the_figures_of_the_original_and_none_times_a_thousand() -> None:
    original = read(gzip.decompress(REPORT_2022.read_bytes()))
    assert figures(read(case("weo_semicolon_decimal_comma.csv.gz"))) == figures(original)


@needs_files
@pytest.mark.parametrize(
    ("name", "release", "day"),
    [
        ("world_bank_databank.csv.gz", None, "2024-06-28"), ("world_bank_upper_case.zip", None, "2024-06-28"),
        ("world_bank_wdi_bulk.csv.gz", JUNE_2024, "2024-06-30"),
        ("world_bank_without_dates.csv.gz", JUNE_2024, "2024-06-30"),
    ],
)  # fmt: skip
def test_the_world_banks_files_are_read_whole(name: str, release: Month | None, day: str) -> None:
    reading = read(case(name), release)
    assert figures(reading) == bank_again() and len(reading.records) == 13_980
    assert {record["As_of"] for record in reading.records} == {day}


@needs_files
@pytest.mark.parametrize("name", ["world_bank_wdi_bulk.csv.gz", "world_bank_without_dates.csv.gz"])
def test_a_file_without_its_day_asks_for_the_release(name: str) -> None:
    with pytest.raises(Refused, match="name its version with --release, as 2024-06"):
        read(case(name))
    with pytest.raises(Refused, match="it was updated on 2024-06-28, not in 2024-07"):
        read(case("world_bank_databank.csv.gz"), Month(2024, 7))


@needs_files
def test_a_broken_binary_workbook_is_named_as_one() -> None:
    with pytest.raises(Refused, match=r"a broken binary workbook \(\.xls\)"):
        read(case("old_excel_workbook.xls"))


# --- made up ----------------------------------------------------------------------------------------------------------

LONG = "country,year,NY.GDP.MKTP.CD\nFrance,2023,3051831611384.76\nFrance,2022,\nKorea,2023,1839058000000\n"
WBGAPI = "series,economy,time,value\nNY.GDP.MKTP.CD,FRA,YR2023,3051831611384.76\nSP.POP.TOTL,FRA,YR2023,68\n"
API_XML = """<?xml version="1.0" encoding="utf-8"?>
<wb:data page="1" pages="1" per_page="50" total="1" lastupdated="2024-06-28" xmlns:wb="http://www.worldbank.org">
<wb:data><wb:indicator id="NY.GDP.MKTP.CD">GDP (current US$)</wb:indicator><wb:country id="FR">France</wb:country>
<wb:countryiso3code>FRA</wb:countryiso3code><wb:date>2023</wb:date><wb:value>3051831611384.76</wb:value></wb:data>
</wb:data>"""


@pytest.mark.parametrize(("content", "release"), [(LONG, JUNE_2024), (WBGAPI, JUNE_2024), (API_XML, None)])
def test_a_row_a_year_is_read_if_its_columns_say_what_they_are(content: str, release: Month | None) -> None:
    got = figures(read(content.encode(), release))
    assert got[("FRA" if "economy" in content else "France"), "2023"] == 3051831611384.76
    assert not {name for name, _ in got} - {"France", "FRA", "Korea"}


def archive(*members: tuple[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, text in members:
            made.writestr(name, text)
    return file.getvalue()


def test_the_member_of_an_archive_is_found_by_its_content_whatever_its_name() -> None:
    junk = ("__MACOSX/._data", "\0\5\26\7"), ("readme.txt", "About this file")
    for name in ("GDP.CSV", "data", "folder/export.txt"):
        assert figures(read(archive(*junk, (name, LONG)), JUNE_2024))["France", "2023"] == 3051831611384.76


SEMICOLONS = "Country Name;Country Code;Indicator Name;Indicator Code;2022;2023\n{}\n"


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        ("1234,5;2345,25", 2345.25),
        ("1.234.567,5;2.345.678,9", 2345678.9),
        ("1234;2345", 2345),
        ("1.5;2345.25", 2345.25),
    ],
)
def test_decimal_commas_and_points_behind_semicolons_are_read_right(cells: str, want: float) -> None:
    row = f"France;FRA;GDP (current US$);NY.GDP.MKTP.CD;{cells}"
    assert figures(read(SEMICOLONS.format(row).encode(), JUNE_2024))["France", "2023"] == want


@pytest.mark.parametrize("cells", ["1,234;2,345", "1,5;1,234.5"])
def test_commas_that_could_be_either_are_refused_with_the_delimiter(cells: str) -> None:
    row = f"France;FRA;GDP (current US$);NY.GDP.MKTP.CD;{cells}"
    with pytest.raises(Refused, match="separated by ';'"):
        read(SEMICOLONS.format(row).encode(), JUNE_2024)


def workbook(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.create_sheet("About")
    sheet = book.create_sheet("Figures")
    for row in rows:
        sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_the_sheet_is_found_by_its_content() -> None:
    rows: list[list[object]] = [
        ["GDP, current prices (Billions of U.S. dollars)", "2023", "2024"],
        ["France", 3051.8, "no data"],
    ]
    assert figures(read(workbook(rows), OCTOBER_2024)) == {("France", "2023"): 3051.8}


def test_a_name_that_an_encoding_has_broken_gives_way_to_its_code() -> None:
    row = "C\u00d9te d'Ivoire;CIV;GDP (current US$);NY.GDP.MKTP.CD;1;2"
    assert figures(read(SEMICOLONS.format(row).encode(), JUNE_2024)) == {("CIV", "2022"): 1, ("CIV", "2023"): 2}


GROUPS = """Country Group Name\tSubject Descriptor\tUnits\tScale\t2023\t2024
World\tGross domestic product, current prices\tU.S. dollars\tBillions\t104,000\t109,000
Advanced economies\tGross domestic product, current prices\tU.S. dollars\tBillions\t61,000\t64,000
ASEAN-5\tGross domestic product, current prices\tU.S. dollars\tBillions\t3,000\t3,300
"""


def test_of_a_file_of_groups_the_world_alone_is_read() -> None:
    reading = read(GROUPS.encode("utf-16-le"), OCTOBER_2024)
    assert {name for name, _ in figures(reading)} == {"World"} and reading.dropped["group of countries"] == 2


def test_a_workbook_saved_as_a_web_page_is_named_as_one() -> None:
    table = "<table><tr><td>France</td></tr></table>"
    page = f'<html xmlns:x="urn:schemas-microsoft-com:office:excel"><body>{table}</body></html>'
    with pytest.raises(Refused, match="a workbook of Excel that was saved as a web page"):
        read(page.encode())


WEO = "ISO\tWEO Subject Code\tCountry\tSubject Descriptor\tUnits\tScale\t2023\t2024\n"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (f"{WEO}FRA\tNGDPD\tFrance\tGDP, current prices\tU.S. dollars\t\t1\t2\n", "it states no scale"),
        (f"{WEO}FRA\tNGDPD\tFrance\tGDP, current prices\tNational currency\tBillions\t1\t2\n",
         "in 'National currency', not in U.S. dollars"),
        ('"Real GDP growth (Annual percent change)",2023,2024\nFrance,1,2\n', "not \"GDP, current prices"),
        ('"GDP, current prices (Billions of international dollars)",2023,2024\nFrance,1,2\n', "not .GDP, current"),
        ("country,year,SP.POP.TOTL,series\nFrance,2023,1,SP.POP.TOTL\n", "no page or file of"),
        ("b'<!DOCTYPE html><html></html>'", "the Python form of bytes"),
    ],
)  # fmt: skip
def test_a_file_of_another_scale_money_or_indicator_is_refused_for_it(rows: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        read(rows.encode(), OCTOBER_2024)


# --- bulk files -------------------------------------------------------------------------------------------------------

HEADER = "Country Name,Country Code,Indicator Name,Indicator Code,2022,2023\n"


def bulk_lines(indicators: int, countries: int = 120) -> Iterator[str]:
    """Yield the lines of a bulk file: nominal GDP is the indicator in the middle."""
    yield HEADER
    for country in range(countries):
        for number in range(indicators):
            is_gdp = number == indicators // 2
            about = "GDP (current US$),NY.GDP.MKTP.CD" if is_gdp else f"Something {number},XX.{number}"
            yield f"Country {country},C{country:02},{about},{1000 + country},{2000 + country}\n"


def packed(form: str, text: str, folder: Path) -> Path:
    path = folder / f"WDI.{form}"
    content = archive(("small.csv", "a,b\n1,2\n"), ("WDICSV.csv", text)) if form == "zip" else text.encode()
    path.write_bytes(gzip.compress(content) if form == "csv.gz" else content)
    return path


@pytest.mark.parametrize("form", ["csv", "csv.gz", "zip"])
def test_of_a_bulk_file_the_lines_of_nominal_gdp_are_kept(form: str, tmp_path: Path) -> None:
    content = lines_with("NY.GDP.MKTP.CD", packed(form, "".join(bulk_lines(20)), tmp_path))
    assert content and content.count(b"NY.GDP.MKTP.CD") == 120 and content.count(b"\n") < 140
    assert figures(read(content, JUNE_2024))["Country 7", "2023"] == 2007


@pytest.mark.parametrize("form", ["csv", "csv.gz", "zip"])
def test_a_large_file_of_anything_else_is_no_bulk_file(form: str, tmp_path: Path) -> None:
    assert lines_with("NY.GDP.MKTP.CD", packed(form, "a,b\n" * 1000, tmp_path)) is None
    assert lines_with("NY.GDP.MKTP.CD", packed(form, "x" * 3_000_000, tmp_path)) is None


@pytest.mark.long
def test_a_bulk_file_of_two_hundred_megabytes_takes_little_memory(home: Path, tmp_path: Path) -> None:
    with (tmp_path / "WDICSV.csv").open("w", encoding="utf-8") as file:
        file.writelines(bulk_lines(34_000))
    assert (tmp_path / "WDICSV.csv").stat().st_size > 200_000_000
    options = ("--source", "world_bank", "--release", "2024-06", "--page", str(tmp_path / "WDICSV.csv"))
    subprocess.run([sys.executable, str(PROJECT / "extract.py"), *options], check=True, capture_output=True)
    (run,) = [json.loads(line) for line in (home / "log" / "runs.jsonl").read_text().splitlines()]
    assert run["rows_out"] == 240 and run["peak_memory_mb"] < 200


def test_a_binary_workbook_without_xlrd_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlrd", None)
    with pytest.raises(StageError, match=r"xlrd is not installed, .*requirements/xlsx\.txt"):
        read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100)

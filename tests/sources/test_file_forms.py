"""Every form that an answer or a file comes in: read to the last figure, or refused with its reason."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from gdp.sources import Refused
from gdp.sources.registry import source_of
from tests import stand_ins
from tests.conftest import Run, records
from tests.sources.reading import read_as
from utils import StageError

RAW = Path("results") / "Countries_by_GDP.json"


# --- SDMX in its other forms ------------------------------------------------------------------------------------------

XML = stand_ins.sdmx_xml(
    "WEO", "2025-10-14T13:00:00Z", {"KOR": {"2024": 1869.9, "2025": 1858.6}, "IND": {"2024": 3900}}
)


@pytest.mark.parametrize(
    ("year", "code", "status"),
    [("2024", "KOR", "estimate"), ("2025", "KOR", "projection"), ("2024", "IND", "projection")],
)
def test_the_last_actual_year_is_the_countrys_own_and_indias_fiscal_year_is_numbered_by_its_first(
    year: str, code: str, status: str
) -> None:
    found = {(r["Country"], r["Year"]): r["Status"] for r in read_as("imf", XML.encode()).records}
    assert found[code, year] == status


def test_the_display_scale_changes_no_figure() -> None:
    figures = {"KOR": {"2024": 1869.9}}
    for scale in ("0", "6", "9"):
        xml = stand_ins.sdmx_xml("WEO", "2025-10-14T13:00:00Z", figures, scale)
        assert [r["GDP"] for r in read_as("imf", xml.encode()).records] == ["1869900000000"]


CSV_30 = """STRUCTURE[;],STRUCTURE_ID,ACTION,COUNTRY,INDICATOR,FREQUENCY,TIME_PERIOD,OBS_VALUE,SCALE,\
PUBLICATION_DATE,LATEST_ACTUAL_ANNUAL_DATA
dataflow,IMF.RES:WEO(9.0.0),R,USA,NGDPD,A,2024,29298013000000,9,2026-04-14T13:00:00Z,2024
dataflow,IMF.RES:WEO(9.0.0),R,USA,NGDPD,A,2025,3.0767075E13,9,2026-04-14T13:00:00Z,2024
dataflow,IMF.RES:WEO(9.0.0),R,G001,NGDPD,A,2025,117000000000000,9,2026-04-14T13:00:00Z,
dataflow,IMF.RES:WEO(9.0.0),R,G163,NGDPD,A,2025,17000000000000,9,2026-04-14T13:00:00Z,
dataflow,IMF.RES:WEO(9.0.0),R,KOS,NGDPD,A,2031,,9,2026-04-14T13:00:00Z,2024
"""


def test_csv_of_sdmx_is_read_with_its_day_its_boundary_and_a_number_as_machines_write_it() -> None:
    reading = read_as("imf", CSV_30.encode())
    got = {(r["Country"], r["Year"]): (r["GDP"], r.get("Status")) for r in reading.records}
    assert got == {
        ("USA", "2024"): ("29298013000000", "estimate"), ("USA", "2025"): ("30767075000000", "projection"),
        ("World", "2025"): ("117000000000000", None),
    }  # fmt: skip
    assert reading.dropped == {"group of countries": 1, "year without a figure": 1}
    with pytest.raises(Refused, match="row 3 is cut short"):
        read_as("imf", CSV_30[:-260].encode())


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"data": {"dataSets": [], "structures": []}}', "SDMX as JSON"),
        (b'{"data": {"dataflows": []}}', "SDMX as JSON"),
        (b'[{"DATASET": "IMF.RES:WEO", "SERIES_CODE": "USA.NGDPD.A", "2024": "29298"}]', "portal turned into JSON"),
    ],
)
def test_a_form_of_the_imf_that_is_not_read_is_named(content: bytes, kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        read_as("imf", content)


@pytest.mark.parametrize("content", [b"// 2016\n[{}]", b"export const data = [{}];", b"const data = {}", b"var x = 1"])
def test_a_script_is_named_and_not_read(content: bytes) -> None:
    with pytest.raises(Refused, match="a script"):
        source_of(content)


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
        XML[:600].encode(),
        b'{"data": {"dataSets": [{"series": {"9:9:9": {"observations": {"0": [1]}}}}], "structures": [{}]}}',
        b'{"data": {"dataSets": 7}}',
        b'{"series": {"docs": [{"series_code": "KOR.NGDPD.us_dollars", "period": ["2024"], "value": []}]}}',
        b'{"series": {"docs": 7}}',
        b"PK\x03\x04 no archive",
        b"Country\tSubject Descriptor\tUnits\t2024\t2025\nKorea\tGross domestic product, current prices\tU.S. dollars",
        b"\xff\xfeC\x00o\x00u",
        b'[{"message": 7}]', b'[{"page": 1, "pages": 1, "total": 1}, [7]]', b'{"source": {"data": [7]}}',
        b'{"source": {"data": [{"variable": true}]}}',
        b'{"rows": [{"country": {"value": "x"}, "value": 1}], "groups": 7}',
        b"", b"\0\0\0\0", b"a,b,c\n1,2,3\n",
    ],
)  # fmt: skip
def test_a_broken_or_hostile_file_is_refused_and_nothing_worse(content: bytes) -> None:
    for source in ("imf", "world_bank"):
        with pytest.raises(Refused):
            read_as(source, content)


# --- the IMF's files --------------------------------------------------------------------------------------------------

HEADER = ["WEO Country Code", "ISO", "WEO Subject Code", "Country", "Subject Descriptor", "Subject Notes", "Units",
          "Scale", "Country/Series-specific Notes", "2012", "2013", "2014", "Estimates Start After"]  # fmt: skip
BULK = [
    HEADER,
    ["512", "AFG", "NGDP_R", "Afghanistan", "Gross domestic product, constant prices", "", "National currency",
     "Billions", "", "1", "2", "3", "2012"],
    ["924", "CHN", "NGDPD", "China", "Gross domestic product, current prices", "", "U.S. dollars", "Billions", "note",
     "8,229.490", "9,181.377", "n/a", "2012"],
    ["662", "CIV", "NGDPD", "Côte d'Ivoire", "Gross domestic product, current prices", "", "U.S. dollars", "Billions",
     "", "27.098", "--", "30.123", "0"],
    [""],
    ["International Monetary Fund, World Economic Outlook Database, April 2013"],
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize(("between", "end"), [("\t", "\t\r\n"), ("\t", "\n"), (",", "\n")])
def test_a_bulk_file_is_read_in_any_encoding_and_with_either_separator(encoding: str, between: str, end: str) -> None:
    cells = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in BULK]
    reading = read_as("imf", end.join(between.join(row) for row in cells).encode(encoding))
    got = [(r["Country"], r["Year"], r["GDP"], r["As_of"], r.get("Status")) for r in reading.records]
    assert got == [
        ("China", "2012", "8,229.490", "2013-04-16", "estimate"),
        ("China", "2013", "9,181.377", "2013-04-16", "projection"),
        ("Côte d'Ivoire", "2012", "27.098", "2013-04-16", None),
        ("Côte d'Ivoire", "2014", "30.123", "2013-04-16", None),
    ]
    assert reading.dropped == {
        "series of another subject": 1, "year without a figure": 1, 'figure too small to be printed ("--")': 1
    }  # fmt: skip


def workbook(**changes: Any) -> bytes:
    """Return a release as .xlsx: three sheets, numbers as numbers, and cells that are empty."""
    book = openpyxl.Workbook()
    header = ["DATASET", "SERIES_CODE", "OBS_MEASURE", "COUNTRY.ID", "COUNTRY", "INDICATOR.ID", "INDICATOR", "SCALE",
              "UNIT", "PUBLICATION_DATE", "UPDATE_DATE", "LATEST_ACTUAL_ANNUAL_DATA", 2024, 2025]  # fmt: skip
    described = "Gross domestic product (GDP), Current prices, US dollar"
    rows: dict[str, list[tuple[Any, ...]]] = {
        "Countries": [("USA", "United States", 29298.013, 30767.075), ("KOS", "Kosovo", 11.2, None)],
        "Country Groups": [("G001", "World", 110000.0, 117000), ("G163", "Euro area", 16000, 17000)],
    }
    for name, series in rows.items():
        sheet = book.create_sheet(name)
        sheet.append(header)
        for code, country, *figures in series:
            given = {"scale": "Billions", "published": "2025-10-14T13:00:00Z", **changes}
            sheet.append([
                "IMF.RES:WEO(9.0.0)", f"{code}.NGDPD.A", "OBS_VALUE", code, country, "NGDPD", described,
                given["scale"], "US dollar", given["published"], "2025-11-19", "2024", *figures,
            ])  # fmt: skip
        sheet.append(["IMF.RES:WEO(9.0.0)", "USA.LP.A", "OBS_VALUE", "USA", "United States", "LP", "Population"])
    book.create_sheet("Commodity Prices").append(["nothing here"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_an_xlsx_is_read_in_the_scale_that_it_names_and_dated_by_its_publication() -> None:
    reading = read_as("imf", workbook())
    assert [(r["Country"], r["Year"], r["GDP"], r.get("Status")) for r in reading.records] == [
        ("United States", "2024", "29298.013", "estimate"), ("United States", "2025", "30767.075", "projection"),
        ("Kosovo", "2024", "11.2", "estimate"),
        ("World", "2024", "110000", "estimate"), ("World", "2025", "117000", "projection"),
    ]  # fmt: skip
    assert {(r["As_of"], r["Unit"]) for r in reading.records} == {("2025-10-14", "Billions of US dollar")}
    assert Counter(reading.dropped) == {
        "series of another subject": 2, "group of countries": 1, "year without a figure": 1
    }  # fmt: skip


def test_a_scale_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused, match="the scale of its figures is 'Lakhs'"):
        read_as("imf", workbook(scale="Lakhs"))
    assert {r["Unit"] for r in read_as("imf", workbook(scale="Units")).records} == {
        "US dollar, whole units (current US$)"
    }


# --- files and where they are kept ------------------------------------------------------------------------------------


def test_an_xlsx_without_openpyxl_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    file = workbook()
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(StageError, match=r"pip install -r requirements/xlsx\.txt"):
        read_as("imf", file)


CSV_OF_SITE = """\ufeff"Data Source","World Development Indicators",

"Last Updated Date","2024-11-13",

"Country Name","Country Code","Indicator Name","Indicator Code","2022","2023",
"Aruba","ABW","GDP (current US$)","NY.GDP.MKTP.CD","3279344544","3648573136",
"Arab World","ARB","GDP (current US$)","NY.GDP.MKTP.CD","","1",
"""


def test_the_archive_that_the_world_banks_site_offers_is_read_as_it_comes(run: Run, home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "API_NY.GDP.MKTP.CD_DS2_en_csv_v2_1.zip", "w") as archive:
        archive.writestr(
            "Metadata_Country_API_NY.GDP.MKTP.CD_DS2_en_csv_v2_1.csv", '"Country Code","Region"\n"ABW","x"\n'
        )
        archive.writestr("API_NY.GDP.MKTP.CD_DS2_en_csv_v2_1.csv", CSV_OF_SITE)
    done = run("extract.py", "--page", tmp_path / "API_NY.GDP.MKTP.CD_DS2_en_csv_v2_1.zip")
    assert done.returncode == 0, done.stderr
    raw = [(r["Country"], r["Year"], r["GDP"], r["As_of"]) for r in records(home / RAW)]
    assert raw[:2] == [("Aruba", "2022", "3279344544", "2024-11-13"), ("Aruba", "2023", "3648573136", "2024-11-13")]
    with pytest.raises(Refused, match="the row of Arab World is cut short"):
        read_as("world_bank", CSV_OF_SITE[:-12].encode())


def test_a_release_of_nineteen_megabytes_is_read_packed_and_a_bomb_is_not(run: Run, home: Path, tmp_path: Path) -> None:
    notes = "x" * 50_000  # what makes the IMF's own files large
    rows = [*BULK[:2], *([[*BULK[1][:8], notes, *BULK[1][9:]]] * 400), *BULK[2:]]
    text = "\n".join("\t".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows)
    (tmp_path / "WEOApr2013all.xls.gz").write_bytes(gzip.compress(text.encode("cp1252")))
    done = run("extract.py", "--source", "imf", "--page", tmp_path / "WEOApr2013all.xls.gz")
    assert done.returncode == 0 and len(records(home / RAW)) == 4, done.stderr
    (tmp_path / "bomb.xls.gz").write_bytes(gzip.compress(b"0" * 70_000_000))
    done = run("extract.py", "--source", "imf", "--page", tmp_path / "bomb.xls.gz")
    assert done.returncode == 65 and "unpacks to over 60 MB" in done.stderr

"""Files that contradict themselves, or whose meaning is unclear: refused with what is wrong and what helps."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from functools import partial

import openpyxl
import pytest

from gdp.sources import Month, Refused
from gdp.sources.registry import source_of
from gdp.sources.tabular_files import _FORMULA_ALONE
from tests.sources.reading import read_as
from tests.sources.test_file_forms import CSV_30
from tests.sources.test_peoples_files import archive, workbook
from tests.sources.test_releases import v2_answer

OCTOBER_2024, JUNE_2024 = Month(2024, 10), Month(2024, 6)
EXPORT = '"GDP, current prices (Billions of U.S. dollars)",2022,2023,2024\n'
WEO = "ISO\tWEO Subject Code\tCountry\tUnits\tScale\t2022\t2023\n"
WEO_ROW = "{}\tNGDPD\t{}\tU.S. dollars\tBillions\t{}\t{}\n"
BANK = "Country Name,Country Code,Indicator Name,Indicator Code,2022,2023\n"
BANK_ROW = "{},{},GDP (current US$),NY.GDP.MKTP.CD,{},{}\n"
LONG = "country,iso3c,year,NY.GDP.MKTP.CD\n"
XML = (
    '<?xml version="1.0"?><StructureSpecificData xmlns:sdmx="x"><DataSet PUBLICATION_DATE="2025-10-14"><Series {0}>{1}'
)
XML_END = "</Series></DataSet></StructureSpecificData>"


def docs(*periods: str) -> str:
    doc = {"series_code": "DEU.NGDPD.us_dollars", "period": periods, "value": [1.5, 2.5], "dataset_code": "WEO:2024-10"}
    return json.dumps({"series": {"docs": [doc], "num_found": 1}})


# --- two figures of one country and year ------------------------------------------------------------------------------

TWICE = {
    "export": (
        "imf", EXPORT + "Germany,1.5,2.5,3.5\nFrance,1,2,3\nGermany,9.5,2.5,3.5\n", "Germany in 2022, 1.5 and 9.5"
    ),
    "WEO, name": (
        "imf", WEO + WEO_ROW.format("", "Chad", 1, 2) + WEO_ROW.format("", "Chad", 1, 3), "Chad in 2023, 2 and 3"
    ),
    "WEO, code": (
        "imf", WEO + WEO_ROW.format("TCD", "Chad", 1, 2) + WEO_ROW.format("TCD", "Tschad", 1, 3), "TCD in 2023, 2 and 3"
    ),
    "DataMapper, label": (
        "imf",
        '{"values": {"NGDPD": {"A": {"2022": 1}, "B": {"2022": 2}}}, '
        '"countries": {"A": {"label": "Chad"}, "B": {"label": "Chad"}}}',
        "Chad in 2022, 1 and 2",
    ),
    "DataMapper, name": (
        "imf", '{"values": {"NGDPD": {"TCD": {"2022": 1}, "TCD": {"2022": 2}}}}', "two entries .* 'TCD'"
    ),
    "SDMX as CSV": (
        "imf", CSV_30 + "dataflow,IMF.RES:WEO(9.0.0),R,USA,NGDPD,A,2024,7,9,2026-04-14T13:00:00Z,2024\n",
        "USA in 2024, 29298013000000 and 7",
    ),
    "SDMX": (
        "imf",
        XML.format(
            'COUNTRY="TCD" INDICATOR="NGDPD" FREQUENCY="A"',
            '<Obs TIME_PERIOD="2022" OBS_VALUE="1"/><Obs TIME_PERIOD="2022" OBS_VALUE="2"/>',
        ) + XML_END,
        "TCD in 2022, 1 and 2",
    ),
    "DBnomics": ("imf", docs("2022", "2022"), "DEU in 2022, 1.5 and 2.5"),
    "World Bank, name": (
        "world_bank", BANK + BANK_ROW.format("Chad", "", 1, 2) + BANK_ROW.format("Chad", "", 1, 3),
        "Chad in 2023, 2 and 3",
    ),
    "World Bank, code": (
        "world_bank", BANK + BANK_ROW.format("Chad", "TCD", 1, 2) + BANK_ROW.format("Tschad", "TCD", 1, 3),
        "TCD in 2023, 2 and 3",
    ),
    "World Bank, long": ("world_bank", LONG + "Chad,TCD,2022,1\nChad,TCD,2022,2\n", "Chad in 2022, 1 and 2"),
}  # fmt: skip


@pytest.mark.parametrize("form", TWICE)
def test_two_figures_of_one_country_and_year_are_refused_with_both(form: str) -> None:
    source, content, problem = TWICE[form]
    with pytest.raises(Refused, match=problem):
        read_as(
            source, content.encode(), None if "DBnomics" in form else OCTOBER_2024 if source == "imf" else JUNE_2024
        )


def test_the_same_figure_twice_is_read_once_and_two_codes_of_one_country_are_no_contradiction() -> None:
    reading = read_as("imf", (EXPORT + "Chad,1,2,3\nChad,1,2,no data\n").encode(), OCTOBER_2024)
    assert [r["GDP"] for r in reading.records] == ["1", "2", "3"]
    assert reading.dropped == {"figure repeated": 2, "year without a figure": 1}
    assert read_as("imf", v2_answer()).dropped["figure repeated"] == 1  # KOS and UVK


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("imf", EXPORT.replace("2024", "2023") + "Germany,1,2,2\n"),
        ("imf", WEO.replace("2022", "2023") + WEO_ROW.format("TCD", "Chad", 1, 1)),
        ("world_bank", BANK.replace("2022", "2023") + BANK_ROW.format("Chad", "TCD", 1, 1)),
    ],
)
def test_two_columns_of_one_year_are_refused(source: str, content: str) -> None:
    with pytest.raises(Refused, match="two columns of 2023"):
        read_as(source, content.encode(), OCTOBER_2024 if source == "imf" else JUNE_2024)


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("imf", f"Country,Year,{EXPORT[:49]},{EXPORT[:49]}\nChad,2022,1,2\n"),
        ("world_bank", f"{LONG[:-1]},NY.GDP.MKTP.CD\nChad,TCD,2022,1,2\n"),
    ],
)
def test_two_columns_of_the_quantity_are_refused(source: str, content: str) -> None:
    with pytest.raises(Refused, match=r"two columns of (GDP|NY)"):
        read_as(source, content.encode(), OCTOBER_2024 if source == "imf" else JUNE_2024)


def test_a_code_that_is_missing_is_no_countrys() -> None:
    content = BANK + BANK_ROW.format("Chad", "nan", 1, 2) + BANK_ROW.format("Mali", "nan", 3, 4)
    assert len(read_as("world_bank", content.encode(), JUNE_2024).records) == 4


PER_HEAD = '"GDP per capita, current prices (U.S. dollars per capita)",2022,2023,2024\n'


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("imf", f"{EXPORT}Germany,1,2,3\n\n{EXPORT}France,1,2,3\n"),
        ("imf", f"{EXPORT}Germany,1,2,3\n\n{PER_HEAD}France,1,2,3\n"),
        ("imf", WEO + WEO_ROW.format("TCD", "Chad", 1, 2) + WEO + WEO_ROW.format("MLI", "Mali", 1, 2)),
        ("imf", CSV_30 + CSV_30),
        ("world_bank", BANK + BANK_ROW.format("Chad", "TCD", 1, 2) + BANK + BANK_ROW.format("Mali", "MLI", 1, 3)),
        ("world_bank", f"{LONG}Chad,TCD,2022,1\n{LONG}Mali,MLI,2022,1\n"),
    ],
)
def test_a_second_heading_in_a_table_is_refused_with_its_row(source: str, content: str) -> None:
    with pytest.raises(Refused, match=r"row \d+ is a second heading"):
        read_as(source, content.encode(), OCTOBER_2024 if source == "imf" else JUNE_2024)


# --- signs of a spreadsheet in place of a figure ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        ("########", "too narrow; widen it in the spreadsheet and save it again"),
        ("#REF!", "an error of the spreadsheet"),
        ("#DIV/0!", "an error of the spreadsheet"),
    ],
)
@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("imf", EXPORT + "Chad,{},2,3\n"),
        ("imf", WEO + WEO_ROW.format("TCD", "Chad", "{}", 1)),
        ("world_bank", BANK + BANK_ROW.format("Chad", "TCD", "{}", 1)),
    ],
)
def test_a_sign_of_the_spreadsheet_in_place_of_a_figure_is_refused_for_what_it_is(
    source: str, content: str, sign: str, reason: str
) -> None:
    with pytest.raises(Refused, match=rf"Chad in 2022 is '{sign}', .*{reason}"):
        read_as(source, content.format(sign).encode(), OCTOBER_2024 if source == "imf" else JUNE_2024)


def test_excels_own_sign_of_no_figure_is_one() -> None:
    reading = read_as("imf", (EXPORT + "Chad,#N/A,2,3\n").encode(), OCTOBER_2024)
    assert reading.dropped == {"year without a figure": 1}


def test_a_formula_without_its_value_is_refused_with_its_cell() -> None:
    heading = "GDP, current prices (Billions of U.S. dollars)"
    assert not _FORMULA_ALONE.search(b'<c r="B2" t="str"><f>IF(A1,1,"")</f><v></v></c><c r="B3"><f>1</f><v>1</v></c>')
    with pytest.raises(Refused, match="cell C2 has a formula without its value; open it in Excel and save it again"):
        read_as("imf", workbook([[heading, "2023", "2024"], ["Chad", 17.5, "=1+1"]]), OCTOBER_2024)


# --- the release that the user names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "last", "noted", "problem"),
    [
        (Month(2020, 10), 2025, "©IMF, 2024", "copyright of 2024, and cannot be the release of 2020-10"),
        (Month(2025, 10), 2029, "\ufffdIMF, 2024", "copyright of 2024, and cannot be the release of 2025-10"),
        (Month(2020, 10), 2029, "", "figures to 2029, .* at most 6 years ahead: .* release of 2020-10"),
        (Month(2024, 10), 2029, "©IMF, 2024", None),
        (Month(2024, 10), 2029, "©IMF, 2025", None),
        (Month(2024, 10), 2030, "", None),
    ],
)
def test_a_release_that_the_file_contradicts_is_refused_with_both(
    release: Month, last: int, noted: str, problem: str | None
) -> None:
    content = (EXPORT.replace("2024", str(last)) + f'Chad,1,2,3\n\n"{noted}"\n').encode()
    if problem is None:
        assert len(read_as("imf", content, release).records) == 3
        return
    with pytest.raises(Refused, match=problem):
        read_as("imf", content, release)


# --- the day of a file of the World Bank ------------------------------------------------------------------------------

DATED = '"Data Source","World Development Indicators",\n\n"Last Updated Date","{}",\n\n'


@pytest.mark.parametrize(
    ("stated", "day"),
    [
        ("22/02/2018", "2018-02-22"), ("2/22/18", "2018-02-22"), ("02/22/2018", "2018-02-22"), ("43153", "2018-02-22"),
        ("43153.0", "2018-02-22"), ("22.02.2018", "2018-02-22"), ("03/03/2018", "2018-03-03"),
        ("2018-02-22T00:00:00", "2018-02-22"),
    ],
)  # fmt: skip
def test_a_day_of_one_reading_is_read(stated: str, day: str) -> None:
    content = (DATED.format(stated) + BANK + BANK_ROW.format("Chad", "TCD", 1, 2)).encode()
    assert {record["As_of"] for record in read_as("world_bank", content).records} == {day}


def test_a_day_of_two_readings_is_refused_with_both_and_the_release_settles_it() -> None:
    content = (DATED.format("03/02/2018") + BANK + BANK_ROW.format("Chad", "TCD", 1, 2)).encode()
    with pytest.raises(
        Refused, match="'03/02/2018', which is 2018-02-03 or 2018-03-02; name its version with --release"
    ):
        read_as("world_bank", content)
    with pytest.raises(Refused, match="updated on 2018-02-03 or 2018-03-02, not in 2018-04"):
        read_as("world_bank", content, Month(2018, 4))
    for release, day in ((Month(2018, 2), "2018-02-03"), (Month(2018, 3), "2018-03-02")):
        assert read_as("world_bank", content, release).records[0]["As_of"] == day


def test_what_is_no_day_is_quoted() -> None:
    content = (DATED.format("last week") + BANK + BANK_ROW.format("Chad", "TCD", 1, 2)).encode()
    with pytest.raises(Refused, match="updated on 'last week', which is no day; name its version with --release"):
        read_as("world_bank", content)
    assert read_as("world_bank", content, JUNE_2024).records[0]["As_of"] == "2024-06-30"


# --- separators between thousands and before decimals -----------------------------------------------------------------

HEADING = "GDP, current prices (Billions of U.S. dollars)"


@pytest.mark.parametrize("between", [";", "\t"])
@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_french_figures_with_a_space_between_thousands_are_read(space: str, between: str) -> None:
    rows = [HEADING, "2022", "2023", "2024"], ["China", "303,004", f"1{space}024,167", f"18{space}805,123"]
    reading = read_as("imf", "\n".join(map(between.join, rows)).encode(), OCTOBER_2024)
    assert [record["GDP"] for record in reading.records] == ["303.004", "1024.167", "18805.123"]


def test_decimal_commas_between_tabs_are_read_and_those_between_thousands_stay() -> None:
    row = WEO_ROW.format("TCD", "Chad", "9,095", "{}")
    for figure, want in (("6,5", ["9.095", "6.5"]), ("6,500", ["9,095", "6,500"]), ("1,234.5", ["9,095", "1,234.5"])):
        reading = read_as("imf", (WEO + row.format(figure)).encode(), OCTOBER_2024)
        assert [record["GDP"] for record in reading.records] == want


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        ("9;7;18.805", "18.805 may be 18.805 or 18805; save it with commas between cells"),
        ("9;7;1,234", "1,234 may be 1.234 or 1234; save it with commas between cells"),
        ("9;7.25;18.805", ["9", "7.25", "18.805"]),
        ("0.125;7.250;18.805", ["0.125", "7.250", "18.805"]),
        ("9;18.805;1.118.805", ["9", "18805", "1118805"]),
    ],
)
def test_dots_between_semicolons_are_read_where_they_can_mean_one_thing(cells: str, want: str | list[str]) -> None:
    content = f"{HEADING};2022;2023;2024\nChina;{cells}\n".encode()
    if isinstance(want, str):
        with pytest.raises(Refused, match=want):
            read_as("imf", content, OCTOBER_2024)
    else:
        assert [record["GDP"] for record in read_as("imf", content, OCTOBER_2024).records] == want


# --- what a file is packed in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "content"),
    [("imf", EXPORT + "Chad,1,2,3\n"), ("world_bank", BANK + BANK_ROW.format("Chad", "TCD", 1, 2))],
)
def test_of_an_archive_with_two_files_that_fit_both_are_named(source: str, content: str) -> None:
    release = OCTOBER_2024 if source == "imf" else JUNE_2024
    assert read_as(source, archive(("a.csv", content), ("notes.txt", "About it")), release).records
    with pytest.raises(Refused, match=r"a\.csv, b\.csv in it fit; unpack it, and name one of them with --page"):
        read_as(source, archive(("a.csv", content), ("b.csv", content), ("notes.txt", "About it")), release)


def test_two_sheets_of_the_quantity_are_refused() -> None:
    book = openpyxl.Workbook()
    for name in ("one", "two"):
        sheet = book.create_sheet(name)
        sheet.append([HEADING, "2023"])
        sheet.append(["Chad", 17.5])
    file = io.BytesIO()
    book.save(file)
    with pytest.raises(Refused, match="two tables of"):
        read_as("imf", file.getvalue(), OCTOBER_2024)


@pytest.mark.parametrize(
    ("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz"), (gzip.compress, "gzip twice")]
)
def test_a_packer_that_is_not_read_is_named(pack: Callable[[bytes], bytes], name: str) -> None:
    for read in (partial(read_as, "imf"), partial(read_as, "world_bank"), source_of):
        with pytest.raises(Refused, match=f"it is packed with {name}, .*; unpack it"):
            read(pack(EXPORT.encode()))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_json_in_another_encoding_is_named_with_it(encoding: str) -> None:
    for read in (partial(read_as, "imf"), partial(read_as, "world_bank"), source_of):
        with pytest.raises(Refused, match=f"it is JSON in {encoding[:6].upper()}; save it in UTF-8"):
            read('{"values": {"NGDPD": {"TCD": {"2022": 1}}}}'.encode(encoding))

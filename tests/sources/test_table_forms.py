"""Tables that libraries and other tools write: read where they name quantity and unit, refused with help where not."""

from __future__ import annotations

import codecs
import gzip
import json
from datetime import datetime, timezone
from pathlib import Path

import openpyxl
import pytest

from gdp.sources import Month, Page, Reading, Refused
from gdp.sources.cache import open_page
from gdp.sources.registry import SOURCES, read_any
from tests.sources.test_peoples_files import archive, bulk_lines
from utils import StageError

HERE = Path(__file__).parent
JUNE_2024, OCTOBER_2024 = Month(2024, 6), Month(2024, 10)
FRANCE = "3051831611384.76"
Figures = dict[tuple[str, str], float]


def read(content: bytes | str, release: Month | None = JUNE_2024, name: str = "a file") -> Reading:
    content = content.encode() if isinstance(content, str) else content
    return read_any(Page(content, name, datetime.now(timezone.utc)), release)


def figures(reading: Reading) -> Figures:
    return {(record["Country"], record["Year"]): float(record["GDP"].replace(",", "")) for record in reading.records}


ROWS_OF_API = [
    {"indicator": {"id": "NY.GDP.MKTP.CD", "value": "GDP (current US$)"}, "country": {"id": "FR", "value": "France"},
     "countryiso3code": "FRA", "date": "2023", "value": 3051831611384.76, "unit": ""}
]  # fmt: skip
WITH_INDICATOR = {
    "wbgapi, several series": f"economy,series,YR2022,YR2023\nFRA,NY.GDP.MKTP.CD,1,{FRANCE}\nFRA,SP.POP.TOTL,68,68\n",
    "wbgapi, series and labels": "economy,series,Country,Series,YR2022,YR2023\n"
                                 f"FRA,NY.GDP.MKTP.CD,France,GDP (current US$),1,{FRANCE}\n",
    "wbgapi, labels without index": f"Country,Series,YR2023\nFrance,GDP (current US$),{FRANCE}\nFrance,Population,68\n",
    "wbgapi, series as columns": f"economy,time,NY.GDP.MKTP.CD,SP.POP.TOTL\nFRA,YR2023,{FRANCE},68\n",
    "wbgapi, time columns": f"economy,NY.GDP.MKTP.CD,NY.GDP.MKTP.CD:T\nFRA,{FRANCE},2023\n",
    "wbgapi, a column an economy": f"series,time,FRA,DEU\nNY.GDP.MKTP.CD,YR2023,{FRANCE},2\nSP.POP.TOTL,YR2023,5,6\n",
    "wbdata, named": f"country,date,GDP (current US$)\nFrance,2023,{FRANCE}\n",
    "R, WDI": f'"","country","iso2c","iso3c","year","NY.GDP.MKTP.CD"\n"1","France","FR","FRA",2023,{FRANCE}\n',
    "R, wbstats": f"iso3c,date,value,indicatorID,indicator,country\nFRA,2023,{FRANCE},NY.GDP.MKTP.CD,GDP,France\n",
    "R, a file read again": "Country.Name,Country.Code,Indicator.Name,Indicator.Code,X2023\n"
                            f"France,FRA,GDP (current US$),NY.GDP.MKTP.CD,{FRANCE}\n",
    "R, DataBank's read again": "Country.Name,Country.Code,Series.Name,Series.Code,X2023..YR2023.\n"
                                f"France,FRA,GDP (current US$),NY.GDP.MKTP.CD,{FRANCE}\n",
    "pandas, json_normalize": "countryiso3code,date,value,indicator.id,indicator.value,country.id,country.value\n"
                              f"FRA,2023,{FRANCE},NY.GDP.MKTP.CD,GDP (current US$),FR,France\n",
    "pandas, objects as text": "indicator,country,date,value\n"
                               "\"{'id': 'NY.GDP.MKTP.CD', 'value': 'GDP (current US$)'}\","
                               f"\"{{'id': 'FR', 'value': 'France'}}\",2023,{FRANCE}\n",
    "pandas, melted": "Country Name,Country Code,Indicator Name,Indicator Code,variable,value\n"
                      f"France,FRA,GDP (current US$),NY.GDP.MKTP.CD,2023,{FRANCE}\n",
    "the API's rows alone": json.dumps(ROWS_OF_API),
    "DataBank, a column a series": "Time,Time Code,Country Name,Country Code,GDP (current US$) [NY.GDP.MKTP.CD]\n"
                                   f"2023,YR2023,France,FRA,{FRANCE}\n",
    "DataBank, a column a country": "Series Name,Series Code,Time,Time Code,France [FRA]\n"
                                    f"GDP (current US$),NY.GDP.MKTP.CD,2023,YR2023,{FRANCE}\n",
    "Data360": "STRUCTURE_ID,REF_AREA,INDICATOR,TIME_PERIOD,OBS_VALUE,UNIT_MULT\n"
               f"WB.DATA360:DS(1.3),FRA,WB_WDI_NY_GDP_MKTP_CD,2023,{FRANCE},0\n",
    "upright lines": "Country Name|Country Code|Indicator Name|Indicator Code|2023\n"
                     f"France|FRA|GDP (current US$)|NY.GDP.MKTP.CD|{FRANCE}\n",
    "a first day of the year": f"country,date,NY.GDP.MKTP.CD\nFrance,2023-01-01,{FRANCE}\n",
}  # fmt: skip


@pytest.mark.parametrize("form", WITH_INDICATOR)
def test_a_table_that_names_the_indicator_is_read_with_its_release(form: str) -> None:
    reading = read(WITH_INDICATOR[form])
    assert {figure for (name, year), figure in figures(reading).items() if (name[:2].upper(), year) == ("FR", "2023")} \
        == {3051831611384.76}  # fmt: skip
    assert {name for name, _ in figures(reading)} <= {"France", "FRA", "DEU"}
    assert {record["As_of"] for record in reading.records} == {"2024-06-30"}
    with pytest.raises(Refused, match="name its version with --release"):
        read(WITH_INDICATOR[form], None)


@pytest.mark.parametrize(
    "table",
    [
        "economy,series,YR2023\nFRA,NY.GDP.MKTP.CD,1\nAFE,NY.GDP.MKTP.CD,2\nWLD,NY.GDP.MKTP.CD,3\n",
        "series,time,FRA,AFE,WLD\nNY.GDP.MKTP.CD,YR2023,1,2,3\n",
    ],
)
def test_the_codes_of_groups_are_no_countries_and_the_worlds_is_the_control_total(table: str) -> None:
    reading = read(table)
    assert figures(reading) == {("FRA", "2023"): 1, ("World", "2023"): 3}
    assert reading.dropped == {"row of a group of countries": 1}


@pytest.mark.parametrize("column", ["lastupdated", "last_updated"])
def test_the_day_in_a_column_is_the_tables_day(column: str) -> None:
    table = f"country,year,NY.GDP.MKTP.CD,{column}\nFrance,2023,{FRANCE},2024-06-28\n"
    assert {record["As_of"] for record in read(table, None).records} == {"2024-06-28"}


UNNAMED = {
    "economy": "economy,YR2022,YR2023\nFRA,1,2\n", "Country": "economy,Country,YR2022,YR2023\nFRA,France,1,2\n",
    "2022": "economy,2022,2023\nFRA,1,2\n", "time": "time,FRA,DEU\nYR2022,1,2\n", "DEU": ",FRA,DEU\nYR2022,1,2\n",
    "gdp": "country,date,gdp\nFrance,2023,5\n", "Value": "Country Name,Country Code,Year,Value\nFrance,FRA,2023,5\n",
    "GDP, PPP (constant": 'Entity,Code,Year,"GDP, PPP (constant 2021 international $)"\nFrance,FRA,2023,5\n',
    "GDP": "Country Name,Country Code,Indicator Name,Indicator Code,Year,GDP\nFrance,FRA,x,NY.GDP.MKTP.CD,2023,5\n",
    "MKTGDPFRA646NWDB": "DATE,MKTGDPFRA646NWDB\n2023-01-01,5\n", "NGDPD": "country,year,NGDPD\nUSA,2024,29298\n",
    "LOCATION": "LOCATION,INDICATOR,SUBJECT,MEASURE,TIME,Value\nFRA,GDP,TOT,MLN_USD,2023,3051831\n",
}  # fmt: skip


@pytest.mark.parametrize("column", UNNAMED)
def test_a_table_that_names_no_quantity_and_unit_is_refused_with_what_helps(column: str) -> None:
    for source in (None, "world_bank", "imf"):
        with pytest.raises(
            Refused, match=rf'a table with the columns .*"{column.replace("(", ".")}.*not named'
        ) as found:
            if source:
                SOURCES[source].read(Page(UNNAMED[column].encode(), "a file", datetime.now(timezone.utc)), JUNE_2024)
            read(UNNAMED[column])
    assert "index=['economy', 'series'], columns='time'" in str(found.value) or source == "imf"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (f"economy,NY.GDP.MKTP.CD\nFRA,{FRANCE}\n", "of a year that nothing in it states; .*timeColumns=True"),
        ("country,date,NY.GDP.MKTP.CD\nFrance,2023Q4,5\n", "the row of France is of '2023Q4', which is no year"),
        ("STRUCTURE_ID,REF_AREA,INDICATOR,TIME_PERIOD,OBS_VALUE,UNIT_MULT\nx,FRA,WB_WDI_NY_GDP_MKTP_CD,2023,3,9\n",
         r"in 10\^9 US dollars"),
        (f"country,year,NY.GDP.MKTP.KD,series\nFrance,2023,{FRANCE},x\n", "no page or file"),
        ("economy,series,YR2023\nFRA,NY.GDP.PCAP.CD,5\n", "it has NY.GDP.PCAP.CD, not NY.GDP.MKTP.CD"),
        ("DATASET,COUNTRY,INDICATOR,SCALE,TIME_PERIOD,OBS_VALUE\nWEO,USA,NGDPD,Lakhs,2024,5\n",
         "the scale of its figures is 'Lakhs'"),
    ],
)  # fmt: skip
def test_a_table_of_another_year_scale_or_indicator_is_refused_for_it(table: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        read(table)


HEADING = '"GDP, current prices (Billions of U.S. dollars)"'
OF_THE_IMF = {
    "one year": f"{HEADING},2023\nFrance,3051.8\n",
    "Excel's first line": "sep=;\nGDP, current prices (Billions of U.S. dollars);2022;2023\nFrance;1,5;3051,8\n",
    "the DataMapper's values alone": '{"NGDPD": {"FRA": {"2023": 3051.8}}}',
    "the portal, an observation a row": "DATASET,SERIES_CODE,COUNTRY,INDICATOR,FREQUENCY,SCALE,TIME_PERIOD,OBS_VALUE\n"
                                        "IMF.RES:WEO(9.0.0),FRA.NGDPD.A,France,GDP,Annual,Billions,2023,3051.8\n",
    "R": "WEO.Country.Code,ISO,WEO.Subject.Code,Country,Subject.Descriptor,Units,Scale,X2023,Estimates.Start.After\n"
         'x,FRA,NGDPD,France,"Gross domestic product, current prices",U.S. dollars,Billions,"3,051.8",2023\n'
         'x,FRA,NGDPDPC,France,"Gross domestic product per capita",U.S. dollars,Units,"44,000",2023\n',
}  # fmt: skip


@pytest.mark.parametrize("form", OF_THE_IMF)
def test_a_table_of_the_imf_is_read_in_the_unit_that_it_names(form: str) -> None:
    (record,) = [record for record in read(OF_THE_IMF[form], OCTOBER_2024).records if record["Year"] == "2023"]
    assert (record["GDP"].replace(",", ""), record["Unit"][:8]) == ("3051.8", "Billions")


def test_decimal_commas_before_an_exponent_are_decimal() -> None:
    table = "Country Name;Country Code;Indicator Code;2023\nFrance;FRA;NY.GDP.MKTP.CD;3,05183E+12\n"
    assert figures(read(table)) == {("France", "2023"): 3051830000000}


# --- workbooks --------------------------------------------------------------------------------------------------------


def test_the_sheet_of_nominal_gdp_in_a_binary_workbook_is_read() -> None:
    name = "imf-dm-export-20241022.xls"  # xlwt wrote it, with growth on its first sheet
    reading = read((HERE / name).read_bytes(), None, name)
    assert figures(reading)["Côte d'Ivoire", "2023"] == 78.875 and figures(reading)["World", "2024"] == 110064.5
    assert len(reading.records) == 8 and {record["As_of"] for record in reading.records} == {"2024-10-22"}
    assert reading.dropped == {"year without a figure": 1, "group of countries": 1}


def test_the_day_of_a_binary_workbook_is_a_day() -> None:
    reading = read((HERE / "API_NY.GDP.MKTP.CD_DS2_en_excel_v2.xls").read_bytes(), None)
    assert figures(reading) == {
        ("France", "2022"): 2796302000000, ("France", "2023"): 3051831611384.76, ("Aruba", "2022"): 3279344544,
    }  # fmt: skip
    assert {record["As_of"] for record in reading.records} == {"2024-06-28"}


def test_the_day_of_an_xlsx_is_a_day(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Data")
    for row in (["Data Source", "World Development Indicators"], ["Last Updated Date", datetime(2024, 6, 28)], [],
                ["Country Name", "Country Code", "Indicator Name", "Indicator Code", "2022", 2023],
                ["France", "FRA", "GDP (current US$)", "NY.GDP.MKTP.CD", None, float(FRANCE)]):  # fmt: skip
        sheet.append(row)
    book.save(tmp_path / "data.xlsx")
    reading = read((tmp_path / "data.xlsx").read_bytes(), None)
    assert figures(reading) == {("France", "2023"): 3051831611384.76}
    assert {record["As_of"] for record in reading.records} == {"2024-06-28"}


# --- encodings --------------------------------------------------------------------------------------------------------

ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "cp1252",
    "latin-1",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "UTF-16BE with mark",
]


def in_encoding(text: str, encoding: str) -> bytes:
    return codecs.BOM_UTF16_BE + text.encode("utf-16-be") if " " in encoding else text.encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_is_read_in_any_encoding(encoding: str) -> None:
    text = f"Country Name\tCountry Code\tIndicator Code\t2023\nCôte d'Ivoire\tCIV\tNY.GDP.MKTP.CD\t{FRANCE}\n"
    assert figures(read(in_encoding(text, encoding))) == {("Côte d'Ivoire", "2023"): 3051831611384.76}


@pytest.mark.parametrize("packing", ["", ".zip", ".gz"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bulk_file_is_read_in_any_encoding_without_its_other_indicators(
    encoding: str, packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(bulk_lines(9)).replace("Country 7,", "Côte d'Ivoire,")
    content = in_encoding(text, encoding)
    path = tmp_path / f"WDICSV.csv{packing}"
    packed = {"": content, ".zip": archive(("WDICSV.csv", content)), ".gz": gzip.compress(content)}
    path.write_bytes(packed[packing])
    monkeypatch.setattr("gdp.sources.cache.FILE_LIMIT_BYTES", 20_000)
    page = open_page(path)
    assert len(page.content) < len(text) / 5
    got = figures(read(page.content))
    assert len(got) == 240 and got["Côte d'Ivoire", "2023"] == 2007


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_bulk_file_in_utf_16_that_is_cut_short_names_its_encoding(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "WDICSV.csv"
    path.write_bytes("".join(bulk_lines(9)).encode(encoding)[:-1])
    monkeypatch.setattr("gdp.sources.cache.FILE_LIMIT_BYTES", 20_000)
    with pytest.raises(StageError, match=r"cut short, or not the text in UTF-16 .*save it in UTF-8"):
        open_page(path)


# --- the DataMapper's export, as libraries write it -------------------------------------------------------------------

QUANTITY = '"GDP, current prices (Billions of U.S. dollars)"'
EXPORTS = {
    "row numbers": f',{QUANTITY},2022,2023\n0,Chad,1.5,no data\n1,Mali,3,4\n2,ASEAN-5,5,6\n3,"©IMF, 2024",,\n',
    "years as numbers with a point": f'{QUANTITY},2022.0,2023.0\nChad,1.5,no data\nMali,3,4\nASEAN-5,5,6\n',
    "years as days": f"{QUANTITY},2022-01-01T00:00:00,2023-01-01\nChad,1.5,no data\nMali,3,4\nASEAN-5,5,6\n",
    "a country a column": f'{QUANTITY},Chad,Mali,ASEAN-5\n2022,1.5,3,5\n2023,no data,4,6\n"©IMF, 2024"\n',
    "a country and a year a row": f"Country,Year,{QUANTITY}\nChad,2022,1.5\nChad,2023,no data\nMali,2022,3\n"
                                  'Mali,2023,4\nASEAN-5,2022,5\nASEAN-5,2023,6\n\n"©IMF, 2024"\n',
    "melted": f",{QUANTITY},variable,value\n0,Chad,2022,1.5\n1,Chad,2023.0,no data\n2,Mali,2022,3\n3,Mali,2023,4\n",
}  # fmt: skip


@pytest.mark.parametrize("form", EXPORTS)
def test_an_export_of_the_datamapper_is_read_in_the_forms_that_libraries_write(form: str) -> None:
    reading = read(EXPORTS[form], Month(2024, 10))
    assert figures(reading) == {("Chad", "2022"): 1.5, ("Mali", "2022"): 3, ("Mali", "2023"): 4}
    assert reading.dropped["year without a figure"] == 1
    if "IMF, 2024" in EXPORTS[form]:
        with pytest.raises(Refused, match="copyright of 2024"):
            read(EXPORTS[form], Month(2020, 10))


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("row numbers", "2,ASEAN-5", "2,Mali"), ("a country a column", "ASEAN-5", "Mali"),
        ("a country and a year a row", "ASEAN-5", "Mali"), ("melted", "1,Chad,2023.0,no data", "1,Mali,2022,5"),
    ],
)  # fmt: skip
def test_two_figures_of_a_country_are_refused_in_each_of_these_forms(form: str, before: str, after: str) -> None:
    with pytest.raises(Refused, match=r"it has two figures of Mali in 2022, (3 and 5|5 and 3)"):
        read(EXPORTS[form].replace(before, after), Month(2024, 10))


def test_a_table_with_the_heading_and_no_years_is_refused_for_the_years() -> None:
    with pytest.raises(Refused, match=r'has "GDP, current prices .* not read: .* named Country and Year'):
        read(f"Country,{QUANTITY}\nChad,1.5\n", Month(2024, 10))


def test_a_row_of_a_turned_export_that_is_cut_short_is_refused() -> None:
    with pytest.raises(Refused, match="the row of 2023 is cut short"):
        read(EXPORTS["a country a column"].replace(",4,6", ",4"), Month(2024, 10))

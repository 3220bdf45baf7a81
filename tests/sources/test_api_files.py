"""The real answers and files in ../shared/api, every one: each figure is read, or the file is refused with its reason.

What a file says is read here a second time, by other means: by splitting lines and by regular expressions.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from gdp.model import IMF, WORLD_BANK
from gdp.sources import Month, Page, Reading, Refused
from gdp.sources.registry import read_any, source_of
from gdp.transform.countries import reference
from tests.conftest import PROJECT, Run, records

API = PROJECT.parent / "shared" / "api"
RAW = Path("results") / "Countries_by_GDP.json"
needs_files = pytest.mark.skipif(not API.exists(), reason="../shared is not beside the project")
Figures = dict[tuple[str, str], str]


def content_of(name: str) -> bytes:
    return gzip.decompress((API / name).read_bytes())


def read(name: str, release: Month | None = None) -> Reading:
    content = content_of(name)
    return read_any(Page(content, name, datetime.now(timezone.utc)), release)


def lines(name: str, encoding: str, separator: str) -> list[list[str]]:
    return [line.split(separator) for line in content_of(name).decode(encoding).splitlines()]


# --- read again, by other means ---------------------------------------------------------------------------------------


FIGURE = re.compile(r"[\d,.]+(?:E\+\d\d)?")


def by_year_columns(rows: list[list[str]], name: str = "Country") -> Figures:
    """Return the figures of rows with a year a column, by the place of the words and digits alone."""
    header = rows[0]
    place = [cell.strip("\ufeff") for cell in header].index(name)
    return {
        (row[place], header[n]): row[n]
        for row in rows[1:] if len(row) >= len(header) - 1
        for n in range(len(header)) if re.fullmatch(r"\d{4}", header[n]) and FIGURE.fullmatch(row[n])
    }  # fmt: skip


def tabbed(encoding: str) -> Callable[[str], Figures]:
    return lambda name: by_year_columns(lines(name, encoding, "\t"))


def comma(name: str) -> Figures:
    return by_year_columns(list(csv.reader(content_of(name).decode("utf-8-sig").splitlines())))


def site(name: str) -> Figures:
    rows = list(csv.reader(content_of(name).decode("utf-8-sig").splitlines()))
    start = next(n for n, row in enumerate(rows) if row and row[0] == "Country Name")
    found = by_year_columns(rows[start:], "Country Name")
    # Excel has written 110802000000 as 1.10802E+11
    return {key: str(round(float(figure))) if "E" in figure else figure for key, figure in found.items()}


def datamapper(name: str) -> Figures:
    answer = json.loads(content_of(name), parse_float=str, parse_int=str)["values"]["NGDPD"]
    names = {"WEOWORLD": "World"}
    return {(names.get(code, code), year): figure for code, one in answer.items() for year, figure in one.items()}


def bank(name: str) -> Figures:
    text = content_of(name).decode()
    pattern = r'"country":\{"id":"..","value":"([^"]*)"\},"countryiso3code":"\w+","date":"(\d{4})","value":([\d.]+)'
    return {(country, year): figure for country, year, figure in re.findall(pattern, text)}


def observations(name: str) -> Figures:
    return {(row[3], row[6]): row[7] for row in lines(name, "utf-8", ",")[1:] if row[4] == "NGDPD"}


OCT_2019, OCT_2024, APR_2026 = Month(2019, 10), Month(2024, 10), Month(2026, 4)
READ: dict[str, tuple[Callable[[str], Figures], int, str, Month | None]] = {
    "weo/weo_2015oct_report_latin1.xls.gz": (tabbed("latin-1"), 7082, "2015-10-06", None),
    "weo/weo_2019oct_excel_csv_bom_rounded.csv.gz": (comma, 1536, "2019-10-15", OCT_2019),
    "weo/weo_2021apr_report_utf16.xls.gz": (tabbed("utf-16-le"), 7421, "2021-04-06", None),
    "weo/weo_2021oct_csv.csv.gz": (comma, 582, "2021-10-12", None),
    "weo/weo_2021oct_report_utf16.xls.gz": (tabbed("utf-16-le"), 387, "2021-10-12", None),
    "weo/weo_2022oct_report_utf16.xls.gz": (tabbed("utf-16-le"), 1526, "2022-10-11", None),
    "weo/weo_2023apr_report_codes_utf8_resaved.xls.gz": (tabbed("utf-8"), 1817, "2023-04-11", None),
    "sdmx/weo_9.0.0_sdmx30_csv_NGDPD_LP.csv.gz": (observations, 4, "2026-04-14", APR_2026),
    "imf_datamapper_v1_NGDPD_2025-01.json.gz": (datamapper, 10572, "2024-10-22", OCT_2024),
    "wb/bulk_20160502.csv.gz": (site, 10355, "2016-05-02", None),
    "wb/bulk_20160722.csv.gz": (site, 11214, "2016-07-22", None),
    "wb/bulk_20180222.csv.gz": (site, 11450, "2018-02-22", None),
    "wb/bulk_20241113_excelresaved.csv.gz": (site, 13979, "2024-11-13", None),
    "wb/api_v2_FRA_20240328.json.gz": (bank, 63, "2024-03-28", None),
    "wb/api_v2_MEX_20260713_edited.json.gz": (bank, 2, "2026-07-13", None),
}
REFUSED = {
    "datamapper/v1_NGDPD_truncated_head.txt.gz": "cut short",
    "datamapper/v1_no_such_country.json.gz": "does not have the country or the indicator",
    "datamapper/v2_countries_excerpt_2026.json.gz": "about countries, and has no figures",
    "datamapper/v2_indicators_NGDPD_2026apr.json.gz": "about indicators, and has no figures",
    "datamapper/v2_series_NGDP_RPCH_GHA_2026apr.json.gz": "NGDP_RPCH, not NGDPD",
    "failures/imf_akamai_access_denied_saved_as_weo.xls.gz": 'a web page, "Access Denied"',
    "failures/imf_f5_request_rejected.tsv.gz": 'a web page, "Request Rejected"',
    "failures/sdmx21_http400_key_dims.json.gz": "cut short",
    "failures/sdmx21_http404_unknown_dataflow.json.gz": "cut short",
    "sdmx/sdmx30_response_headers_20251110.json.gz": "no page or file of Wikipedia, IMF, World Bank",
    "sdmx/sdmx30_structure_dataflow_weo_only_20251110.json.gz": "SDMX as JSON",
    "sdmx/weo_9.0.0_sdmx30_json_USA_NGDPD_trimmed.json.gz": "SDMX as JSON",
    "sdmx/portal_beta_export_weo_4.0.0_NGDPD.ts.gz": "a script (JavaScript or TypeScript)",
    "sdmx/weo_9.0.0_sdmx21_SVK_NGDP_R.xml.gz": "NGDP_R, not NGDPD",
    "sdmx/weo_9.0.0_sdmx21_csv_MEX_NGDP_RPCH.csv.gz": "NGDP_RPCH, not NGDPD",
    "sdmx/weo_9.0.0_sdmx21_structure.xml.gz": "SDMX's Structure and holds no figures",
    "wb/api_v1_20160411.js.gz": "a script (JavaScript or TypeScript)",
    "wb/api_v2_all_20240328_2021_2022.json.gz": "page 1 of 2",
    "wb/api_v2_error_http200.json.gz": "an error: The provided parameter value is not valid",
    "wb/wdi_archives_202407_excerpt.json.gz": "NY.GDP.PCAP.KD, not NY.GDP.MKTP.CD",
    "wb/wdi_archives_source57_shape.json.gz": "AG.AGR.TRAC.NO, not NY.GDP.MKTP.CD",
    "wb/wdi_archives_versions_excerpt.json.gz": "a list of what the archives hold",
}


@needs_files
@pytest.mark.parametrize("name", READ)
def test_every_figure_of_a_real_file_is_read_and_its_day_is_right(name: str) -> None:
    again, number, day, release = READ[name]
    reading = read(name, release)
    got = {(r["Country"], str(r["Year"])): r["GDP"] for r in reading.records}
    want = {(country.strip(), year): figure for (country, year), figure in again(name).items()}
    assert got == want and len(reading.records) == len(got) == number
    assert {r["As_of"] for r in reading.records} == {day}


@needs_files
@pytest.mark.parametrize("name", [name for name, (*_, release) in READ.items() if release])
def test_a_file_that_names_no_release_is_refused_unless_the_user_does(name: str) -> None:
    with pytest.raises(Refused, match="nothing in it names its release"):
        read(name)


@needs_files
@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_without_nominal_gdp_is_refused_for_what_it_is(name: str) -> None:
    with pytest.raises(Refused, match=re.escape(REFUSED[name])):
        read(name)


@needs_files
def test_a_file_that_names_another_release_than_the_user_is_refused() -> None:
    with pytest.raises(Refused, match="it is the release of 2022-10, not of 2021-04"):
        read("weo/weo_2022oct_report_utf16.xls.gz", Month(2021, 4))


@needs_files
def test_what_is_a_projection_is_reported_country_by_country_as_the_file_says() -> None:
    answer = {(r["Country"], r["Year"]): r["Status"] for r in read("weo/weo_2022oct_report_utf16.xls.gz").records}
    assert (answer["Zimbabwe", "2021"], answer["Algeria", "2021"]) == (
        "projection",
        "estimate",
    )  # after 2019, after 2021
    assert (answer["Algeria", "2022"], answer["Algeria", "2020"]) == ("projection", "estimate")


@needs_files
def test_a_file_of_any_kind_is_read_by_its_content_whatever_it_is_called(run: Run, home: Path, tmp_path: Path) -> None:
    for name, number in (("weo/weo_2022oct_report_utf16.xls.gz", 1526), ("wb/bulk_20160502.csv.gz", 10355)):
        (tmp_path / "page.html").write_bytes(content_of(name))
        done = run("extract.py", "--page", tmp_path / "page.html")
        assert done.returncode == 0, done.stderr
        assert len(records(home / RAW)) == number


@needs_files
def test_a_folder_of_files_and_pages_is_read_in_one_run(run: Run, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    taken = ["weo/weo_2022oct_report_utf16.xls.gz", "wb/bulk_20180222.csv.gz", "weo/weo_2015oct_report_latin1.xls.gz"]
    for name in [*taken, "failures/imf_akamai_access_denied_saved_as_weo.xls.gz"]:
        (folder / Path(name).name.removesuffix(".gz")).write_bytes(content_of(name))
    page = next((PROJECT / "data" / "pages").glob("*.html.gz"))
    (folder / page.name).write_bytes(page.read_bytes())
    done = run("extract.py", "--pages", folder, "--max-rejected", "0.5")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (home / RAW).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    days = {(r["As_of"][:10], r["Source"].split("/")[2]) for r in found}
    assert days == {
        ("2025-12-30", "en.wikipedia.org"), ("2022-10-11", "www.imf.org"), ("2015-10-06", "www.imf.org"),
        ("2018-02-22", "api.worldbank.org"),
    }  # fmt: skip
    assert 'is refused: it answered with a web page, "Access Denied"' in done.stderr


@needs_files
@pytest.mark.parametrize("name", READ)
def test_a_files_source_is_recognised_by_its_content(name: str) -> None:
    assert source_of(content_of(name)).name == (WORLD_BANK.name if name.startswith("wb/") else IMF.name)


@needs_files
@pytest.mark.parametrize("name", READ)
def test_every_country_of_a_real_file_is_known(name: str) -> None:
    known = reference()
    names = {record["Country"] for record in read(name, READ[name][3]).records}
    # re-saved by Excel, two of them have lost their accented letters: "C?te d'Ivoire"
    assert not {one for one in names if known.find(one) is None and not known.is_aggregate(one)}

"""Releases past and present: asked of whoever has them, dated by their publication, fetched once, and never guessed."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from gdp.sources import Refused, Unreachable, imf, world_bank
from gdp.sources.outlook import Outlook, Series, extracted
from gdp.sources.releases import ReleaseMonth, day_of, month_span, named_in, of_day, releases_between
from tests import stand_ins
from tests.conftest import Answer, Run, Server, query, records
from tests.store.loading import ask
from utils import StageError

RAW = Path("results") / "Countries_by_GDP.json"
TODAY = date(2026, 11, 25)
APRIL_2026 = ReleaseMonth(2026, 4)
FAST = ("--pause", "0.1")


def environment(server: Server) -> dict[str, str]:
    return {
        "GDP_ETL_SDMX_URL": f"{server.base}/sdmx", "GDP_ETL_IMF_URL": f"{server.base}/imf",
        "GDP_ETL_DBNOMICS_URL": f"{server.base}/dbnomics", "GDP_ETL_WORLD_BANK_URL": f"{server.base}/wb",
    }  # fmt: skip


def servers(**routes: stand_ins.Route) -> stand_ins.Route:
    """Return one route that hands each path to the source whose name it begins with; who is not there is 403."""

    def route(path: str) -> Answer:
        name, _, rest = path.removeprefix("/").partition("/")
        return routes[name](f"/{rest}") if name in routes else Answer(403, b"<html>Forbidden</html>")

    return route


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "data" / "pages").glob("*.gz"))


# --- names and days ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("International Monetary Fund, World Economic Outlook Database, October 2022", (2022, 10)),
        ("World Economic Outlook (April 2026)", (2026, 4)),
        ("International Monetary Fund, World Economic Outlook Database, September 2011", (2011, 9)),
        ("WEO:2013-04", (2013, 4)),
        ("WEO_2025_OCT_VINTAGE", (2025, 10)),
        ("WEO", None),
        ("World Economic Outlook", None),
        ("as of 2013-05", None),
    ],
)
def test_a_release_is_told_by_the_month_and_year_that_a_text_names(text: str, release: tuple[int, int] | None) -> None:
    assert named_in(text) == release


def test_the_releases_of_a_span_come_in_order_and_that_of_2011_in_september() -> None:
    span = month_span("2010-10..2012-04")
    assert [str(release) for release in releases_between(*span)] == ["2010-10", "2011-04", "2011-09", "2012-04"]
    assert len(list(releases_between(*month_span("2007-10..2026-04")))) == 38


@pytest.mark.parametrize("text", ["2013", "2013-13", "2014-04..2013-10", "april 2013", "2013-04-16", "..", ""])
def test_what_is_no_month_or_span_of_months_is_wrong_usage(text: str, run: Run, home: Path) -> None:
    assert run("extract.py", "--source", "imf", "--release", text).returncode == 2


@pytest.mark.parametrize("text", ["2025-10-14T13:00:00Z", "10/14/2025", "2025-10-14 00:00:00", " 2025-10-14"])
def test_a_day_is_read_in_any_of_the_ways_that_the_sources_write_it(text: str) -> None:
    assert day_of(text) == "2025-10-14"
    assert of_day("2025-10-14") == (2025, 10) and of_day("2011-09-20") == (2011, 9)


def told(**of: Any) -> str:
    outlook = Outlook([Series("KOR", "Korea", {"2024": "1869.9"})], "Billions of U.S. dollars", "https://…", **of)
    return extracted(outlook, TODAY, None).records[0]["As_of"]


def test_as_of_is_the_day_of_publication_and_never_before_it() -> None:
    assert told(published="2025-10-14") == "2025-10-14"
    assert told(release=ReleaseMonth(2013, 4)) == "2013-04-16"  # known
    assert told(release=ReleaseMonth(2012, 10)) == "2012-10-31"  # not known: the last day of its month
    # the DataMapper is filled some days before: what is known of the release goes before it
    assert told(release=APRIL_2026, modified="2026-04-08") == "2026-04-14"
    assert told(release=ReleaseMonth(2026, 10), modified="2026-10-15") == "2026-10-15"


def test_a_release_whose_day_is_unknown_is_not_dated_into_the_future() -> None:
    outlook = Outlook([Series("KOR", "Korea", {"2024": "1"})], "Billions", "https://…", release=ReleaseMonth(2027, 4))
    assert extracted(outlook, date(2027, 4, 20), None).records[0]["As_of"] == "2027-04-20"
    with pytest.raises(Refused, match="to come"):
        extracted(outlook, TODAY, None)


# --- the current release ----------------------------------------------------------------------------------------------


def test_sdmx_is_asked_first_and_its_whole_dollars_are_dated_by_their_publication(
    run: Run, server: Server, home: Path
) -> None:
    server.route = servers(sdmx=stand_ins.sdmx(), imf=stand_ins.imf())
    done = run("etl_process.py", "--no-report", "--source", "imf", **environment(server))
    assert done.returncode == 0, done.stderr
    assert "imf: SDMX answered" in done.stderr and not [path for path in server.paths if path.startswith("/imf")]
    raw = records(home / RAW)
    (korea,) = [r for r in raw if (r["Country"], r["Year"]) == ("KOR", "2026")]
    assert (korea["GDP"], korea["As_of"], korea["Status"]) == ("1936209000000", "2026-04-14", "projection")
    assert korea["Source"] == "https://api.imf.org/external/sdmx/2.1/data/IMF.RES,WEO/.NGDPD.A"
    clean = records(home / "results" / "Countries_by_GDP_Processed.json")
    (korea,) = [r for r in clean if (r["ISO3"], r["Year"]) == ("KOR", 2026)]
    assert korea["GDP_USD_billion"] == 1936.21
    assert {r["ISO3"] for r in clean if r["Country"] == "Kosovo"} == {"XKX"}
    assert "2 × group of countries" in done.stderr
    assert [name[:14] + name[-7:] for name in kept(home)] == ["2026-04-14_imf.xml.gz"]


def test_the_datamapper_is_asked_where_sdmx_is_not_to_be_had(run: Run, server: Server, home: Path) -> None:
    server.route = servers(imf=stand_ins.imf("World Economic Outlook (April 2026)"))
    done = run("extract.py", "--source", "imf", **environment(server))
    assert done.returncode == 0, done.stderr
    assert "imf: DataMapper answered" in done.stderr
    assert {r["As_of"] for r in records(home / RAW)} == {"2026-04-14"}


REJECTED = Answer(200, b"<html><head><title>Request Rejected</title></head><body>no</body></html>")


@pytest.mark.parametrize("answer", [REJECTED, Answer(403, b"<HTML><TITLE>Access Denied</TITLE>"), Answer(401)])
def test_a_gateway_that_refuses_everybody_is_unreachable_in_one_line(
    answer: Answer, run: Run, server: Server, home: Path
) -> None:
    server.route = lambda path: answer
    done = run("extract.py", "--source", "imf", **environment(server))
    assert done.returncode == 69 and not (home / RAW).exists()
    (line,) = [line for line in done.stderr.splitlines() if "could not reach imf" in line]
    assert "SDMX: " in line and "DataMapper: " in line and "try again later" in line


def v2_answer(**changes: Any) -> bytes:
    """Return version 2's answer: it tells of the indicator itself, and has a stray entry and groups among countries."""
    figures: dict[str, Any] = {"KOR": {"2025": 1790, "2026": 1936.209}, "KOS": {"2025": 12.1}, "UVK": {"2025": 12.1},
                               "ATI": {"2025": 7}, "COG": {"2025": 15.5}, "AFQ": {"2025": 1.0}}  # fmt: skip
    about = {"unit": "Billions of U.S. dollars", "source": "World Economic Outlook (April 2026)",
             "projection-year": 2026, "last-modified": "2026-04-08 16:07:35"}  # fmt: skip
    labels = {"KOR": "Korea, Republic of", "KOS": "Kosovo", "UVK": "Kosovo", "ATI": None, "COG": "Congo, Republic of "}
    told = {
        "indicators": {"NGDPD": about}, "values": {"NGDPD": figures, "": None}, "api": {"version": "2"},
        "countries": {code: {"label": label} for code, label in labels.items()},
        "groups": {"AFQ": {"label": "CEMAC"}}, **changes,
    }  # fmt: skip
    return json.dumps(told).encode()


def test_version_2_of_the_datamapper_tells_release_boundary_and_groups_in_its_answer() -> None:
    reading = imf.read(v2_answer(), TODAY)
    got = {(r["Country"], r["Year"]): (r["GDP"], r["Status"]) for r in reading.records}
    assert got == {
        ("Korea, Republic of", "2025"): ("1790", "estimate"),
        ("Korea, Republic of", "2026"): ("1936.209", "projection"),
        ("Kosovo", "2025"): ("12.1", "estimate"), ("Congo, Republic of", "2025"): ("15.5", "estimate"),
    }  # fmt: skip
    assert reading.left_out == {"group of countries": 2, "figure said again under another code": 1}
    assert reading.records[0]["As_of"] == "2026-04-14"
    assert reading.records[0]["Source"] == "https://www.imf.org/external/datamapper/api/v2/NGDPD"


def test_of_the_imfs_addresses_only_the_one_that_is_named_is_asked(run: Run, server: Server, home: Path) -> None:
    server.route = servers(imf=stand_ins.imf("World Economic Outlook (April 2026)"))
    assert run("extract.py", "--source", "imf", GDP_ETL_IMF_URL=f"{server.base}/imf").returncode == 0
    assert not [path for path in server.paths if "sdmx" in path]


# --- SDMX in its other forms ------------------------------------------------------------------------------------------

XML = stand_ins.sdmx_xml(
    "WEO", "2025-10-14T13:00:00Z", {"KOR": {"2024": 1869.9, "2025": 1858.6}, "IND": {"2024": 3900}}
)


@pytest.mark.parametrize(
    ("year", "code", "status"),
    [("2024", "KOR", "estimate"), ("2025", "KOR", "projection"), ("2024", "IND", "estimate")],
)
def test_the_last_actual_year_is_the_countrys_own_and_a_fiscal_years_is_the_one_it_ends_in(
    year: str, code: str, status: str
) -> None:
    told = {(r["Country"], r["Year"]): r["Status"] for r in imf.read(XML.encode(), TODAY).records}
    assert told[code, year] == status


def test_the_display_scale_changes_no_figure() -> None:
    figures = {"KOR": {"2024": 1869.9}}
    for scale in ("0", "6", "9"):
        xml = stand_ins.sdmx_xml("WEO", "2025-10-14T13:00:00Z", figures, scale)
        assert [r["GDP"] for r in imf.read(xml.encode(), TODAY).records] == ["1869900000000"]


CSV_30 = """STRUCTURE[;],STRUCTURE_ID,ACTION,COUNTRY,INDICATOR,FREQUENCY,TIME_PERIOD,OBS_VALUE,SCALE,\
PUBLICATION_DATE,LATEST_ACTUAL_ANNUAL_DATA
dataflow,IMF.RES:WEO(9.0.0),R,USA,NGDPD,A,2024,29298013000000,9,2026-04-14T13:00:00Z,2024
dataflow,IMF.RES:WEO(9.0.0),R,USA,NGDPD,A,2025,3.0767075E13,9,2026-04-14T13:00:00Z,2024
dataflow,IMF.RES:WEO(9.0.0),R,G001,NGDPD,A,2025,117000000000000,9,2026-04-14T13:00:00Z,
dataflow,IMF.RES:WEO(9.0.0),R,G163,NGDPD,A,2025,17000000000000,9,2026-04-14T13:00:00Z,
dataflow,IMF.RES:WEO(9.0.0),R,KOS,NGDPD,A,2031,,9,2026-04-14T13:00:00Z,2024
"""


def test_csv_of_sdmx_is_read_with_its_day_its_boundary_and_a_number_as_machines_write_it() -> None:
    reading = imf.read(CSV_30.encode(), TODAY)
    got = {(r["Country"], r["Year"]): (r["GDP"], r.get("Status")) for r in reading.records}
    assert got == {
        ("USA", "2024"): ("29298013000000", "estimate"), ("USA", "2025"): ("30767075000000", "projection"),
        ("World", "2025"): ("117000000000000", None),
    }  # fmt: skip
    assert reading.left_out == {"group of countries": 1, "year without a figure": 1}
    with pytest.raises(Refused, match="row 3 is cut short"):
        imf.read(CSV_30[:-260].encode(), TODAY)


def test_json_of_sdmx_is_read_by_its_indices_and_literals() -> None:
    series = {"0:0:0": {"attributes": [0, "9/30/2025"], "observations": {"0": ["21375275000000"], "1": [None]}}}
    structure = {
        "dimensions": {
            "series": [{"id": "COUNTRY", "values": [{"id": "USA"}]}, {"id": "INDICATOR", "values": [{"id": "NGDPD"}]},
                       {"id": "FREQUENCY", "values": [{"id": "A"}]}],
            "observation": [{"id": "TIME_PERIOD", "values": [{"value": "2023"}, {"value": "2025"}]}],
        },
        "attributes": {
            "dataSet": [{"id": "PUBLICATION_DATE"}],
            "dimensionGroup": [{"id": "LATEST_ACTUAL_ANNUAL_DATA", "values": [{"id": "2024"}]}],
            "series": [{"id": "SCALE", "values": [{"id": "9"}]}, {"id": "COUNTRY_UPDATE_DATE"}],
        },
    }  # fmt: skip
    data_set = {"attributes": ["2025-10-14T13:00:00Z"], "dimensionGroupAttributes": {"0:0::": [0]}, "series": series}
    reading = imf.read(json.dumps({"data": {"dataSets": [data_set], "structures": [structure]}}).encode(), TODAY)
    assert [(r["GDP"], r["Year"], r["As_of"], r["Status"]) for r in reading.records] == [
        ("21375275000000", "2023", "2025-10-14", "estimate")
    ]
    empty = {"data": {"dataSets": [{"attributes": [], "series": None}], "structures": [structure]}}
    with pytest.raises(Refused, match="it has no figure"):
        imf.read(json.dumps(empty).encode(), TODAY)


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
        b'{"rows": [{"country": {"value": "x"}, "value": 1}], "groups": 7}',
        b"", b"\0\0\0\0", b"a,b,c\n1,2,3\n",
    ],
)  # fmt: skip
def test_a_broken_or_hostile_file_is_refused_and_nothing_worse(content: bytes) -> None:
    for read in (imf.read, world_bank.read):
        with pytest.raises(Refused):
            read(content, TODAY)


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
    reading = imf.read(end.join(between.join(row) for row in cells).encode(encoding), TODAY)
    got = [(r["Country"], r["Year"], r["GDP"], r["As_of"], r.get("Status")) for r in reading.records]
    assert got == [
        ("China", "2012", "8,229.490", "2013-04-16", "estimate"),
        ("China", "2013", "9,181.377", "2013-04-16", "projection"),
        ("Côte d'Ivoire", "2012", "27.098", "2013-04-16", None),
        ("Côte d'Ivoire", "2014", "30.123", "2013-04-16", None),
    ]
    assert reading.left_out == {
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
    reading = imf.read(workbook(), TODAY)
    assert [(r["Country"], r["Year"], r["GDP"], r.get("Status")) for r in reading.records] == [
        ("United States", "2024", "29298.013", "estimate"), ("United States", "2025", "30767.075", "projection"),
        ("Kosovo", "2024", "11.2", "estimate"),
        ("World", "2024", "110000", "estimate"), ("World", "2025", "117000", "projection"),
    ]  # fmt: skip
    assert {(r["As_of"], r["Unit"]) for r in reading.records} == {("2025-10-14", "Billions of US dollar")}
    assert Counter(reading.left_out) == {
        "series of another subject": 2, "group of countries": 1, "year without a figure": 1
    }  # fmt: skip


def test_a_scale_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused, match="the scale of its figures is 'Lakhs'"):
        imf.read(workbook(scale="Lakhs"), TODAY)
    assert {r["Unit"] for r in imf.read(workbook(scale="Units"), TODAY).records} == {
        "US dollar, whole units (current US$)"
    }


# --- past releases ----------------------------------------------------------------------------------------------------


def past(**more: stand_ins.Route) -> stand_ins.Route:
    flows = {"WEO": "2026-04-14T13:00:00Z", "WEO_2025_OCT_VINTAGE": "2025-10-14T13:00:00Z"}
    old = stand_ins.dbnomics(["2012-10", "2013-04", "2019-10", "2020-10", "2025-04"])
    return servers(**{"sdmx": stand_ins.sdmx(flows), "dbnomics": old, **more})


@pytest.mark.parametrize(
    ("release", "day", "sender"),
    [
        ("2013-04", "2013-04-16", "DBnomics"),
        ("2012-10", "2012-10-31", "DBnomics"),
        ("2025-10", "2025-10-14", "SDMX WEO_2025_OCT_VINTAGE"),
        ("2026-04", "2026-04-14", "SDMX"),
    ],
)
def test_a_past_release_comes_from_whoever_has_it(
    release: str, day: str, sender: str, run: Run, server: Server, home: Path
) -> None:
    server.route = past()
    done = run("extract.py", "--source", "imf", "--release", release, **environment(server))
    assert done.returncode == 0, done.stderr
    assert f"imf: {sender} answered" in done.stderr
    raw = records(home / RAW)
    assert {r["As_of"] for r in raw} == {day}
    assert "World" in {r["Country"] for r in raw} and len({r["Country"] for r in raw}) > 180
    again = run("extract.py", "--source", "imf", "--page", home / "data" / "pages" / kept(home)[0])
    assert again.returncode == 0 and records(home / RAW) == raw


def test_a_span_of_releases_is_fetched_in_order_kept_and_never_asked_again(
    run: Run, server: Server, home: Path
) -> None:
    server.route = past()
    ask = ("--source", "imf", "--release", "2019-10..2020-10", *FAST)
    done = run("extract.py", *ask, **environment(server))
    assert done.returncode == 0, done.stderr
    assert "passed over 2020-04" in done.stderr
    found = [json.loads(line) for line in (home / RAW).with_suffix(".jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(r["As_of"] for r in found)) == ["2019-10-15", "2020-10-13"]
    server.paths.clear()
    done = run("extract.py", *ask, **environment(server))
    assert done.returncode == 0 and "2 kept already, 0 to fetch" in done.stderr and not server.paths


def test_releases_that_cannot_be_had_do_not_stop_the_others(run: Run, server: Server, home: Path) -> None:
    server.route = past()
    done = run(
        "etl_process.py", "--no-report", "--source", "imf", "--release", "2012-04..2013-10", **environment(server)
    )
    assert done.returncode == 69
    assert "2 of 4 releases could not be had: 2012-04 (SDMX WEO_2012_APR_VINTAGE: it answered 404" in done.stderr
    database = home / "sqliteDB" / "World_Economies.db"
    assert query(database, "SELECT DISTINCT As_of FROM Loads ORDER BY 1") == [("2012-10-31",), ("2013-04-16",)]


def test_another_release_in_the_place_of_the_one_that_was_asked_for_is_not_taken() -> None:
    with pytest.raises(Refused, match="it is the release of 2026-04, not of 2025-10"):
        imf.read(
            stand_ins.sdmx_xml("WEO", "2026-04-14", stand_ins.imf_figures()).encode(), TODAY, ReleaseMonth(2025, 10)
        )
    with pytest.raises(Unreachable, match="without NGDPD"):
        imf.fetch(ReleaseMonth(2020, 4))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--release", "2013-04"), "--release is of one source"),
        (("--source", "imf", "world_bank", "--release", "2013-04"), "--release is of one source"),
        (("--source", "imf", "--release", "2013-04..2014-04", "--page", "x"), "--page is of one release"),
        (("--source", "imf", "--release", "2013-07"), "imf has no release of 2013-07: it has one each April"),
    ],
)
def test_a_release_that_cannot_be_meant_is_wrong_usage(
    options: tuple[str, ...], said: str, run: Run, home: Path
) -> None:
    done = run("extract.py", *options)
    assert done.returncode == 2 and said in done.stderr


def test_a_series_that_dbnomics_holds_back_is_told(run: Run, server: Server, home: Path) -> None:
    whole = stand_ins.dbnomics(["2013-04"])

    def short(path: str) -> Answer:
        answer = whole(path)
        told = json.loads(answer.body)
        if "offset=100" in path:
            told["series"]["docs"] = []
        return stand_ins.as_answer(told)

    server.route = past(dbnomics=short)
    done = run("extract.py", "--source", "imf", "--release", "2013-04", **environment(server))
    assert done.returncode == 69 and "DBnomics: it sent 100 series of" in done.stderr


def test_nobody_is_told_what_was_published_after_the_day_that_they_ask_about(
    run: Run, server: Server, home: Path
) -> None:
    server.route = past()
    done = run(
        "etl_process.py", "--no-report", "--source", "imf", "--release", "2025-04..2026-04", **environment(server)
    )
    assert done.returncode == 0, done.stderr
    for day, before in (("2025-10-14", "2025-04-22"), ("2026-04-14", "2025-10-14")):
        eve = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        assert ask("--as-of", eve, "--json").json["As_of"] == before
        assert ask("--as-of", day, "--json").json["As_of"] == day
    assert ask("--as-of", "2025-04-21").code == 66


# --- the World Bank's archives ----------------------------------------------------------------------------------------

VERSIONS = {
    "199309": "1994 Sep",
    "201703": "2017 Apr",
    "201704": "2017 Mar",
    "202107": "2021 July",
    "202604": "2026 Apr",
}


@pytest.mark.parametrize(
    ("version", "day"), [("2021-07", "2021-07-31"), ("2017-03", "2017-04-30"), ("1993-09", "1994-09-30")]
)
def test_a_past_version_is_of_the_last_day_of_the_later_month_that_names_it(
    version: str, day: str, run: Run, server: Server, home: Path
) -> None:
    server.route = servers(wb=stand_ins.wdi_archive(VERSIONS))
    done = run("extract.py", "--source", "world_bank", "--release", version, **environment(server))
    assert done.returncode == 0, done.stderr
    raw = records(home / RAW)
    assert {(r["As_of"], r["Unit"]) for r in raw} == {(day, "GDP (current US$)")}
    assert [r["GDP"] for r in raw if r["Country"] == "Andorra"] != [] and len(raw) == 218
    assert "1 × year without a figure" in done.stderr


def test_a_span_of_versions_is_those_that_the_archives_list(run: Run, server: Server, home: Path) -> None:
    server.route = servers(wb=stand_ins.wdi_archive(VERSIONS, wrong="201704"))
    ask = ("--source", "world_bank", "--release", "2017-01..2021-12", *FAST)
    done = run("extract.py", *ask, **environment(server))
    assert done.returncode == 69 and "1 of 3 releases could not be had: 2017-04" in done.stderr
    found = [json.loads(line) for line in (home / RAW).with_suffix(".jsonl").read_text().splitlines()]
    assert sorted({r["As_of"] for r in found}) == ["2017-04-30", "2021-07-31"]
    done = run("extract.py", "--source", "world_bank", "--release", "2001-01..2001-12", **environment(server))
    assert done.returncode == 2 and "world_bank has no release of 2001-01..2001-12" in done.stderr


# --- files and where they are kept ------------------------------------------------------------------------------------


def test_an_answer_without_a_day_keeps_the_one_on_which_it_was_fetched() -> None:
    told = {"values": {"NGDPD": stand_ins.imf_figures()}, "fetched": "2026-10-15",
            "indicators": {"NGDPD": {"source": "World Economic Outlook (October 2026)"}}}  # fmt: skip
    assert imf.parse(told, TODAY).records[0]["As_of"] == "2026-10-15"


def test_an_xlsx_without_openpyxl_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(StageError, match="pip install -r requirements/xlsx.txt"):
        imf.read(workbook(), TODAY)


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
        world_bank.read(CSV_OF_SITE[:-12].encode(), TODAY)


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

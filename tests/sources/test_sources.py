"""The IMF's and the World Bank's own answers: read right, and every trouble named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gdp.sources import Month, Refused
from gdp.transform.amounts import figure_of, unit_factor
from gdp.transform.rules import Fate, clean
from tests import stand_ins
from tests.conftest import PROJECT, Answer, Run, Server, query, records, run_stages
from tests.sources.reading import read_as

REAL_ANSWER = PROJECT.parent / "shared" / "api" / "imf_datamapper_v1_NGDPD_2025-01.json.gz"
RAW = Path("results") / "Countries_by_GDP.json"
DATABASE = Path("sqliteDB") / "World_Economies.db"
needs_answer = pytest.mark.skipif(not REAL_ANSWER.exists(), reason="../shared is not beside the project")


def environment(server: Server) -> dict[str, str]:
    return {"GDP_ETL_IMF_URL": f"{server.base}/imf", "GDP_ETL_WORLD_BANK_URL": f"{server.base}/wb"}


def both(imf_route: stand_ins.Route, bank_route: stand_ins.Route) -> stand_ins.Route:
    return lambda path: (imf_route if path.startswith("/imf") else bank_route)(
        path.removeprefix("/imf").removeprefix("/wb")
    )


# --- read right -------------------------------------------------------------------------------------------------------


@needs_answer
def test_the_real_answer_of_january_2025_is_the_release_of_october_2024_without_aggregates(
    run: Run, home: Path
) -> None:
    done = run("extract.py", "--source", "imf", "--page", REAL_ANSWER)
    assert done.returncode == 65 and "nothing in it names its release" in done.stderr and not (home / RAW).exists()
    answer = ("--source", "imf", "--page", REAL_ANSWER, "--release", "2024-10")
    done = run_stages(run, *answer, of_load=["--no-history"])
    assert done.returncode == 0, done.stderr
    raw = records(home / RAW)
    assert {(r["Column"], r["Unit"], r["As_of"]) for r in raw} == {(None, "Billions of U.S. dollars", "2024-10-22")}
    codes = query(home / DATABASE, "SELECT DISTINCT ISO3 FROM GDP_Estimates WHERE Institution = 'IMF'")
    assert len(codes) == 196 and {("XKX",), ("PSE",), ("TWN",)} <= set(codes) and (None,) not in codes
    korea = "SELECT GDP_USD_billion FROM GDP_Estimates WHERE ISO3 = 'KOR' AND Year IN (1980, 2024) ORDER BY Year"
    assert query(home / DATABASE, korea) == [(67.73,), (1869.92,)]


def test_a_float_written_out_to_fifty_digits_is_the_figure_that_it_means() -> None:
    billions = unit_factor(None, "Billions of U.S. dollars")
    for text, cents in (
        ("9.0950000000000006394884621840901672840118408203125", 910),
        ("0.284999999999999975575093458246556110680103302001953125", 29),
        ("1869.916000000000167347025126218795776367187500", 186992),
        ("0.0350000000000000033306690738754696212708950042724609375", 4),
    ):
        assert figure_of(text, billions).cents == cents


def test_both_apis_write_the_same_raw_records_with_the_sources_own_words(run: Run, server: Server, home: Path) -> None:
    server.route = both(stand_ins.imf(), stand_ins.world_bank())
    done = run("extract.py", "--source", "imf", "world_bank", **environment(server))
    assert done.returncode == 0, done.stderr
    raw = records(home / RAW)
    one = {
        r["Institution"]: r
        for r in raw
        if r["Country"] in ("Korea, Republic of", "South Korea") and r["Year"] in ("2024", "2026")
    }
    assert one["IMF"] | {"GDP": "1936.20900000000006", "Year": "2026"} == {
        "Country": "Korea, Republic of", "GDP": "1936.20900000000006", "Year": "2026", "Column": None,
        "Unit": "Billions of U.S. dollars", "Institution": "IMF", "As_of": "2026-10-31",
        "Source": "https://www.imf.org/external/datamapper/api/v1/NGDPD",
    }  # fmt: skip
    assert (one["World Bank"]["Unit"], one["World Bank"]["As_of"]) == ("GDP (current US$)", "2026-04-08")
    groups = {"Advanced economies", "A group that no table knows", "Arab World"}
    assert not groups & {r["Country"] for r in raw}
    assert "World" in {r["Country"] for r in raw}  # the control total
    assert sorted(path.name[:14] for path in (home / "data" / "pages").iterdir()) == [
        "2026-04-08_wor",
        "2026-10-31_imf",
    ]


def test_kosovo_palestine_and_taiwan_come_out_right(run: Run, server: Server, home: Path) -> None:
    server.route = both(stand_ins.imf(), stand_ins.world_bank())
    done = run_stages(run, "--source", "imf,world_bank", **environment(server))
    assert done.returncode == 0, done.stderr
    found = set(query(home / DATABASE, "SELECT DISTINCT Institution, ISO3, Country, Region FROM GDP_Estimates"))
    assert {
        ("IMF", "XKX", "Kosovo", "Europe"),
        ("IMF", "PSE", "Palestine", "Asia"),
        ("IMF", "TWN", "Taiwan", "Asia"),
    } <= found
    assert not [row for row in found if row[1] is None or (row[0], row[1]) == ("World Bank", "TWN")]


def test_an_answer_without_labels_is_read_by_its_codes() -> None:
    answer = json.dumps({"values": {"NGDPD": stand_ins.imf_figures(last=2029)}}).encode()
    reading = read_as("imf", answer, Month(2024, 10))
    assert {record["As_of"] for record in reading.records} == {"2024-10-22"}
    fates = {record["Country"]: clean(record).fate for record in reading.records}
    assert fates["KOR"] is Fate.CLEAN and fates["World"] is Fate.AGGREGATE and fates["ADVEC"] is Fate.AGGREGATE


@pytest.mark.parametrize("last_year", [2025, 2029, 2031])
def test_no_year_and_no_day_shows_the_release_of_an_answer_that_does_not_name_it(last_year: int) -> None:
    shown = {"values": {"NGDPD": stand_ins.imf_figures(last=last_year)}}
    with pytest.raises(Refused, match="nothing in it names its release; name it with --release"):
        read_as("imf", json.dumps(shown).encode())


def test_a_cached_answer_is_read_again_without_network(run: Run, server: Server, home: Path) -> None:
    server.route = both(stand_ins.imf(), stand_ins.world_bank())
    assert run("extract.py", "--source", "imf", "world_bank", **environment(server)).returncode == 0
    want = records(home / RAW)
    again: list[dict[str, object]] = []
    for source in ("imf", "world_bank"):
        (kept,) = (home / "data" / "pages").glob(f"*_{source}_*")
        assert run("extract.py", "--source", source, "--page", kept).returncode == 0
        again += records(home / RAW)
    assert again == want


# --- troubles ---------------------------------------------------------------------------------------------------------

REJECTED = Answer(200, b"<html><head><title>Request Rejected</title></head><body>no</body></html>")
ERROR = stand_ins.as_answer([{"message": [{"id": "120", "key": "Invalid value", "value": "The value is not valid"}]}])


@pytest.mark.parametrize(
    ("source", "path", "answer", "shown"),
    [
        ("imf", "/imf/NGDPD", REJECTED, 'answered with a web page, "Request Rejected"'),
        ("imf", "/imf/NGDPD", stand_ins.as_answer({"values": {}}), "no values of NGDPD"),
        ("imf", "/imf/NGDPD", Answer(200, b'{"values": {"NGD'), "not JSON"),
        ("world_bank", "/indicator/", ERROR, "answered with an error: The value is not valid"),
        ("world_bank", "page=2", Answer(502), "page 2: it answered 502"),
        ("world_bank", "page=2", REJECTED, "page 2: it answered with a web page"),
        ("world_bank", "page=2", stand_ins.as_answer([{"lastupdated": "2026-10-01"}, []]), "updated while page 2"),
        ("world_bank", "page=3", stand_ins.as_answer([{"lastupdated": "2026-04-08"}, []]), "rows of"),
    ],
)
def test_an_api_in_trouble_is_reported_for_what_it_is(
    source: str, path: str, answer: Answer, shown: str, run: Run, server: Server, home: Path
) -> None:
    well = both(stand_ins.imf(), stand_ins.world_bank())
    server.route = lambda asked: answer if path in asked else well(asked)
    done = run("extract.py", "--source", source, **environment(server))
    assert done.returncode == 69
    assert shown in done.stderr and "Traceback" not in done.stderr
    assert not (home / RAW).exists()


def test_an_empty_code_and_years_without_a_figure_are_counted_and_dropped() -> None:
    figures: dict[str, dict[str, float | None]] = {**stand_ins.imf_figures(), "": {"2025": 1.0}}  # type: ignore[dict-item]
    figures["KOR"] = {"2025": 1790.0, "2026": None}
    reading = read_as("imf", json.dumps({"values": {"NGDPD": figures}}).encode(), Month(2026, 10))
    names = "list of countries: codes are used instead of names"
    assert reading.dropped == {"figures under an empty code": 1, "year without a figure": 1, names: 1}


@pytest.mark.parametrize(
    "shown", [[], {}, {"values": 3}, {"values": {"NGDPD": {"KOR": []}}}, {"values": {"NGDPD": {}}}]
)
def test_a_cached_answer_of_another_shape_is_refused(shown: object) -> None:
    for source in ("imf", "world_bank"):
        with pytest.raises(Refused):
            read_as(source, json.dumps(shown).encode())


def test_one_source_in_trouble_does_not_stop_the_other(run: Run, server: Server, home: Path) -> None:
    well = both(stand_ins.imf(), stand_ins.world_bank())
    server.route = lambda asked: REJECTED if asked.startswith("/imf") else well(asked)
    done = run("etl_process.py", "--no-report", "--source", "imf", "world_bank", **environment(server))
    assert done.returncode == 69
    assert "could not reach imf" in done.stderr
    assert query(home / DATABASE, "SELECT DISTINCT Institution FROM GDP_Estimates") == [("World Bank",)]


HOSTILE: dict[str, tuple[str, object]] = {
    "values that are true": ("/imf/NGDPD", {"values": True}),
    "a year of 5,000 digits": ("/imf/NGDPD", {"values": {"NGDPD": {"KOR": {"2" * 5000: 1}}}}),
    "half a character": ("/imf/NGDPD", {"values": {"NGDPD": {"KOR": {"2024": "\ud800"}}}}),
    "a release to come": ("/imf/indicators", {"indicators": {"NGDPD": {"source": "Outlook (October 2062)"}}}),
    "pages without end": ("page=1", [{"pages": "9" * 5000, "total": 1, "lastupdated": "2026-04-08"}, []]),
    "a date that is a path": ("/indicator/", [{"pages": 1, "total": 0, "lastupdated": "../../x"}, []]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_answer_is_reported_and_writes_nothing(what: str, run: Run, server: Server, home: Path) -> None:
    path, answer = HOSTILE[what]
    well = both(stand_ins.imf(), stand_ins.world_bank())
    server.route = lambda asked: stand_ins.as_answer(answer) if path in asked else well(asked)
    source = "imf" if path.startswith("/imf") else "world_bank"
    done = run("extract.py", "--source", source, **environment(server))
    assert done.returncode in (65, 69) and "Traceback" not in done.stderr, done.stderr
    assert sorted(path.name for path in home.rglob("*") if path.is_file() and "log" not in path.parts) == []

"""Releases past and present: asked of whoever has them, dated by their publication, fetched once, and never guessed."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from gdp.sources import Month, Refused, Unreachable
from gdp.sources.imf import source as imf
from gdp.sources.imf.outlook import Outlook, Series, reading_of
from gdp.sources.imf.releases import named_in, of_day, releases_between
from gdp.sources.payloads import day_of, month_span
from tests import stand_ins
from tests.conftest import Answer, Run, Server, query, records, run_stages
from tests.sources.reading import read_as
from tests.store.loading import ask

RAW = Path("results") / "Countries_by_GDP.json"
APRIL_2026 = Month(2026, 4)
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
def test_a_release_is_reported_by_the_month_and_year_that_a_text_names(
    text: str, release: tuple[int, int] | None
) -> None:
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


def as_of_with(**of: Any) -> str:
    outlook = Outlook([Series("KOR", "Korea", {"2024": "1869.9"})], "Billions of U.S. dollars", "https://…", **of)
    return str(reading_of(outlook, None).records[0]["As_of"])


def test_as_of_is_the_day_of_publication_and_never_before_it() -> None:
    assert as_of_with(published="2025-10-14") == "2025-10-14"
    assert as_of_with(release=Month(2013, 4)) == "2013-04-16"  # known
    assert as_of_with(release=Month(2012, 10)) == "2012-10-31"  # not known: the last day of its month
    # the DataMapper is filled some days before: what is known of the release goes before it
    assert as_of_with(release=APRIL_2026, modified="2026-04-08") == "2026-04-14"
    assert as_of_with(release=Month(2026, 10), modified="2026-10-15") == "2026-10-15"


def test_a_release_whose_day_is_unknown_is_not_dated_into_the_future() -> None:
    today = date.today()
    series = [Series("KOR", "Korea", {"2024": "1"})]
    of_this_month = Outlook(series, "Billions", "https://…", release=Month(today.year, today.month))
    assert reading_of(of_this_month, None).records[0]["As_of"] <= (today + timedelta(days=1)).isoformat()
    outlook = Outlook(series, "Billions", "https://…", release=Month(today.year + 1, 4))
    with pytest.raises(Refused, match="in the future"):
        reading_of(outlook, None)


def test_an_answer_without_a_day_keeps_the_one_on_which_it_was_fetched() -> None:
    shown = {"values": {"NGDPD": stand_ins.imf_figures()}, "fetched": "2026-10-15",
            "indicators": {"NGDPD": {"source": "World Economic Outlook (October 2026)"}}}  # fmt: skip
    assert read_as("imf", json.dumps(shown).encode()).records[0]["As_of"] == "2026-10-15"


# --- the current release ----------------------------------------------------------------------------------------------


def test_sdmx_is_asked_first_and_its_whole_dollars_are_dated_by_their_publication(
    run: Run, server: Server, home: Path
) -> None:
    server.route = servers(sdmx=stand_ins.sdmx(), imf=stand_ins.imf())
    done = run_stages(run, "--source", "imf", **environment(server))
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
    """Return version 2's answer: it has the indicator itself, a stray entry, and groups among countries."""
    figures: dict[str, Any] = {"KOR": {"2025": 1790, "2026": 1936.209}, "KOS": {"2025": 12.1}, "UVK": {"2025": 12.1},
                               "ATI": {"2025": 7}, "COG": {"2025": 15.5}, "AFQ": {"2025": 1.0}}  # fmt: skip
    about = {"unit": "Billions of U.S. dollars", "source": "World Economic Outlook (April 2026)",
             "projection-year": 2026, "last-modified": "2026-04-08 16:07:35"}  # fmt: skip
    labels = {"KOR": "Korea, Republic of", "KOS": "Kosovo", "UVK": "Kosovo", "ATI": None, "COG": "Congo, Republic of "}
    shown = {
        "indicators": {"NGDPD": about}, "values": {"NGDPD": figures, "": None}, "api": {"version": "2"},
        "countries": {code: {"label": label} for code, label in labels.items()},
        "groups": {"AFQ": {"label": "CEMAC"}}, **changes,
    }  # fmt: skip
    return json.dumps(shown).encode()


def test_version_2_of_the_datamapper_shows_release_boundary_and_groups_in_its_answer() -> None:
    reading = read_as("imf", v2_answer())
    got = {(r["Country"], r["Year"]): (r["GDP"], r["Status"]) for r in reading.records}
    assert got == {
        ("Korea, Republic of", "2025"): ("1790", "estimate"),
        ("Korea, Republic of", "2026"): ("1936.209", "projection"),
        ("Kosovo", "2025"): ("12.1", "estimate"), ("Congo, Republic of", "2025"): ("15.5", "estimate"),
    }  # fmt: skip
    assert reading.dropped == {"group of countries": 2, "figure repeated": 1}
    assert reading.records[0]["As_of"] == "2026-04-14"
    assert reading.records[0]["Source"] == "https://www.imf.org/external/datamapper/api/v2/NGDPD"


def test_of_the_imfs_addresses_only_the_one_that_is_named_is_asked(run: Run, server: Server, home: Path) -> None:
    server.route = servers(imf=stand_ins.imf("World Economic Outlook (April 2026)"))
    assert run("extract.py", "--source", "imf", GDP_ETL_IMF_URL=f"{server.base}/imf").returncode == 0
    assert not [path for path in server.paths if "sdmx" in path]


def test_a_live_answer_that_names_no_release_is_refused_unless_the_user_names_it(
    run: Run, server: Server, home: Path
) -> None:
    server.route = servers(imf=stand_ins.imf(None))
    done = run("extract.py", "--source", "imf", GDP_ETL_IMF_URL=f"{server.base}/imf")
    assert done.returncode == 65 and "nothing in it names its release" in done.stderr and not (home / RAW).exists()
    today = date.today()
    asked = str([*releases_between(APRIL_2026, Month(today.year, today.month))][-1])
    done = run("extract.py", "--source", "imf", "--release", asked, GDP_ETL_IMF_URL=f"{server.base}/imf")
    assert done.returncode == 0, done.stderr
    assert {r["As_of"][:7] for r in records(home / RAW)} == {asked}


def test_an_answer_of_sdmx_without_its_day_gives_way_to_one_that_names_its_release(
    run: Run, server: Server, home: Path
) -> None:
    server.route = servers(sdmx=stand_ins.sdmx({"WEO": ""}), imf=stand_ins.imf("World Economic Outlook (April 2026)"))
    done = run("extract.py", "--source", "imf", **environment(server))
    assert done.returncode == 0 and "imf: DataMapper answered" in done.stderr, done.stderr


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


def test_a_span_of_releases_is_fetched_in_order_cached_and_never_asked_again(
    run: Run, server: Server, home: Path
) -> None:
    server.route = past()
    ask = ("--source", "imf", "--release", "2019-10..2020-10", *FAST)
    done = run("extract.py", *ask, **environment(server))
    assert done.returncode == 0, done.stderr
    assert "skipped 2020-04" in done.stderr
    found = [json.loads(line) for line in (home / RAW).with_suffix(".jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(r["As_of"] for r in found)) == ["2019-10-15", "2020-10-13"]
    server.paths.clear()
    done = run("extract.py", *ask, **environment(server))
    assert done.returncode == 0 and "2 cached already, 0 to fetch" in done.stderr and not server.paths


def test_releases_that_cannot_be_had_do_not_stop_the_others(run: Run, server: Server, home: Path) -> None:
    server.route = past()
    done = run(
        "etl_process.py", "--no-report", "--source", "imf", "--release", "2012-04..2013-10", **environment(server)
    )
    assert done.returncode == 69
    assert "2 of 4 releases could not be fetched: 2012-04 (SDMX WEO_2012_APR_VINTAGE: it answered 404" in done.stderr
    database = home / "sqliteDB" / "World_Economies.db"
    assert query(database, "SELECT DISTINCT As_of FROM Loads ORDER BY 1") == [("2012-10-31",), ("2013-04-16",)]


def test_without_a_network_a_span_ends_early_and_says_so(run: Run, home: Path) -> None:
    nowhere = dict.fromkeys(("GDP_ETL_SDMX_URL", "GDP_ETL_IMF_URL", "GDP_ETL_DBNOMICS_URL"), "http://127.0.0.1:9")
    done = run("extract.py", "--source", "imf", "--release", "2013-04..2018-10", *FAST, **nowhere)
    assert done.returncode == 69 and "12 of 12 releases could not be fetched: 2013-04 (" in done.stderr
    assert "2014-04 (not requested, as there is no answer)" in done.stderr and not (home / RAW).exists()


def test_another_release_in_the_place_of_the_one_that_was_asked_for_is_not_taken() -> None:
    with pytest.raises(Refused, match="it is the release of 2026-04, not of 2025-10"):
        answer = stand_ins.sdmx_xml("WEO", "2026-04-14", stand_ins.imf_figures())
        read_as("imf", answer.encode(), Month(2025, 10))
    with pytest.raises(Unreachable, match="without NGDPD"):
        imf.fetch(Month(2020, 4))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--release", "2013-04"), "--release is of one source"),
        (("--source", "imf", "world_bank", "--release", "2013-04"), "--release is of one source"),
        (("--source", "imf", "--release", "2013-04..2014-04", "--page", "x"), "--page is of one release"),
        (("--source", "imf", "--release", "2013-07"), "imf has no release of 2013-07: it has one each April"),
    ],
)
def test_a_release_that_cannot_be_meant_is_wrong_usage(
    options: tuple[str, ...], words: str, run: Run, home: Path
) -> None:
    done = run("extract.py", *options)
    assert done.returncode == 2 and words in done.stderr


def test_a_series_that_dbnomics_holds_back_is_reported(run: Run, server: Server, home: Path) -> None:
    whole = stand_ins.dbnomics(["2013-04"])

    def short(path: str) -> Answer:
        answer = whole(path)
        shown = json.loads(answer.body)
        if "offset=100" in path:
            shown["series"]["docs"] = []
        return stand_ins.as_answer(shown)

    server.route = past(dbnomics=short)
    done = run("extract.py", "--source", "imf", "--release", "2013-04", **environment(server))
    assert done.returncode == 69 and "DBnomics: it sent 100 series of" in done.stderr


def test_nobody_is_reported_what_was_published_after_the_day_that_they_ask_about(
    run: Run, server: Server, home: Path
) -> None:
    server.route = past()
    raw, clean = home / "raw.jsonl", home / "clean.jsonl"
    span = ("--source", "imf", "--release", "2025-04..2026-04", "--output", raw)
    for command in (
        ("extract.py", *span), ("transform.py", "--input", raw, "--output", clean),
        ("load.py", "--input", clean, "--no-history"),
    ):  # fmt: skip
        done = run(*command, **environment(server))
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
    assert done.returncode == 69 and "1 of 3 releases could not be fetched: 2017-04" in done.stderr
    found = [json.loads(line) for line in (home / RAW).with_suffix(".jsonl").read_text().splitlines()]
    assert sorted({r["As_of"] for r in found}) == ["2017-04-30", "2021-07-31"]
    done = run("extract.py", "--source", "world_bank", "--release", "2001-01..2001-12", **environment(server))
    assert done.returncode == 2 and "world_bank has no release of 2001-01..2001-12" in done.stderr

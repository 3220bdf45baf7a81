"""The page's past is fetched politely and resumably, and an archive goes through the stages in one run."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gdp.sources.wikipedia.backfill import PastRevision, by_period
from tests.conftest import PROJECT, Answer, Run, Server, query
from tests.page_builder import SHIPPED
from tests.stand_ins import Wiki, as_answer

MONTHS_ASKED = 140
SPAN = "2015-01-01..2026-08-31"
FAST = ("--pause", "0.1")


def environment(server: Server) -> dict[str, str]:
    return {"GDP_ETL_WIKIPEDIA_URL": server.base, "GDP_ETL_CONTACT": "tests@example.org"}


def kept(home: Path) -> list[str]:
    folder = home / "data" / "pages"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.long
def test_140_revisions_are_each_fetched_once_though_throttled_and_killed_twice(server: Server, home: Path) -> None:
    wiki = Wiki(MONTHS_ASKED, troubled=True)
    server.route = wiki.route
    command = [sys.executable, str(PROJECT / "extract.py"), "--revisions", SPAN, *FAST]
    for until in (40, 90):
        process = subprocess.Popen(command, env={**os.environ, **environment(server)}, stderr=subprocess.DEVNULL)
        while len(kept(home)) < until:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(
        command, env={**os.environ, **environment(server)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    months = {f"{saved:%Y-%m}": number for number, saved in wiki.revisions.items()}
    assert len(months) >= 138
    assert {int(name.partition("rev")[2].partition(".")[0]) for name in kept(home)} == set(months.values())
    again = {number for number in wiki.sent if wiki.sent.count(number) > 1}
    assert len(again) <= 2, again  # of each kill what was on its way
    assert "to fetch" in done.stderr and "revisions fetched" in done.stderr


def test_a_second_run_asks_for_no_revision_again(run: Run, server: Server, home: Path) -> None:
    wiki = Wiki(6)
    server.route = wiki.route
    for _ in range(2):
        done = run("extract.py", "--revisions", "2015-01-01..2015-06-30", *FAST, **environment(server))
        assert done.returncode == 0, done.stderr
    assert "6 cached already, 0 to fetch" in done.stderr
    assert len(wiki.sent) == len(set(wiki.sent)) == 6


@pytest.mark.parametrize(("every", "number"), [("month", 24), ("quarter", 8), ("release", 5)])
def test_the_last_revision_of_each_period_is_taken(every: str, number: int) -> None:
    revisions = [PastRevision(f"{2015 + m // 12}-{m % 12 + 1:02}-{d:02}T00:00:00Z", 100 * m + d)
                 for m in range(24) for d in (3, 17, 28)]  # fmt: skip
    found = [period[0] for period in by_period(revisions, every)]
    assert len(found) == number
    last = {"month": "2015-01-28", "quarter": "2015-03-28", "release": "2015-03-28"}[every]
    assert found[0].saved[:10] == last


@pytest.mark.parametrize("code", ["maxlag", "ratelimited"])
def test_a_lagging_database_and_a_limit_are_waited_for(code: str, run: Run, server: Server, home: Path) -> None:
    wiki, lagged = Wiki(1), as_answer({"error": {"code": code, "info": "come back later"}})
    shown = iter([lagged])
    server.route = lambda path: next(shown, None) or wiki.route(path)
    done = run("extract.py", "--revisions", "2015-01-01..2015-01-31", *FAST, **environment(server))
    assert done.returncode == 0, done.stderr
    assert len(kept(home)) == 1


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (as_answer({"error": {"code": "badvalue", "info": "no such thing"}}), "answered with an error"),
        (as_answer({"batchcomplete": True}), "has no revisions"),
        (as_answer({"query": {"pages": [{"title": "x", "missing": True}]}}), "it has no page"),
        (as_answer({"query": {"pages": [{"title": "x", "invalid": True}]}}), "the title is invalid"),
        (as_answer({"query": {"pages": [{"title": "x", "revisions": []}]}}), "it lists no revision of"),
        (as_answer({"query": {"pages": [{"revisions": [{"revid": 1, "timestamp": "../x"}]}]}}), "lists no revision"),
        (as_answer({"query": {"pages": []}, "continue": {"rvcontinue": "1"}}), "goes in a circle"),
        (Answer(200, b"<html><title>Wikimedia Error</title></html>"), 'a web page, "Wikimedia Error"'),
        (Answer(403, b"no"), "it answered 403"),
    ],
)
def test_a_list_that_cannot_be_had_is_reported_for_what_it_is(
    answer: Answer, shown: str, run: Run, server: Server, home: Path
) -> None:
    server.answers = [answer]
    done = run("extract.py", "--revisions", "2015-01-01..2015-03-31", *FAST, **environment(server))
    assert done.returncode == 69 and shown in done.stderr and "Traceback" not in done.stderr


def test_a_revision_that_cannot_be_had_does_not_stop_the_others_and_is_asked_for_next_time(
    run: Run, server: Server, home: Path
) -> None:
    wiki = Wiki(3)
    lost = sorted(wiki.revisions)[3]
    cut = Answer(200, b"<html><table>cut")
    server.route = lambda path: cut if f"oldid={lost}" in path else wiki.route(path)
    ask = ("extract.py", "--revisions", "2015-01-01..2015-03-31", *FAST)
    done = run(*ask, **environment(server))
    assert done.returncode == 69 and f"{lost} of 2015-02-17 (its page broke off" in done.stderr
    assert len(kept(home)) == 2
    server.route = wiki.route
    assert run(*ask, **environment(server)).returncode == 0
    assert len(kept(home)) == 3


def test_the_pace_is_the_policys_with_a_contact_and_slower_without(run: Run, server: Server, home: Path) -> None:
    wiki = Wiki(1)
    server.route = wiki.route
    started = time.monotonic()
    done = run("extract.py", "--revisions", "2015-01-01..2015-01-31", **environment(server) | {"GDP_ETL_CONTACT": ""})
    assert done.returncode == 0 and time.monotonic() - started > 7.5


@pytest.mark.parametrize("days", ["2015-01-01", "2016-01-01..2015-01-01", "2015-13-01..2015-14-01", "a..b"])
def test_a_span_that_is_none_is_wrong_usage(days: str, run: Run, home: Path) -> None:
    assert run("extract.py", "--revisions", days).returncode == 2


# --- the archive ------------------------------------------------------------------------------------------------------


def test_an_archive_goes_through_the_stages_and_bad_pages_are_listed_with_their_reasons(
    run: Run, server: Server, home: Path
) -> None:
    server.route = Wiki(12).route
    assert run("extract.py", "--revisions", "2015-01-01..2015-12-31", *FAST, **environment(server)).returncode == 0
    pages = home / "data" / "pages"
    (pages / "2015-05-05_enwiki_rev5.html.gz").write_bytes(gzip.compress(b"<html>nothing here</html>"))
    (pages / "2015-06-06_enwiki_rev6.html.gz").write_bytes(SHIPPED.read_bytes()[:1000])
    done = run("etl_process.py", "--no-report", "--archive")
    assert done.returncode == 0, done.stderr
    assert "2015-05-05_enwiki_rev5.html.gz is refused: 0 countries" in done.stderr
    assert "2015-06-06_enwiki_rev6.html.gz is cut short" in done.stderr
    assert "13 pages written" in done.stderr and "2 not read" in done.stderr
    database = home / "sqliteDB" / "World_Economies.db"
    days = query(database, "SELECT count(DISTINCT substr(As_of, 1, 7)), count(*) FROM Loads")
    assert days == [(13, 13)]
    assert query(database, "SELECT count(DISTINCT As_of) FROM GDP_Estimates") == [(1,)]  # the same figures again


def test_an_archives_vandalised_page_is_dropped_and_the_others_are_loaded(run: Run, server: Server, home: Path) -> None:
    server.route = Wiki(4).route
    assert run("extract.py", "--revisions", "2015-01-01..2015-04-30", *FAST, **environment(server)).returncode == 0
    page = next((home / "data" / "pages").glob("2015-02*"))
    text = gzip.decompress(page.read_bytes()).decode()
    for name in ("United States", "China", "Japan", "Germany", "India", "France", "Italy", "Brazil", "Canada"):
        text = text.replace(name, f"Utopia of {name}")  # one country never decides over a vintage
    page.write_bytes(gzip.compress(text.encode()))
    done = run("etl_process.py", "--no-report", "--archive")
    assert done.returncode == 0, done.stderr
    assert "not loaded: https://en.wikipedia.org" in done.stderr and "as of 2015-02" in done.stderr
    assert query(home / "sqliteDB" / "World_Economies.db", "SELECT count(*) FROM Loads") == [(4,)]


def test_an_archive_of_nothing_that_can_be_read_is_bad_data(run: Run, home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
    for page in (project / "data" / "pages").glob("*.gz"):
        page.write_bytes(b"")
    done = subprocess.run(
        [sys.executable, project / "extract.py", "--archive"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 65 and "none of 1 pages could be read" in done.stderr
    assert not (home / "results" / "Countries_by_GDP.jsonl").exists()


def test_the_archive_holds_what_the_apis_answered_too(run: Run, server: Server, home: Path) -> None:
    from tests import stand_ins

    server.route = lambda path: stand_ins.imf()(path.removeprefix("/imf"))
    done = run("extract.py", "--source", "imf", GDP_ETL_IMF_URL=f"{server.base}/imf")
    assert done.returncode == 0, done.stderr
    assert run("extract.py", "--archive").returncode == 0
    lines = (home / "results" / "Countries_by_GDP.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert {r["As_of"][:10] for r in found} == {"2025-12-30", "2026-10-31"}

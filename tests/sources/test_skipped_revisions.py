"""Revisions of Wikipedia's page that are no witness: hidden, reverted, deleted, unreadable, or a redirect."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from gdp.sources.wikipedia.backfill import list_revisions
from tests.conftest import Answer, Run, Server
from tests.stand_ins import Wiki, as_answer

FAST = ("--pause", "0.1")
MARCH = "2015-01-01..2015-03-31"
REDIRECT = b'<html><script>"wgRevisionId":%d</script><div class="redirectMsg">Redirect to:</div></html>'


def environment(server: Server) -> dict[str, str]:
    return {"GDP_ETL_WIKIPEDIA_URL": server.base, "GDP_ETL_CONTACT": "tests@example.org"}


def kept(home: Path) -> list[int]:
    names = sorted(path.name for path in (home / "data" / "pages").glob("*.gz"))
    return [int(name.partition("rev")[2].partition(".")[0]) for name in names]


def listed(server: Server, monkeypatch: Any, revisions: list[dict[str, Any]], **more: Any) -> list[int]:
    """Return the numbers that are listed of a page with these revisions, a day each."""
    monkeypatch.setenv("GDP_ETL_WIKIPEDIA_URL", server.base)
    found = [
        {"revid": n, "timestamp": f"2015-01-{n % 28 + 1:02}T00:00:00Z", **one} for n, one in enumerate(revisions, 1)
    ]
    server.answers = [as_answer({"query": {"pages": [{"title": "…", "revisions": found}], **more}})]
    return [revision.number for revision in list_revisions("2015-01-01", "2015-01-31", lambda: None)]


def test_hidden_and_reverted_revisions_and_those_without_a_time_are_passed_over(
    server: Server, monkeypatch: Any
) -> None:
    revisions: list[dict[str, Any]] = [
        {"sha1": "a"}, {"texthidden": True}, {"sha1hidden": True}, {"tags": ["mw-reverted", "mobile edit"]},
        {"timestamp": None}, {"sha1": "b", "tags": ["mw-rollback"]},
    ]  # fmt: skip
    assert listed(server, monkeypatch, revisions) == [1, 6]


def test_marks_that_are_no_texts_do_no_harm(server: Server, monkeypatch: Any) -> None:
    assert listed(server, monkeypatch, [{"sha1": ["a"]}, {"sha1": 7, "tags": []}, {"sha1": {}}]) == [1, 2, 3]


def test_what_is_between_a_text_and_the_same_text_again_was_reverted(server: Server, monkeypatch: Any) -> None:
    revisions = [{"sha1": mark} for mark in "avwabcb"]  # a, vandals, a again, b, a vandal, b again
    assert listed(server, monkeypatch, revisions) == [1, 4, 5, 7]
    years_apart = [{"sha1": mark} for mark in ("a", *map(str, range(20)), "a")]
    assert len(listed(server, monkeypatch, years_apart)) == 22


def test_a_page_that_was_moved_keeps_its_past(server: Server, monkeypatch: Any) -> None:
    moved = {"redirects": [{"from": "List of countries by GDP (nominal)", "to": "Nominal GDP by country"}]}
    assert listed(server, monkeypatch, [{"sha1": "a"}], **moved) == [1]
    assert "redirects=1" in server.paths[0] and "rvprop=ids%7Ctimestamp%7Csha1%7Ctags" in server.paths[0]


def test_the_one_before_is_taken_where_the_last_of_a_month_is_deleted_or_cannot_be_read(
    run: Run, server: Server, home: Path
) -> None:
    wiki = Wiki(3)
    first = sorted(wiki.revisions)
    deleted, redirect = first[1], first[3]

    def route(path: str) -> Answer:
        if f"oldid={deleted}" in path:
            return Answer(404, b"gone")
        return Answer(200, REDIRECT % redirect) if f"oldid={redirect}" in path else wiki.route(path)

    server.route = route
    done = run("extract.py", "--revisions", MARCH, *FAST, **environment(server))
    assert done.returncode == 0, done.stderr
    assert kept(home) == [first[0], first[2], first[5]]


def test_a_month_that_has_no_revision_to_be_had_is_reported(run: Run, server: Server, home: Path) -> None:
    wiki = Wiki(1)
    server.route = lambda path: Answer(404) if "oldid=" in path else wiki.route(path)
    done = run("extract.py", "--revisions", MARCH, *FAST, **environment(server))
    assert done.returncode == 69 and "1 of 1 revisions could not be fetched: " in done.stderr
    assert "(it answered 404" in done.stderr and "run again" in done.stderr


def test_a_cached_page_that_turns_out_unreadable_is_reported_and_fetched_again_on_request(
    run: Run, server: Server, home: Path
) -> None:
    wiki = Wiki(1)
    server.route = wiki.route
    ask = ("extract.py", "--revisions", MARCH, *FAST)
    assert run(*ask, **environment(server)).returncode == 0
    (page,) = (home / "data" / "pages").glob("*.gz")
    whole = page.read_bytes()
    page.write_bytes(gzip.compress(b"<html>spoiled</html>"))
    done = run("extract.py", "--archive")
    day = page.name[:10]
    assert f"fetch it again with extract.py --revisions {day}..{day} --refetch" in done.stderr
    assert "1 cached already, 0 to fetch" in run(*ask, **environment(server)).stderr
    done = run(*ask, "--refetch", **environment(server))
    assert done.returncode == 0 and "0 cached already, 1 to fetch" in done.stderr, done.stderr
    assert page.read_bytes() == whole

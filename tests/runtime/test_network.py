"""Anything that goes wrong between us and a server is "unreachable", with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import etl_process
import extract
from gdp.sources import Reading, Unreachable
from gdp.sources.http import call, download, post
from tests.conftest import Answer, Run, Server, has_line, logged
from tests.page_builder import SHIPPED
from utils import StageError

# what is set in the environment, and the words that explain the failure
TROUBLES = {
    "a CA file that is missing": ({"REQUESTS_CA_BUNDLE": "/no.pem"}, "https://127.0.0.1:9/x", "REQUESTS_CA_BUNDLE"),
    "a SOCKS proxy": ({"https_proxy": "socks5://127.0.0.1:9"}, "https://example.org/x", "SOCKS proxy"),
    "a proxy that is no address": ({"https_proxy": "http://[::1"}, "https://example.org/x", ""),
    "no connection": ({}, "http://127.0.0.1:9/x", "no connection could be made"),
    "a port that is none": ({}, "http://127.0.0.1:99999/x", ""),
    "an address that is none": ({}, "http://[::1/x", ""),
    "a scheme that is not the web": ({}, "gopher://127.0.0.1/x", ""),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("use", [download, call, lambda url: post(url, {})], ids=["download", "call", "post"])
def test_any_trouble_is_unreachable_with_its_reason(
    use: Callable[[str], object], trouble: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, url, words = TROUBLES[trouble]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(Unreachable) as reason:
        use(url)
    assert words in str(reason.value)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success_for_a_call(status: int, server: Server) -> None:
    server.answers = [Answer(status)]
    call(server.url)
    post(server.url, {})


@pytest.mark.parametrize("status", [301, 302, 400, 404, 500])
def test_anything_else_is_no_success(status: int, server: Server) -> None:
    server.answers = [Answer(status, headers={"Retry-After": "0"})]
    for use in (call, lambda url: post(url, {})):
        with pytest.raises(Unreachable):
            use(server.url)


def test_without_its_ca_file_extract_uses_the_cached_page(home: Path, run: Run) -> None:
    done = run("extract.py", REQUESTS_CA_BUNDLE="/no.pem")
    assert done.returncode == 0, done.stderr
    assert "used the page of 2025-12-30" in done.stderr and "REQUESTS_CA_BUNDLE" in done.stderr


def test_ping_and_notify_never_fail_a_run(home: Path, run: Run) -> None:
    calls = ["--ping", "https://127.0.0.1:9/ping", "--notify", "https://127.0.0.1:9/notify"]
    done = run("etl_process.py", "--no-report", "--page", SHIPPED, *calls, REQUESTS_CA_BUNDLE="/no.pem")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stderr.count("could not call the address of --ping") == 2
    assert done.stderr.count("could not call the address of --notify") == 1


def test_any_error_of_a_call_is_a_warning(own_folder: Path) -> None:
    def fail() -> None:
        raise RuntimeError("of secret-token")

    with logged() as lines:
        etl_process.reach("--ping", "https://h/secret-token", fail)
    assert has_line(lines, "could not call the address of --ping") and not has_line(lines, "secret-token")


def test_an_error_in_one_of_several_threads_is_not_lost(own_folder: Path) -> None:
    def read() -> Reading:
        return Reading([], Counter())

    def fail() -> Reading:
        raise RuntimeError("in a thread")

    with pytest.raises(RuntimeError, match="in a thread"):
        extract.side_by_side([read, fail])

    def refuse() -> Reading:
        raise StageError(69, "could not reach it")

    assert [type(one) for one in extract.side_by_side([read, refuse])] == [Reading, StageError]


@pytest.mark.parametrize("sources", [["imf"], ["imf", "world_bank"]])
def test_several_sources_without_network_end_in_one_line_each(sources: list[str], home: Path, run: Run) -> None:
    done = run("extract.py", "--source", *sources, REQUESTS_CA_BUNDLE="/no.pem")
    assert (done.returncode, "Traceback" in done.stderr) == (69, False), done.stderr
    assert done.stderr.count("could not reach") == len(sources)

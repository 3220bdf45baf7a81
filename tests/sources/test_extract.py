"""The extract stage: dates that the user gives, the second witness, and releases without network."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from pathlib import Path

import pytest

from gdp.sources.imf.releases import bundle
from tests import stand_ins
from tests.conftest import Run, Server, records
from tests.page_builder import SHIPPED

RAW = Path("results") / "Countries_by_GDP.json"
PAGE = gzip.decompress(SHIPPED.read_bytes()).decode()
UNDATED = re.sub(r"<footer>.*?</footer>", "", PAGE)
NOWHERE = dict.fromkeys(("GDP_ETL_SDMX_URL", "GDP_ETL_IMF_URL", "GDP_ETL_DBNOMICS_URL"), "http://127.0.0.1:9")


def test_a_page_that_states_no_date_gets_the_users_day(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(UNDATED, encoding="utf-8")
    done = run("extract.py", "--page", tmp_path / "page.html", "--as-of", "2025-12-31")
    assert done.returncode == 0, done.stderr
    assert {record["As_of"] for record in records(home / RAW)} == {"2025-12-31T00:00:00Z"}


def test_a_page_that_states_its_date_keeps_it_and_the_users_day_is_a_warning(run: Run, home: Path) -> None:
    done = run("extract.py", "--page", SHIPPED, "--as-of", "2025-01-01")
    assert done.returncode == 0
    assert "--as-of 2025-01-01 is not used" in done.stderr and "states its date, 2025-12-30" in done.stderr
    assert {record["As_of"] for record in records(home / RAW)} == {"2025-12-30T20:09:00Z"}


def imf(server: Server) -> dict[str, str]:
    server.route = lambda path: stand_ins.imf("World Economic Outlook (April 2026)")(path.removeprefix("/imf"))
    return {"GDP_ETL_IMF_URL": f"{server.base}/imf"}


def test_verify_caches_the_imfs_release_at_most_once_a_week_and_adds_no_record(
    run: Run, server: Server, home: Path
) -> None:
    environment = imf(server)
    assert run("extract.py", "--page", SHIPPED, "--verify", **environment).returncode == 0
    (cached,) = (home / "data" / "pages").glob("*_imf_*")
    assert {record["Institution"] for record in records(home / RAW)} == {"IMF", "World Bank", "UN"}
    assert all("wikipedia" in record["Source"] for record in records(home / RAW))
    server.paths.clear()
    assert run("extract.py", "--page", SHIPPED, "--verify", **environment).returncode == 0
    assert not server.paths
    eight_days_ago = time.time() - 8 * 86_400
    os.utime(cached, (eight_days_ago, eight_days_ago))
    assert run("extract.py", "--page", SHIPPED, "--verify", **environment).returncode == 0
    assert server.paths and time.time() - cached.stat().st_mtime < 3600


def test_verify_never_fails_a_run_and_nothing_is_asked_without_it(run: Run, server: Server, home: Path) -> None:
    done = run("extract.py", "--page", SHIPPED, "--verify", **NOWHERE)
    assert done.returncode == 0 and "--verify: could not ask imf for its release" in done.stderr
    assert run("extract.py", "--page", SHIPPED, **imf(server)).returncode == 0
    assert not server.paths


def test_a_bundled_release_is_read_without_network_to_the_digit(run: Run, home: Path) -> None:
    done = run("extract.py", "--source", "imf", "--release", "2024-10", **NOWHERE)
    assert done.returncode == 0 and "used the bundled releases" in done.stderr, done.stderr
    texts = bundle().texts("2024-10")
    got = {(record["Country"], record["Year"]): int(record["GDP"]) for record in records(home / RAW)}
    want = {key: round(float(text) * 1e9) for key, text in texts.items() if key[1].isdecimal()}
    assert got == want and {record["As_of"] for record in records(home / RAW)} == {"2024-10-22"}


def test_a_span_of_releases_without_network_is_what_comes_with_the_suite(run: Run, home: Path) -> None:
    done = run("extract.py", "--source", "imf", "--release", "2018-04..2025-10", "--pause", "0.1", **NOWHERE)
    assert done.returncode == 69 and "2 of 15 releases could not be fetched: 2018-04" in done.stderr, done.stderr
    found = [json.loads(line)["As_of"] for line in (home / RAW).with_suffix(".jsonl").read_text().splitlines()]
    assert len(set(found)) == 13 and min(found) == "2019-04-09"


@pytest.mark.parametrize("form", ["imf", "IMF", "Imf"])
def test_a_source_is_named_in_any_case(form: str, run: Run, home: Path) -> None:
    done = run("extract.py", "--source", form, "--release", "2024-10", **NOWHERE)
    assert done.returncode == 0, done.stderr


def test_without_network_a_sources_newest_cached_answer_is_used_and_its_age_shown(
    run: Run, server: Server, home: Path
) -> None:
    assert run("extract.py", "--source", "imf", **imf(server)).returncode == 0
    want = records(home / RAW)
    (home / RAW).unlink()
    done = run("extract.py", "--source", "imf", **NOWHERE)
    assert done.returncode == 0 and "used the page of 2026-04-14, " in done.stderr, done.stderr
    assert records(home / RAW) == want
    done = run("extract.py", "--source", "imf", "--max-age", "0", **NOWHERE)
    assert done.returncode == 69 and "over --max-age 0" in done.stderr


def test_without_network_and_cache_a_source_is_unreachable_and_nothing_of_another_is_read(run: Run, home: Path) -> None:
    done = run("extract.py", "--source", "imf", **NOWHERE)
    assert done.returncode == 69 and not (home / RAW).exists()

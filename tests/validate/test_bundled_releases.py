"""The IMF's releases that come with the suite: the file is what its builder makes of the facts, and small."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdp.sources.imf.releases import LAST_ACTUAL, RELEASES_FILE, bundle, day_of_release
from tests.conftest import PROJECT
from tests.make_imf_releases import bundle_of

FACTS = PROJECT.parent / "shared" / "facts" / "weo_gdp_releases.csv.gz"
MAX_BYTES = 150_000


def test_the_bundle_has_the_imfs_own_digits() -> None:
    figures = bundle().texts("2025-10")
    assert figures["USA", "2025"] == "30615.743"
    assert figures["USA", LAST_ACTUAL] == "2024"
    assert figures["GHA", "1980"] == "38.684"  # all years of the newest whole release


def test_other_releases_have_ten_years_before_to_two_after() -> None:
    years = {int(year) for _, year in bundle().texts("2019-04") if year != LAST_ACTUAL}
    assert years == set(range(2009, 2022))


def test_only_2026_is_known_of_the_release_of_april_2026() -> None:
    assert {year for _, year in bundle().texts("2026-04")} == {"2026"}
    assert not bundle().is_whole("2026-04")
    assert bundle().is_whole("2025-10")


def test_the_day_of_a_release_is_known() -> None:
    assert day_of_release("2024-10") == "2024-10-22"


def test_the_bundle_is_small() -> None:
    assert RELEASES_FILE.stat().st_size < MAX_BYTES


def test_the_bundle_is_what_its_builder_makes_of_the_facts(tmp_path: Path) -> None:
    if not FACTS.exists():
        pytest.skip("needs ../shared/facts")
    assert bundle_of(FACTS) == RELEASES_FILE.read_bytes()

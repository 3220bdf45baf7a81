"""The page's IMF column beside the IMF's own releases: what they confirm, and the kind of each departure."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gdp.model import DEPARTS_FROM_IMF
from gdp.validate import thresholds as at
from gdp.validate.against_imf import (
    AGREES,
    BILLIONS,
    DIGITS,
    OLDER_RELEASE,
    OTHER_COUNTRY,
    OTHER_YEAR,
    PREVIOUS,
    UNEXPLAINED,
    Release,
    bundled,
    cached_releases,
    check_against_imf,
    check_stale,
    compared,
    comparisons,
    in_billions,
    is_same,
    kind_of_edit,
    nearest_releases,
    release_of,
    released_before,
)  # fmt: skip
from gdp.validate.observations import Key, Statement
from tests.conftest import PROJECT
from tests.validate.lists import DAY, figures, observed

FIRST = ("C000", 2025)
FIGURES = figures(100) | {FIRST: 387_111.0, ("C001", 2025): 32_860.0}
NEWEST = Release(
    "2025-10-14",
    FIGURES
    | {("C000", 2024): 345_874.0, ("C000", 2022): 301_234.0, ("C000", 2021): 299_112.0, ("C000", 2026): 401_234.0},
)
PREVIOUS_ONE = Release("2025-04-22", {key: figure + 7777 for key, figure in FIGURES.items()})
OLD = Release("2024-10-22", {key: figure + 5555 for key, figure in FIGURES.items()})
RELEASES = [NEWEST, PREVIOUS_ONE, OLD]


def kind(figure: float) -> str:
    found = compared(observed(FIGURES | {FIRST: figure}), RELEASES).by_departure
    return next(one.kind for one in found if one.key == FIRST)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (387_111.0, AGREES), (387_112.0, AGREES), (394_888.0, PREVIOUS), (392_666.0, OLDER_RELEASE),
        (345_874.0, OTHER_YEAR), (401_234.0, OTHER_YEAR), (301_234.0, OTHER_YEAR), (299_112.0, UNEXPLAINED),
        (32_860.0, OTHER_COUNTRY),
        (378_111.0, DIGITS), (390_111.0, BILLIONS), (390_110.0, UNEXPLAINED),
    ],
)  # fmt: skip
def test_each_difference_has_its_kind(figure: float, expected: str) -> None:
    assert kind(figure) == expected


def test_a_figure_of_few_digits_is_another_countrys_by_chance() -> None:
    release = Release("2025-10-14", FIGURES | {("C005", 2025): 990.0})
    (departure,) = compared(observed(FIGURES | {FIRST: 990.0, ("C005", 2025): 990.0}), [release]).departures
    assert departure.kind == UNEXPLAINED


def test_a_departure_is_explained_in_figures() -> None:
    (finding,) = check_against_imf(
        observed(FIGURES | {FIRST: 378_111.0}), compared(observed(FIGURES | {FIRST: 378_111.0}), RELEASES)
    )
    assert finding.notes == {FIRST: "378.11; the IMF has 387.11 (2025-10-14): digits exchanged"}
    assert finding.flag == DEPARTS_FROM_IMF and not finding.fatal
    assert finding.ranks[FIRST] == pytest.approx(0.0235, abs=0.0005)


def test_departures_come_with_the_largest_first() -> None:
    some = {("C002", 2025): FIGURES["C002", 2025] * 1.01, ("C003", 2025): FIGURES["C003", 2025] * 0.8}
    comparison = compared(observed(FIGURES | some), RELEASES)
    assert [one.key[0] for one in comparison.departures] == ["C003", "C002"]
    assert comparison.by_departure[0].departure == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("figure", "other", "rounding", "expected"),
    [
        (61.0, 60.0, 1.0, True), (62.0, 60.0, 1.0, False), (2_089_672.0, 2_089_674.0, 1.0, True),
        (2_089_671.0, 2_089_674.0, 1.0, False), (3_902.0, 3_900.0, 1.0, False), (15_770.0, 15_774.0, 1.0, True),
        (15_770.0, 15_776.0, 1.0, False), (13_000.0, 12_995.0, 1.0, True), (13_000.0, 12_993.0, 1.0, False),
        (8_015.0, 8_010.0, at.ROUNDED_BILLION_USD, True), (8_016.0, 8_010.0, at.ROUNDED_BILLION_USD, False),
    ],
)  # fmt: skip
def test_rounding_is_no_difference(figure: float, other: float, rounding: float, expected: bool) -> None:
    assert is_same(figure, other, rounding) is expected


def test_a_page_of_which_billions_alone_are_known_is_compared_by_them() -> None:
    page = observed(FIGURES | {FIRST: 387_107.0})
    page.columns["GDP_USD_million"][:] = [None] * len(FIGURES)
    assert page.rounding == at.ROUNDED_BILLION_USD
    assert all(one.kind == AGREES for one in compared(page, RELEASES).found)


@pytest.mark.parametrize(("number", "comparable"), [(25, True), (24, False)])
def test_a_page_is_compared_if_a_quarter_of_it_is_of_a_known_release(number: int, comparable: bool) -> None:
    other = {key: figure * 1.017 for key, figure in list(FIGURES.items())[number:]}
    comparison = compared(observed(FIGURES | other), RELEASES)
    assert comparison.is_comparable is comparable
    (finding,) = check_against_imf(observed(FIGURES | other), comparison)
    assert finding.check == (at.MANY_DEPART if comparable else "follows no known release")
    assert not finding.notes and not finding.flag


@pytest.mark.parametrize(("number", "many"), [(15, False), (16, True)])
def test_many_departures_are_one_finding_and_flag_no_figures(number: int, many: bool) -> None:
    other = {key: figure * 1.2 for key, figure in list(FIGURES.items())[:number]}
    (finding,) = check_against_imf(observed(FIGURES | other), compared(observed(FIGURES | other), RELEASES))
    assert (finding.check == at.MANY_DEPART) is many
    assert len(finding.notes) == (0 if many else number)


@pytest.mark.parametrize(("day", "comparable"), [("2026-04-13", True), ("2026-04-14", False)])
def test_many_departures_after_the_day_of_a_release_may_be_its_figures(day: str, comparable: bool) -> None:
    other = {key: figure * 1.017 for key, figure in list(FIGURES.items())[:40]}
    assert compared(observed(FIGURES | other, day=day), RELEASES).is_comparable is comparable


def test_a_figure_that_no_release_has_is_not_compared() -> None:
    page = observed(FIGURES | {("PAK", 2025): 5.0})
    assert len(compared(page, RELEASES).found) == 100
    assert not compared(observed({("PAK", 2025): 5.0}), RELEASES).is_comparable


def test_a_second_column_is_compared_by_itself() -> None:
    next_year = {(name, 2026): figure * 1.05 for (name, _), figure in FIGURES.items()}
    page, release = observed(FIGURES | {FIRST: 378_111.0} | next_year), Release("2025-10-14", FIGURES | next_year)
    headlines, others = comparisons(page, [release])
    assert headlines.is_comparable and [one.kind for one in headlines.departures] == [DIGITS]
    assert len(others.found) == 100 and not others.departures
    assert len(comparisons(observed(FIGURES), RELEASES)) == 1


# --- which releases ---------------------------------------------------------------------------------------------------


def test_the_releases_before_a_page_come_newest_first_and_a_release_counts_from_the_day_after() -> None:
    assert [one.day for one in released_before("2024-10-22")][:2] == ["2024-04-16", "2023-10-10"]
    assert [one.day for one in released_before("2024-10-22T09:00:00Z")][:2] == ["2024-10-22", "2024-04-16"]
    assert released_before("2019-04-09") == []


def test_a_release_in_the_database_takes_the_place_of_one_that_is_not_whole() -> None:
    mine = Release("2026-04-14", {("USA", 2026): 1.0})
    assert released_before("2026-05-01", [mine])[0] is mine
    same = Release("2025-10-31", {("USA", 2025): 1.0})  # known by the month only: the bundled one is the same release
    assert [one.day for one in released_before("2026-01-01", [same])][:2] == ["2025-10-14", "2025-04-22"]
    assert released_before("2027-01-01", [Release("2026-10-13", {})])[0].day == "2026-10-13"


def test_the_nearest_releases_are_on_both_sides_and_whole_and_not_years_away() -> None:
    assert [one.day for one in nearest_releases("2024-06-30")] == ["2024-04-16", "2024-10-22"]
    assert [one.day for one in nearest_releases("2026-06-30")] == ["2025-10-14", "2025-04-22", "2026-04-14"]
    assert [one.day for one in nearest_releases("2026-12-31")] == [
        "2025-10-14",
        "2025-04-22",
    ]  # April has one year only
    assert [one.day for one in nearest_releases("2028-11-07")] == ["2025-10-14"]
    assert nearest_releases("2028-11-08") == []


def test_the_imfs_vintage_in_the_database_is_a_release_by_codes() -> None:
    release = release_of(
        Statement("2025-10-14", {("Türkiye", 2025): 1.0, ("Turkey", 2025): 2.0, ("Nowhere", 2025): 3.0})
    )
    assert release.figures == {("TUR", 2025): 2.0} and release.is_whole


ANSWER = PROJECT.parent / "shared" / "api" / "imf_datamapper_v1_NGDPD_2025-01.json.gz"


@pytest.mark.skipif(not ANSWER.exists(), reason="needs ../shared/api")
def test_an_answer_in_the_cache_that_is_newer_than_the_bundle_is_a_release(own_folder: Path) -> None:
    folder = own_folder / "data" / "pages"
    folder.mkdir(parents=True)
    assert cached_releases() == ()
    (folder / "2026-10-13_imf_0123abcd.json.gz").write_bytes(ANSWER.read_bytes())
    (folder / "2026-10-14_imf_0123abce.json.gz").write_bytes(gzip.compress(b"{}"))  # it cannot be read: left out
    (folder / "2024-10-22_imf_0123abcf.json.gz").write_bytes(ANSWER.read_bytes())  # the bundle has it
    (release,) = cached_releases()
    assert release.day == "2026-10-13" and release.figures["USA", 2025] == 30_337_162.0
    assert released_before("2026-11-01")[0].day == "2026-10-13"


def test_a_bundled_release_is_read_when_it_is_needed_in_millions() -> None:
    newest = [release for release in bundled() if release.is_whole][-1]
    assert newest.figures["USA", 2025] == 30_615_743.0
    assert ("USA", 30_615_743) in newest.of_each and ("USA", 2025) in newest.by_figure[30_615_743]


# --- green but stale --------------------------------------------------------------------------------------------------


def stale(day: str, figures_of_page: dict[Key, float], releases: list[Release]) -> bool:
    return bool(list(check_stale(observed(figures_of_page, day=day), releases)))


OLD_PAGE = dict(PREVIOUS_ONE.figures)


@pytest.mark.parametrize(("day", "expected"), [("2025-11-03", False), ("2025-11-04", True)])
def test_three_weeks_after_a_release_the_old_figures_are_stale(day: str, expected: bool) -> None:
    assert stale(day, OLD_PAGE, RELEASES) is expected
    assert not stale(day, FIGURES, RELEASES)


@pytest.mark.parametrize(("day", "expected"), [("2026-05-04", False), ("2026-05-05", True), ("2026-11-12", True)])
def test_a_release_is_due_by_its_usual_days_too(day: str, expected: bool) -> None:
    assert stale(day, FIGURES, RELEASES) is expected  # the newest known one is that of October 2025


def test_what_both_releases_have_is_not_stale_and_neither_is_half_of_a_page() -> None:
    same = [NEWEST, Release("2025-04-22", NEWEST.figures)]
    assert not stale(DAY, FIGURES, same)
    half = FIGURES | dict(list(OLD_PAGE.items())[:50])
    assert not stale(DAY, half, RELEASES)
    assert stale(DAY, FIGURES | dict(list(OLD_PAGE.items())[:51]), RELEASES)


def test_a_page_of_before_the_first_release_is_not_stale() -> None:
    assert not stale("2018-11-20", FIGURES, [])
    assert not stale("2020-06-01", FIGURES, [Release("2019-10-15", FIGURES), OLD])  # none had GDP in April 2020


# --- edits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "before", "expected"),
    [
        (378_111.0, 387_111.0, DIGITS), (873_112.0, 387_111.0, None), (387_111.0, 387_111.0, None),
        (12.0, 21.0, DIGITS), (187_113.0, 387_111.0, None),
        (388_111.0, 387_111.0, BILLIONS), (388_111.0, 387_110.6, BILLIONS),
        (387_611.0, 387_111.0, None), (388_111.0, 387_000.0, None),
        (388_000.0, 387_000.0, None), (387_111.0, 38_711.0, None),
    ],
)  # fmt: skip
def test_edits_by_hand_have_a_signature(figure: float, before: float, expected: str | None) -> None:
    assert kind_of_edit(figure, before) == expected


def test_figures_below_a_billion_are_shown_to_the_million() -> None:
    assert (in_billions(61.0), in_billions(1_000.0), in_billions(30_615_743.0)) == ("0.061", "1.00", "30,615.74")

"""One figure against the last unflagged one: what is flagged, what is not, on each side of each threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from gdp.model import SHARP_REVISION
from gdp.validate import thresholds as at
from gdp.validate.against_imf import Release, is_release_between
from gdp.validate.findings import Finding
from gdp.validate.observations import Baseline, Key, Statement
from gdp.validate.single_figures import (
    BLOC_OF,
    DOLLAR_BLOC,
    EURO_BLOC,
    check_moves,
    deviations,
    moves,
    steps_between,
    usual_steps,
    usual_steps_of,
)  # fmt: skip
from tests.validate.lists import DAY, IMF_ITSELF, PAGE, changed, figures, names, observed

BEFORE, AFTER = "2025-11-20", DAY  # no release of the IMF's is between
OLDER = "2025-06-20"  # one is
HUNDRED = figures(100)
NOISE = {
    key: 0.01 if place % 2 else -0.01 for place, key in enumerate(HUNDRED)
}  # an update: all figures moved a little
FIRST, SECOND = ("C000", 2025), ("C050", 2025)
ROOT = math.sqrt(at.USUAL_STEP)  # a made-up country has the median step


def found(
    now: Mapping[Key, float],
    then: Mapping[Key, float],
    day: str = BEFORE,
    institution: str = "IMF",
    source: str = PAGE,
) -> list[Finding]:
    """Return what is found on figures beside those of a day before."""
    last = Statement(day, then)
    page = observed(now, institution, AFTER, source)
    return list(check_moves(page, moves(page, Baseline(then.items), []), last, ()))


def flagged(*arguments: object, **options: object) -> set[Key]:
    return {key for finding in found(*arguments, **options) for key in finding.notes}  # type: ignore[arg-type]


# --- no release between -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "expected"), [(0.0051, {FIRST}), (-0.0051, {FIRST}), (0.0049, set())])
def test_a_change_between_two_releases_is_one_by_hand(size: float, expected: set[Key]) -> None:
    assert flagged(changed(HUNDRED, {FIRST: size}), HUNDRED) == expected


def test_a_change_by_rounding_alone_is_none() -> None:
    small = HUNDRED | {FIRST: 60.0}
    assert flagged(HUNDRED | {FIRST: 61.0}, small) == set()  # a million more
    assert flagged(HUNDRED | {FIRST: 62.0}, small) == {FIRST}


@pytest.mark.parametrize(("number", "expected"), [(14, 14), (15, 0)])
def test_more_changes_than_people_make_are_an_update(number: int, expected: int) -> None:
    some = dict(list(HUNDRED.items())[:98])
    now = changed(some, dict.fromkeys(list(some)[:number], 0.02))
    assert len(flagged(now, some)) == expected


def test_with_a_release_between_a_small_change_is_an_update() -> None:
    assert flagged(changed(HUNDRED, {FIRST: 0.05}), HUNDRED, OLDER) == set()


def test_only_pages_are_edited_by_hand() -> None:
    assert flagged(changed(HUNDRED, {FIRST: 0.05}), HUNDRED, source=IMF_ITSELF) == set()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2025-10-14", "2025-10-20", True), ("2025-10-15", "2026-04-13", False), ("2025-10-15", "2026-04-14", True),
        ("2020-04-10", "2020-10-12", False),  # the outlook of April 2020 had no GDP
        ("2027-03-01", "2027-04-05", False), ("2027-03-01", "2027-04-06", True), ("2027-04-22", "2027-10-05", True),
        ("2027-04-23", "2027-10-05", False),
    ],
)  # fmt: skip
def test_a_release_is_between_two_days_if_one_is_known_or_usual_then(first: str, last: str, expected: bool) -> None:
    assert is_release_between(first, last) is expected


# --- a step of a release ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "expected"), [(0.46, {FIRST}), (-0.46, {FIRST}), (0.44, set())])
def test_an_unusual_change_is_flagged_from_a_score_on(score: float, expected: set[Key]) -> None:
    # the median change of all is half of the noise, up and down in turn
    now = changed(HUNDRED, {**dict.fromkeys(HUNDRED, 0.01), FIRST: 0.01 + score * ROOT})
    assert flagged(now, HUNDRED, OLDER) == expected


@pytest.mark.parametrize(("score", "expected"), [(4.1, {FIRST}), (3.9, set())])
def test_other_institutions_and_the_imf_itself_revise_more(score: float, expected: set[Key]) -> None:
    now = changed(HUNDRED, {**dict.fromkeys(HUNDRED, 0.01), FIRST: 0.01 + score * ROOT})
    assert flagged(now, HUNDRED, OLDER, "World Bank") == expected
    assert flagged(now, HUNDRED, OLDER, source=IMF_ITSELF) == expected


def test_what_is_as_in_the_last_vintage_was_judged_there() -> None:
    now = changed(HUNDRED, {FIRST: 0.5})
    page, last = observed(now), Statement(BEFORE, now)  # it was flagged, so that the baseline is the one before
    assert not list(check_moves(page, moves(page, Baseline(HUNDRED.items), []), last, ()))
    assert list(check_moves(page, moves(page, Baseline(HUNDRED.items), []), None, ()))


def test_the_six_most_unusual_are_flagged_the_largest_change_first() -> None:
    seven = {key: 0.2 + place / 100 for place, key in enumerate(list(HUNDRED)[:7])}
    now = changed(HUNDRED, {**NOISE, **seven})
    (finding,) = found(now, HUNDRED, OLDER)
    assert finding.keys == list(seven)[:0:-1] and len(finding.keys) == at.MOST_FLAGGED
    assert finding.flag == SHARP_REVISION and not finding.fatal


@pytest.mark.parametrize(("score", "expected"), [(7.1, 7), (6.9, 6)])
def test_beyond_all_honest_changes_there_is_no_limit(score: float, expected: int) -> None:
    seven = dict.fromkeys(list(HUNDRED)[:7], 0.01 + score * ROOT)
    now = changed(HUNDRED, {**dict.fromkeys(HUNDRED, 0.01), **seven})
    assert len(flagged(now, HUNDRED, OLDER)) == expected


def test_few_figures_have_no_usual_change() -> None:
    few = figures(19)
    assert flagged(changed(few, {**dict.fromkeys(few, 0.01), FIRST: 0.9}), few, OLDER) == set()
    enough = figures(20)
    assert flagged(changed(enough, {**dict.fromkeys(enough, 0.01), FIRST: 0.9}), enough, OLDER) == {FIRST}


# --- the figure before ------------------------------------------------------------------------------------------------


def test_the_last_unflagged_figure_is_the_baseline_and_not_the_flagged_one() -> None:
    now = changed(HUNDRED, {FIRST: 0.009})
    page, last = observed(now), Statement(BEFORE, changed(HUNDRED, {FIRST: 0.24}))  # it was altered, and flagged
    measured = moves(page, Baseline(HUNDRED.items), [])
    assert measured.changes[measured.keys.index(FIRST)] == pytest.approx(0.009)
    (finding,) = check_moves(page, measured, last, ())
    assert "when it was last not flagged, now" in finding.notes[FIRST] and "(+0.9 %)" in finding.notes[FIRST]
    back = observed(HUNDRED)
    assert not list(check_moves(back, moves(back, Baseline(HUNDRED.items), []), last, ()))


def test_a_change_says_from_what_to_what_and_when() -> None:
    (finding,) = found(HUNDRED | {FIRST: 9_900_000.0}, HUNDRED)
    assert finding.notes[FIRST] == f"was 9,000.00 on {BEFORE}, now 9,900.00 (+10.0 %)"


def test_a_figure_for_a_new_year_is_measured_by_the_nearest_year_less_growth() -> None:
    last_year = {(name, 2024): figure for (name, _), figure in HUNDRED.items()}
    grown = changed(HUNDRED, dict.fromkeys(HUNDRED, at.GROWTH))
    assert flagged(grown, last_year) == set()
    (finding,) = found(changed(grown, {FIRST: 0.4}), last_year)
    assert finding.ranks[FIRST] == pytest.approx(0.4)
    assert f"was 9,000.00 for 2024 on {BEFORE}" in finding.notes[FIRST]


@pytest.mark.parametrize(("year", "between"), [(2024, 1), (2023, 2), (2026, -1), (2022, 3), (2021, None), (2027, None)])
def test_years_near_by_are_looked_for(year: int, between: int | None) -> None:
    page = observed({FIRST: 5000.0})
    measured = moves(page, Baseline({("C000", year): 4000.0}.items), [])
    assert measured.years_between == ([] if between is None else [between])


def test_the_year_before_comes_first() -> None:
    older = {("C000", 2024): 4000.0, ("C000", 2023): 3000.0, ("C000", 2026): 2000.0}
    assert moves(observed({FIRST: 5000.0}), Baseline(older.items), []).before == [4000.0]


def test_without_a_figure_of_the_page_one_of_the_last_two_releases_is_the_baseline() -> None:
    newest, older = Release("2025-10-14", {FIRST: 4000.0}), Release("2025-04-22", {FIRST: 3000.0, SECOND: 4000.0})
    third = Release("2024-10-22", {("C051", 2025): 4000.0})
    page = observed({FIRST: 5000.0, SECOND: 5000.0, ("C051", 2025): 5000.0})
    measured = moves(page, None, [newest, older, third])
    assert (measured.keys, measured.releases) == ([FIRST, SECOND], ["2025-10-14", "2025-04-22"])
    assert not any(measured.years_between)
    assert moves(page, Baseline({FIRST: 4500.0}.items), [newest, older]).before == [
        4500.0,
        4000.0,
    ]  # the page's own first


@pytest.mark.parametrize(("day", "number"), [("2022-12-06", 1), ("2022-12-05", 0)])
def test_a_release_of_long_ago_is_no_baseline(day: str, number: int) -> None:
    assert len(moves(observed({FIRST: 5000.0}), None, [Release(day, {FIRST: 4000.0})])) == number


def test_what_a_release_judges_is_not_judged_again() -> None:
    now = changed(HUNDRED, {FIRST: 0.5})
    page, last = observed(now), Statement(BEFORE, HUNDRED)
    measured = moves(page, Baseline(HUNDRED.items), [])
    assert list(check_moves(page, measured, last, ()))
    assert not list(check_moves(page, measured, last, {FIRST}))


# --- signatures -------------------------------------------------------------------------------------------------------

RIGHT = {FIRST: 387_111.0, SECOND: 245_619.0}


@pytest.mark.parametrize(
    ("figure", "kind"),
    [
        (378_111.0, "digits exchanged"), (378_112.0, None), (397_111.0, "whole billions apart"), (397_112.0, None),
        (373_111.0, "whole billions apart"), (387_110.0, None), (245_619.0, "C050's figure"),
    ],
)  # fmt: skip
def test_a_change_by_hand_has_a_signature(figure: float, kind: str | None) -> None:
    then = changed(HUNDRED, {}) | RIGHT
    now = changed(then, {**NOISE, SECOND: 0.0}) | {FIRST: figure}
    others = {key: value for key, value in now.items() if key != FIRST}
    assert flagged(others, {key: then[key] for key in others}, OLDER) == set()
    notes = {key: note for finding in found(now, then, OLDER) for key, note in finding.notes.items()}
    assert kind is None or notes[FIRST].endswith(f": {kind}")
    assert kind is not None or not notes or ":" not in notes[FIRST]


def test_figures_in_whole_billions_have_no_signature() -> None:
    then = HUNDRED | {FIRST: 13_000.0}
    assert flagged(changed(then, NOISE) | {FIRST: 14_000.0}, then, OLDER) == set()


def test_a_small_figure_is_another_countrys_by_chance() -> None:
    then = HUNDRED | {FIRST: 990.0, SECOND: 980.0}
    assert flagged(changed(then, NOISE) | {FIRST: 980.0, SECOND: 980.0}, then, OLDER) == set()
    larger = HUNDRED | {FIRST: 1010.0, SECOND: 1000.0}
    assert flagged(changed(larger, NOISE) | {FIRST: 1000.0, SECOND: 1000.0}, larger, OLDER) == {FIRST}


# --- what is usual ----------------------------------------------------------------------------------------------------


def test_currencies_move_in_blocs() -> None:
    euro, dollar = EURO_BLOC.split()[:10], DOLLAR_BLOC.split()[:9]
    codes = [*euro, *dollar, *names(40)]
    moved = [0.1] * 10 + [0.05] * 9 + [0.02] * 40
    off = deviations(codes, moved)
    assert off[:10] == pytest.approx([0.0] * 10)  # ten have a median of their own
    assert off[10:19] == pytest.approx([0.03] * 9)  # nine have that of all
    assert off[19:] == pytest.approx([0.0] * 40)
    assert [BLOC_OF.get(code) for code in ("DEU", "SAU", "JPN")] == ["euro", "dollar", None]
    assert len(BLOC_OF) == len(EURO_BLOC.split()) + len(DOLLAR_BLOC.split())  # none is in both


def test_a_countrys_usual_step_is_smoothed_by_the_median_one() -> None:
    quiet = dict.fromkeys(names(30), 0.0)
    usual = usual_steps_of([quiet | {"C000": 0.3}, quiet | {"C000": -0.3}])
    assert usual["C000"] == pytest.approx(math.sqrt((2 * 0.09 + 2 * 0.0036) / 4))
    assert usual["C001"] == pytest.approx(math.sqrt(2 * 0.0036 / 4))
    assert usual["a country without a history"] == at.USUAL_STEP


def test_the_usual_steps_of_real_countries() -> None:
    usual = usual_steps()
    assert usual["IRN"] > 0.3 and 0.1 > usual["JPN"] > usual["BEL"] > 0.02


def test_a_step_is_the_change_of_the_newer_releases_year() -> None:
    older = Release("2024-10-22", {("AAA", 2025): 100.0, ("AAA", 2024): 50.0, ("BBB", 2024): 1.0})
    newer = Release("2025-04-22", {("AAA", 2025): 110.0, ("AAA", 2024): 60.0, ("BBB", 2025): 1.0})
    assert steps_between(older, newer) == {"AAA": pytest.approx(math.log(1.1))}

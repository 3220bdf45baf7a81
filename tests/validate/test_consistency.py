"""A whole list against another: what is fatal, what is a finding, what is honest, on each side of each threshold."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping

import pytest

from gdp.validate import thresholds as at
from gdp.validate.consistency import (
    Fit,
    check_countries,
    check_institutions_mixed,
    check_world,
    figures_of_another,
    fits_with,
    is_row_off,
    judge,
    moved_score,
    years_moved,
)  # fmt: skip
from gdp.validate.findings import Finding
from gdp.validate.observations import Key, Statement, change
from tests.validate.lists import DAY, baseline, changed, figures, names, observed

HUNDRED = figures(100)
FAR = "2024-01-15"  # a day long before DAY


def checks(found: Iterable[Finding]) -> list[tuple[str, bool]]:
    return [(one.check, one.fatal) for one in found]


def judged(now: Mapping[Key, float], *others: Statement, institution: str = "IMF") -> list[tuple[str, bool]]:
    return checks(judge(observed(now, institution), others, names(100)).findings)


def alternating(size: float, some: Mapping[Key, float] = HUNDRED) -> dict[Key, float]:
    """Return changes of a size, up and down in turn."""
    return {key: size if place % 2 else -size for place, key in enumerate(some)}


# --- the median -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("day", "size", "expected"),
    [
        (DAY, 0.089, []), (DAY, 0.091, [("all figures moved", False)]),
        (FAR, 0.149, []), (FAR, 0.151, [("all figures moved", False)]),
        (FAR, 0.249, [("all figures moved", False)]), (FAR, 0.251, [("unit slip", True)]),
    ],
)  # fmt: skip
def test_the_median_country_moves_as_it_ever_did(
    day: str, size: float, sign: int, expected: list[tuple[str, bool]]
) -> None:
    now = changed(HUNDRED, dict.fromkeys(HUNDRED, sign * size))
    assert judged(now, baseline(HUNDRED, day, is_release=True)) == expected


def test_eight_months_are_near_and_a_day_more_is_far() -> None:
    before, after = "2027-01-01", "2027-09-03"  # beyond the known releases, so that days count as they are
    assert Fit(observed(HUNDRED, day=after), baseline(HUNDRED, before)).days == at.NEAR_DAYS
    assert Fit(observed(HUNDRED, day=after), baseline(HUNDRED, before)).is_near
    assert not Fit(observed(HUNDRED, day="2027-09-04"), baseline(HUNDRED, before)).is_near


def test_days_are_counted_between_the_releases_that_lists_can_follow() -> None:
    fit = Fit(observed(HUNDRED, day="2025-10-10"), baseline(HUNDRED, "2024-10-30"))
    assert fit.days == 182 and fit.is_near  # from 22 October 2024 to 22 April 2025


def test_the_growth_of_the_years_between_is_no_change() -> None:
    last_year = {(name, 2024): figure * math.exp(-0.06) for (name, _), figure in HUNDRED.items()}
    fit = Fit(observed(HUNDRED), baseline(last_year))
    assert fit.median == pytest.approx(0) and fit.spread == pytest.approx(0)


# --- the spread -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "fatal"), [(0.129, False), (0.131, True)])
def test_half_of_the_countries_far_from_the_median_are_fatal(size: float, fatal: bool) -> None:
    now = changed(HUNDRED, alternating(size))
    assert (("figures in disorder", True) in judged(now, baseline(HUNDRED, FAR, is_release=True))) is fatal


@pytest.mark.parametrize(("number", "size", "fatal"), [(25, 0.31, False), (26, 0.31, True), (26, 0.29, False)])
def test_many_wild_changes_are_fatal_even_if_most_figures_are_the_same(number: int, size: float, fatal: bool) -> None:
    now = changed(HUNDRED, dict.fromkeys(list(HUNDRED)[:number], size))
    assert (("figures in disorder", True) in judged(now, baseline(HUNDRED, FAR, is_release=True))) is fatal


@pytest.mark.parametrize(
    ("number", "steps", "expected"), [(11, 2.6, []), (12, 2.6, ["many figures moved"]), (12, 2.4, [])]
)
def test_many_countries_that_move_more_than_they_usually_do_are_one_finding(
    number: int, steps: float, expected: list[str]
) -> None:
    far = dict.fromkeys(list(HUNDRED)[:number], steps * at.USUAL_STEP)  # a made-up country has the median step
    now = changed(HUNDRED, {**alternating(0.005), **far})
    verdict = judge(observed(now), [baseline(HUNDRED, is_release=True)], [])
    assert [one.check for one in verdict.findings] == expected
    assert not any(one.notes or one.flag for one in verdict.findings)
    assert verdict.is_plain is not bool(expected)
    assert not judged(now, baseline(HUNDRED), institution="UN")


def test_shuffled_figures_are_fatal_and_honest_ones_are_not() -> None:
    values = list(HUNDRED.values())
    random.Random(1).shuffle(values)
    assert ("figures in disorder", True) in judged(
        dict(zip(HUNDRED, values, strict=True)), baseline(HUNDRED, is_release=True)
    )
    assert judged(changed(HUNDRED, alternating(0.03)), baseline(HUNDRED, is_release=True)) == []


# --- rows and years ---------------------------------------------------------------------------------------------------


def a_row_off(some: Mapping[Key, float], step: int) -> dict[Key, float]:
    """Return figures, each in the row of a neighbour, by the order that they have."""
    values = list(some.values())
    return dict(zip(some, values[step:] + values[:step], strict=True))


@pytest.mark.parametrize("step", [1, -1])
def test_a_column_one_row_off_is_fatal_by_its_own_order_and_by_the_pages(step: int) -> None:
    noise = random.Random(2)
    by_rank = dict(HUNDRED)
    by_name = dict(sorted(HUNDRED.items(), key=lambda one: noise.random()))
    other = baseline({key: figure * math.exp(noise.gauss(0, 0.02)) for key, figure in HUNDRED.items()})
    assert is_row_off(Fit(observed(a_row_off(by_rank, step)), other), [])
    assert is_row_off(Fit(observed(a_row_off(by_name, step), "UN"), other), [name for name, _ in by_name])
    assert not is_row_off(Fit(observed(HUNDRED, "UN"), other), names(100))
    assert not is_row_off(Fit(observed(HUNDRED), other), [])


def towards_the_next_row(share: float, large: float, small: float) -> tuple[dict[Key, float], dict[Key, float]]:
    """Return figures that are `share` of the way to those of the next row, and the right ones."""
    steps = [large if place % 2 else small for place in range(400)]
    right = {(f"C{place:03}", 2025): 1e9 * math.exp(-sum(steps[:place])) for place in range(400)}
    next_ones = [*list(right.values())[1:], 1e9 * math.exp(-sum(steps))]
    return {
        key: figure ** (1 - share) * after**share for (key, figure), after in zip(right.items(), next_ones, strict=True)
    }, right


@pytest.mark.parametrize(("ratio", "expected"), [(0.97, True), (0.99, False)])
def test_a_list_a_row_off_fits_better_moved_back_by_a_margin(ratio: float, expected: bool) -> None:
    now, right = towards_the_next_row(1 / (1 + ratio), 0.14, 0.02)  # as it is over moved back: share to the rest of it
    assert is_row_off(Fit(observed(now), baseline(right)), []) is expected


@pytest.mark.parametrize(("distance", "expected"), [(0.021, True), (0.019, False)])
def test_a_list_that_fits_well_is_not_tried_a_row_off(distance: float, expected: bool) -> None:
    now, right = towards_the_next_row(0.8, 0.01 + distance / 0.4, 0.01)  # of two steps one is the median, one is not
    assert is_row_off(Fit(observed(now), baseline(right)), []) is expected


GROWN = {key: figure * math.exp(0.03 + 0.001 * place) for place, (key, figure) in enumerate(HUNDRED.items())}
BOTH_YEARS = {**GROWN, **{(name, 2024): figure for (name, _), figure in HUNDRED.items()}}


def towards_last_year(share: float) -> dict[Key, float]:
    """Return the figures moved by a share of the way to those of the year before."""
    return {(name, 2025): GROWN[name, 2025] ** (1 - share) * HUNDRED[name, 2025] ** share for name, _ in HUNDRED}


@pytest.mark.parametrize(("share", "moved"), [(0.59, False), (0.61, True), (1.0, True), (-1.0, False)])
def test_figures_of_the_year_before_under_the_next_year_are_found(share: float, moved: bool) -> None:
    fit = Fit(observed(towards_last_year(share)), baseline(BOTH_YEARS, is_release=True))
    assert bool(list(years_moved([fit]))) is moved


@pytest.mark.parametrize(("day", "moved"), [("2027-04-30", True), ("2027-04-29", False)])
def test_years_are_compared_with_near_releases(day: str, moved: bool) -> None:
    release = baseline(BOTH_YEARS, day, is_release=True)
    fit = Fit(observed(towards_last_year(1.0), day="2027-12-31"), release)
    assert bool(list(years_moved([fit]))) is moved


def test_a_page_of_before_the_first_release_is_compared_with_it() -> None:
    # it follows the outlook of April 2018, a year before, and was saved half a year before
    fit = Fit(observed(towards_last_year(1.0), day="2018-09-26"), baseline(BOTH_YEARS, "2019-04-09", is_release=True))
    assert not fit.is_near and list(years_moved([fit]))


def test_a_release_from_before_the_list_decides_whether_years_moved() -> None:
    now = observed(towards_last_year(1.0), day="2027-12-31")
    later = Fit(now, baseline(BOTH_YEARS, "2028-01-02", is_release=True))
    same = Fit(now, baseline({**BOTH_YEARS, **towards_last_year(1.0)}, "2027-10-01", is_release=True))
    assert not list(years_moved([later, same]))
    assert list(years_moved([later]))


def test_no_vintage_of_the_page_says_that_years_moved_only_a_release_does() -> None:
    assert not list(years_moved([Fit(observed(towards_last_year(1.0)), baseline(BOTH_YEARS))]))


@pytest.mark.parametrize(("growth", "expected"), [(0.011, -2.0), (0.009, -1.0)])
def test_the_median_counts_where_the_median_country_grows(growth: float, expected: float) -> None:
    growths = {key: growth + 0.001 * (place - 49.5) for place, key in enumerate(HUNDRED)}
    grown = changed(HUNDRED, growths)
    both = {**grown, **{(name, 2024): figure for (name, _), figure in HUNDRED.items()}}
    fit = Fit(observed(HUNDRED), baseline(both))
    score = moved_score(fit, {name: one for (name, _), one in growths.items()})
    assert score == pytest.approx(expected, abs=0.01)


def test_one_country_with_a_wild_growth_does_not_decide() -> None:
    wild = {**BOTH_YEARS, ("C050", 2025): BOTH_YEARS["C050", 2025] * 50}
    now = towards_last_year(0.25) | {("C050", 2025): BOTH_YEARS["C050", 2024]}
    assert not list(years_moved([Fit(observed(now), baseline(wild, is_release=True))]))


# --- other lists' figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "moved"), [(50, False), (51, True)])
def test_most_figures_of_another_year_mean_that_years_moved(number: int, moved: bool) -> None:
    last_year = {(name, 2024): figure for (name, _), figure in HUNDRED.items()}
    now = changed(HUNDRED, dict.fromkeys(list(HUNDRED)[number:], 0.02))
    found = [one.check for one in figures_of_another(Fit(observed(now), baseline(last_year)))]
    assert found == (["years moved"] if moved else [])


@pytest.mark.parametrize(("number", "found"), [(24, False), (26, True)])
def test_many_figures_of_other_countries_are_fatal(number: int, found: bool) -> None:
    keys = list(HUNDRED)[:number]
    swapped = {key: HUNDRED[keys[place ^ 1]] for place, key in enumerate(keys)}
    fit = Fit(observed(HUNDRED | swapped), baseline(HUNDRED))
    assert [one.check for one in figures_of_another(fit)] == (["other countries' figures"] if found else [])


def test_small_figures_are_alike_by_chance() -> None:
    small = {(name, 2025): 900.0 - 2 * place for place, name in enumerate(names(60))}
    keys = list(small)
    swapped = {key: small[keys[place ^ 1]] for place, key in enumerate(keys)}
    assert not list(figures_of_another(Fit(observed(swapped), baseline(small))))


@pytest.mark.parametrize(("number", "fatal"), [(50, False), (51, True)])
def test_another_institutions_figures_are_fatal(number: int, fatal: bool) -> None:
    theirs = {(name, 2024): figure for (name, _), figure in HUNDRED.items()}
    now = changed(HUNDRED, dict.fromkeys(list(HUNDRED)[number:], 0.02))
    found = check_institutions_mixed(
        observed(now, "World Bank"), {"IMF": [baseline(theirs)], "World Bank": [baseline(now)]}
    )
    assert checks(found) == ([("institutions mixed up", True)] if fatal else [])


# --- which list decides -----------------------------------------------------------------------------------------------

WRONG = changed(HUNDRED, dict.fromkeys(HUNDRED, 0.5))


def test_one_vintage_alone_does_not_refuse_another_and_no_figure_is_flagged() -> None:
    (found,) = judge(observed(WRONG), [baseline(HUNDRED)], []).findings
    assert (found.check, found.fatal, found.flag, found.notes) == (at.UNSETTLED, False, None, {})
    assert "this vintage or the other list is wrong" in found.expected


def test_two_vintages_or_a_release_refuse_a_third() -> None:
    other = changed(HUNDRED, alternating(0.01))
    assert judged(WRONG, baseline(HUNDRED), baseline(other)) == [("unit slip", True)]
    assert judged(WRONG, baseline(HUNDRED, is_release=True)) == [("unit slip", True)]


def test_an_accepted_bad_vintage_does_not_lock_out_an_honest_one() -> None:
    assert judged(HUNDRED, baseline(WRONG), baseline(HUNDRED)) == []
    assert judged(HUNDRED, baseline(WRONG), baseline(changed(HUNDRED, alternating(0.02)))) == []


@pytest.mark.parametrize(("number", "is_found"), [(19, False), (20, True)])
def test_few_figures_are_no_evidence(number: int, is_found: bool) -> None:
    few = figures(number)
    assert bool(judged(changed(few, dict.fromkeys(few, 0.5)), baseline(few, is_release=True))) is is_found


@pytest.mark.parametrize(("number", "identical"), [(50, False), (51, True)])
def test_a_list_with_most_figures_the_same_is_what_the_other_is(number: int, identical: bool) -> None:
    now = changed(HUNDRED, dict.fromkeys(list(HUNDRED)[number:], 0.1))
    assert Fit(observed(now), baseline(HUNDRED)).is_identical is identical


def test_a_near_list_decides_before_one_that_fits_better_by_chance() -> None:
    now = changed(HUNDRED, dict.fromkeys(HUNDRED, 0.12))
    near, far = baseline(HUNDRED), baseline(changed(HUNDRED, dict.fromkeys(HUNDRED, 0.10)), FAR)
    assert [fit.baseline for fit in fits_with(observed(now), [far, near])] == [near, far]


# --- countries and World ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "fatal"), [(92, False), (91, True)])
def test_many_countries_that_every_list_has_and_this_one_has_not_are_fatal(left: int, fatal: bool) -> None:
    now = observed(figures(left))
    both = [baseline(HUNDRED), baseline(HUNDRED, FAR)]
    assert checks(check_countries(now, both)) == ([("countries gone", True)] if fatal else [])
    assert checks(check_countries(now, [baseline(HUNDRED, is_release=True)])) == (
        [("countries gone", True)] if fatal else []
    )
    assert not list(check_countries(now, [baseline(HUNDRED)]))  # one vintage alone does not decide
    assert not list(check_countries(now, [baseline(HUNDRED), baseline(figures(90))]))
    assert not list(check_countries(observed(figures(left), "World Bank"), both))


@pytest.mark.parametrize(("ratio", "found"), [(0.971, False), (0.969, True), (1.049, False), (1.051, True)])
def test_the_countries_add_up_to_world(ratio: float, found: bool) -> None:
    world = {2025: sum(HUNDRED.values()) / ratio}
    assert checks(check_world(observed(HUNDRED), world, None, ())) == ([("sum against World", False)] if found else [])


MANY = figures(190, step=0.04)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("size", "number", "fatal"), [(0.076, 190, False), (0.078, 190, True), (0.078, 181, True), (0.078, 180, False)]
)
def test_a_sum_far_off_world_is_fatal_if_another_list_confirms_it(
    size: float, number: int, fatal: bool, sign: int
) -> None:
    then = dict(list(MANY.items())[:number])
    now = changed(then, dict.fromkeys(then, sign * size))
    world = {2025: sum(then.values())}
    (found,) = check_world(observed(now), world, Fit(observed(now), baseline(then)), ())
    assert found.fatal is fatal
    (found,) = check_world(observed(now), world, None, ())
    assert not found.fatal
    noise = changed(now, alternating(0.01, now))  # another list has the same sum: the World row is wrong
    (found,) = check_world(observed(now), world, Fit(observed(now), baseline(noise)), ())
    assert not found.fatal


@pytest.mark.parametrize(("share", "fatal"), [(0.45, False), (0.55, True)])
def test_another_list_confirms_a_sum_if_it_shows_more_than_half_of_the_distance(share: float, fatal: bool) -> None:
    then = changed(MANY, dict.fromkeys(MANY, 0.2 * (1 - share)))
    now = changed(MANY, dict.fromkeys(MANY, 0.2))
    (found,) = check_world(observed(now), {2025: sum(MANY.values())}, Fit(observed(now), baseline(then)), ())
    assert found.fatal is fatal


def test_a_flagged_figure_counts_in_the_sum_as_the_other_list_has_it() -> None:
    now = HUNDRED | {("C000", 2025): HUNDRED["C000", 2025] * 10}
    world = {2025: sum(HUNDRED.values())}
    fit = Fit(observed(now), baseline(HUNDRED))
    assert list(check_world(observed(now), world, fit, ()))
    assert not list(check_world(observed(now), world, fit, {("C000", 2025)}))


def test_thirty_years_whose_sums_are_off_are_one_finding_that_has_the_last_and_the_range() -> None:
    some = {("C0", year): 900.0 + (year - 1960) for year in range(1960, 2024)}
    world = dict.fromkeys(range(1960, 2024), 1000.0)
    (found,) = check_world(observed(some, "World Bank"), world, None, ())
    assert "add up to 0.963 of World" in found.seen and "in 2023, and to 0.900 to 0.963 in 64 years" in found.seen


def test_each_year_is_compared_with_its_own_world_row() -> None:
    both = observed({("C0", 2024): 80_000.0, ("C0", 2023): 100_000.0})
    (found,) = check_world(both, {2024: 100_000.0, 2023: 100_000.0}, None, ())
    assert not found.fatal and found.seen == "the countries add up to 0.800 of World (80.00 of 100.00 billion USD)"
    assert not list(check_world(both, {2024: 80_100.0, 2023: 100_000.0}, None, ()))


def test_a_world_row_over_a_column_without_a_source_is_not_compared() -> None:
    uncited = observed(HUNDRED, flags=dict.fromkeys(HUNDRED, "unsourced"))
    assert not list(check_world(uncited, {2025: sum(HUNDRED.values())}, None, ()))


def test_a_figure_that_is_rounded_to_nothing_counts_as_half_of_the_last_digit() -> None:
    assert change(0.0, 5.0) == 0.0 and change(10.0, 0.0) == pytest.approx(math.log(2))

"""The IMF's figures beside the other institutions', and columns that are another's, on each side of each threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from gdp.model import OUTLIER, UNIT_SLIP
from gdp.validate import thresholds as at
from gdp.validate.consistency import check_alike, check_columns_apart, check_unsourced
from gdp.validate.findings import Finding
from gdp.validate.observations import Key, Statement
from gdp.validate.single_figures import check_outliers, is_out_of_line
from tests.validate.lists import changed, figures, observed

HUNDRED = figures(100)
FIRST = ("C000", 2025)
# A third of the countries is 0.05 above the usual ratio, a third below: a robust standard deviation of 0.05 x 1.4826.
SPREAD = {key: 0.05 * (place % 3 - 1) for place, key in enumerate(HUNDRED)}
SIGMA = 0.05 * at.MAD_TO_SIGMA


def found(now: Mapping[Key, float], *others: str, open_keys: set[Key] | None = None) -> list[Finding]:
    """Return what is found on the IMF's figures beside those of other institutions, which are spread around them."""
    vintage = {"IMF": observed(now)} | {name: observed(changed(HUNDRED, SPREAD), name) for name in others}
    return list(check_outliers(vintage, now.keys() if open_keys is None else open_keys))


def off_by(sigmas: float) -> dict[Key, float]:
    """Return the IMF's figures with one so many standard deviations from the usual ratio."""
    return changed(HUNDRED, {FIRST: SPREAD[FIRST] + sigmas * SIGMA})


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("sigmas", "expected"),
    [
        ([3.6], True), ([3.4], False), ([2.6, 5.1], True), ([2.6, 4.9], False), ([2.4, 5.1], False), ([], False),
        ([-2.6, 5.1], False), ([2.6, 2.6, 5.1], True),
    ],
)  # fmt: skip
def test_a_figure_is_out_of_line_with_one_other_by_far_or_with_all_to_the_same_side(
    sigmas: list[float], expected: bool, sign: int
) -> None:
    assert is_out_of_line([sign * one for one in sigmas]) is expected


@pytest.mark.parametrize(("sigmas", "expected"), [(3.6, {FIRST}), (3.4, set()), (-3.6, {FIRST})])
def test_a_figure_far_from_the_usual_ratio_is_flagged(sigmas: float, expected: set[Key]) -> None:
    flagged = {key for finding in found(off_by(sigmas), "World Bank") for key in finding.notes}
    assert flagged == expected


def test_the_finding_has_the_other_figures_and_their_years() -> None:
    (finding,) = found(off_by(5.2), "World Bank", "UN")
    assert finding.flag == OUTLIER
    assert finding.ranks[FIRST] == pytest.approx(5.2 * SIGMA, rel=0.01)
    assert finding.notes[FIRST].endswith("is far from World Bank 8,561.06 (2025), UN 8,561.06 (2025)")


def test_only_figures_that_nothing_else_judges_are_compared() -> None:
    assert found(off_by(9), "World Bank", open_keys=set()) == []
    assert found(off_by(9), "World Bank", open_keys={("C001", 2025)}) == []


def test_six_outliers_are_flagged_the_farthest_first() -> None:
    seven = {key: SPREAD[key] + (4 + place) * SIGMA for place, key in enumerate(list(HUNDRED)[:7])}
    (finding,) = found(changed(HUNDRED, seven), "World Bank")
    assert finding.keys == list(seven)[:0:-1]


@pytest.mark.parametrize(
    ("factor", "flag"),
    [
        (10.0, UNIT_SLIP),
        (0.1, UNIT_SLIP),
        (1000.0, UNIT_SLIP),
        (6.8, UNIT_SLIP),
        (6.6, OUTLIER),
        (14.8, UNIT_SLIP),
        (15.0, OUTLIER),
    ],
)
def test_a_slip_of_the_unit_is_named(factor: float, flag: str) -> None:
    now = changed(HUNDRED, {FIRST: SPREAD[FIRST] + math.log(factor)})
    (finding,) = found(now, "World Bank")
    assert finding.flag == flag and set(finding.notes) == {FIRST}
    assert ("by a factor of about" in finding.notes[FIRST]) is (flag == UNIT_SLIP)


def test_slips_of_the_unit_have_no_limit() -> None:
    seven = {key: SPREAD[key] + math.log(10) for key in list(HUNDRED)[:7]}
    (finding,) = found(changed(HUNDRED, seven), "World Bank")
    assert len(finding.notes) == 7


@pytest.mark.parametrize(("factor", "fatal"), [(1.99, False), (2.01, True), (1 / 2.01, True)])
def test_a_column_in_another_unit_than_the_others_is_fatal(factor: float, fatal: bool) -> None:
    now = changed(HUNDRED, dict.fromkeys(HUNDRED, math.log(factor)))
    others = {"IMF": observed(now), "UN": observed(HUNDRED, "UN")}
    assert [one.fatal for one in check_columns_apart(others)] == [True] * fatal


def test_countries_with_another_gap_of_years_are_compared_among_themselves() -> None:
    older = {
        (name, 2023 if place < 30 else 2024): figure
        for place, ((name, _), figure) in enumerate(changed(HUNDRED, SPREAD).items())
    }
    grown = changed(HUNDRED, {key: 0.6 if place < 30 else 0.1 for place, key in enumerate(HUNDRED)})
    vintage = {"IMF": observed(grown), "UN": observed(older, "UN")}
    assert not list(check_outliers(vintage, grown.keys()))


def test_without_spread_nothing_is_compared() -> None:
    equal = {"IMF": observed(HUNDRED | {FIRST: 1e7}), "UN": observed(HUNDRED, "UN")}
    assert not list(check_outliers(equal, HUNDRED.keys()))


# --- columns that are another's ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "fatal"), [(50, False), (51, True)])
def test_two_institutions_with_most_figures_alike_are_fatal(number: int, fatal: bool) -> None:
    older = {(name, 2024): figure for (name, _), figure in HUNDRED.items()}
    theirs = changed(older, dict.fromkeys(list(older)[number:], 0.03))
    found_alike = list(check_alike({"IMF": observed(HUNDRED), "UN": observed(theirs, "UN")}))
    assert [(one.fatal, one.institution) for one in found_alike] == [(True, "UN")] * fatal


@pytest.mark.parametrize(("number", "fatal"), [(19, False), (20, True)])
def test_few_figures_alike_are_no_evidence(number: int, fatal: bool) -> None:
    few = figures(number)
    assert bool(list(check_alike({"IMF": observed(few), "UN": observed(few, "UN")}))) is fatal


@pytest.mark.parametrize("mark", ["unsourced", "disputed"])
@pytest.mark.parametrize(("number", "expected"), [(50, []), (51, ["institutions mixed up"])])
def test_a_column_without_a_source_that_is_anothers_is_a_finding_and_flags_nothing(
    number: int, expected: list[str], mark: str
) -> None:
    uncited = {(name, 2026): figure for (name, _), figure in HUNDRED.items()}
    uncited = changed(uncited, dict.fromkeys(list(uncited)[number:], 0.03))
    imf = observed(changed(HUNDRED, SPREAD) | uncited, flags=dict.fromkeys(uncited, mark))
    others = {"IMF": imf, "UN": observed(HUNDRED, "UN")}
    assert [one.check for one in check_unsourced(others, {})] == expected
    before = {"UN": Statement("2025-12-29", HUNDRED)}
    (*found_before,) = check_unsourced({"IMF": imf}, before)
    assert [one.check for one in found_before] == expected
    assert not any(one.fatal or one.flag or one.notes for one in found_before)


def test_countries_that_only_the_uncited_column_has_are_named() -> None:
    imf = observed(HUNDRED | {("Cuba", 2026): 9000.0}, flags={("Cuba", 2026): "unsourced"})
    (finding,) = check_unsourced({"IMF": imf}, {})
    assert (finding.check, finding.notes) == ("countries without a source", {}) and "Cuba" in finding.seen
    only_uncited = observed({("Cuba", 2026): 9000.0}, flags={("Cuba", 2026): "unsourced"})
    assert not list(check_unsourced({"IMF": only_uncited}, {}))
    assert not list(check_unsourced({"IMF": observed(HUNDRED)}, {}))

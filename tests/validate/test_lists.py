"""One list by itself: its length, years, scale and countries, with a test on each side of each threshold."""

from __future__ import annotations

import pytest

from gdp.model import NEW_COUNTRY, ODD_YEAR, OUTSIDE_OUTLOOK
from gdp.validate import thresholds as at
from gdp.validate.findings import Finding
from gdp.validate.observations import Statement
from gdp.validate.single_vintage import (
    check_come_and_gone,
    check_institutions_gone,
    check_large_economies,
    check_number,
    check_outside,
    check_same_figure,
    check_scale,
    check_years,
)  # fmt: skip
from tests.validate.lists import IMF_ITSELF, figures, names, observed

LARGE = list(at.LARGE_ECONOMIES)


def outcomes(found: list[Finding]) -> list[tuple[str, bool]]:
    return [(finding.check, finding.fatal) for finding in found]


@pytest.mark.parametrize(
    ("institution", "day", "number", "expected"),
    [
        ("IMF", "2025-12-30", 180, []), ("IMF", "2025-12-30", 179, [("number of countries", True)]),
        ("IMF", "2025-12-30", 205, []), ("IMF", "2025-12-30", 206, [("number of countries", False)]),
        ("IMF", "2009-12-31", 165, []), ("IMF", "2009-12-31", 164, [("number of countries", True)]),
        ("IMF", "2010-01-01", 165, [("number of countries", True)]),
        ("World Bank", "2025-12-30", 170, []), ("World Bank", "2025-12-30", 169, [("number of countries", False)]),
        ("UN", "2025-12-30", 230, []), ("UN", "2025-12-30", 231, [("number of countries", False)]),
        ("CIA", "2009-12-30", 184, [("number of countries", False)]), ("another", "2025-12-30", 3, []),
    ],
)  # fmt: skip
def test_an_institution_has_about_as_many_countries_as_always_and_the_imfs_list_is_never_shorter(
    institution: str, day: str, number: int, expected: list[tuple[str, bool]]
) -> None:
    assert outcomes(list(check_number(observed(figures(number), institution, day)))) == expected


@pytest.mark.parametrize(
    ("institution", "year", "expected"),
    [
        ("IMF", 2021, None), ("IMF", 2020, ODD_YEAR), ("IMF", 2026, ODD_YEAR),
        ("World Bank", 2009, None), ("World Bank", 2008, ODD_YEAR),
    ],
)  # fmt: skip
def test_a_year_far_from_as_of_is_flagged(institution: str, year: int, expected: str | None) -> None:
    some = figures(100)
    some["C100", year] = 5000.0
    found = list(check_years(observed(some, institution)))
    assert [(one.flag, set(one.notes)) for one in found] == ([(expected, {("C100", year)})] if expected else [])


def test_a_whole_list_of_another_year_is_one_finding_and_flags_no_figures() -> None:
    (found,) = check_years(observed(figures(at.MOST_FLAGGED + 1, 2026)))
    assert (found.flag, found.notes) == (None, {})
    (few,) = check_years(observed(figures(at.MOST_FLAGGED, 2026)))
    assert len(few.notes) == at.MOST_FLAGGED


@pytest.mark.parametrize(("of_main_year", "expected"), [(90, []), (89, ["years mixed"])])
def test_nearly_all_figures_are_for_one_year(of_main_year: int, expected: list[str]) -> None:
    some = {**figures(of_main_year), **{(f"X{n}", 2024): 7000.0 + n for n in range(100 - of_main_year)}}
    assert [one.check for one in check_years(observed(some))] == expected


@pytest.mark.parametrize(("missing", "institution", "fatal"), [(4, "IMF", False), (5, "IMF", True), (5, "UN", False)])
def test_many_large_economies_missing_are_fatal_for_the_imfs_list_alone(
    missing: int, institution: str, fatal: bool
) -> None:
    there = {(code, 2025): 5000.0 for code in LARGE[missing:]}
    assert outcomes(list(check_large_economies(observed(there, institution)))) == [("large economies missing", fatal)]
    assert not list(check_large_economies(observed({(code, 2025): 1.0 for code in LARGE})))


def test_many_territories_that_the_outlook_leaves_out_are_another_institutions_list() -> None:
    outside = sorted(at.OUTSIDE_THE_OUTLOOK)
    five = {(code, 2025): 900.0 for code in outside[:5]}
    (found,) = check_outside(observed({**figures(20), **five}))
    assert (found.fatal, found.flag, set(found.notes)) == (False, OUTSIDE_OUTLOOK, set(five))
    six = {(code, 2025): 900.0 for code in outside[:6]}
    (found,) = check_outside(observed({**figures(20), **six}))
    assert found.fatal and not found.notes
    assert not list(check_outside(observed(six, "UN")))
    assert not list(check_outside(observed(six, source=IMF_ITSELF)))
    assert not list(check_outside(observed(six, flags=dict.fromkeys(six, "unsourced"))))


@pytest.mark.parametrize(("factor", "fatal"), [(2.4, False), (2.6, True), (1 / 2.4, False), (1 / 2.6, True)])
@pytest.mark.parametrize("year", [2010, 2025])
def test_a_list_in_another_unit_is_fatal(factor: float, fatal: bool, year: int) -> None:
    usual = at.WORLD_2025_MILLION_USD * at.WORLD_GROWTH ** (year - 2025) * at.LARGE_SHARE
    some = {(code, year): usual * factor for code in LARGE}
    assert outcomes(list(check_scale(observed(some)))) == ([("unit slip", True)] if fatal else [])


def test_one_cell_decides_no_scale_and_neither_do_four_large_economies() -> None:
    usual = at.WORLD_2025_MILLION_USD * at.LARGE_SHARE
    some = {(code, 2025): usual for code in LARGE}
    assert not list(check_scale(observed({**some, ("USA", 2025): usual * 1000, ("CHN", 2025): usual * 1000})))
    assert not list(check_scale(observed({(code, 2025): 1000 * usual for code in LARGE[:4]})))
    assert list(check_scale(observed({(code, 2025): 1000 * usual for code in LARGE[:5]})))


@pytest.mark.parametrize(
    ("alike", "number", "fatal"), [(9, 190, False), (10, 190, True), (3, 20, False), (4, 20, True)]
)
def test_many_countries_with_one_figure_are_fatal(alike: int, number: int, fatal: bool) -> None:
    some = figures(number)
    some |= dict.fromkeys(list(some)[:alike], 123_456.0)
    assert outcomes(list(check_same_figure(observed(some)))) == ([("same figure", True)] if fatal else [])


def test_a_new_country_is_flagged_if_it_is_one_of_few_of_the_imfs() -> None:
    last = Statement("2025-12-29", figures(100))
    six = figures(100) | {(f"X{n}", 2025): 5000.0 for n in range(6)}
    (found,) = check_come_and_gone(observed(six), last)
    assert found.flag == NEW_COUNTRY and len(found.notes) == 6
    (found,) = check_come_and_gone(observed(six | {("X6", 2025): 5000.0}), last)
    assert found.flag is None and not found.notes
    (found,) = check_come_and_gone(observed(six, "UN"), last)
    assert found.flag is None and not found.notes
    assert not list(check_come_and_gone(observed(figures(100)), last))
    assert not list(check_come_and_gone(observed(figures(100)), None))


def test_a_country_that_is_gone_is_named() -> None:
    (found,) = check_come_and_gone(observed(figures(99)), Statement("2025-12-29", figures(100)))
    assert (found.check, found.seen) == ("countries gone", f"1 gone: {names(100)[99]}")


def test_an_institution_that_the_last_vintage_had_is_missed() -> None:
    last = {"IMF": Statement("2025-12-29", figures(20)), "UN": Statement("2025-12-29", figures(20))}
    (found,) = check_institutions_gone({"IMF": observed(figures(20))}, last)
    assert (found.institution, found.seen) == ("UN", "no figure, where 2025-12-29 had 20")
    older = last | {"UN": Statement("2025-12-28", figures(20))}
    assert not list(check_institutions_gone({"IMF": observed(figures(20))}, older))

"""The countries' sum against World is one finding a vintage, however many years it is off in."""

from __future__ import annotations

from gdp.validate.single_vintage import check_control_totals


def test_thirty_years_whose_sums_are_off_are_one_finding_that_tells_the_last_and_how_far_the_others_are() -> None:
    sums = {year: (90.0 + (year - 1960) / 10, 100.0) for year in range(1960, 2024)}
    (finding,) = check_control_totals("World Bank", "2024-11-13", sums)
    assert not finding.fatal and "0.949 of World" in finding.seen
    assert "in 2009, and to 0.900 to 0.949 in 50 years" in finding.seen


def test_one_year_that_is_off_is_told_as_it_is_and_none_where_all_are_near() -> None:
    (finding,) = check_control_totals("IMF", "2024-10-22", {2024: (80.0, 100.0), 2023: (100.0, 100.0)})
    assert finding.seen == "the countries add up to 0.800 of World (80.00 of 100.00 billion USD)"
    assert not list(check_control_totals("IMF", "2024-10-22", {2024: (100.0, 101.0)}))

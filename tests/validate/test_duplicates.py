"""A country with several figures for a year: which one is kept, and what is found."""

from __future__ import annotations

import pytest

from gdp.validate import thresholds as at
from gdp.validate.observations import Baseline
from gdp.validate.single_vintage import check_twice, figures_by_key, one_figure_each
from tests.validate.lists import figures, observed, observed_twice

GERMANY = ("Germany", 2025)


def kept(*some: float, before: float | None = None, flags: str | None = None) -> float:
    known = {} if before is None else {GERMANY: before}
    part = observed_twice([(GERMANY, figure) for figure in some], flags={GERMANY: flags} if flags else None)
    (figure,) = one_figure_each(part, Baseline(known.items)).millions
    return figure


def test_of_several_figures_the_nearest_to_the_baseline_is_kept_else_the_lowest() -> None:
    assert kept(5000.0, 9000.0, before=8000.0) == 9000.0
    assert kept(9000.0, 5000.0, before=6000.0) == 5000.0
    assert kept(9000.0, 5000.0) == 5000.0


def test_a_figure_with_a_source_is_kept_before_one_without() -> None:
    part = observed_twice([(GERMANY, 5000.0), (GERMANY, 9000.0)])
    part.flags[:] = ["unsourced", None]
    assert one_figure_each(part, Baseline({GERMANY: 5000.0}.items)).millions == [9000.0]
    assert figures_by_key(part) == {GERMANY: {9000.0}}


def test_a_figure_without_a_source_counts_where_the_country_and_year_have_no_other() -> None:
    france, spain = ("France", 2025), ("Spain", 2025)
    some = [(GERMANY, 5.0), (GERMANY, 8.0), (GERMANY, 9.0), (france, 1.0), (france, 2.0), (spain, 3.0), (spain, 4.0)]
    part = observed_twice(some)
    part.flags[:] = ["disputed", None, None, "unsourced", "unknown-name", None, "unsourced"]
    assert figures_by_key(part) == {GERMANY: {8.0, 9.0}, france: {1.0, 2.0}, spain: {3.0}}
    assert one_figure_each(part, Baseline({GERMANY: 5.0}.items)).millions == [8.0, 1.0, 3.0]


@pytest.mark.parametrize("flag", ["unsourced", "disputed", "year-assumed disputed"])
def test_a_figure_that_the_page_disputes_is_one_without_a_source(flag: str) -> None:
    part = observed_twice([(GERMANY, 5000.0), (GERMANY, 9000.0), (("France", 2025), 7.0)])
    part.flags[:] = [None, flag, "unknown-name"]
    assert part.unsourced == {GERMANY: 9000.0}
    (finding,) = check_twice(part)
    assert finding.seen == "1 figures without a source are for the same year as others: Germany"


def test_the_kept_figure_has_a_flag_that_there_is_another() -> None:
    part = observed_twice([(GERMANY, 5000.0), (GERMANY, 9000.0), (("France", 2025), 1.0)])
    assert one_figure_each(part, Baseline({}.items)).flags == ["two-figures", None]
    same = observed_twice([(GERMANY, 5000.0), (GERMANY, 5000.0)])
    assert one_figure_each(same, Baseline({}.items)).flags == [None]


def test_a_list_with_one_figure_each_stays_as_it_is() -> None:
    part = observed(figures(20))
    assert one_figure_each(part, Baseline({}.items)) is part


@pytest.mark.parametrize(
    ("twice", "number", "fatal"), [(10, 200, False), (11, 200, True), (3, 20, False), (4, 20, True)]
)
def test_a_list_in_which_many_have_two_figures_is_fatal(twice: int, number: int, fatal: bool) -> None:
    some = figures(number)
    assert at.MAX_TWICE_SHARE * 200 == 10
    rows = [*some.items(), *((key, figure + 10) for key, figure in list(some.items())[:twice])]
    (finding,) = check_twice(observed_twice(rows))
    assert (finding.check, finding.fatal) == ("a country twice", fatal)
    assert "C000 (9,000.00 and 9,000.01)" in finding.seen
    assert finding.flag == ("fatal" if fatal else "two-figures") and len(finding.notes) == (0 if fatal else twice)


def test_repeated_figures_and_figures_beside_uncited_ones_are_named() -> None:
    (finding,) = check_twice(observed({GERMANY: 5.0}, flags={GERMANY: "duplicate"}))
    assert finding.seen == "Germany twice, with the same figure" and not finding.fatal
    assert (finding.flag, set(finding.notes)) == ("duplicate", {GERMANY})
    part = observed_twice([(GERMANY, 5000.0), (GERMANY, 9000.0)])
    part.flags[:] = [None, "unsourced"]
    assert [one.check for one in check_twice(part)] == ["figures left out"]
    assert not list(check_twice(observed(figures(20))))

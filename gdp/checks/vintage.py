"""Checks on the figures of one vintage: what contradicts itself, the last load, or the other institutions.

Every check returns findings of one kind. A fatal one stops the load; a warning loads, with a Note on its rows.
Each threshold stands below with the spread that was seen on five real pages, September 2023 to December 2025.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from gdp.checks.comparison import AGREES, STALE, Release, compared, explained
from gdp.checks.findings import Finding, named
from gdp.checks.series import MIN_PAIRS, MOST_MOVED, Before, Series, day_of, log_ratio, median, series_of
from gdp.checks.witnesses import check_witnesses
from gdp.records import CleanRecord

# How many countries an institution has. Seen: IMF 191–194, World Bank 186–209, UN 208–212. The IMF's lists of 2005 had
# about 175; an institution that is not named here is not counted.
COUNTRIES = {"IMF": (180, 205), "World Bank": (170, 225), "UN": (185, 230), "CIA": (185, 245)}
COUNTRIES_BEFORE_2010 = {"IMF": (165, 205)}
MAX_GONE_SHARE = 0.05  # of the countries of the last load; seen: at most 1 of 194 (IMF), 4 of 212 (UN)
# Each was among the twenty largest on every page since 2005. Without one of them no table of large economies is right.
LARGE_ECONOMIES = {
    "USA": "United States", "CHN": "China", "JPN": "Japan", "DEU": "Germany", "GBR": "United Kingdom", "FRA": "France",
    "IND": "India", "ITA": "Italy", "BRA": "Brazil", "CAN": "Canada", "RUS": "Russia", "KOR": "South Korea",
    "ESP": "Spain", "AUS": "Australia", "MEX": "Mexico",
}  # fmt: skip
WORLD_2025_BILLION_USD, WORLD_GROWTH = 117_000, 1.045  # gives 49,000 for 2005 and 76,000 for 2015; they were 48 and 75
MAX_SCALE = 2.5  # a sum further off than this factor is in another unit; seen: 0.86 to 1.07
WORLD_RATIO = (0.95, 1.06)  # the sum against the page's World row; seen: 0.981 to 1.042 where that row was right
MAX_SAME_SHARE = 0.05  # of one figure among all; seen: 2 of 194
OLDEST, NEWEST = 4, 0  # years before and after As_of; seen: 3 before, and after only without a source
MAIN_YEAR_SHARE = 0.9  # seen: 0.97 and more, but in January, when some countries have moved to the new year: 0.68
# A figure for the same year, between two loads. Up to 1 in 7 moved: edits of single cells, and each is noted (seen:
# 1 of 208 and 13 of 190). More: a release, whose revisions are no alarm but for the largest (seen among 760 revised
# figures: 0.36, 0.35, 0.29, 0.28, 0.25, and all others below 0.21, in natural logarithms).
SINGLE_EDITS_SHARE = 1 / 7
MOVED = 0.005
ROUNDING_BILLION_USD = 0.011  # a hundredth is what rounding alone can move the smallest economies by
MOVED_IN_RELEASE = 0.30
IDENTICAL_SHARE = 0.5  # of figures that equal another year's or institution's; seen: 6 of 201, and UN's own 84 of 201


def check_vintage(records: list[CleanRecord], before: Before, own: Release | None = None) -> list[Finding]:
    """Return all findings on the records of one vintage: what one publisher says at one As_of.

    `before` has, by institution, the As_of of the load before and its figures by country and year; `own` has the
    IMF's own figures where the records are a page's, and the IMF's are loaded.
    """
    by_institution: dict[str, list[CleanRecord]] = {}
    for record in records:
        by_institution.setdefault(record["Institution"], []).append(record)
    all_series = {name: series_of(name, by_institution[name], before) for name in sorted(by_institution)}
    alone: tuple[Callable[[Series], Iterable[Finding]], ...] = (
        check_number, check_twice, check_years, check_large_economies, check_scale, check_same_figure, check_members,
        check_come_and_gone, check_moved, check_year_shifted,
    )  # fmt: skip
    findings = [finding for series in all_series.values() for check in alone for finding in check(series)]
    findings += check_institutions(all_series, records[0]["As_of"], before)
    findings += check_swapped(all_series, before)
    if own and "IMF" in all_series:
        findings += check_against_imf(all_series["IMF"], own)
    return findings + list(check_witnesses(all_series))


def check_control_total(institution: str, as_of: str, total: float, world: float) -> Iterable[Finding]:
    """The countries add up to the page's World row; that goes stale and has been mistyped, so it does not decide."""
    low, high = WORLD_RATIO
    if not low <= total / world <= high:
        seen = f"the countries add up to {total / world:.3f} of World ({total:.2f} of {world:.2f} billion USD)"
        yield Finding("sum against World", False, institution, as_of, seen, f"{low} to {high}", stage="transform")


# --- one series by itself ---------------------------------------------------------------------------------------------


def check_number(series: Series) -> Iterable[Finding]:
    """An institution has about as many countries as it always has."""
    limits = COUNTRIES if series.as_of >= "2010" else {**COUNTRIES, **COUNTRIES_BEFORE_2010}
    low, high = limits.get(series.institution, (0, math.inf))
    number = len(series.figures)
    if not low <= number <= high:
        yield series.finding("number of countries", number < low, f"{number} countries", f"{low} to {high}")


def check_twice(series: Series) -> Iterable[Finding]:
    """A country has one figure a year."""
    if len(series.all_figures) == len(series.records):
        return
    count = Counter((record["Country"], record["Year"]) for record in series.records)
    twice = {key: f"two figures for {key[1]}" for key, times in count.items() if times > 1}
    seen = f"two figures for {named(dict.fromkeys(country for country, _ in twice))}"
    yield series.finding("a country twice", True, seen, "one figure a year", twice)


def check_years(series: Series) -> Iterable[Finding]:
    """Years are near that of As_of, and nearly all the same."""
    now = int(series.as_of[:4])
    odd = {c: f"year {y}" for c, (y, _) in series.figures.items() if not now - OLDEST <= y <= now + NEWEST}
    if odd:
        expected = f"{now - OLDEST} to {now + NEWEST}"
        yield series.finding(
            "year out of range", False, f"{named(dict.fromkeys(odd.values()))} of {named(odd)}", expected, odd
        )
    if series.years[0][1] < MAIN_YEAR_SHARE * len(series.figures):
        seen = ", ".join(f"{year} for {number}" for year, number in series.years)
        yield series.finding("years mixed", False, seen, f"one year for {MAIN_YEAR_SHARE:.0%} of the countries")


def check_large_economies(series: Series) -> Iterable[Finding]:
    """The large economies are there; without one of them the IMF's list is not loaded."""
    codes = {record["ISO3"] for record in series.records}
    missing = [name for code, name in LARGE_ECONOMIES.items() if code not in codes]
    if missing:
        fatal = series.institution == "IMF"
        yield series.finding("large economies missing", fatal, f"no figure for {named(missing)}", "one for each")


def check_scale(series: Series) -> Iterable[Finding]:
    """A column is in billions: its sum is near the world's GDP, and its countries are near their last figures."""
    if len(series.figures) < MIN_PAIRS:
        return
    year = series.years[0][0]
    world = WORLD_2025_BILLION_USD * WORLD_GROWTH ** (year - 2025)
    total = sum([figure for _, figure in series.figures.values()])
    if not 1 / MAX_SCALE <= total / world <= MAX_SCALE:
        seen, expected = f"the figures add up to {total:,.0f} billion USD", f"about {world:,.0f} for {year}"
        yield series.finding("unit slip", True, seen, f"{expected}, within a factor of {MAX_SCALE}")
    if 2 * series.unchanged > len(series.all_figures):
        return  # the median country has its very figure of before
    newest = {country: figure for (country, _), figure in sorted(series.before.items(), key=lambda item: item[0][1])}
    ratios = [log_ratio(figure, newest[c]) for c, (_, figure) in series.figures.items() if c in newest]
    if len(ratios) >= MIN_PAIRS and abs(median(ratios)) > MOST_MOVED:
        seen = (
            f"the median country has {math.exp(median(ratios)):.3g} times its figure of {day_of(series.before_as_of)}"
        )
        yield series.finding("unit slip", True, seen, "a factor between 0.5 and 2")


def check_same_figure(series: Series) -> Iterable[Finding]:
    """Countries have figures of their own."""
    counted = Counter([figure for _, figure in series.figures.values()])
    figure, number = max(counted.items(), key=lambda item: (item[1], item[0]))
    if number > max(MAX_SAME_SHARE * len(series.figures), 3):
        seen = f"{number} of {len(series.figures)} countries have {figure:.2f}"
        yield series.finding("same figure", True, seen, f"at most {MAX_SAME_SHARE:.0%} alike")


def check_members(series: Series) -> Iterable[Finding]:
    """The World Bank and the UN have no figure for Taiwan, and the IMF always has: else the headings are mixed up."""
    if len(series.figures) < MIN_PAIRS:
        return
    has_taiwan = any(record["ISO3"] == "TWN" for record in series.records)
    if series.institution in ("World Bank", "UN") and has_taiwan:
        yield series.finding("institutions mixed up", True, "a figure for Taiwan", "none: it is not a member")
    if series.institution == "IMF" and not has_taiwan:
        yield series.finding("institutions mixed up", True, "no figure for Taiwan", "one: the IMF has always had it")


# --- against the load before ------------------------------------------------------------------------------------------


def check_come_and_gone(series: Series) -> Iterable[Finding]:
    """The countries are those of the last load, a few aside."""
    before = {country for country, _ in series.before}
    if not before:
        return
    gone, come = sorted(before - series.figures.keys()), sorted(series.figures.keys() - before)
    if gone:
        fatal = len(gone) > MAX_GONE_SHARE * len(before)
        expected = f"the {len(before)} countries of {day_of(series.before_as_of)}"
        yield series.finding("countries gone", fatal, f"{len(gone)} gone: {named(gone)}", expected)
    if come:
        notes = dict.fromkeys(come, f"not in the load of {day_of(series.before_as_of)}")
        yield series.finding("countries new", False, f"{len(come)} new: {named(come)}", "the same countries", notes)


def check_moved(series: Series) -> Iterable[Finding]:
    """A figure for the same year moves with a release, together with others, and not by itself."""
    now = series.all_figures
    if series.unchanged == len(now):
        return
    both = len(now.keys() & series.before.keys())
    changes = {
        key: log_ratio(figure, before)
        for key, figure in now.items()
        if (before := series.before.get(key)) is not None and before != figure
    }
    moved = {
        key: change
        for key, change in changes.items()
        if abs(change) > MOVED and abs(now[key] - series.before[key]) > ROUNDING_BILLION_USD
    }
    single_edits = len(moved) <= SINGLE_EDITS_SHARE * both
    usual, limit = 0.0, MOVED
    if not single_edits:
        usual, limit = median([*changes.values(), *[0.0] * (both - len(changes))]), MOVED_IN_RELEASE
    far = {key: change for key, change in moved.items() if abs(change - usual) > limit}
    if not far:
        return
    notes = {
        key: f"was {series.before[key]:.2f} on {day_of(series.before_as_of)}, now {now[key]:.2f}"
        f" ({math.expm1(change):+.1%})"
        for key, change in far.items()
    }
    seen = f"{len(far)} of {both} moved: {named(f'{country} {note}' for (country, _), note in notes.items())}"
    expected = (
        f"none by over {MOVED:.1%}" if single_edits else f"none by a factor over {math.exp(MOVED_IN_RELEASE):.2f}"
    )
    yield series.finding("moved since the last load", False, seen, expected, notes)


def check_year_shifted(series: Series) -> Iterable[Finding]:
    """Figures of a new year are new figures: the old ones under another year mean that only a heading was changed."""
    new = series.all_figures.keys() - series.before.keys()
    if len(new) <= IDENTICAL_SHARE * len(series.figures):
        return
    shifted = sum(
        (country, year) in new and any(series.before.get((country, year + step)) == figure for step in (-1, 1))
        for country, (year, figure) in series.figures.items()
    )
    if shifted > IDENTICAL_SHARE * len(series.figures):
        seen = f"{shifted} of {len(series.figures)} figures were those of another year on {day_of(series.before_as_of)}"
        yield series.finding("year shifted", True, seen, "new figures for a new year")


def check_institutions(all_series: dict[str, Series], as_of: str, before: Before) -> Iterable[Finding]:
    """The institutions are those of the last load."""
    last = max((day for day, _ in before.values()), default="")
    for name, (day, figures) in before.items():
        if name not in all_series and day == last:
            seen = f"no figure, where {day_of(day)} had {len(figures)}"
            yield Finding("institution gone", False, name, as_of, seen, "the institutions of the last load")


def check_swapped(all_series: dict[str, Series], before: Before) -> Iterable[Finding]:
    """No institution's figures are what the last load had of another's."""
    changed = [series for series in all_series.values() if 2 * series.unchanged <= len(series.all_figures)]
    if not changed:
        return
    of_others = {other: {(c, figure) for (c, _), figure in figures.items()} for other, (_, figures) in before.items()}
    for series in changed:
        own = {(country, figure) for country, (_, figure) in series.figures.items()}
        for other, (as_of, _) in before.items():
            same = len(own & of_others[other])
            if other != series.institution and same > IDENTICAL_SHARE * len(series.figures) >= MIN_PAIRS / 2:
                seen = f"{same} of {len(series.figures)} figures were {other}'s on {day_of(as_of)}"
                yield series.finding("institutions mixed up", True, seen, "figures of its own")


# --- against the IMF itself -------------------------------------------------------------------------------------------


def check_against_imf(series: Series, own: Release) -> Iterable[Finding]:
    """The page's IMF column has the IMF's own figures: those of its newest release or, not yet edited, of an older."""
    found = compared(series.all_figures, own)
    agree = sum(one.kind == AGREES for one in found)
    if not explained(found):  # the page is of a release that we have not got; it says nothing of single figures
        seen = f"{agree} of {len(found)} figures are those of the release of {day_of(own.as_of)}"
        yield series.finding("another release than the IMF's", False, seen, "its newest one: run with --source imf too")
        return
    stale = {one.key: one.told for one in found if one.kind == STALE}
    odd = {one.key: one.told for one in found if one.kind not in (AGREES, STALE)}
    if odd:
        seen = f"{len(odd)} of {len(found)} figures: {named(f'{country} {note}' for (country, _), note in odd.items())}"
        yield series.finding(
            "departs from the IMF's own figures", False, seen, "the IMF's figure, to the rounding", odd
        )
    if stale:
        seen = f"{len(stale)} of {len(found)} figures are of before the release of {day_of(own.as_of)}"
        yield series.finding("figures of an older release", False, seen, "those of the newest", stale)

"""Checks on one vintage: by itself, against the vintages around it, against the other institutions and the IMF itself.

Every check returns findings of one kind. A fatal one stops the load, and needs evidence across many countries; all else
loads, with a Note on the rows concerned. Each threshold stands below with the spread that was seen on ten real pages,
September 2018 to February 2026; where a rule is fatal, its docstring says what it was held against.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from operator import attrgetter

from gdp.model import (
    DEPARTS_FROM_IMF,
    FATAL,
    NEW_COUNTRY,
    ODD_YEAR,
    OTHER_INSTITUTION,
    OUTSIDE_OUTLOOK,
    SHARP_REVISION,
    WIKIPEDIA,
    publisher_of,
)
from gdp.model import STALE as STALE_FLAG
from gdp.validate.against_imf import AGREES, STALE, Earlier, Release, compared, explained
from gdp.validate.consistency import IDENTICAL_SHARE, Surroundings, weigh
from gdp.validate.cross_source import check_witnesses
from gdp.validate.duplicates import check_repeated, figures_by_key
from gdp.validate.findings import Finding
from gdp.validate.observations import MILLIONS_A_BILLION, Key, Observations
from gdp.validate.series import MIN_PAIRS, Series, Statements, billions, log_ratio, log_ratios, median, series_of
from utils import first_few, percent, with_commas

# How many countries an institution has. Seen: IMF 190-195, World Bank 186-214, UN 208-213. The IMF's lists of 2005 had
# about 175; an institution that is not named here is not counted.
COUNTRIES = {"IMF": (180, 205), "World Bank": (170, 225), "UN": (185, 230), "CIA": (185, 245)}
COUNTRIES_BEFORE_2010 = {"IMF": (165, 205)}
# Each was among the twenty largest on every page since 2005.
LARGE_ECONOMIES = {
    "USA": "United States", "CHN": "China", "JPN": "Japan", "DEU": "Germany", "GBR": "United Kingdom", "FRA": "France",
    "IND": "India", "ITA": "Italy", "BRA": "Brazil", "CAN": "Canada", "RUS": "Russia", "KOR": "South Korea",
    "ESP": "Spain", "AUS": "Australia", "MEX": "Mexico",
}  # fmt: skip
MAX_LARGE_MISSING = 4  # seen: none, though a page of 2025 left some of the IMF's cells blank for a while
# The World Bank or the UN has figures of these, and the IMF's outlook never had. Seen: none under the IMF's heading on
# any page, 4 to 18 under the World Bank's since 2021, 12 to 16 under the UN's.
OUTSIDE_THE_OUTLOOK = frozenset({
    "AIA", "ASM", "BMU", "CHI", "COK", "CUB", "CUW", "CYM", "EAZ", "FRO", "GRL", "GUM",
    "IMN", "MAF", "MCO", "MNP", "MSR", "NCL", "PRK", "PYF", "SXM", "TCA", "VGB", "VIR",
})  # fmt: skip
MAX_OUTSIDE = 5
WORLD_2025_BILLION_USD, WORLD_GROWTH = 117_000, 1.045  # gives 49,000 for 2005 and 76,000 for 2015; they were 48 and 75
MAX_SCALE = 2.5  # a sum further off than this factor is in another unit; seen: 0.86 to 1.07
WORLD_RATIO = (0.95, 1.06)  # the sum against the page's World row; seen: 0.981 to 1.042 where that row was right
MAX_SAME_SHARE = 0.05  # of one figure among all; seen: 2 of 194
MAX_TWICE_SHARE = 0.05  # of the countries, with two figures for a year; seen: none
OLDEST, NEWEST = 4, 0  # years before and after As_of; seen: 3 before, and after only without a source
MAIN_YEAR_SHARE = 0.9  # seen: 0.97 and more, but in January, when some countries have moved to the new year: 0.68
# A figure for the same year, between two loads. Up to 1 in 7 moved: edits of single cells, and each is noted (seen:
# 1 of 208 and 13 of 190). More: a release, whose revisions are no alarm but for the largest (seen among 760 revised
# figures: 0.36, 0.35, 0.29, 0.28, 0.25, and all others below 0.21, in natural logarithms).
SINGLE_EDITS_SHARE = 1 / 7
MOVED = 0.005
ROUNDING_MILLION_USD = 11  # a hundredth is what rounding alone can move the smallest economies by
MOVED_IN_RELEASE = 0.30


def check_vintage(parts: Iterable[Observations], around: Surroundings) -> list[Finding]:
    """Return all findings on one vintage, given by institution, among the vintages and releases around it."""
    by_itself = [series_of(one) for one in sorted(parts, key=_institution)]
    verdict = weigh({series.institution: series.statement for series in by_itself}, around)
    series_by_name = {one.institution: one.beside(verdict.last.get(one.institution)) for one in by_itself}
    findings = verdict.findings + [
        finding for series in series_by_name.values() for check in CHECKS_OF_A_SERIES for finding in check(series)
    ]
    findings += [finding for one in by_itself if (finding := check_repeated(one.part))]
    findings += check_unsourced(series_by_name, verdict.last)
    findings += check_alike(series_by_name)
    findings += check_institutions(series_by_name, by_itself[0].as_of, verdict.last)
    release = release_of(around)
    if release and "IMF" in series_by_name:
        findings += check_against_imf(series_by_name["IMF"], release)
    findings += check_witnesses(series_by_name)
    doubted = {(finding.institution, key) for finding in findings for key in finding.notes}
    findings += [finding for series in series_by_name.values() for finding in check_moved(series, doubted, around)]
    return [one._replace(flag=FATAL) if one.fatal and not one.notes else one for one in findings]


def release_of(around: Surroundings) -> Release | None:
    """Return the newest release that a page is compared with."""
    if not around.releases:
        return None
    newest, *older = around.releases
    earlier: dict[Key, list[Earlier]] = {}
    for one in reversed(older):
        for key, figure in one.figures.items():
            earlier.setdefault(key, []).append(Earlier(one.as_of, figure))
    return Release(newest.as_of, newest.figures, earlier)


_institution = attrgetter("institution")


def check_control_totals(institution: str, as_of: str, sums: Mapping[int, tuple[float, float]]) -> Iterable[Finding]:
    """The countries add up to the World row of each year; that goes stale and has been mistyped: it does not decide.

    `sums` has the countries' sum and World's figure by year, in billions of USD; a vintage has one finding.
    """
    low, high = WORLD_RATIO
    apart = {year: total / world for year, (total, world) in sums.items() if not low <= total / world <= high}
    if apart:
        year = max(apart)
        total, world = sums[year]
        both = f"{with_commas(total)} of {with_commas(world)} billion USD"
        seen = f"the countries add up to {apart[year]:.3f} of World ({both})"
        if len(apart) > 1:
            seen += f" in {year}, and to {min(apart.values()):.3f} to {max(apart.values()):.3f} in {len(apart)} years"
        yield Finding("sum against World", False, institution, as_of, seen, f"{low} to {high}", stage="transform")


# --- one series by itself ---------------------------------------------------------------------------------------------


def check_number(series: Series) -> Iterable[Finding]:
    """An institution has about as many countries as it always has; a shorter list than the IMF's ever was is not its.

    Fatal for the IMF's list alone: held against 190 to 195 on all ten pages; the World Bank's has gone up and down.
    """
    limits = COUNTRIES if series.as_of >= "2010" else {**COUNTRIES, **COUNTRIES_BEFORE_2010}
    low, high = limits.get(series.institution, (0, math.inf))
    number = len(series.headlines)
    if series.figures and not low <= number <= high:
        fatal = number < low and series.institution == "IMF"
        yield series.finding("number of countries", fatal, f"{number} countries", f"{low} to {high}")


def check_twice(series: Series) -> Iterable[Finding]:
    """A country has one figure a year; a list in which many have two is two lists. Fatal then; no page had any."""
    both = series.figures.keys() & series.unsourced.keys()
    if both:
        countries = first_few(sorted(country for country, _ in both))
        seen = f"{len(both)} figures without a source are of the same year as others: {countries}"
        yield series.finding("figures left out", False, seen, "one figure a year; those that have a source stand")
    if len(series.figures) + len(series.unsourced) == len(series.part):
        return
    twice = [country for (country, _), figures in figures_by_key(series.part).items() if len(figures) > 1]
    if twice:
        fatal = len(twice) > max(MAX_TWICE_SHARE * len(series.headlines), 3)
        seen = f"two figures for {first_few(dict.fromkeys(twice))}"
        yield series.finding("a country twice", fatal, seen, "one a year")


def check_years(series: Series) -> Iterable[Finding]:
    """Years are near that of As_of, and nearly all the same."""
    now = int(series.as_of[:4])
    expected_years = range(now - OLDEST, now + NEWEST + 1)
    if any(year not in expected_years for year, _ in series.years):
        odd = {country: f"year {year}" for country, (year, _) in series.headlines.items() if year not in expected_years}
        expected = f"{now - OLDEST} to {now + NEWEST}"
        yield series.finding(
            "year out of range",
            False,
            f"{first_few(dict.fromkeys(odd.values()))} of {first_few(odd)}",
            expected,
            odd,
            ODD_YEAR,
        )
    if series.years and series.years[0][1] < MAIN_YEAR_SHARE * len(series.headlines):
        seen = ", ".join(f"{year} for {number}" for year, number in series.years)
        yield series.finding(
            "years mixed", False, seen, f"one year for {percent(100 * MAIN_YEAR_SHARE, '.0f')} of them"
        )


def check_large_economies(series: Series) -> Iterable[Finding]:
    """The large economies are there. Fatal where many of the IMF's are missing; on the ten pages none ever was."""
    codes = set(series.part.codes)
    missing = [name for code, name in LARGE_ECONOMIES.items() if code not in codes]
    if missing and series.figures:
        fatal = series.institution == "IMF" and len(missing) > MAX_LARGE_MISSING
        yield series.finding("large economies missing", fatal, f"no figure for {first_few(missing)}", "one for each")


def check_outside(series: Series) -> Iterable[Finding]:
    """The IMF's outlook leaves the same territories out: with many of them it is another institution's list.

    Fatal from the sixth on; held against all ten pages, none of which had any under the IMF's heading. What the IMF
    itself answers stands under no heading.
    """
    part = series.part
    if (
        series.institution != "IMF"
        or publisher_of(part.source) != WIKIPEDIA.name
        or OUTSIDE_THE_OUTLOOK.isdisjoint(part.codes)
    ):
        return
    outside = [
        country for country, code, year in zip(part.countries, part.codes, part.years, strict=True)
        if code in OUTSIDE_THE_OUTLOOK and (country, year) in series.figures
    ]  # fmt: skip
    if outside:
        notes = dict.fromkeys(outside, "the IMF's outlook has no figure of it")
        seen = f"figures of {first_few(outside)}"
        fatal = len(outside) > MAX_OUTSIDE
        yield series.finding(
            "institutions mixed up", fatal, seen, "none: the IMF's outlook leaves them out", notes, OUTSIDE_OUTLOOK
        )


def check_scale(series: Series) -> Iterable[Finding]:
    """A column is in billions: its sum is near the world's GDP. Fatal; on the ten pages it was 0.86 to 1.07 of it."""
    if len(series.headlines) < MIN_PAIRS:
        return
    year = series.years[0][0]
    world = WORLD_2025_BILLION_USD * WORLD_GROWTH ** (year - 2025)
    total = sum([figure for _, figure in series.headlines.values()]) / MILLIONS_A_BILLION
    if not 1 / MAX_SCALE <= total / world <= MAX_SCALE:
        seen, expected = f"the figures add up to {total:,.0f} billion USD", f"about {world:,.0f} for {year}"
        yield series.finding("unit slip", True, seen, f"{expected}, within a factor of {MAX_SCALE}")


def check_same_figure(series: Series) -> Iterable[Finding]:
    """Countries have figures of their own. Fatal; on the ten pages at most 2 of 194 were alike."""
    figures, most = [figure for _, figure in series.headlines.values()], max(MAX_SAME_SHARE * len(series.headlines), 3)
    if len(figures) - len(set(figures)) + 1 <= most:  # so many are alike at most
        return
    counted = Counter(figures)
    number = max(counted.values())
    if number > most:
        figure = max(figure for figure, times in counted.items() if times == number)
        seen = f"{number} of {len(series.headlines)} countries have {billions(figure)}"
        yield series.finding("same figure", True, seen, f"at most {percent(100 * MAX_SAME_SHARE, '.0f')} alike")


# --- against the vintage that measures it -----------------------------------------------------------------------------


def check_come_and_gone(series: Series) -> Iterable[Finding]:
    """The countries are those of the last vintage, a few aside."""
    if series.last is None or not series.figures:
        return
    before = series.last.headlines
    if before.keys() == series.headlines.keys():
        return
    gone, come = sorted(before.keys() - series.headlines), sorted(series.headlines.keys() - before)
    if gone:
        expected = f"the {len(before)} countries of {series.last.day}"
        yield series.finding("countries gone", False, f"{len(gone)} gone: {first_few(gone)}", expected)
    if come and before:
        notes = dict.fromkeys(come, f"not in the load of {series.last.day}")
        yield series.finding(
            "countries new", False, f"{len(come)} new: {first_few(come)}", "the same countries", notes, NEW_COUNTRY
        )


def check_moved(series: Series, doubted: Container[tuple[str, Key]], around: Surroundings) -> Iterable[Finding]:
    """A figure for the same year moves with a release, together with others, and not by itself.

    What is measured is each figure that is not the last one said, against the last one that nothing is held against.
    Of a figure that is `doubted` (by institution and key) it is told from what to what even where that was doubted too.
    """
    now, last = series.figures, series.last
    if last is None or series.unchanged == len(now):
        return
    keys = [key for key in now if key in last.figures]
    sound = {
        key: figure
        for key, figure in zip(keys, around.baselines[series.institution].of(keys), strict=True)
        if figure is not None
    }
    both, said = len(sound), last.figures
    moves = [
        (key, figure, before if measure is None else measure)
        for key, figure in now.items()
        if (before := said.get(key, figure)) != figure and (measure := sound.get(key)) != figure
        and (measure is not None or (series.institution, key) in doubted)
    ]  # fmt: skip
    far, expected = _far(moves, both)
    if far:
        furthest_first = sorted(far, key=lambda key: -abs(far[key]))
        notes = {key: _from_what_to_what(last.figures[key], last.day, now[key]) for key in furthest_first}
        seen = f"{len(far)} of {both} moved: {first_few(f'{country} {note}' for (country, _), note in notes.items())}"
        yield series.finding("moved since the last load", False, seen, expected, notes, SHARP_REVISION)


def _from_what_to_what(before: float, day: str, now: float) -> str:
    change = percent(100 * math.expm1(log_ratio(now, before)), "+.1f")
    return f"was {billions(before)} on {day}, now {billions(now)} ({change})"


def _far(moves: list[tuple[Key, float, float]], both: int) -> tuple[dict[Key, float], str]:
    """Return the changes that stand out, in natural logarithms, among `both` figures; and what was expected instead.

    Each move is a figure's key, what it is now and what it was.
    """
    ratios = log_ratios([(figure, before) for _, figure, before in moves])
    moved = [
        (key, ratio)
        for (key, figure, before), ratio in zip(moves, ratios, strict=True)
        if abs(ratio) > MOVED and abs(figure - before) > ROUNDING_MILLION_USD
    ]
    if len(moved) <= SINGLE_EDITS_SHARE * both:
        return dict(moved), f"none by over {percent(100 * MOVED, '.1f')}"
    usual = median([*ratios, *[0.0] * (both - len(ratios))])
    far = {key: ratio for key, ratio in moved if abs(ratio - usual) > MOVED_IN_RELEASE}
    return far, f"none by a factor over {math.exp(MOVED_IN_RELEASE):.2f}"


CHECKS_OF_A_SERIES: tuple[Callable[[Series], Iterable[Finding]], ...] = (
    check_number, check_twice, check_years, check_large_economies, check_outside, check_scale, check_same_figure,
    check_come_and_gone,
)  # fmt: skip


def check_institutions(all_series: Mapping[str, Series], as_of: str, last: Statements) -> Iterable[Finding]:
    """The institutions are those of the last vintage."""
    newest = max((statement.as_of for statement in last.values()), default="")
    for name, statement in last.items():
        if name not in all_series and statement.as_of == newest:
            seen = f"no figure, where {statement.day} had {len(statement.figures)}"
            yield Finding("institution gone", False, name, as_of, seen, "the institutions of the last load")


# --- columns that are another's ---------------------------------------------------------------------------------------


def check_alike(all_series: Mapping[str, Series]) -> Iterable[Finding]:
    """Two institutions share few figures. Fatal where most are alike; on the ten pages at most 6 of 201 were."""
    names = list(all_series)
    for number, name in enumerate(names):
        own = all_series[name].statement.by_country
        for other in names[:number]:
            same = len(own & all_series[other].statement.by_country)
            if same > IDENTICAL_SHARE * len(own) >= MIN_PAIRS / 2:
                seen = f"{same} of {len(own)} figures are {other}'s too"
                yield all_series[name].finding("institutions mixed up", True, seen, "figures of its own")


def check_unsourced(all_series: Mapping[str, Series], last: Statements) -> Iterable[Finding]:
    """A column without a source may be another institution's figures under another name; it loads, and is noted."""
    for series in all_series.values():
        if not series.unsourced:
            continue
        by_country = {(country, figure) for (country, _), figure in series.unsourced.items()}
        others = {f"{other.institution}'s": other.statement for other in all_series.values() if other is not series}
        others |= {f"{name}'s of {one.day}": one for name, one in last.items() if name != series.institution}
        for whose, statement in others.items():
            same = by_country & statement.every_year
            if len(same) > IDENTICAL_SHARE * len(by_country):
                notes = {key: f"{whose} figure" for key, figure in series.unsourced.items() if (key[0], figure) in same}
                seen = f"{len(same)} of {len(by_country)} figures without a source are {whose}"
                yield series.finding(
                    "institutions mixed up", False, seen, "figures of its own", notes, OTHER_INSTITUTION
                )
        yield from _beyond_its_own_list(series)


def _beyond_its_own_list(series: Series) -> Iterable[Finding]:
    """An institution has no figures, in a column without a source, of countries that its own list leaves out."""
    countries = {country for country, _ in series.figures}
    beyond = {key: "not in the column that has a source" for key in series.unsourced if key[0] not in countries}
    if series.figures and beyond:
        seen = f"{len(beyond)} countries without a source are not in its own list: {first_few(c for c, _ in beyond)}"
        yield series.finding("countries without a source", False, seen, "the same countries", beyond, OTHER_INSTITUTION)


# --- against the IMF itself -------------------------------------------------------------------------------------------


def check_against_imf(series: Series, release: Release) -> Iterable[Finding]:
    """The page's IMF column has the IMF's own figures: those of its newest release or, not yet edited, of an older."""
    found = compared(series.figures, release)
    agree = sum(one.kind == AGREES for one in found)
    if not explained(found):  # the page is of a release that we have not got; it says nothing of single figures
        seen = f"{agree} of {len(found)} figures are those of the release of {release.as_of[:10]}"
        yield series.finding("another release than the IMF's", False, seen, "its newest one: run with --source imf too")
        return
    stale = {one.key: one.told for one in found if one.kind == STALE}
    odd = {one.key: one.told for one in found if one.kind not in (AGREES, STALE)}
    if odd:
        figures = first_few(f"{country} {note}" for (country, _), note in odd.items())
        seen = f"{len(odd)} of {len(found)} figures: {figures}"
        yield series.finding(
            "departs from the IMF's own figures",
            False,
            seen,
            "the IMF's figure, to the rounding",
            odd,
            DEPARTS_FROM_IMF,
        )
    if stale:
        seen = f"{len(stale)} of {len(found)} figures are of before the release of {release.as_of[:10]}"
        yield series.finding("figures of an older release", False, seen, "those of the newest", stale, STALE_FLAG)

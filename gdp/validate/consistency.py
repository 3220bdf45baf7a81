"""A whole list of figures against another one: can it be what it claims to be?

A list is compared with the IMF's nearest releases, with the publisher's vintages before it and, where there are
neither, with the page's other institutions. The one that fits best decides, so that an accepted bad vintage does not
lock out an honest one. Evidence is across many countries, never one: the median change, the spread of changes, the
share of wild ones, a column one row off, years moved on. Fatal is what the IMF's own releases or two other lists
contradict; where one other list is all that is known, nobody knows which of the two is wrong.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import compress
from operator import eq, sub
from typing import NamedTuple

from gdp.validate import thresholds as at
from gdp.validate.against_imf import Release, days_between, in_billions, publication_of
from gdp.validate.findings import Finding, fatal_on, finding_on
from gdp.validate.observations import Baseline, Key, Observations, Statement, Statements, change, logs_of, median
from gdp.validate.single_figures import deviations, usual_steps
from utils import first_few

MEAN_DIGITS = 9  # of a mean change; later digits depend on the order in which it is added up
LOOK_BACK = 2  # vintages of the publisher that a new one is compared with


class Surroundings(NamedTuple):
    """What a vintage is compared with; nothing of it is later, so that the order of loading does not matter.

    `earlier` are the publisher's vintages before it by institution, nearest first; `baselines` the last figures that no
    check flagged; `releases` the IMF's two newest ones in the database, from before. `confirmed` has the institution
    and key of figures that a person confirmed, and `world` the World rows by institution and year, in millions.
    """

    earlier: Sequence[Statements] = ()
    baselines: Mapping[str, Baseline] = {}
    releases: Sequence[Statement] = ()
    confirmed: Container[tuple[str, Key]] = frozenset()
    world: Mapping[str, Mapping[int, float]] = {}


# --- how two lists fit ------------------------------------------------------------------------------------------------


class Pairs(NamedTuple):
    """The headlines that the other list has too, a list a field; figures are in millions of USD."""

    countries: list[str]
    years: list[int]
    figures: list[float]
    logs: list[float]
    others: list[float]
    keys: list[Key]  # of the other list
    years_between: list[int]  # from the other figure's year to this one's


class Fit:
    """An institution's headlines beside another list, and what follows from the changes between the two."""

    def __init__(self, observations: Observations, baseline: Statement) -> None:
        self.observations, self.baseline = observations, baseline
        own = observations.statement
        self._keys = observations.headline_codes if baseline.is_release else own.headline_keys
        self._others = list(map(baseline.figures.get, self._keys))

    @cached_property
    def pairs(self) -> Pairs:
        """The headlines that the other list has too, for the same year or, in a vintage, for another one."""
        own, others = self.observations.statement, self._others
        years = [year for _, year in self._keys]
        columns = list(own.headlines), years, own.headline_figures, own.headline_logs, others, self._keys
        if None not in others:
            return Pairs(*columns, [0] * len(others))  # type: ignore[arg-type]
        rows = [(*row, 0) for row in zip(*columns, strict=True) if row[4] is not None]
        theirs = {} if self.baseline.is_release else self.baseline.headlines
        rows += [
            (name, year, figure, log, theirs[name][1], key, year - theirs[name][0])
            for name, year, figure, log, other, key in zip(*columns, strict=True) if other is None and name in theirs
        ]  # fmt: skip
        return Pairs(*map(list, zip(*rows, strict=True))) if rows else Pairs([], [], [], [], [], [], [])

    @cached_property
    def share_equal(self) -> float:
        """The share of the headlines that are the very same, to the digit."""
        own = self.observations.statement.headline_figures
        return int(sum(map(eq, self._others, own))) / len(own)

    @cached_property
    def days(self) -> int:
        """The number of days between the two lists, each by the newest outlook that it can follow."""
        return abs(days_between(publication_of(self.baseline.as_of), publication_of(self.observations.as_of)))

    @property
    def is_near(self) -> bool:
        """Whether the two are a release apart at most."""
        return self.days <= at.NEAR_DAYS

    @cached_property
    def apart(self) -> list[float]:
        """The distance of each figure from the other one, in millions of USD; infinite for another year's."""
        apart = list(map(abs, map(sub, self.pairs.figures, self.pairs.others)))
        if any(self.pairs.years_between):
            return [math.inf if years else one for one, years in zip(apart, self.pairs.years_between, strict=True)]
        return apart

    @cached_property
    def is_identical(self) -> bool:
        """Whether most figures are the very same, so that the list is what the other is."""
        if self.share_equal > at.IDENTICAL_SHARE:
            return True
        rounding = self.observations.rounding
        equal = sum([apart <= rounding for apart in self.apart])
        return equal > at.IDENTICAL_SHARE * len(self._keys)

    @cached_property
    def other_logs(self) -> list[float]:
        """The natural logarithm of each figure of the other list, with the growth of the years between."""
        logs = logs_of(self.pairs.others)
        if any(self.pairs.years_between):
            return [one + at.GROWTH * years for one, years in zip(logs, self.pairs.years_between, strict=True)]
        return logs

    @cached_property
    def changes(self) -> list[float]:
        """The change of each figure, less the growth of the years between."""
        return list(map(sub, self.pairs.logs, self.other_logs))

    @cached_property
    def median(self) -> float:
        """The change of the median country."""
        return median(self.changes)

    @cached_property
    def distances(self) -> list[float]:
        """The distance of each change from the median one, in order."""
        middle = self.median
        return sorted([abs(one - middle) for one in self.changes])

    @property
    def spread(self) -> float:
        """The distance of the median country from the median change."""
        return self.distances[len(self.distances) // 2]


def fits_with(observations: Observations, baselines: Iterable[Statement]) -> list[Fit]:
    """Return how an institution's figures fit each baseline that has enough of them: near ones first, then the best.

    If most figures are those of one baseline, only that one is returned.
    """
    fits = []
    number = len(observations.statement.headlines)
    for baseline in baselines if number else ():
        fit = Fit(observations, baseline)
        if fit.share_equal * number < at.MIN_PAIRS and len(fit.pairs.keys) < at.MIN_PAIRS:
            continue
        if fit.is_identical:
            return [fit]
        fits.append(fit)
    return sorted(fits, key=lambda fit: (not fit.is_near, round(_mean_distance(fit.changes), MEAN_DIGITS)))


def _mean_distance(changes: Sequence[float], middle: float = 0.0) -> float:
    """Return the mean distance of changes from a middle, wild ones cut."""
    return sum([away if (away := abs(one - middle)) < at.WILD else at.WILD for one in changes]) / len(changes)


# --- what keeps a list from being what it claims to be ----------------------------------------------------------------


class Contradiction(NamedTuple):
    """Why a list cannot be what it claims to be: the check, the evidence, and what was expected."""

    check: str
    seen: str
    expected: str


def contradictions(fit: Fit, order: Sequence[str]) -> Iterator[Contradiction]:
    """Yield what no honest list has ever shown; `order` has the countries as the rows of the page are ordered."""
    against = f"against {fit.baseline.name}"
    if abs(fit.median) > at.MEDIAN_IMPOSSIBLE:
        seen = f"the median country has {math.exp(fit.median):.3g} times its figure, {against}"
        yield Contradiction("unit slip", seen, f"a factor of {math.exp(at.MEDIAN_IMPOSSIBLE):.2f} at most")
    wild_share = (len(fit.distances) - bisect_right(fit.distances, at.WILD)) / len(fit.distances)
    if fit.spread > at.SPREAD_IMPOSSIBLE or wild_share > at.WILD_SHARE_IMPOSSIBLE:
        seen = f"half of the countries moved by more than {_percent(fit.spread)} beside the median, {against}"
        seen += f", and {wild_share:.0%} by more than {_percent(at.WILD)}"
        expected = f"{_percent(at.SPREAD_IMPOSSIBLE)} and {at.WILD_SHARE_IMPOSSIBLE:.0%} at most"
        yield Contradiction("figures in disorder", seen, expected)
    elif is_row_off(fit, order):
        seen = f"the figures fit much better moved by a row, {against}"
        yield Contradiction("a row off", seen, "each in its own row")


def suspicions(fit: Fit) -> Iterator[Contradiction]:
    """Yield what is beyond every honest list, and yet possible."""
    against = f"against {fit.baseline.name}"
    most = at.MEDIAN_MOVED_NEAR if fit.is_near else at.MEDIAN_MOVED_FAR
    if abs(fit.median) > most:
        seen = f"the median country moved by {_percent(fit.median)}, {against}"
        yield Contradiction(at.ALL_MOVED, seen, f"{_percent(most)} at most")
    if not fit.is_near:
        return
    usual, codes = usual_steps(), list(map(fit.observations.iso3_of.__getitem__, fit.pairs.countries))
    moved = zip(codes, deviations(codes, fit.changes), strict=True)
    share = sum([abs(one) > at.UNUSUAL_STEPS * usual[code] for code, one in moved]) / len(codes)
    if share > at.UNUSUAL_SHARE:
        seen = f"{share:.0%} of the countries moved much more than they usually do, {against}"
        yield Contradiction(at.MANY_MOVED, seen, f"{at.UNUSUAL_SHARE:.0%} at most")


def _percent(log_change: float) -> str:
    return f"{100 * math.expm1(log_change):.3g} %"


def is_row_off(fit: Fit, order: Sequence[str]) -> bool:
    """Return whether figures fit much better in the row above or below, by their own order or by the page's."""
    mean_distance = _mean_distance(fit.distances)
    if mean_distance <= at.WELL_BELOW_A_ROW:
        return False
    figures = fit.pairs.figures
    orders = [sorted(range(len(figures)), key=figures.__getitem__, reverse=True)]
    if fit.observations.institution != "IMF":  # by whose figures the page is sorted
        place_of = {country: place for place, country in enumerate(fit.pairs.countries)}
        orders.append([place_of[country] for country in order if country in place_of])
    moved = [distance for rows in orders if len(rows) >= at.MIN_PAIRS for distance in _moved_by_a_row(fit, rows)]
    return min(moved, default=mean_distance) < at.ROW_OFF_RATIO * mean_distance


def _moved_by_a_row(fit: Fit, rows: Sequence[int]) -> Iterator[float]:
    """Yield the mean distance from the median change, wild ones cut, of figures moved up a row, and of those down."""
    own, other = ([logs[row] for row in rows] for logs in (fit.pairs.logs, fit.other_logs))
    for changes in (list(map(sub, own[1:], other)), list(map(sub, own, other[1:]))):
        yield _mean_distance(changes, median(changes))


def years_moved(fits: Iterable[Fit]) -> Iterator[Contradiction]:
    """Yield where figures are those of the year before, by the nearest release that has both years.

    A figure that is a year old differs from the figure of its year by the country's own growth. A release from before
    the list comes first: later ones differ by what was learned since.
    """

    def is_near(fit: Fit) -> bool:
        return fit.is_near or abs(days_between(fit.baseline.as_of, fit.observations.as_of)) <= at.NEAR_DAYS

    releases = [fit for fit in fits if fit.baseline.is_release and is_near(fit)]
    known = [(fit, growth) for fit in releases if (growth := _growth(fit))]
    known.sort(key=lambda one: (one[0].baseline.as_of > one[0].observations.as_of, one[0].days))
    for fit, growth in known[:1]:
        if len(growth) >= at.MIN_PAIRS and moved_score(fit, growth) < at.YEARS_MOVED:
            seen = f"the changes are those from one year to the next, reversed, against {fit.baseline.name}"
            yield Contradiction("years moved", seen, "figures of their year")


def _growth(fit: Fit) -> dict[str, float]:
    """Return each country's growth to the year of its figure, as the other list has it."""
    figures, pairs = fit.baseline.figures, fit.pairs
    before = [
        0.0 if years else figures.get((code, year - 1), 0.0)
        for (code, _), year, years in zip(pairs.keys, pairs.years, pairs.years_between, strict=True)
    ]
    others = zip(pairs.countries, pairs.others, before, strict=True)
    return {country: change(other, one) for country, other, one in others if one}


def moved_score(fit: Fit, growth: Mapping[str, float]) -> float:
    """Return the slope of the changes by growth, plus the median change in median growths: 0 as it is, -2 if moved."""
    changes = dict(zip(fit.pairs.countries, fit.changes, strict=True))
    usual, middle = median(growth.values()), median(changes[country] for country in growth)
    by_growth = [(_capped(changes[country] - middle), _capped(one - usual)) for country, one in growth.items()]
    spread = sum(grown * grown for _, grown in by_growth)
    is_uneven = spread > at.LEAST_GROWTH_SPREAD**2 * len(growth)
    slope = sum(moved * grown for moved, grown in by_growth) / spread if is_uneven else 0.0
    return slope + (max(-1.0, min(1.0, middle / usual)) if abs(usual) > at.SHORTEST_GROWTH else 0.0)


def _capped(value: float) -> float:
    return max(-at.CHANGE_CAP, min(at.CHANGE_CAP, value))


# --- figures that are another list's ----------------------------------------------------------------------------------


def figures_of_another(fit: Fit) -> Iterator[Contradiction]:
    """Yield where most figures are those of another year, or many those of other countries."""
    number, pairs = len(fit.observations.statement.headlines), fit.pairs
    own = sum([apart <= 1 for apart in fit.apart])
    of_another_year = _number_of(fit.observations, fit.baseline) - own
    if of_another_year > at.IDENTICAL_SHARE * number:
        seen = f"{of_another_year} of {number} figures are those for another year in {fit.baseline.name}"
        yield Contradiction("years moved", seen, "figures of their year")
    every = {round(other) for other in pairs.others if other >= at.LEAST_DIGITS}
    known = [round(figure) in every for figure in pairs.figures]
    elsewhere = zip(compress(fit.apart, known), compress(pairs.years_between, known), strict=True)
    others = sum([apart > 1 and not years for apart, years in elsewhere])
    if others > at.ANOTHERS_SHARE * number:
        seen = f"{others} of {number} figures are other countries' in {fit.baseline.name}"
        yield Contradiction("other countries' figures", seen, "each country its own")


def _number_of(observations: Observations, other: Statement) -> int:
    """Return how many headlines a list has too, for any year."""
    own = observations.headlines_by_code if other.is_release else observations.statement.by_country
    return len(other.of_each & own)


def check_institutions_mixed(
    observations: Observations, others: Mapping[str, Iterable[Statement]]
) -> Iterable[Finding]:
    """No institution's figures are what another vintage, or the IMF's release, has of another institution."""
    number = len(observations.statement.headlines)
    for other, lists in others.items():
        for one in lists if other != observations.institution else ():
            same = _number_of(observations, one)
            if same > at.IDENTICAL_SHARE * number >= at.MIN_PAIRS / 2:
                seen = f"{same} of {number} figures are {other}'s in {one.name}"
                yield fatal_on(observations, "institutions mixed up", seen, "figures of its own")
                break


def check_columns_apart(vintage: Mapping[str, Observations]) -> Iterable[Finding]:
    """The IMF's column is in the unit of the others. Fatal; it is checked where no release is near."""
    imf = vintage["IMF"]
    for other in [one for one in vintage.values() if one is not imf]:
        theirs = other.statement.log_of
        ratios = [own - theirs[country] for country, own in imf.statement.log_of.items() if country in theirs]
        if len(ratios) >= at.MIN_PAIRS and abs(median(ratios)) > at.COLUMNS_APART:
            seen = f"the median country has {math.exp(median(ratios)):.3g} times its figure under {other.institution}"
            yield fatal_on(imf, "unit slip", seen, "a factor between 0.5 and 2")


def check_alike(vintage: Mapping[str, Observations]) -> Iterable[Finding]:
    """Two institutions share few figures. Fatal if most are alike."""
    names = list(vintage)
    for number, name in enumerate(names):
        own = vintage[name].statement.by_country
        for other in names[:number]:
            same = len(own & vintage[other].statement.by_country)
            if same > at.IDENTICAL_SHARE * len(own) >= at.MIN_PAIRS / 2:
                seen = f"{same} of {len(own)} figures are {other}'s too"
                yield fatal_on(vintage[name], "institutions mixed up", seen, "figures of its own")


def check_unsourced(vintage: Mapping[str, Observations], last: Statements) -> Iterable[Finding]:
    """A column without a source may be another institution's figures under this one's name. It is loaded as it is."""
    for one in vintage.values():
        if not one.unsourced:
            continue
        by_country = {(country, figure) for (country, _), figure in one.unsourced.items()}
        others = {f"{other.institution}'s": other.statement for other in vintage.values() if other is not one}
        others |= {f"{name}'s of {before.day}": before for name, before in last.items() if name != one.institution}
        for whose, statement in others.items():
            same = len(by_country & statement.of_each)
            if same > at.IDENTICAL_SHARE * len(by_country):
                seen = f"{same} of {len(by_country)} figures without a source are {whose}"
                yield finding_on(one, "institutions mixed up", seen, "figures of its own")
        countries = {country for country, _ in one.statement.figures}
        beyond = [country for country, _ in one.unsourced if country not in countries]
        if countries and beyond:
            seen = f"{len(beyond)} countries without a source are not in its own list: {first_few(beyond)}"
            yield finding_on(one, "countries without a source", seen, "the same countries")


# --- checks -----------------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """The result for one institution: findings, whether single figures can be judged, and the fit of the list."""

    findings: list[Finding]
    is_plain: bool
    fit: Fit | None


def judge(observations: Observations, baselines: Iterable[Statement], order: Sequence[str]) -> Verdict:
    """Return whether an institution's list can be what it claims to be, given other lists of its figures."""
    fits = fits_with(observations, baselines)
    fit = fits[0] if fits else None
    if fit is None or fit.share_equal >= 1 - at.UNUSUAL_SHARE:  # the rest is too little for any finding
        return Verdict([], is_plain=True, fit=fit)
    against = list(contradictions(fit, order))
    if not fit.is_identical:
        against += [one for each in fits for one in figures_of_another(each)]
        against += years_moved(fits) if observations.institution in at.YEARS_MOVED_INSTITUTIONS else []
    if against:
        is_fatal = len(fits) > 1 or fit.baseline.is_release
        return Verdict([_contradicted(observations, one, fit, is_fatal) for one in against], is_plain=False, fit=fit)
    found = [finding_on(observations, *one) for one in suspicions(fit)] if observations.institution == "IMF" else []
    return Verdict(found, not found, fit)


def _contradicted(observations: Observations, one: Contradiction, fit: Fit, is_fatal: bool) -> Finding:
    if is_fatal:
        return fatal_on(observations, *one)
    either = f"{one.expected}; this vintage or {fit.baseline.name} is wrong, and a later one shows which"
    return finding_on(observations, at.UNSETTLED, f"{one.check}: {one.seen}", either)


def check_countries(observations: Observations, baselines: Sequence[Statement]) -> Iterable[Finding]:
    """The IMF's list has the countries of the other lists of it. Fatal if many of each list's countries are gone."""
    if observations.institution != "IMF" or not observations.statement.figures:
        return
    gone = {baseline.name: _gone(observations, baseline) for baseline in baselines}
    is_known = any(baseline.is_release for baseline in baselines) or len(baselines) > 1
    if is_known and all(missing / (number or 1) > at.MAX_GONE_SHARE for missing, number in gone.values()):
        lacking = (f"{missing} of the {number} countries of {name}" for name, (missing, number) in gone.items())
        seen = f"no figure for {' and '.join(lacking)}"
        yield fatal_on(observations, "countries gone", seen, f"{at.MAX_GONE_SHARE:.0%} at most")


def _gone(observations: Observations, baseline: Statement) -> tuple[int, int]:
    """Return how many countries of a list are not in the institution's, and how many the list has."""
    if isinstance(baseline, Release):
        theirs = baseline.countries.get(observations.headline_years[0][0], set())
        return len(theirs.difference(observations.codes)), len(theirs)
    return len(baseline.headlines.keys() - observations.statement.headlines.keys()), len(baseline.headlines)


def check_world(
    observations: Observations, world: Mapping[int, float], fit: Fit | None, flagged: Container[Key]
) -> Iterable[Finding]:
    """The countries add up to the World row of each year, figures that are flagged aside; all years are one finding.

    That row is one cell, which goes stale and was mistyped: it decides only where another list confirms it.
    """
    sums = _sums(observations, world, fit, flagged)
    low, high = at.WORLD_RATIO
    apart = {year: total / world[year] for year, total in sums.items() if not low <= total / world[year] <= high}
    if not apart:
        return
    year = max(apart)
    both = f"{in_billions(sums[year])} of {in_billions(world[year])} billion USD"
    seen = f"the countries add up to {apart[year]:.3f} of World ({both})"
    if len(apart) > 1:
        seen += f" in {year}, and to {min(apart.values()):.3f} to {max(apart.values()):.3f} in {len(apart)} years"
    off = math.log(apart[year])
    is_far = abs(off) > at.WORLD_OFF and len(observations.statement.headlines) > at.WORLD_COUNTRIES
    is_fatal = is_far and fit is not None and abs(fit.median - off) < abs(off) / 2
    yield (fatal_on if is_fatal else finding_on)(observations, "sum against World", seen, f"{low} to {high}")


def _sums(
    observations: Observations, world: Mapping[int, float], fit: Fit | None, flagged: Container[Key]
) -> dict[int, float]:
    """Return the sum of the countries by year of World; a flagged figure counts as the other list has it."""
    other: dict[Key, float] = {}
    if fit:
        keys = zip(fit.pairs.countries, fit.pairs.years, strict=True)
        rows = zip(keys, fit.pairs.others, fit.pairs.years_between, strict=True)
        other = {key: figure for key, figure, years in rows if not years}
    statement = observations.statement
    figures = {key: other.get(key, 0.0) if key in flagged else figure for key, figure in statement.figures.items()}
    sums = dict.fromkeys(world, 0.0)
    if len(world) == 1:  # it is compared with all headlines: a column may have figures for other years
        sums = dict.fromkeys(world, sum(figures[key] for key in statement.headline_keys))
    else:
        for (_, year), figure in figures.items():
            if year in sums:
                sums[year] += figure
    return {year: total for year, total in sums.items() if total}

"""A page's IMF column beside the IMF's own releases: which figures they confirm, and what explains the others.

The releases are the bundled ones, the IMF's answers in the cache and the IMF's vintages in the database.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from gdp.model import DEPARTS_FROM_IMF, IMF
from gdp.sources import Month, Refused
from gdp.sources.imf.releases import LAST_ACTUAL, PUBLISHED, WITHOUT_GDP, bundle, day_of_release
from gdp.transform.countries import reference
from gdp.validate import thresholds as at
from gdp.validate.findings import FigureFlags, Finding, finding_on
from gdp.validate.observations import MILLIONS_A_BILLION, Key, Observations, Statement, change
from utils import StageError, first_few, pages_folder, with_commas

AGREES, PREVIOUS, OLDER_RELEASE, UNEXPLAINED = "agrees", "previous release", "older release", "unexplained"
CONFIRMED_KINDS = AGREES, PREVIOUS
OTHER_YEAR, OTHER_COUNTRY, DIGITS, BILLIONS = "other year", "other country", "digits exchanged", "whole billions apart"
USUAL_MONTHS = (4, 10)  # in which the IMF publishes its outlook
DAYS_OF_PUBLICATION = sorted(f"{month}-{day:02}" for month, day in PUBLISHED.items() if month != str(WITHOUT_GDP))
EARLIEST_DAY, LATEST_DAY = 6, 22  # of these months; all releases since 2013 came out between them


class Release(Statement):
    """One of the IMF's releases, with its figures by ISO code and year; those of a bundled one are read if needed."""

    is_release = True

    def __init__(self, as_of: str, figures: Mapping[Key, float] | None = None, bundled_as: str = "") -> None:
        super().__init__(as_of, figures or {}, f"the IMF's release of {as_of[:10]}")
        self._bundled_as = bundled_as

    @cached_property
    def figures(self) -> Mapping[Key, float]:
        """The figures."""
        if not self._bundled_as:
            return self._figures
        return {
            (code, int(year)): round(float(text) * MILLIONS_A_BILLION, 3)
            for (code, year), text in bundle().texts(self._bundled_as).items() if year != LAST_ACTUAL
        }  # fmt: skip

    @cached_property
    def is_whole(self) -> bool:
        """Whether it has more than a year or two."""
        return not self._bundled_as or bundle().is_whole(self._bundled_as)

    @cached_property
    def countries(self) -> dict[int, set[str]]:
        """The ISO codes of the countries that it has, by year."""
        found: dict[int, set[str]] = {}
        for code, year in self.figures:
            found.setdefault(year, set()).add(code)
        return found

    @cached_property
    def by_figure(self) -> dict[float, list[Key]]:
        """Which countries and years have a figure, by the figure in whole millions."""
        found: dict[float, list[Key]] = {}
        for key, figure in self.figures.items():
            found.setdefault(round(figure), []).append(key)
        return found


@cache
def bundled() -> tuple[Release, ...]:
    """Return the releases that come with the suite, oldest first."""
    return tuple(Release(day_of_release(name), bundled_as=name) for name in bundle().releases)


def cached_releases() -> tuple[Release, ...]:
    """Return the IMF's answers in the cache that are newer than the newest whole release that comes with the suite."""
    folder = pages_folder()
    return _answers_in(folder, folder.stat().st_mtime_ns) if folder.is_dir() else ()


@lru_cache(maxsize=1)  # read again when a file is added; to list the folder for each page of an archive takes long
def _answers_in(folder: Path, _changed_ns: int) -> tuple[Release, ...]:
    newest = max(release.day for release in bundled() if release.is_whole)
    paths = [path for path in sorted(folder.glob(f"*_{IMF.name}_*.gz")) if path.name[:10] > newest]
    return tuple(release for path in paths if (release := _answer_in(path)))


def _answer_in(path: Path) -> Release | None:
    """Return the release in a cached answer, or None if it cannot be read: it is a witness, and no input."""
    from gdp.sources.cache import open_page  # with it come lxml and more, which few loads need
    from gdp.sources.imf.source import read
    from gdp.transform.rules import clean

    release = Month(int(path.name[:4]), int(path.name[5:7]))
    years = {str(release.year + step) for step in range(-at.YEARS_BEFORE, at.YEARS_AFTER + 1)}  # a page has no others
    try:
        raw_records = read(open_page(path), release).records
    except (Refused, StageError):
        return None
    records = [clean(raw).record for raw in raw_records if raw["Year"] in years]
    figures = {(one["ISO3"], one["Year"]): one["GDP_USD_million"] for one in records if one and one["ISO3"]}
    return Release(path.name[:10], figures)


@lru_cache(maxsize=8)  # the same few, for all pages of an archive
def release_of(statement: Statement) -> Release:
    """Return one of the IMF's vintages in the database as a release."""
    iso3_of = {country.name: country.iso3 for country in reference().countries.values()}
    figures = statement.figures.items()
    return Release(statement.as_of, {(iso3_of[name], year): one for (name, year), one in figures if name in iso3_of})


def released_before(as_of: str, loaded: Iterable[Release] = ()) -> list[Release]:
    """Return the known releases from before an As_of, newest first, each once."""
    found: dict[str, Release] = {}
    for release in (*bundled(), *cached_releases(), *loaded):
        publication = publication_of(release.as_of)
        if release.as_of < as_of and (publication not in found or not found[publication].is_whole):
            found[publication] = release
    return sorted(found.values(), key=lambda release: release.as_of, reverse=True)


def nearest_releases(as_of: str, loaded: Iterable[Release] = ()) -> list[Release]:
    """Return the two whole releases that are nearest to an As_of, before or after it, and then near ones of few years.

    None is years away.
    """
    known = {release.as_of: release for release in (*bundled(), *cached_releases(), *loaded)}
    reach = {day: abs(days_between(day, as_of)) for day in known}
    near = sorted((day for day in known if reach[day] <= at.RELEASE_REACH_DAYS), key=lambda day: (reach[day], day))
    whole = [known[day] for day in near if known[day].is_whole]
    partial = [known[day] for day in near if not known[day].is_whole and reach[day] <= at.NEAR_DAYS]
    return whole[:2] + partial


def publication_of(as_of: str) -> str:
    """Return the newest day up to an As_of on which the IMF is known to have published an outlook, else that day."""
    place = bisect_right(DAYS_OF_PUBLICATION, as_of[:10])
    return DAYS_OF_PUBLICATION[place - 1] if 0 < place < len(DAYS_OF_PUBLICATION) else as_of[:10]


def is_release_between(first: str, last: str) -> bool:
    """Return whether the IMF published an outlook between two moments, or may have by its usual days."""
    if last[:10] <= DAYS_OF_PUBLICATION[-1]:
        return any(first[:10] <= day <= last[:10] for day in DAYS_OF_PUBLICATION)
    return any(
        first[:10] <= f"{year}-{month:02}-{LATEST_DAY}" and last[:10] >= f"{year}-{month:02}-{EARLIEST_DAY:02}"
        for year in range(int(first[:4]), int(last[:4]) + 1) for month in USUAL_MONTHS
    )  # fmt: skip


def days_between(first: str, last: str) -> int:
    """Return the number of days from one As_of to another."""
    return (date.fromisoformat(last[:10]) - date.fromisoformat(first[:10])).days


def is_same(figure: float, other: float, rounding: float) -> bool:
    """Return whether two figures, in millions, differ by rounding only: the first one may be rounded to its zeros."""
    apart = abs(figure - other)
    if apart <= rounding or apart > at.ROUNDING_SHARE * other:
        return apart <= rounding
    digits = f"{figure:.0f}"
    zeros = len(digits) - len(digits.rstrip("0"))
    return apart <= at.MISCOPIED_MILLION_USD or round(other, -zeros) == figure


# --- figure by figure -------------------------------------------------------------------------------------------------


class FigureComparison(NamedTuple):
    """One figure of the page beside the IMF's own, in millions of USD; what kind of difference it is, and why."""

    key: Key
    page: float
    own: float
    kind: str
    reason: str

    @property
    def departure(self) -> float:
        """How far the page is from the IMF, as a share of the IMF's figure."""
        return self.page / self.own - 1 if self.own else float("inf")

    @property
    def is_confirmed(self) -> bool:
        """Whether one of the last two releases has the figure."""
        return self.kind in CONFIRMED_KINDS


class Comparison(NamedTuple):
    """A page's figures that one of the last two releases has too; the releases are those from before, newest first."""

    page: Observations
    found: list[FigureComparison]  # what explains a departure is looked for when it is asked for
    releases: Sequence[Release]
    departing: int  # figures that equal neither release
    are_many: bool  # these: so many that no single one is to be flagged
    is_comparable: bool  # the page follows one of the two releases, so that a difference means something

    @property
    def by_departure(self) -> list[FigureComparison]:
        """All of them with their kinds and reasons, the largest difference first."""
        explained = [one if one.is_confirmed else self._explained(one) for one in self.found]
        return sorted(explained, key=lambda one: (-abs(one.departure), one.key))

    @property
    def departures(self) -> list[FigureComparison]:
        """The figures that equal neither release, with their kinds and reasons, the largest difference first."""
        return [one for one in self.by_departure if not one.is_confirmed]

    def _explained(self, one: FigureComparison) -> FigureComparison:
        code = self.page.iso3_of[one.key[0]], one.key[1]
        kind, reason = _kind_and_reason(code, one.page, self.releases, self.page.rounding)
        return one._replace(kind=kind, reason=reason)


def comparisons(page: Observations, releases: Sequence[Release]) -> list[Comparison]:
    """Return the headlines of a page beside the releases, and its other figures, if it has any.

    A second column has a comparison of its own, as it may be of another release.
    """
    headlines = dict.fromkeys(page.statement.headline_keys)
    others = [key for key in page.statement.figures if key not in headlines]
    return [compared(page, releases, keys) for keys in (headlines, others) if keys]


def compared(page: Observations, releases: Sequence[Release], keys: Iterable[Key] | None = None) -> Comparison:
    """Return figures of a page, all by default, beside the two newest of the releases, which are the first two."""
    two, iso3_of, figures = releases[:2], page.iso3_of, page.statement.figures
    found = []
    for key in figures if keys is None else keys:
        figure, code = figures[key], (iso3_of[key[0]], key[1])
        own = [release.figures[code] for release in two if code in release.figures]
        if own and is_same(figure, own[0], page.rounding):
            found.append(FigureComparison(key, figure, own[0], AGREES, "agrees"))
        elif len(own) > 1 and is_same(figure, own[1], page.rounding):
            found.append(FigureComparison(key, figure, own[0], PREVIOUS, f"the figure is that of {two[1].day}"))
        elif own:
            found.append(FigureComparison(key, figure, own[0], UNEXPLAINED, ""))
    number, departing = len(found), sum([one.kind == UNEXPLAINED for one in found])
    are_many, is_comparable = departing > at.MAX_DEPARTING_SHARE * number, False
    if number - departing >= max(at.SAME_RELEASE_SHARE * number, 1):
        # if many figures are of neither, the page may follow a release that nobody knows, if one is due
        day_after = (date.fromisoformat(releases[0].day) + timedelta(days=1)).isoformat()
        is_comparable = not are_many or not is_release_between(day_after, page.as_of)
    return Comparison(page, found, releases, departing, are_many, is_comparable)


def _kind_and_reason(code: Key, figure: float, releases: Sequence[Release], rounding: float) -> tuple[str, str]:
    """Return the kind of a difference, and the reason for it in figures."""
    iso3, year = code
    newest = next(release for release in releases if code in release.figures)
    own = newest.figures[code]
    has = f"the IMF has {in_billions(own)} ({newest.day})"
    for release in releases[2:]:
        if code in release.figures and is_same(figure, release.figures[code], rounding):
            return OLDER_RELEASE, f"{has}; the figure is that of {release.day}"
    years = [year + sign * step for step in range(1, at.NEIGHBOURING_YEARS + 1) for sign in (-1, 1)]
    for release in releases[:2]:
        for near in years:
            if is_same(figure, release.figures.get((iso3, near), 0.0), rounding):
                return OTHER_YEAR, f"{has}; the figure is the one for {near} ({release.day})"
    for release in releases[:2] if figure >= at.LEAST_DIGITS else ():
        for other, of_year in release.by_figure.get(round(figure), ()):
            if of_year == year:
                return OTHER_COUNTRY, f"{has}; the figure is that of {other} ({release.day})"
    kind = kind_of_edit(figure, own)
    return (kind, f"{has}: {kind}") if kind else (UNEXPLAINED, has)


def kind_of_edit(figure: float, before: float) -> str | None:
    """Return how a figure looks edited by hand: two digits exchanged, or whole billions apart; None if it does not."""
    apart = round(figure) - round(before)
    if apart and apart % 9 == 0:  # as two exchanged digits are
        new, old = f"{figure:.0f}", f"{before:.0f}"
        if any(new == old[:n] + old[n + 1] + old[n] + old[n + 2 :] for n in range(len(old) - 1)):
            return DIGITS
    is_whole = apart and apart % at.WHOLE_BILLION == 0 and round(before) % at.WHOLE_BILLION
    return BILLIONS if is_whole else None


def in_billions(million: float) -> str:
    """Return a figure in billions for people, with the digits as published where two decimals hide them."""
    billion = million / MILLIONS_A_BILLION
    return with_commas(billion) if billion >= 1 else f"{billion:.3f}"


# --- checks -----------------------------------------------------------------------------------------------------------


def check_against_imf(page: Observations, comparison: Comparison) -> Iterable[Finding]:
    """The page's figures are those of one of the IMF's last two releases."""
    two = " and ".join(release.day for release in comparison.releases[:2])
    seen = f"{comparison.departing} of {len(comparison.found)} figures are not those of {two}"
    if not comparison.is_comparable:
        yield finding_on(page, "follows no known release", seen, "a release that is known; --verify asks the IMF")
    elif comparison.are_many:
        yield finding_on(page, at.MANY_DEPART, seen, "a few")
    elif comparison.departing:
        departures = comparison.departures
        notes = {one.key: f"{in_billions(one.page)}; {one.reason}" for one in departures}
        ranks = {one.key: abs(change(one.page, one.own)) for one in departures}
        named = first_few(f"{country} {notes[country, year]}" for country, year in notes)
        flagged = FigureFlags(DEPARTS_FROM_IMF, notes, ranks)
        yield finding_on(page, "departs from the IMF's own figures", f"{seen}: {named}", "the IMF's figures", flagged)


def check_stale(page: Observations, releases: Sequence[Release]) -> Iterable[Finding]:
    """Three weeks after a release, the page has its figures and no longer those of the one before."""
    due = _release_due(page.as_of, releases)
    older = next((release for release in releases if due and release.day < due), None)
    if due is None or older is None:
        return
    fresh = [release for release in releases if release.day >= due]
    new = old = 0
    for (country, year), figure in page.statement.figures.items():
        code = page.iso3_of[country], year
        is_new = any(is_same(figure, release.figures.get(code, 0.0), page.rounding) for release in fresh)
        is_old = is_same(figure, older.figures.get(code, 0.0), page.rounding)
        new += is_new and not is_old
        old += is_old and not is_new
    if old > new and old >= at.SAME_RELEASE_SHARE * len(page.statement.figures):
        seen = f"{old} of {len(page.statement.figures)} figures are still those of {older.day}"
        yield finding_on(page, "stale", seen, f"those of the release of {due}")


def _release_due(as_of: str, releases: Sequence[Release]) -> str | None:
    """Return the day of the newest release that has been out for three weeks: a known one, or by the usual days."""
    known, year = DAYS_OF_PUBLICATION, int(as_of[:4])
    usual = [f"{one}-{month:02}-{LATEST_DAY}" for one in (year - 1, year) for month in USUAL_MONTHS]
    days = [*known, *(day for day in usual if day > known[-1]), *(release.day for release in releases)]
    latest = (date.fromisoformat(as_of[:10]) - timedelta(days=at.STALE_DAYS)).isoformat()
    return max((day for day in days if day <= latest), default=None)

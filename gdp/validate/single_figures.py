"""A figure against the last one of its country that no check flagged, or else against the other institutions' figures.

Between pages with no release between, every change is one by hand. Else a change is measured against what is usual:
less the median change of the country's currency bloc, over the square root of the country's usual step; the six highest
are flagged, if they are high. Edits by hand have signatures, which need no threshold: whole billions, exchanged digits,
another country's figure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise, starmap
from math import sqrt
from typing import NamedTuple

from gdp.model import OUTLIER, SHARP_REVISION, UNIT_SLIP, WIKIPEDIA
from gdp.validate import thresholds as at
from gdp.validate.against_imf import (
    Release,
    bundled,
    days_between,
    in_billions,
    is_release_between,
    is_same,
    kind_of_edit,
)  # fmt: skip
from gdp.validate.findings import FigureFlags, Finding, finding_on
from gdp.validate.observations import Baseline, Key, Observations, Statement, change, changes_of, median
from utils import first_few, percent

# Currencies move in blocs: the euro, and what is pegged to it or follows it; the dollar, and its pegs.
EURO_BLOC = (
    "AUT BEL CYP EST FIN FRA DEU GRC IRL ITA LVA LTU LUX MLT NLD PRT SVK SVN ESP HRV AND SMR MCO XKX MNE BGR DNK BIH "
    "MKD CPV COM STP BEN BFA CIV GNB MLI NER SEN TGO CMR CAF TCD COG GNQ GAB"
)
DOLLAR_BLOC = (
    "USA ECU SLV PAN PRI TLS PLW FSM MHL SAU ARE QAT BHR OMN JOR HKG MAC ABW BHS BRB BLZ ATG DMA GRD KNA LCA VCT ERI "
    "DJI TTO MDV KWT IRQ KHM"
)
BLOC_OF = dict.fromkeys(EURO_BLOC.split(), "euro") | dict.fromkeys(DOLLAR_BLOC.split(), "dollar")  # others are one


def deviations(codes: Sequence[str], changes: Sequence[float]) -> list[float]:
    """Return changes less the median change of each one's currency bloc, or of all where a bloc has few."""
    blocs = [BLOC_OF.get(code) for code in codes]
    usual = usual_changes(blocs, changes)
    return [one - usual[bloc] for bloc, one in zip(blocs, changes, strict=True)]


def usual_changes(blocs: Sequence[str | None], changes: Sequence[float]) -> dict[str | None, float]:
    """Return the median change of each currency bloc, or of all where a bloc has few."""
    of_bloc: dict[str | None, list[float]] = defaultdict(list)
    for bloc, one in zip(blocs, changes, strict=True):
        of_bloc[bloc].append(one)
    every = median(changes)
    return {bloc: median(some) if len(some) >= at.MIN_BLOC else every for bloc, some in of_bloc.items()}


def steps_between(older: Release, newer: Release) -> dict[str, float]:
    """Return the change of each country's figure for the newer release's year from one release to the next."""
    year = int(newer.day[:4])
    return {
        code: change(figure, older.figures[code, year])
        for (code, of_year), figure in newer.figures.items()
        if of_year == year and (code, year) in older.figures
    }


def usual_steps_of(steps: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """Return each country's usual step: the root mean square of its deviations in some steps, smoothed."""
    squares: dict[str, list[float]] = defaultdict(list)
    for step in steps:
        for code, deviation in zip(step, deviations(list(step), list(step.values())), strict=True):
            squares[code].append(deviation**2)
    prior, weight = at.USUAL_STEP**2, at.USUAL_STEP_WEIGHT
    usual = {code: math.sqrt((sum(some) + weight * prior) / (len(some) + weight)) for code, some in squares.items()}
    return defaultdict(lambda: at.USUAL_STEP, usual)


@cache
def usual_steps() -> Mapping[str, float]:
    """Return the usual steps by the bundled releases; a country that is not in them has the median one."""
    whole = [release for release in bundled() if release.is_whole]
    return usual_steps_of(starmap(steps_between, pairwise(whole)))


class Move(NamedTuple):
    """A figure and the one before it, in millions: the publisher's last one, or that of a release, with its day."""

    key: Key
    figure: float
    before: float
    years_between: int  # from the year of the figure before to that of this one
    release: str
    change: float  # less the growth of the years between


class Moves:
    """Figures beside the ones before them, a list a field as in Move."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.figures: list[float] = []
        self.before: list[float] = []
        self.years_between: list[int] = []
        self.releases: list[str] = []

    def add(self, figures: Mapping[Key, float], before: Mapping[Key, float], years: int = 0, release: str = "") -> None:
        """Add the figures that have one before, all from the same list or as many years apart."""
        self.keys += before
        self.figures += map(figures.__getitem__, before)
        self.before += before.values()
        self.years_between += [years] * len(before)
        self.releases += [release] * len(before)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def changes(self) -> list[float]:
        """The change of each figure, less the growth of the years between."""
        changes = changes_of(self.figures, self.before)
        if any(self.years_between):
            return [one - at.GROWTH * years for one, years in zip(changes, self.years_between, strict=True)]
        return changes

    def places_by_kind(self) -> list[Collection[int]]:
        """Return the places of the figures in groups: a group is beside the same list, with the same years between."""
        if not any(self.years_between) and not any(self.releases):
            return [range(len(self))]
        kinds: dict[tuple[bool, int], set[int]] = defaultdict(set)
        for place, kind in enumerate(zip(map(bool, self.releases), self.years_between, strict=True)):
            kinds[kind].add(place)
        return list(kinds.values())

    def row(self, place: int) -> Move:
        """Return one figure."""
        return Move(
            self.keys[place], self.figures[place], self.before[place],
            self.years_between[place], self.releases[place], self.changes[place],
        )  # fmt: skip


def moves(observations: Observations, baseline: Baseline | None, releases: Sequence[Release]) -> Moves:
    """Return each figure beside the last unflagged one of its country and year.

    If the publisher has none, that of one of the last two releases; if they have none, the publisher's for the nearest
    year.
    """
    figures, found = observations.statement.figures, Moves()
    sound = baseline.of(figures) if baseline else [None] * len(figures)
    own = dict(zip(figures, sound, strict=True))
    if None in sound:
        own = {key: before for key, before in own.items() if before is not None}
    found.add(figures, own)  # type: ignore[arg-type]
    left = [key for key in figures if key not in own] if len(own) < len(figures) else []
    for release in releases[:2] if left else ():
        if days_between(release.as_of, observations.as_of) <= at.RELEASE_REACH_DAYS:
            codes = {key: (observations.iso3_of[key[0]], key[1]) for key in left}
            theirs = {key: release.figures[code] for key, code in codes.items() if code in release.figures}
            found.add(figures, theirs, release=release.day)
            left = [key for key in left if key not in theirs]
    for key, (before, step) in baseline.nearest(left).items() if baseline else ():
        found.add(figures, {key: before}, -step)
    return found


def check_moves(
    observations: Observations,
    found: Moves,
    last: Statement | None,
    judged: Container[Key],
    usual: Mapping[str, float] | None = None,
) -> Iterable[Finding]:
    """A figure changes as honest figures do. What is as in the last vintage was judged there.

    `judged` are the figures that the IMF's releases confirm or contradict. `usual` has the usual steps, by the bundled
    releases if it is not given.
    """
    open_places = _open_places(observations, found, last, judged)
    if not open_places:
        return
    edits = _edits(observations, found, open_places, last)
    unusual = _unusual(observations, found, open_places, usual or usual_steps())
    flagged = [found.row(place) for place in open_places if place in edits or place in unusual]
    if flagged:
        kinds = {found.keys[place]: kind for place, kind in edits.items()}
        notes = {one.key: _from_what_to_what(one, last, kinds.get(one.key)) for one in flagged}
        ranks = {one.key: abs(one.change) for one in flagged}
        first = sorted(notes, key=lambda key: -ranks[key])
        named = first_few(f"{country} {notes[country, year]}" for country, year in first)
        seen = f"{len(notes)} of {len(found)}: {named}"
        as_flags = FigureFlags(SHARP_REVISION, notes, ranks)
        yield finding_on(observations, "sharp revision", seen, "changes as honest figures make them", as_flags)


def _open_places(observations: Observations, found: Moves, last: Statement | None, judged: Container[Key]) -> list[int]:
    """Return the places of figures that changed otherwise than by rounding, and that nothing has judged yet."""
    before, rounding = last.figures if last else {}, observations.rounding
    columns = zip(found.keys, found.figures, found.before, found.years_between, strict=True)
    return [
        place for place, (key, figure, old, years) in enumerate(columns)
        if figure != old and key not in judged and before.get(key) != figure
        and (years or not is_same(figure, old, rounding))
    ]  # fmt: skip


def _from_what_to_what(one: Move, last: Statement | None, edit: str | None) -> str:
    country, year = one.key
    if one.release:
        had, when = "the IMF had", f" on {one.release}"
    else:
        is_last = last is not None and last.figures.get((country, year - one.years_between)) == one.before
        had, when = "was", f" on {last.day}" if last and is_last else " when it was last not flagged"
    for_year = f" for {year - one.years_between}" if one.years_between else ""
    moved = percent(100 * math.expm1(change(one.figure, one.before)), "+.1f")
    text = f"{had} {in_billions(one.before)}{for_year}{when}, now {in_billions(one.figure)} ({moved})"
    return f"{text}: {edit}" if edit else text


def _unusual(
    observations: Observations, found: Moves, open_places: Collection[int], usual: Mapping[str, float]
) -> set[int]:
    """Return the places of the most unusual changes: six at most, and those beyond all honest ones.

    A change is measured against those from the same list and with the same years between.
    """
    codes = [observations.iso3_of[country] for country, _ in found.keys]
    blocs = list(map(BLOC_OF.get, codes))
    scores: dict[int, float] = {}
    for places in found.places_by_kind():
        if len(places) >= at.MIN_PAIRS:
            own = usual_changes([blocs[place] for place in places], [found.changes[place] for place in places])
            off = {place: found.changes[place] - own[blocs[place]] for place in open_places if place in places}
            scores |= {place: abs(one) / sqrt(usual[codes[place]]) for place, one in off.items()}
    is_imf_column = observations.institution == "IMF" and observations.publisher == WIKIPEDIA.name
    least = at.LEAST_SCORE if is_imf_column else at.LEAST_SCORE_OTHERS
    far = sorted([place for place in open_places if scores.get(place, 0.0) > least], key=lambda place: -scores[place])
    return {*far[: at.MOST_FLAGGED], *(place for place in far if scores[place] > at.BEYOND_SCORE)}


def _edits(
    observations: Observations, found: Moves, open_places: Iterable[int], last: Statement | None
) -> dict[int, str | None]:
    """Return the places of figures that somebody changed by hand, each with the signature that shows it, or None."""
    if last is None or observations.publisher != WIKIPEDIA.name:
        return {}
    changes, years_between, releases = found.changes, found.years_between, found.releases
    changed = [
        place for place in open_places
        if abs(changes[place]) > at.MOVED and not years_between[place] and not releases[place]
    ]  # fmt: skip
    both = sum(map(last.figures.__contains__, observations.statement.figures))
    alone = len(changed) <= at.SINGLE_EDITS_SHARE * both and not is_release_between(last.as_of, observations.as_of)
    signatures = {place: signature(found, place, last) for place in changed}
    return signatures if alone else {place: kind for place, kind in signatures.items() if kind}


def signature(found: Moves, place: int, last: Statement) -> str | None:
    """Return by what a change looks made by hand: digits, whole billions, another country's figure; None if nothing."""
    figure = found.figures[place]
    if kind := kind_of_edit(figure, found.before[place]):
        return kind
    country = last.country_of.get((figure, found.keys[place][1])) if figure >= at.LEAST_DIGITS else None
    return f"{country}'s figure" if country else None


# --- beside the other institutions' -----------------------------------------------------------------------------------

Ratios = Mapping[int, Mapping[str, float]]  # by the gap of years, then by country: natural logarithms


class _Beside(NamedTuple):
    """A country's figure beside another institution's: how far from the usual ratio, also in standard deviations."""

    institution: str
    year: int
    figure: float
    distance: float
    sigmas: float


def check_outliers(vintage: Mapping[str, Observations], open_keys: Collection[Key]) -> Iterable[Finding]:
    """The IMF's figure is apart from the others' as it is for most countries; six are flagged, and each unit slip.

    `open_keys` are the figures that nothing else judges: no release, and no earlier figure of the country.
    """
    imf = vintage["IMF"]
    countries = [country for country, year in imf.statement.headline_keys if (country, year) in open_keys]
    if not countries:
        return
    beside = _beside(countries, imf, [one for name, one in vintage.items() if name != "IMF"])
    ranks = {country: max(abs(one.distance) for one in found) for country, found in beside.items()}
    far = [country for country, found in beside.items() if is_out_of_line([one.sigmas for one in found])]
    far.sort(key=lambda country: -ranks[country])
    slipped = [country for country in far if _slip(beside[country])]
    outliers = [country for country in far if country not in slipped][: at.MOST_FLAGGED]
    for check, flag, named in (
        ("out of line with other institutions", OUTLIER, outliers), ("unit slip", UNIT_SLIP, slipped),
    ):  # fmt: skip
        if named:
            figures = {country: imf.statement.headlines[country] for country in named}
            notes = {(country, year): _note(figure, beside[country]) for country, (year, figure) in figures.items()}
            seen = f"{len(named)} figures: {first_few(f'{country} {note}' for (country, _), note in notes.items())}"
            flagged = FigureFlags(flag, notes, {key: ranks[key[0]] for key in notes})
            yield finding_on(imf, check, seen, "the usual ratio to the other institutions", flagged)


def _beside(countries: Iterable[str], imf: Observations, others: Sequence[Observations]) -> Mapping[str, list[_Beside]]:
    """Return countries' figures beside the others', as far as many countries have the same gap of years."""
    found: dict[str, list[_Beside]] = {country: [] for country in countries}
    for other in others:
        for ratios in ratios_to(other, imf).values():
            usual = median(ratios.values())
            sigma = at.MAD_TO_SIGMA * median([abs(ratio - usual) for ratio in ratios.values()])
            for country in found if len(ratios) >= at.MIN_PAIRS and sigma > 0 else ():
                if country in ratios:
                    off, theirs = ratios[country] - usual, other.statement.headlines[country]
                    found[country].append(_Beside(other.institution, *theirs, off, off / sigma))
    return {country: some for country, some in found.items() if some}


def ratios_to(other: Observations, imf: Observations) -> Ratios:
    """Return the ratio of each of the IMF's figures to another institution's."""
    theirs, log_of = other.statement.headlines, other.statement.log_of
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for (country, year), figure in zip(imf.statement.headline_keys, imf.statement.headline_logs, strict=True):
        if country in theirs:
            found[year - theirs[country][0]][country] = figure - log_of[country]
    return found


def is_out_of_line(sigmas: Sequence[float]) -> bool:
    """Return whether a figure is out of line, by its distances from the usual ratios in standard deviations."""
    far = [abs(sigma) for sigma in sigmas]
    if len(far) == 1:
        return far[0] > at.LONE_WITNESS
    same_side = len({sigma > 0 for sigma in sigmas}) == 1
    return same_side and min(far) > at.BOTH_OFF and max(far) > at.ONE_FAR_OFF


def _note(figure: float, beside: Iterable[_Beside]) -> str:
    others = ", ".join(f"{one.institution} {in_billions(one.figure)} ({one.year})" for one in beside)
    return f"{in_billions(figure)} is far from {others}{_slip(beside)}"


def _slip(beside: Iterable[_Beside]) -> str:
    distance = min((one.distance for one in beside), key=abs)
    for factor in at.SLIPS:
        if abs(abs(distance) - math.log(factor)) < at.SLIP_WIDTH:
            return f", by a factor of about {'1/' if distance < 0 else ''}{factor}"
    return ""

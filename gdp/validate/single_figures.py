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
from functools import cache
from itertools import pairwise, starmap
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
    of_bloc: dict[str | None, list[float]] = defaultdict(list)
    for bloc, one in zip(blocs, changes, strict=True):
        of_bloc[bloc].append(one)
    every = median(changes)
    usual = {bloc: median(some) if len(some) >= at.MIN_BLOC else every for bloc, some in of_bloc.items()}
    return [one - usual[bloc] for bloc, one in zip(blocs, changes, strict=True)]


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
    years_between: int = 0  # from the year of the figure before to that of this one
    release: str = ""

    @property
    def change(self) -> float:
        """The change, less the growth of the years between."""
        return change(self.figure, self.before) - at.GROWTH * self.years_between


def moves(observations: Observations, baseline: Baseline | None, releases: Sequence[Release]) -> list[Move]:
    """Return each figure beside the last unflagged one of its country and year.

    If the publisher has none, that of one of the last two releases; if they have none, the publisher's for the nearest
    year.
    """
    near = [one for one in releases[:2] if days_between(one.as_of, observations.as_of) <= at.RELEASE_REACH_DAYS]
    iso3_of, figures = observations.iso3_of, observations.statement.figures
    found, left = [], []
    sound = baseline.of(figures) if baseline else [None] * len(figures)
    for (key, figure), before in zip(figures.items(), sound, strict=True):
        code = iso3_of[key[0]], key[1]
        if before is not None:
            found.append(Move(key, figure, before))
        elif release := next((one for one in near if code in one.figures), None):
            found.append(Move(key, figure, release.figures[code], 0, release.day))
        else:
            left.append(key)
    nearest = baseline.nearest(left) if baseline else {}
    return found + [Move(key, figures[key], before, -step) for key, (before, step) in nearest.items()]


def check_moves(
    observations: Observations,
    found: list[Move],
    last: Statement | None,
    judged: Container[Key],
    usual: Mapping[str, float] | None = None,
) -> Iterable[Finding]:
    """A figure changes as honest figures do. What is as in the last vintage was judged there.

    `judged` are the figures that the IMF's releases confirm or contradict. `usual` has the usual steps, by the bundled
    releases if it is not given.
    """
    before, rounding = last.figures if last else {}, observations.rounding
    open_ones = [
        one for one in found
        if one.figure != one.before and one.key not in judged and before.get(one.key) != one.figure
        and (one.years_between or not is_same(one.figure, one.before, rounding))
    ]  # fmt: skip
    if not open_ones:
        return
    grown = zip(found, changes_of([one[1:3] for one in found]), strict=True)
    changes = {one.key: moved - at.GROWTH * one.years_between for one, moved in grown}
    edits = _edits(observations, open_ones, last, changes)
    scores = _scores(observations, found, changes, {one.key for one in open_ones}, usual or usual_steps())
    odd = _unusual(observations, scores) | edits.keys()
    notes = {one.key: _from_what_to_what(one, last, edits.get(one.key)) for one in open_ones if one.key in odd}
    ranks = {key: abs(changes[key]) for key in notes}
    if notes:
        first = sorted(notes, key=lambda key: -ranks[key])
        named = first_few(f"{country} {notes[country, year]}" for country, year in first)
        seen = f"{len(notes)} of {len(found)}: {named}"
        flagged = FigureFlags(SHARP_REVISION, notes, ranks)
        yield finding_on(observations, "sharp revision", seen, "changes as honest figures make them", flagged)


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


def _scores(
    observations: Observations,
    found: list[Move],
    changes: Mapping[Key, float],
    open_keys: Container[Key],
    usual: Mapping[str, float],
) -> dict[Key, float]:
    """Return how unusual each open change is among those against the same list and with the same years between."""
    kinds: dict[tuple[bool, int], list[Key]] = defaultdict(list)
    for one in found:
        kinds[bool(one.release), one.years_between].append(one.key)
    scores: dict[Key, float] = {}
    for keys in [keys for keys in kinds.values() if len(keys) >= at.MIN_PAIRS]:
        codes = [observations.iso3_of[country] for country, _ in keys]
        off = zip(keys, codes, deviations(codes, [changes[key] for key in keys]), strict=True)
        scores |= {key: abs(one) / math.sqrt(usual[code]) for key, code, one in off if key in open_keys}
    return scores


def _unusual(observations: Observations, scores: Mapping[Key, float]) -> set[Key]:
    """Return the figures whose change is the most unusual: six at most, and those beyond all honest ones."""
    first = sorted(scores, key=lambda key: -scores[key])[: at.MOST_FLAGGED]
    is_imf_column = observations.institution == "IMF" and observations.publisher == WIKIPEDIA.name
    least = at.LEAST_SCORE if is_imf_column else at.LEAST_SCORE_OTHERS
    return {key for key in first if scores[key] > least} | {key for key in scores if scores[key] > at.BEYOND_SCORE}


def _edits(
    observations: Observations, open_ones: list[Move], last: Statement | None, changes: Mapping[Key, float]
) -> dict[Key, str | None]:
    """Return the figures that somebody changed by hand, each with the signature by which that shows, or None."""
    if last is None or observations.publisher != WIKIPEDIA.name:
        return {}
    own = [one for one in open_ones if not one.years_between and not one.release]
    changed = [one for one in own if abs(changes[one.key]) > at.MOVED]
    both = len(last.figures.keys() & observations.statement.figures.keys())
    alone = len(changed) <= at.SINGLE_EDITS_SHARE * both and not is_release_between(last.as_of, observations.as_of)
    found = {one.key: signature(one, last) for one in changed}
    return found if alone else {key: kind for key, kind in found.items() if kind}


def signature(one: Move, last: Statement) -> str | None:
    """Return by what a change looks made by hand: digits, whole billions, another country's figure; None if nothing."""
    if kind := kind_of_edit(one.figure, one.before):
        return kind
    country = last.country_of.get((one.figure, one.key[1])) if one.figure >= at.LEAST_DIGITS else None
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
    countries = [country for country, year in imf.headline_keys if (country, year) in open_keys]
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
    theirs = other.statement.headlines
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for country, (year, figure) in imf.statement.headlines.items():
        if country in theirs:
            other_year, other_figure = theirs[country]
            found[year - other_year][country] = change(figure, other_figure)
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

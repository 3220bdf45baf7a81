"""The IMF's figure against the other institutions': does it stand to them as it does for most countries?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import compress
from typing import NamedTuple

from gdp.model import OUTLIER, UNIT_SLIP
from gdp.validate.findings import Finding
from gdp.validate.series import MIN_PAIRS, MOST_MOVED, Series, billions, log_ratios, median
from utils import first_few

# The IMF's figure against the other institutions', as distances from the usual ratio in robust standard deviations
# (those are 0.04 to 0.10). Both must be off to the same side, one of them far; a lone witness must be sure. Seen: 3 to
# 5 countries a page, each a real oddity (hyperinflation, war, a rebased series).
BOTH_OFF, ONE_FAR_OFF, LONE_WITNESS = 2.5, 5.0, 3.5
MAD_TO_SIGMA = 1.4826  # for a normal distribution
SLIPS = (10, 1000)  # factors by which a unit slips
SLIP_WIDTH = 0.4  # how near to such a factor, in logarithms: 10 is 6.7 to 14.9


def check_witnesses(all_series: Mapping[str, Series]) -> Iterable[Finding]:
    """The IMF's figure, which feeds Countries_by_GDP, stands to the others' as it does for most countries."""
    imf = all_series.get("IMF")
    if imf is None:
        return
    others = [series for name, series in all_series.items() if name != "IMF"]
    ratios = [_ratios(imf, other) for other in others]
    yield from _columns_apart(imf, others, ratios)
    usual = [_usual(by_gap) for by_gap in ratios]
    least = min(BOTH_OFF, LONE_WITNESS)
    far = {name for some in usual for one in some for name in one.further_than(least)}
    distances = [{name: one.distance(name) for one in some for name in far & one.ratios.keys()} for some in usual]
    notes: dict[str, str] = {}
    slips: dict[str, str] = {}
    for country in sorted(far, key=lambda c: -max(abs(found[c][1]) for found in distances if c in found)):
        figure = imf.headlines[country][1]
        witnesses = [
            (other, *found[country]) for other, found in zip(others, distances, strict=True) if country in found
        ]
        if _is_out_of_line([sigmas for _, _, sigmas in witnesses]):
            beside = ", ".join(
                f"{o.institution} {billions(o.headlines[country][1])} ({o.headlines[country][0]})"
                for o, _, _ in witnesses
            )
            slip = _slip(min((distance for _, distance, _ in witnesses), key=abs))
            (slips if slip else notes)[country] = f"{billions(figure)} is far from {beside}{slip}"
    for check, found, flag in (
        ("out of line with other institutions", notes, OUTLIER),
        ("unit slip", slips, UNIT_SLIP),
    ):
        if found:
            seen = f"{len(found)} figures: {first_few(f'{country} {note}' for country, note in found.items())}"
            yield imf.finding(check, False, seen, "the usual ratio to the other institutions", found, flag)


Ratios = dict[int, dict[str, float]]  # by the gap of years, then by country: natural logarithms


def _ratios(series: Series, other: Series) -> Ratios:
    mine, theirs = series.headlines, other.headlines
    both = [(country, *said, *theirs[country]) for country, said in mine.items() if country in theirs]
    ratios = log_ratios([(figure, other_figure) for _, _, figure, _, other_figure in both])
    gaps = [year - other_year for _, year, _, other_year, _ in both]
    countries = [country for country, *_ in both]
    return {
        gap: dict(compress(zip(countries, ratios, strict=True), map(gap.__eq__, gaps))) for gap in dict.fromkeys(gaps)
    }


def _columns_apart(imf: Series, others: list[Series], all_ratios: list[Ratios]) -> Iterable[Finding]:
    for other, by_gap in zip(others, all_ratios, strict=True):
        ratios = [ratio for some in by_gap.values() for ratio in some.values()]
        if len(ratios) >= MIN_PAIRS and abs(median(ratios)) > MOST_MOVED:
            seen = f"the median country has {math.exp(median(ratios)):.3g} times its figure under {other.institution}"
            yield imf.finding("unit slip", True, seen, "a factor between 0.5 and 2")


class _Usual(NamedTuple):
    """How the IMF's figures stand to another institution's, those of one gap of years: in natural logarithms."""

    ratios: dict[str, float]
    ratio: float  # of the median country
    sigma: float  # a robust standard deviation of all countries

    def further_than(self, sigmas: float) -> list[str]:
        """Return the countries whose ratio is so many standard deviations from the usual one."""
        usual, sigma = self.ratio, self.sigma
        return [country for country, ratio in self.ratios.items() if abs(ratio - usual) / sigma > sigmas]

    def distance(self, country: str) -> tuple[float, float]:
        """Return how far a country's ratio is from the usual one, also in standard deviations."""
        distance = self.ratios[country] - self.ratio
        return distance, distance / self.sigma


def _usual(by_gap: Ratios) -> list[_Usual]:
    """Return what is usual for each gap of years that has enough countries."""
    found = []
    for ratios in by_gap.values():
        if len(ratios) >= MIN_PAIRS:
            usual = median(ratios.values())
            sigma = MAD_TO_SIGMA * median([abs(ratio - usual) for ratio in ratios.values()])
            found += [_Usual(ratios, usual, sigma)] if sigma > 0 else []
    return found


def _is_out_of_line(sigmas: list[float]) -> bool:
    if len(sigmas) == 1:
        return abs(sigmas[0]) > LONE_WITNESS
    far = [abs(sigma) for sigma in sigmas]
    same_side = all(sigma > 0 for sigma in sigmas) or all(sigma < 0 for sigma in sigmas)
    return bool(sigmas) and same_side and min(far) > BOTH_OFF and max(far) > ONE_FAR_OFF


def _slip(distance: float) -> str:
    for factor in SLIPS:
        if abs(abs(distance) - math.log(factor)) < SLIP_WIDTH:
            return f", by a factor of about {'1/' if distance < 0 else ''}{factor}"
    return ""

"""The IMF's figures against the other institutions': is each apart from them as it is for most countries?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from gdp.model import OUTLIER, UNIT_SLIP
from gdp.validate import thresholds as at
from gdp.validate.against_imf import in_billions
from gdp.validate.findings import FigureFlags, Finding, fatal_on, finding_on
from gdp.validate.observations import Key, Observations, Statements, change, median
from utils import first_few

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
        for ratios in _ratios(imf, other).values():
            usual = median(ratios.values())
            sigma = at.MAD_TO_SIGMA * median([abs(ratio - usual) for ratio in ratios.values()])
            for country in found if len(ratios) >= at.MIN_PAIRS and sigma > 0 else ():
                if country in ratios:
                    off, theirs = ratios[country] - usual, other.statement.headlines[country]
                    found[country].append(_Beside(other.institution, *theirs, off, off / sigma))
    return {country: some for country, some in found.items() if some}


def _ratios(imf: Observations, other: Observations) -> Ratios:
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


def check_columns_apart(vintage: Mapping[str, Observations]) -> Iterable[Finding]:
    """The IMF's column is in the unit of the others. Fatal; it is checked where no release is near."""
    imf = vintage["IMF"]
    for other in [one for one in vintage.values() if one is not imf]:
        ratios = [ratio for some in _ratios(imf, other).values() for ratio in some.values()]
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

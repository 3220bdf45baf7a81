"""The IMF's figures against the other institutions': is each apart from them as it is for most countries?"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from gdp.model import OUTLIER, UNIT_SLIP
from gdp.validate import thresholds as at
from gdp.validate.against_imf import in_billions
from gdp.validate.findings import FigureFlags, Finding, fatal_on, finding_on
from gdp.validate.observations import Key, Observations, Statements, change, median
from utils import first_few

Ratios = dict[int, dict[str, float]]  # by the gap of years, then by country: natural logarithms


def check_outliers(vintage: Mapping[str, Observations], open_keys: Collection[Key]) -> Iterable[Finding]:
    """The IMF's figure is apart from the others' as it is for most countries.

    `open_keys` are the figures that nothing else judges: no release, and no earlier figure of the country.
    """
    imf = vintage["IMF"]
    countries = [country for country, (year, _) in imf.statement.headlines.items() if (country, year) in open_keys]
    if countries:
        others = [one for name, one in vintage.items() if name != "IMF"]
        yield from _outliers(imf, others, [_usual(_ratios(imf, other)) for other in others], countries)


def check_columns_apart(vintage: Mapping[str, Observations]) -> Iterable[Finding]:
    """The IMF's column is in the unit of the others. Fatal; it is checked where no release is near."""
    imf = vintage["IMF"]
    for name, other in vintage.items():
        ratios = [ratio for some in _ratios(imf, other).values() for ratio in some.values()]
        if name != "IMF" and len(ratios) >= at.MIN_PAIRS and abs(median(ratios)) > at.COLUMNS_APART:
            seen = f"the median country has {math.exp(median(ratios)):.3g} times its figure under {name}"
            yield fatal_on(imf, "unit slip", seen, "a factor between 0.5 and 2")


def _ratios(imf: Observations, other: Observations) -> Ratios:
    theirs = other.statement.headlines
    found: Ratios = {}
    for country, (year, figure) in imf.statement.headlines.items():
        if country in theirs:
            other_year, other_figure = theirs[country]
            found.setdefault(year - other_year, {})[country] = change(figure, other_figure)
    return found


class _Usual(NamedTuple):
    """The IMF's figures beside another institution's, those of one gap of years: natural logarithms of ratios."""

    ratios: dict[str, float]
    ratio: float  # of the median country
    sigma: float  # a robust standard deviation of all countries


class _Beside(NamedTuple):
    """A country's figure beside another institution's: how far from the usual ratio, also in deviations."""

    institution: str
    year: int
    figure: float
    distance: float
    sigmas: float


def _usual(by_gap: Ratios) -> list[_Usual]:
    """Return what is usual for each gap of years that has enough countries."""
    found = []
    for ratios in by_gap.values():
        if len(ratios) >= at.MIN_PAIRS:
            usual = median(ratios.values())
            sigma = at.MAD_TO_SIGMA * median([abs(ratio - usual) for ratio in ratios.values()])
            found += [_Usual(ratios, usual, sigma)] if sigma > 0 else []
    return found


def _outliers(
    imf: Observations,
    others: list[Observations],
    usual: list[list[_Usual]],
    countries: list[str],
) -> Iterable[Finding]:
    """Yield the figures that are far from the usual ratio: six at most, but for those that a unit slipped in."""
    beside = {country: _beside(country, others, usual) for country in countries}
    far = [country for country, found in beside.items() if is_out_of_line([one.sigmas for one in found])]
    far.sort(key=lambda country: -max(abs(one.distance) for one in beside[country]))
    slipped = [country for country in far if _slip(beside[country])]
    outliers = [country for country in far if country not in slipped][: at.MOST_FLAGGED]
    for check, flag, named in (
        ("out of line with other institutions", OUTLIER, outliers),
        ("unit slip", UNIT_SLIP, slipped),
    ):
        if named:
            notes = {_key(imf, country): _note(imf, country, beside[country]) for country in named}
            ranks = {_key(imf, country): max(abs(one.distance) for one in beside[country]) for country in named}
            seen = f"{len(named)} figures: {first_few(f'{country} {note}' for (country, _), note in notes.items())}"
            flagged = FigureFlags(flag, notes, ranks)
            yield finding_on(imf, check, seen, "the usual ratio to the other institutions", flagged)


def _beside(country: str, others: list[Observations], usual: list[list[_Usual]]) -> list[_Beside]:
    return [
        _Beside(other.institution, *other.statement.headlines[country], off, off / one.sigma)
        for other, of_gaps in zip(others, usual, strict=True) for one in of_gaps if country in one.ratios
        for off in [one.ratios[country] - one.ratio]
    ]  # fmt: skip


def is_out_of_line(sigmas: list[float]) -> bool:
    """Return whether a figure is out of line, by its distances from the usual ratios in standard deviations."""
    if len(sigmas) == 1:
        return abs(sigmas[0]) > at.LONE_WITNESS
    far = [abs(sigma) for sigma in sigmas]
    same_side = all(sigma > 0 for sigma in sigmas) or all(sigma < 0 for sigma in sigmas)
    return bool(sigmas) and same_side and min(far) > at.BOTH_OFF and max(far) > at.ONE_FAR_OFF


def _key(imf: Observations, country: str) -> Key:
    return country, imf.statement.headlines[country][0]


def _note(imf: Observations, country: str, beside: list[_Beside]) -> str:
    figures = ", ".join(f"{one.institution} {in_billions(one.figure)} ({one.year})" for one in beside)
    return f"{in_billions(imf.statement.headlines[country][1])} is far from {figures}{_slip(beside)}"


def _slip(beside: list[_Beside]) -> str:
    distance = min((one.distance for one in beside), key=abs)
    for factor in at.SLIPS:
        if abs(abs(distance) - math.log(factor)) < at.SLIP_WIDTH:
            return f", by a factor of about {'1/' if distance < 0 else ''}{factor}"
    return ""


# --- columns that are another's ---------------------------------------------------------------------------------------


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
        yield from _beyond_its_own_list(one)


def _beyond_its_own_list(one: Observations) -> Iterable[Finding]:
    """An institution has no figures, in a column without a source, of countries that its own list leaves out."""
    countries = {country for country, _ in one.statement.figures}
    beyond = [country for country, _ in one.unsourced if country not in countries]
    if countries and beyond:
        seen = f"{len(beyond)} countries without a source are not in its own list: {first_few(beyond)}"
        yield finding_on(one, "countries without a source", seen, "the same countries")

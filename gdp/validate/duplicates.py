"""A country with more than one figure for a year: which one is used, and what the others were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gdp.model import DUPLICATE, TWO_FIGURES, has_flag, joined_flags
from gdp.validate.against_imf import in_billions
from gdp.validate.findings import FigureFlags, Finding, fatal_on, finding_on
from gdp.validate.observations import Baseline, Key, Observations, is_left_out, million_of
from gdp.validate.thresholds import AT_LEAST, MAX_TWICE_SHARE
from utils import first_few

Row = dict[str, Any]


def one_figure_each(part: Observations, baseline: Baseline | None) -> Observations:
    """Return a vintage's observations of an institution with one figure a country and year.

    Of several, one that has a source: the nearest to the baseline, for the year or the nearest one, else the lowest. A
    flag says that there are others.
    """
    if part.has_each_once:
        return part
    several = [key for key, figures in figures_by_key(part).items() if len(figures) > 1]
    before = {key: figure for key, (figure, _) in (baseline.nearest(several) if baseline else {}).items()}
    chosen: dict[Key, Row] = {}
    for row in part.rows():
        key = row["Country"], row["Year"]
        if key not in chosen or _preference(row, before.get(key)) < _preference(chosen[key], before.get(key)):
            chosen[key] = row
    for key in several:
        flags = [*(chosen[key]["Flags"] or "").split(), TWO_FIGURES]
        chosen[key] = {**chosen[key], "Flags": joined_flags(flags)}
    return part.with_rows(list(chosen.values()))


def figures_by_key(part: Observations) -> dict[Key, set[float]]:
    """Return the figures of each country and year, in millions of USD; sourced ones only, where there are any."""
    found: dict[tuple[bool, Key], set[float]] = {}
    for key, million, flags in zip(part.keys, part.millions, part.flags, strict=True):
        found.setdefault((is_left_out(flags), key), set()).add(million)
    return {key: figures for (left_out, key), figures in found.items() if not left_out or (False, key) not in found}


def check_twice(part: Observations) -> Iterable[Finding]:
    """A country has one figure a year; a list in which many have two is two lists. Fatal then."""
    both = part.statement.figures.keys() & part.unsourced.keys()
    if both:
        countries = first_few(sorted(country for country, _ in both))
        seen = f"{len(both)} figures without a source are for the same year as others: {countries}"
        yield finding_on(part, "figures left out", seen, "one figure a year; those with a source are used")
    repeated = [key for key, flags in zip(part.keys, part.flags, strict=True) if has_flag(flags, DUPLICATE)]
    if repeated:
        seen = f"{first_few(country for country, _ in repeated)} twice, with the same figure"
        flagged = FigureFlags(DUPLICATE, dict.fromkeys(repeated, "with the same figure"))
        yield finding_on(part, "a country twice", seen, "once", flagged)
    if part.has_each_once:
        return
    several = {key: sorted(figures) for key, figures in figures_by_key(part).items() if len(figures) > 1}
    if several:
        notes = {key: " and ".join(map(in_billions, figures)) for key, figures in several.items()}
        seen = f"two figures for {first_few(f'{country} ({note})' for (country, _), note in notes.items())}"
        if len(several) > max(MAX_TWICE_SHARE * len(part.statement.headlines), AT_LEAST):
            yield fatal_on(part, "a country twice", seen, "one a year")
        else:
            yield finding_on(part, "a country twice", seen, "one a year", FigureFlags(TWO_FIGURES, notes))


def _preference(row: Row, before: float | None) -> tuple[bool, float, float]:
    million = million_of(row["GDP_USD_million"], row["GDP_USD_billion"])
    return is_left_out(row["Flags"]), abs(million - before) if before is not None else 0.0, million

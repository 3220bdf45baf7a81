"""A country with more than one figure for a year: which one is used, and what the others were."""

from __future__ import annotations

from typing import Any

from gdp.model import DUPLICATE, TWO_FIGURES, has_flag, joined_flags
from gdp.validate.findings import Finding
from gdp.validate.observations import MILLIONS_A_BILLION, Baseline, Key, Observations, is_left_out
from utils import first_few

Row = dict[str, Any]


def one_figure_each(part: Observations, baseline: Baseline) -> Observations:
    """Return a vintage's observations of an institution with one figure a country and year.

    Of several, one that has a source: the nearest to the baseline, else the lowest. A flag says that there are others.
    """
    if part.has_each_once:
        return part
    keys = list(dict.fromkeys(part.keys))
    before = dict(zip(keys, baseline.of(keys), strict=True))
    chosen: dict[Key, Row] = {}
    for row in part.rows():
        key = row["Country"], row["Year"]
        if key not in chosen or _preference(row, before[key]) < _preference(chosen[key], before[key]):
            chosen[key] = row
    for key, figures in figures_by_key(part).items():
        if len(figures) > 1:
            flags = [*(chosen[key]["Flags"] or "").split(), TWO_FIGURES]
            chosen[key] = {**chosen[key], "Flags": joined_flags(flags)}
    return part.with_rows(list(chosen.values()))


def figures_by_key(part: Observations) -> dict[Key, set[float]]:
    """Return the figures of each country and year, in millions of USD; sourced ones only, where there are any."""
    found: dict[tuple[bool, Key], set[float]] = {}
    for key, million, flags in zip(part.keys, part.millions, part.flags, strict=True):
        found.setdefault((is_left_out(flags), key), set()).add(million)
    return {key: figures for (left_out, key), figures in found.items() if not left_out or (False, key) not in found}


def check_repeated(part: Observations) -> Finding | None:
    """Return a finding where figures came twice with the same value, or None."""
    names = [name for name, flags in zip(part.countries, part.flags, strict=True) if has_flag(flags, DUPLICATE)]
    if not names:
        return None
    seen = f"{first_few(names)} twice, with the same figure"
    return Finding("a country twice", False, part.institution, part.as_of, seen, "once")


def _preference(row: Row, before: float | None) -> tuple[bool, float, float]:
    million = row["GDP_USD_million"] or row["GDP_USD_billion"] * MILLIONS_A_BILLION
    return is_left_out(row["Flags"]), abs(million - before) if before is not None else 0.0, million

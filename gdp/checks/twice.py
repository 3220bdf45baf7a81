"""A country that a vintage gives more than one figure of a year: which one stands, and what is told of the others."""

from __future__ import annotations

from collections.abc import Iterable

from gdp.checks.series import Statements
from gdp.records import CleanRecord, is_unsourced


def one_figure_each(records: list[CleanRecord], last: Statements) -> list[CleanRecord]:
    """Return a vintage's records, one a country, institution and year: of several the one that its source backs.

    Of several such the one that is nearest to what the last vintage said, else the lowest; its Note tells of all.
    """
    kept: dict[Figure, CleanRecord] = {}
    for record in records:
        key = figure_of(record)
        if key not in kept or _preference(record, last) < _preference(kept[key], last):
            kept[key] = record
    if len(kept) == len(records):
        return records
    for key, figures in figures_said(records).items():
        if len(figures) > 1:
            told = f"two figures for {key[2]}: {' and '.join(f'{figure:.2f}' for figure in sorted(figures))}"
            kept[key] = {**kept[key], "Note": "; ".join(note for note in (kept[key]["Note"], told) if note)}
    return list(kept.values())


Figure = tuple[str, str, int]  # institution, country and year


def figure_of(record: CleanRecord) -> Figure:
    """Return which figure a record gives."""
    return record["Institution"], record["Country"], record["Year"]


def figures_said(records: Iterable[CleanRecord]) -> dict[Figure, set[float]]:
    """Return what is said of each figure, in billions of USD; where one has a source, by those that have."""
    said: dict[tuple[bool, Figure], set[float]] = {}
    for record in records:
        said.setdefault((is_unsourced(record["Note"]), figure_of(record)), set()).add(record["GDP_USD_billion"])
    return {key: figures for (unsourced, key), figures in said.items() if not unsourced or (False, key) not in said}


def _preference(record: CleanRecord, last: Statements) -> tuple[bool, float, float]:
    statement = last.get(record["Institution"])
    figure = record["GDP_USD_billion"]
    before = statement.sound.get((record["Country"], record["Year"])) if statement else None
    return is_unsourced(record["Note"]), abs(figure - before) if before is not None else 0.0, figure

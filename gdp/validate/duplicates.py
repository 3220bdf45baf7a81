"""A country that a vintage gives more than one figure of a year: which one stands, and what is told of the others."""

from __future__ import annotations

from gdp.records import is_unsourced
from gdp.validate.observations import Key, Row, Said, Statement


def one_figure_each(said: Said, last: Statement | None) -> Said:
    """Return what a vintage says of an institution, one figure a country and year: of several one that has a source.

    Of several such the one that is nearest to what the last vintage said, else the lowest; its Note tells of all.
    """
    if said.has_each_once:
        return said
    kept: dict[Key, Row] = {}
    for row in said.rows():
        key = row.country, row.year
        if key not in kept or _preference(row, last) < _preference(kept[key], last):
            kept[key] = row
    for key, figures in figures_said(said).items():
        if len(figures) > 1:
            all_said = f"two figures for {key[1]}: {' and '.join(f'{figure:.2f}' for figure in sorted(figures))}"
            kept[key] = kept[key]._replace(note="; ".join(note for note in (kept[key].note, all_said) if note))
    return said.with_rows(kept.values())


def figures_said(said: Said) -> dict[Key, set[float]]:
    """Return what is said of each figure, in billions of USD; where one has a source, by those that have."""
    found: dict[tuple[bool, Key], set[float]] = {}
    for key, figure, note in zip(said.keys, said.figures, said.notes, strict=True):
        found.setdefault((is_unsourced(note), key), set()).add(figure)
    return {key: figures for (unsourced, key), figures in found.items() if not unsourced or (False, key) not in found}


def _preference(row: Row, last: Statement | None) -> tuple[bool, float, float]:
    before = last.sound.get((row.country, row.year)) if last else None
    return is_unsourced(row.note), abs(row.figure - before) if before is not None else 0.0, row.figure

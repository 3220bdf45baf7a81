"""Findings that a person checked: a confirmed figure is not flagged again while it stays, and is a baseline."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from gdp.model import CONFIRMATION_FIELDS, CURRENT, Estimate, is_flagged_by_check
from gdp.store.database import Connection
from gdp.store.headlines import replace_countries
from gdp.store.history import COLUMNS, History
from gdp.store.ingest import check_again
from gdp.store.outcome import update_checked
from utils import Exit, StageError

FLAGGED = f"""
    SELECT {COLUMNS} FROM GDP_Estimates
    WHERE ISO3 = ? AND Institution = ? AND Until = '{CURRENT}' AND Flags IS NOT NULL ORDER BY Year
"""
REMOVE = """
    DELETE FROM Confirmations WHERE Publisher = ? AND Institution = ? AND ISO3 = ? AND Year = ? AND As_of = ?
"""


class FigureName(NamedTuple):
    """Which figure is meant: the country's ISO code, the institution, and the year if it is named."""

    iso3: str
    institution: str
    year: int | None = None


def confirm(connection: Connection, figure: FigureName, reason: str | None) -> list[Estimate]:
    """Confirm a country's current flagged figure, and check its vintage again; return the rows as they were.

    Raises StageError: 66 where it has no flagged figure, 2 where it has several and no year is named.
    """
    rows = flagged_rows(connection, figure)
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    for row in rows:
        key = (row.Publisher, row.Institution, figure.iso3, row.Year, row.As_of)
        connection.execute(REMOVE, key)
        connection.add("Confirmations", tuple(CONFIRMATION_FIELDS), [(*key, now, reason)])
    history = History(connection)
    found = {history.vintages.at(row.Publisher, row.As_of) for row in rows}
    update_checked(check_again(history, [one for one in found if one]))
    if newest := history.newest_imf():
        replace_countries(connection, newest)
    return rows


def flagged_rows(connection: Connection, figure: FigureName) -> list[Estimate]:
    """Return the current rows of one year's figure that a check flagged; raises StageError as `confirm` does."""
    rows = [Estimate._make(row) for row in connection.execute(FLAGGED, (figure.iso3, figure.institution))]
    rows = [row for row in rows if is_flagged_by_check(row.Flags) and figure.year in (None, row.Year)]
    which = f"{figure.iso3} ({figure.institution}{f', {figure.year}' if figure.year else ''})"
    if not rows:
        raise StageError(
            Exit.NO_INPUT, f"no current figure of {which} is flagged; load.py --findings lists those that are"
        )
    years = sorted({row.Year for row in rows})
    if len(years) > 1:
        named = ", ".join(map(str, years))
        raise StageError(Exit.USAGE, f"{which} has flagged figures for {named}: name one with --year")
    return rows

"""What a load wrote is read back: a trigger or a rule of somebody else's may drop or change rows."""

from __future__ import annotations

from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINE_COLUMNS, HEADLINES, of_vintage
from gdp.store.history import EstimateTotals, History
from gdp.store.outcome import LoadOutcome
from gdp.store.vintages import Vintage
from utils import Exit, StageError


def check_stored(connection: Connection, outcome: LoadOutcome, newest: Vintage | None) -> None:
    """Raise StageError (65) where the database has something else than a load wrote.

    `newest` is the vintage whose headlines it wrote.
    """
    history, before = outcome.history, outcome.totals_before
    expected = EstimateTotals(before.rows + outcome.rows, before.cents + outcome.cents)
    if history.totals() != expected or not all(_is_stored(history, outcome, *one) for one in outcome.states):
        raise _changed_by_trigger(connection, "GDP_Estimates")
    if newest and not _has_headlines(connection, newest):
        raise _changed_by_trigger(connection, "Countries_by_GDP")


def _is_stored(history: History, outcome: LoadOutcome, publisher: str, institution: str) -> bool:
    """Return whether the rows of the last vintage that a load passed are in the database as they were written."""
    as_of, rows = outcome.states[publisher, institution]
    stored = history.state(publisher, institution, as_of)
    return {key: row._replace(Until="") for key, row in stored.items()} == {
        key: row._replace(Until="") for key, row in rows.items()
    }


def _has_headlines(connection: Connection, newest: Vintage) -> bool:
    stored = rows_of(connection, f"SELECT {HEADLINE_COLUMNS} FROM Countries_by_GDP ORDER BY Country")
    chosen = f"WITH Headlines AS ({HEADLINES}) SELECT {HEADLINE_COLUMNS} FROM Headlines ORDER BY Country"
    return stored == rows_of(connection, chosen, **of_vintage(newest))


def _changed_by_trigger(connection: Connection, table: str) -> StageError:
    return StageError(
        Exit.BAD_DATA,
        f"{connection.place} changes what is written to {table}: a trigger or a rule is on it; nothing was loaded:"
        " remove it, or name another database with --database",
    )

"""What differs between two vintages: countries new and gone, figures revised by how much, moves in rank.

Revised is the figure for the same country and year. A figure for another year than before is no revision: that is told
as "new year", and compared with nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gdp.store.history import History
from gdp.store.vintages import END_OF_DAY, Vintage
from utils import Exit, StageError

Row = dict[str, Any]

REVISED, NEW_YEAR, NEW, GONE, MOVED = "revised", "new year", "new", "gone", "rank"
COUNTED = (REVISED, NEW_YEAR, NEW, GONE)  # in this order, wherever changes are summed up


class Ranking(NamedTuple):
    """Countries_by_GDP as of a vintage: by ISO code (or name, where there is none) the rank, year and figure."""

    as_of: str | None
    rows: dict[str, Row]


class Changes(NamedTuple):
    """What differs between two rankings: a row a country, the largest revision first."""

    since: str | None
    until: str | None
    rows: list[Row]

    def count(self, what: str) -> int:
        """Return how many countries changed in that way."""
        return sum(row["Change"] == what for row in self.rows)


def ranking(history: History, vintage: Vintage | None) -> Ranking:
    """Return the ranking of a vintage, or an empty one."""
    if vintage is None:
        return Ranking(None, {})
    rows = history.headlines(vintage)
    return Ranking(vintage.as_of, {row["ISO3"] or row["Country"]: row for row in rows})


def changed(before: Ranking, now: Ranking) -> Changes:
    """Return what differs between two rankings."""
    rows = [_change(before.rows.get(code), now.rows.get(code)) for code in {**now.rows, **before.rows}]
    found = [row for row in rows if row["Change"]]
    found.sort(key=lambda row: (-abs(row["Revised_percent"] or 0), row["Change"], row["Country"]))
    return Changes(before.as_of, now.as_of, found)


def _change(was: Row | None, now: Row | None) -> Row:
    some = now or was or {}
    what = _kind(was, now)
    return {
        "Country": some["Country"],
        "ISO3": some["ISO3"],
        "Change": what,
        "Was_USD_billion": was and was["GDP_USD_billion"],
        "Was_for_year": was and was["Year"],
        "Was_Note": was and was["Note"],
        "GDP_USD_billion": now and now["GDP_USD_billion"],
        "Year": now and now["Year"],
        "Note": now and now["Note"],
        "Revised_percent": _percent(was, now) if what == REVISED else None,
        "Was_rank": was and was["Rank"],
        "Rank": now and now["Rank"],
    }


def _kind(was: Row | None, now: Row | None) -> str | None:
    if was is None or now is None:
        return NEW if was is None else GONE
    if was["Year"] != now["Year"]:
        return NEW_YEAR
    if was["GDP_USD_billion"] != now["GDP_USD_billion"]:
        return REVISED
    return MOVED if was["Rank"] != now["Rank"] else None


def _percent(was: Row | None, now: Row | None) -> float | None:
    figures = [float(side["GDP_USD_billion"]) for side in (was, now) if side]
    if len(figures) < 2 or not all(figures):
        return None
    return round((figures[1] / figures[0] - 1) * 100, 2) + 0.0  # and not -0.0


def summary(changes: Changes) -> str:
    """Return in one line what changed, or that nothing did."""
    if changes.since is None:
        return f"the first load: {len(changes.rows)} countries as of {(changes.until or 'never')[:10]}"
    if not changes.rows and changes.since == changes.until:
        return f"nothing changed: the newest figures are still those of {changes.since[:10]}"
    span = f"between {changes.since[:10]} and {(changes.until or 'never')[:10]}"
    if not changes.rows:
        return f"nothing changed {span}"
    moves = sum(row["Rank"] != row["Was_rank"] for row in changes.rows if row["Rank"] and row["Was_rank"])
    counts = ", ".join(f"{changes.count(what)} {what}" for what in COUNTED)
    return f"changed {span}: {counts}, {moves} moved in rank"


def earlier(history: History, newest: Vintage, since: str | None) -> Vintage | None:
    """Return the vintage before the newest, or the newest of a day: the same publisher's, or else anybody's.

    Raises StageError (66) where nothing of that day or before is loaded.
    """
    before = since + END_OF_DAY if since else newest.as_of
    found = history.newest_imf(before, newest.publisher) or history.newest_imf(before)
    if since and not found:
        first = history.vintages.of("IMF")[0].as_of[:10]
        raise StageError(Exit.NO_INPUT, f"no figures of {since} or before are loaded; the first are of {first}")
    return found


def last_refresh(history: History, newest: Vintage | None) -> Changes:
    """Return what changed when the figures last changed: that may be longer ago than the newest vintage."""
    if newest is None:
        return Changes(None, None, [])
    now = ranking(history, newest)
    before = history.newest_imf(newest.as_of, newest.publisher)
    if before is None:  # the first of its publisher, which follows on whatever was said before
        return changed(ranking(history, history.newest_imf(newest.as_of)), now)
    # a year that rolls on chooses other figures, though none was said anew
    moments = (history.last_change(newest), newest.as_of[:4])
    candidates = {history.newest_imf(min(moment, newest.as_of), newest.publisher) for moment in moments}
    changes = changed(ranking(history, before), now)
    for candidate in sorted((found for found in candidates if found), key=lambda v: v.as_of, reverse=True):
        if changes.rows:
            break
        changes = changed(ranking(history, candidate), now)
    return changes


def tell_of_rows(rows: list[Row], changes: Changes) -> None:
    """Add to each country's row what changed of it; None where nothing did.

    That is Change, Revised_percent, Was_rank, and the Note of the figure before, Was_Note.
    """
    by_country = {row["Country"]: row for row in changes.rows} if changes.since else {}
    for row in rows:
        change = by_country.get(row["Country"], {})
        row["Revised_percent"] = change.get("Revised_percent")
        row |= {name: change.get(name) for name in ("Change", "Was_rank", "Was_Note")}


def as_object(changes: Changes) -> Row:
    """Return changes as one JSON object."""
    return {"Since": changes.since, "As_of": changes.until, "Countries": changes.rows}

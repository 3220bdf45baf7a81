"""What differs between two vintages: countries new and gone, figures revised by how much, moves in rank.

A revision is a changed figure for the same country, institution and reference year. It is measured from the last
unflagged figure: a flagged one is no baseline, unless a person confirmed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

from gdp.model import NOT_A_HEADLINE, SOURCE_FLAGS, has_flag, is_flagged_by_check, joined_flags
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.schema import MAY_BE_HEADLINE
from gdp.store.vintages import END_OF_DAY, Vintage
from utils import Exit, StageError, percent

Row = dict[str, Any]
Key = tuple[str, int]  # a country's name and a reference year

REVISED, OTHER_YEAR, NEW, GONE, MOVED = "revised", "other year", "new", "gone", "rank"
COUNTED = {REVISED: "revised", OTHER_YEAR: "for another year", NEW: "new", GONE: "gone"}  # in the order of a summary
UNCHANGED = "unchanged"  # the difference, if any, is below rounding
PERCENT_DIGITS = 2
_HARMLESS = [code for code in SOURCE_FLAGS if code not in NOT_A_HEADLINE]
HARMLESS = ", ".join(
    f"'{joined_flags(some)}'" for number in range(1, len(_HARMLESS) + 1) for some in combinations(_HARMLESS, number)
)  # all Flags of figures that others may be compared with
LETTERS = str.maketrans("0123456789", "abcdefghij")  # the names of a statement's values have no digits

BEFORE_COLUMNS = ("Country", "Year", "GDP_USD_billion", "GDP_USD_million", "As_of", "Note", "Flags", "Confirmed")
CURRENT_BEFORE = """
    SELECT Country, Year, GDP_USD_billion, GDP_USD_million, As_of, Note, Flags, {confirmed} AS Confirmed
    FROM GDP_Estimates
    WHERE Publisher = :publisher AND Institution = 'IMF' AND As_of <= :as_of AND Until > :as_of
"""
LAST_UNFLAGGED = """
    SELECT Country, Year, GDP_USD_billion, GDP_USD_million, As_of, Note, Flags, Confirmed FROM (
        SELECT Country, Year, GDP_USD_billion, GDP_USD_million, As_of, Note, Flags, {confirmed} AS Confirmed,
               row_number() OVER (PARTITION BY Country, Year ORDER BY As_of DESC) AS place
        FROM GDP_Estimates
        WHERE Publisher = :publisher AND Institution = 'IMF' AND Until <= :as_of AND Country IN ({countries})
          AND (Flags IS NULL OR Flags IN ({harmless}) OR {confirmed}) AND {may_be_headline}) AS ranked
    WHERE place = 1
"""
CONFIRMED = """EXISTS (SELECT 1 FROM Confirmations WHERE Confirmations.Publisher = GDP_Estimates.Publisher
    AND Confirmations.Institution = GDP_Estimates.Institution AND Confirmations.ISO3 = GDP_Estimates.ISO3
    AND Confirmations.Year = GDP_Estimates.Year AND Confirmations.As_of = GDP_Estimates.As_of)"""


class Ranking(NamedTuple):
    """Countries_by_GDP as of a vintage: by ISO code (or name, where there is none) the rank, year and figure."""

    vintage: Vintage | None
    rows: dict[str, Row]

    @property
    def as_of(self) -> str | None:
        """The vintage's As_of."""
        return self.vintage and self.vintage.as_of


class Changes(NamedTuple):
    """What differs between two rankings: a row a country, the largest revision first."""

    since: str | None
    until: str | None
    rows: list[Row]
    unchanged: list[Row]  # of the same figure and rank

    def count(self, kind: str) -> int:
        """Return how many countries changed in that way."""
        return sum(row["Change"] == kind for row in self.rows)


def ranking(history: History, vintage: Vintage | None) -> Ranking:
    """Return the ranking of a vintage, or an empty one."""
    rows = history.headlines(vintage) if vintage else []
    return Ranking(vintage, {row["ISO3"] or row["Country"]: row for row in rows})


def changed(connection: Connection, before: Ranking, now: Ranking) -> Changes:
    """Return what differs between two rankings; `connection` is to look up earlier unflagged figures."""
    wanted = [row for code, row in now.rows.items() if not _is_baseline_in(before.rows.get(code), row["Year"])]
    baselines = _baselines(connection, before.vintage, wanted)
    rows = []
    for code in {**now.rows, **before.rows}:
        was, row = before.rows.get(code), now.rows.get(code)
        baseline = was if row and _is_baseline_in(was, row["Year"]) else None
        if row and not baseline:
            baseline = baselines.get((row["Country"], row["Year"]))
        rows.append(_change(was, row, baseline))
    found = [row for row in rows if row["Change"]]
    found.sort(key=lambda row: (-abs(row["Revised_percent"] or 0), row["Change"], row["Country"]))
    return Changes(before.as_of, now.as_of, found, [row for row in rows if not row["Change"]])


def _is_baseline_in(row: Row | None, year: int) -> bool:
    return row is not None and row["Year"] == year and not is_flagged_by_check(row["Flags"])


def _baselines(connection: Connection, before: Vintage | None, rows: Iterable[Row]) -> dict[Key, Row]:
    """Return the figures that these rows are compared with: the current one of a vintage, or the last unflagged one."""
    wanted = {(row["Country"], row["Year"]) for row in rows}
    if before is None or not wanted:
        return {}
    current = {key: row for key, row in _before(connection, before, CURRENT_BEFORE) if key in wanted}
    flagged = [key for key, row in current.items() if not is_baseline(row)]
    older = _last_unflagged(connection, before, flagged)
    return {key: row for key, row in current.items() if key not in flagged} | older


def _last_unflagged(connection: Connection, before: Vintage, keys: list[Key]) -> dict[Key, Row]:
    if not keys:
        return {}
    countries = sorted({country for country, _ in keys})
    values = {f"country_{str(number).translate(LETTERS)}": country for number, country in enumerate(countries)}
    question = LAST_UNFLAGGED.replace("{countries}", ", ".join(f":{name}" for name in values))
    found = dict(_before(connection, before, question, **values))
    return {key: found[key] for key in keys if key in found}


def _before(connection: Connection, before: Vintage, question: str, **values: str) -> Iterator[tuple[Key, Row]]:
    """Yield figures of a publisher from before or at a vintage, by country and year."""
    statement = question.format(confirmed=confirmed_sql(connection), harmless=HARMLESS, may_be_headline=MAY_BE_HEADLINE)
    values |= {"publisher": before.publisher, "as_of": before.as_of}
    for cells in connection.execute(statement, values):
        row = dict(zip(BEFORE_COLUMNS, cells, strict=True))
        yield (row["Country"], row["Year"]), row


def confirmed_sql(connection: Connection) -> str:
    """Return the SQL of whether a person confirmed a row of GDP_Estimates; a constant where nobody confirmed any."""
    has_table = bool(connection.columns("Confirmations"))
    has_rows = has_table and connection.execute("SELECT 1 FROM Confirmations LIMIT 1").fetchone()
    return CONFIRMED if has_rows else "1 = 0"


def is_baseline(row: Row) -> bool:
    """Return whether later figures are compared with a figure; `Confirmed` is whether a person confirmed it."""
    is_flagged = is_flagged_by_check(row["Flags"]) and not row["Confirmed"]
    return not is_flagged and not has_flag(row["Flags"], *NOT_A_HEADLINE)


def _change(was: Row | None, now: Row | None, baseline: Row | None) -> Row:
    some = now or was or {}
    shown = baseline or was  # what the figure is compared with, or else what was shown before
    revised = revised_percent(baseline, now) if baseline and now else None
    return {
        "Country": some["Country"],
        "ISO3": some["ISO3"],
        "Change": _kind(was, now, baseline, revised),
        "Was_USD_billion": shown and shown["GDP_USD_billion"],
        "Was_for_year": shown and shown["Year"],
        "Was_as_of": baseline and baseline["As_of"],
        "Was_Flags": was and was["Flags"],
        "Was_Note": was and was["Note"],
        "GDP_USD_billion": now and now["GDP_USD_billion"],
        "Year": now and now["Year"],
        "Flags": now and now["Flags"],
        "Note": now and now["Note"],
        "Revised_percent": revised,
        "Was_rank": was and was["Rank"],
        "Rank": now and now["Rank"],
    }


def _kind(was: Row | None, now: Row | None, baseline: Row | None, revised: float | None) -> str | None:
    if now is None:
        return GONE
    if baseline and (revised or revised is None):
        return REVISED
    if was is None:
        return NEW
    if was["Year"] != now["Year"]:
        return OTHER_YEAR
    return MOVED if was["Rank"] != now["Rank"] else None


def revised_percent(before: Row, now: Row) -> float | None:
    """Return by how many percent a figure was revised, rounded; 0.0 below rounding, None from a figure of zero.

    Figures are compared as published, in millions, where both are known.
    """
    unit = "GDP_USD_million" if before["GDP_USD_million"] and now["GDP_USD_million"] else "GDP_USD_billion"
    was, figure = float(before[unit]), float(now[unit])
    if was == figure:
        return 0.0
    return round((figure / was - 1) * 100, PERCENT_DIGITS) + 0.0 if was and figure else None  # + 0.0: never -0.0


def revision_words(revised: float) -> str:
    """Return a revision in words: in percent, or that there is none."""
    return percent(revised) if revised else UNCHANGED


def summary(changes: Changes) -> str:
    """Return in one line what changed, or since when nothing did."""
    if changes.since is None:
        return f"first load: {len(changes.rows)} countries and territories as of {(changes.until or 'never')[:10]}"
    if not changes.rows and changes.since == changes.until:
        return f"unchanged since {changes.since[:10]}"
    span = f"between {changes.since[:10]} and {(changes.until or 'never')[:10]}"
    if not changes.rows:
        return f"nothing changed {span}"
    moves = sum(row["Rank"] != row["Was_rank"] for row in changes.rows if row["Rank"] and row["Was_rank"])
    counts = ", ".join(f"{changes.count(kind)} {words}" for kind, words in COUNTED.items())
    return f"changed {span}: {counts}, {moves} moved in rank"


def earlier(history: History, newest: Vintage, since: str | None) -> Vintage | None:
    """Return the vintage before the newest, or the newest of a day: the same publisher's if there is one.

    Raises StageError (66) where nothing of that day or before is loaded.
    """
    before = since + END_OF_DAY if since else newest.as_of
    found = history.newest_imf(before, newest.publisher) or history.newest_imf(before)
    if since and not found:
        first = history.vintages.of("IMF")[0].as_of[:10]
        raise StageError(Exit.NO_INPUT, f"no figures of {since} or before are loaded; the first are of {first}")
    return found


def changes_between(connection: Connection, history: History, before: Vintage | None, now: Vintage | None) -> Changes:
    """Return what differs between two vintages of the database."""
    return changed(connection, ranking(history, before), ranking(history, now))


def last_refresh(connection: Connection, history: History, newest: Vintage | None) -> Changes:
    """Return what changed when the figures last changed, which may be longer ago than the newest vintage."""
    if newest is None:
        return Changes(None, None, [], [])
    now = ranking(history, newest)
    before = history.newest_imf(newest.as_of, newest.publisher) or history.newest_imf(newest.as_of)
    changes = changed(connection, ranking(history, before), now)
    if changes.rows or before is None or before.publisher != newest.publisher:
        return changes
    # when the year moves on, other figures become headlines, though none changed
    moments = (history.last_change(newest), newest.as_of[:4])
    candidates = {history.newest_imf(min(moment, newest.as_of), newest.publisher) for moment in moments}
    for candidate in sorted((found for found in candidates if found), key=lambda v: v.as_of, reverse=True):
        changes = changed(connection, ranking(history, candidate), now)
        if changes.rows:
            break
    return changes


def add_changes(rows: list[Row], changes: Changes) -> None:
    """Add to each country's row what changed of it: Change, Revised_percent, Was_rank, Was_Flags, Was_Note."""
    by_country = {row["Country"]: row for row in (*changes.rows, *changes.unchanged)} if changes.since else {}
    for row in rows:
        change = by_country.get(row["Country"], {})
        names = ("Change", "Revised_percent", "Was_rank", "Was_USD_billion", "Was_as_of", "Was_Flags", "Was_Note")
        row |= {name: change.get(name) for name in names}


def as_object(changes: Changes) -> Row:
    """Return changes as one JSON object."""
    return {"Since": changes.since, "As_of": changes.until, "Countries": changes.rows}

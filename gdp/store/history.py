"""Reading what is stored: each figure has one row for as long as it was current.

A row begins at the As_of that first published its figure, and ends at the first vintage of that publisher and
institution without it. So what is stored depends on what was loaded, never on the order of loading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from gdp.model import (
    CURRENT,
    ESTIMATE_FIELDS,
    IMF,
    INSTITUTIONS,
    LOAD_FIELDS,
    Estimate,
    is_flagged_by_check,
    note_of_source,
    source_flags,
)
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINE_COLUMNS, HEADLINES, headline_ends, of_vintage
from gdp.store.schema import are_as_created
from gdp.store.vintages import Vintage, Vintages, changed_by_hand
from gdp.validate.observations import (
    VARYING,
    Columns,
    Key,
    Observations,
    Statement,
    is_left_out,
    million_of,
)

COLUMNS = ", ".join(ESTIMATE_FIELDS)
OF_PUBLISHER = f"SELECT {COLUMNS} FROM GDP_Estimates WHERE Publisher = :publisher"
AT = f"{OF_PUBLISHER} AND Institution IN ({{institutions}}) AND As_of <= :as_of AND Until > :as_of"
BETWEEN = f"{OF_PUBLISHER} AND Institution = :institution AND As_of <= :until AND Until > :as_of"
BEGUN = f"{OF_PUBLISHER} AND As_of > :as_of AND As_of <= :until"
# by the key, newest first: the publisher's index would have to be sorted
PAST_OF = (
    f"{OF_PUBLISHER} AND Institution = :institution AND As_of <= :as_of"
    " AND Year IN ({years}) AND Country IN ({countries}) ORDER BY As_of DESC"
).replace("Publisher =", "Publisher || '' =")
# of each figure the last row without flags, and all with some, as only their text shows what they mean
LAST_SOUND = f"""
    {OF_PUBLISHER} AND (Institution, Country, Year, As_of) IN (
        SELECT Institution, Country, Year, max(As_of) FROM GDP_Estimates
        WHERE Publisher = :publisher AND As_of <= :as_of AND Flags IS NULL AND As_of NOT IN ({{doubted}})
        GROUP BY Institution, Country, Year)
    UNION ALL {OF_PUBLISHER} AND As_of <= :as_of AND Flags IS NOT NULL AND As_of NOT IN ({{doubted}})
"""
ALL = ", ".join(f"'{name}'" for name in INSTITUTIONS)
RANKED = f"""
    WITH Headlines AS ({HEADLINES})
    SELECT {HEADLINE_COLUMNS}, Status, rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank
    FROM Headlines ORDER BY Rank, Country
"""
# the last As_of by the key, and the last Until by the index
LAST_CHANGE = """
    SELECT (SELECT As_of FROM GDP_Estimates WHERE As_of <= :as_of AND Institution = 'IMF'
            AND Publisher || '' = :publisher ORDER BY As_of DESC LIMIT 1),
           (SELECT max(Until) FROM GDP_Estimates WHERE Publisher = :publisher AND Institution = 'IMF'
            AND Until <= :as_of)
"""
TOTALS = "SELECT count(*), coalesce(sum(CAST(round(GDP_USD_billion * 100) AS BIGINT)), 0) FROM GDP_Estimates"

State = dict[Key, Estimate]


class EstimateTotals(NamedTuple):
    """What GDP_Estimates adds up to: its rows, and their figures in hundredths of a billion USD."""

    rows: int
    cents: int


class History:
    """The vintages of a database and their figures, read within the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.vintages = Vintages(connection)
        self._last_sound: dict[tuple[str, str], dict[str, dict[Key, float]]] = {}  # by publisher and As_of

    @cached_property
    def is_read_back(self) -> bool:
        """Whether a load reads back what it wrote, as something that others put into the database may change it."""
        return not are_as_created(self.connection)

    def totals(self) -> EstimateTotals:
        """Return what GDP_Estimates adds up to."""
        rows, cents = self.connection.execute(TOTALS).fetchone()
        return EstimateTotals(int(rows), int(cents))

    def newest_imf(self, before: str = CURRENT, publisher: str | None = None) -> Vintage | None:
        """Return the newest vintage with headlines of the IMF before a moment, one publisher's or any.

        It is the last one before the end of the headline that was current longest, as each vintage until then had one.
        """
        names = [publisher] if publisher else self.vintages.publishers
        ends = headline_ends(self.connection, "IMF", names, before)
        found = [self.vintages.last_of("IMF", name, min(before, until)) for name, until in ends.items()]
        return max((one for one in found if one), key=lambda one: (one.as_of, one.publisher), default=None)

    def state(self, publisher: str, institution: str, as_of: str) -> State:
        """Return the rows that were current at an As_of, by country and year."""
        question = AT.format(institutions=":institution")
        rows = self._rows(question, publisher=publisher, institution=institution, as_of=as_of)
        return {(row.Country, row.Year): row for row in rows}

    def current(self, publisher: str, as_of: str, begun_until: str = "") -> list[Estimate]:
        """Return the rows of all institutions current at an As_of, and those that began since up to another."""
        question = f"{AT.format(institutions=ALL)} UNION ALL {BEGUN}" if begun_until else AT.format(institutions=ALL)
        return self._rows(question, publisher=publisher, as_of=as_of, until=begun_until)

    def begun(self, publisher: str, after: str, until: str) -> list[Estimate]:
        """Return the rows of all institutions that began after an As_of and not after another."""
        return self._rows(BEGUN, publisher=publisher, as_of=after, until=until)

    def last_sound(self, publisher: str, institution: str, as_of: str) -> dict[Key, float]:
        """Return the last figure of each country and year up to an As_of that nothing was found against, in millions.

        All of a publisher's are read at once, and kept: rows from before a load's first vintage stay as they are.
        """
        if (publisher, as_of) not in self._last_sound:
            doubts = self.vintages.doubts.items()
            doubted = [f"'{one}'" for (name, one), doubt in doubts if name == publisher and doubt is not None]
            question = LAST_SOUND.format(doubted=", ".join(doubted) or "''")
            found: dict[str, dict[Key, float]] = {}
            for row in sorted(self._rows(question, publisher=publisher, as_of=as_of), key=attrgetter("As_of")):
                if is_baseline(row.Flags):
                    figure = million_of(row.GDP_USD_million, row.GDP_USD_billion)
                    found.setdefault(row.Institution, {})[row.Country, row.Year] = figure
            self._last_sound[publisher, as_of] = found
        return self._last_sound[publisher, as_of].get(institution, {})

    def baselines(self, vintage: Vintage, institution: str, keys: Collection[Key]) -> State:
        """Return the rows that figures of a later vintage are compared with, by country and year.

        Each is the one that is current in this vintage, or the last one before that nothing was found against.
        """
        state = self.state(vintage.publisher, institution, vintage.as_of) if keys else {}
        current = {key: state[key] for key in keys if key in state}
        found = {key: row for key, row in current.items() if is_baseline(row.Flags)}
        return found | self.older_baselines(vintage, institution, current.keys() - found.keys())

    def older_baselines(self, vintage: Vintage, institution: str, flagged: Collection[Key]) -> State:
        """Return the last rows that nothing was found against of figures that are flagged in a vintage."""
        if not flagged:
            return {}
        countries = {f"country{number}": country for number, country in enumerate({name for name, _ in flagged})}
        years = ", ".join({str(year) for _, year in flagged})
        question = PAST_OF.format(years=years, countries=", ".join(f":{name}" for name in countries))
        own = {"publisher": vintage.publisher, "institution": institution, "as_of": vintage.as_of}
        found: State = {}
        wanted = set(flagged)
        for row in self._each_row(question, **own, **countries):
            key = row.Country, row.Year
            if key in wanted and is_baseline(row.Flags):
                found[key] = row
                wanted.discard(key)
                if not wanted:  # the last ones come first, so that few rows are read
                    break
        return found

    def _rows(self, question: str, **values: str) -> list[Estimate]:
        """Return rows of GDP_Estimates; raises StageError (65) for what no load writes."""
        return list(self._each_row(question, **values))

    def _each_row(self, question: str, **values: str) -> Iterator[Estimate]:
        for row in map(Estimate._make, self.connection.execute(question, values)):
            figures = (row.GDP_USD_billion, row.Year, row.GDP_USD_million or 0.0)
            if not all(map(isinstance, figures, (int | float, int, int | float))):
                raise changed_by_hand(f"GDP_Estimates has {figures!r} for {row.Country}"[:200])
            yield row

    def statements(self, publisher: str, institution: str, as_ofs: Collection[str]) -> list[Statement]:
        """Return the figures of an institution in some vintages that others are compared with, in millions of USD."""
        if not as_ofs:
            return []
        own = {"publisher": publisher, "institution": institution, "as_of": min(as_ofs), "until": max(as_ofs)}
        rows = self._rows(BETWEEN, **own)
        return [Statement(as_of, figures_of(row for row in rows if row.As_of <= as_of < row.Until)) for as_of in as_ofs]

    def releases_before(self, as_of: str, number: int) -> list[Statement]:
        """Return the IMF's own newest vintages before an As_of, newest first."""
        found = [vintage.as_of for vintage in self.vintages.of("IMF", IMF.name) if vintage.as_of < as_of][-number:]
        return [one for as_of in reversed(found) for one in self.statements(IMF.name, "IMF", [as_of])]

    def add_loads(self, rows: list[tuple[Any, ...]]) -> None:
        """Add rows to Loads."""
        if rows:
            self.connection.add("Loads", tuple(LOAD_FIELDS), rows)

    def findings(self, publisher: str, as_of: str) -> str:
        """Return what was found on a vintage, as JSON."""
        if self.vintages.last_loaded == (publisher, as_of):
            return self.vintages.last_findings or "[]"
        newest = f"ORDER BY {self.connection.dialect.order_of_loads} DESC LIMIT 1"
        question = f"SELECT Findings FROM Loads WHERE Publisher = ? AND As_of = ? {newest}"
        found = self.connection.execute(question, (publisher, as_of)).fetchone()
        return str(found[0]) if found and found[0] else "[]"

    def update_load(self, vintage: Vintage, **values: str | None) -> None:
        """Change columns of a vintage's rows in Loads."""
        names = ", ".join(f"{name} = ?" for name in values)
        statement = f"UPDATE Loads SET {names} WHERE Publisher = ? AND As_of = ?"
        self.connection.execute(statement, (*values.values(), vintage.publisher, vintage.as_of))

    def headlines(self, vintage: Vintage) -> list[dict[str, Any]]:
        """Return what Countries_by_GDP is as of a vintage, highest first, with ranks."""
        return rows_of(self.connection, RANKED, **of_vintage(vintage))

    def last_change(self, vintage: Vintage) -> str:
        """Return the newest As_of, up to this vintage, at which an IMF figure of its publisher changed."""
        begun, ended = self.connection.execute(
            LAST_CHANGE, {"as_of": vintage.as_of, "publisher": vintage.publisher}
        ).fetchone()
        return str(max(begun or "", ended or ""))

    def confirmed(self) -> set[tuple[str, str, str, int, str]]:
        """Return the figures that a person confirmed: publisher, institution, ISO code, year and As_of of each.

        Only a database of today has them.
        """
        question = "SELECT Publisher, Institution, ISO3, Year, As_of FROM Confirmations"
        return set(self.connection.execute(question))


def figures_of(rows: Iterable[Estimate]) -> dict[Key, float]:
    """Return the figures of rows that have a source and a known country, in millions of USD."""
    return {
        (row.Country, row.Year): million_of(row.GDP_USD_million, row.GDP_USD_billion)
        for row in rows
        if not is_left_out(row.Flags)
    }


def is_baseline(flags: str | None) -> bool:
    """Return whether nothing was found against a figure with these Flags, so that later ones are compared with it."""
    return flags is None or not (is_left_out(flags) or is_flagged_by_check(flags))


def observations_of(vintage: Vintage, institution: str, rows: Iterable[Estimate]) -> Observations:
    """Return what a vintage published of an institution, from its rows; what the checks found is left out."""
    ordered = sorted(rows, key=lambda row: (-row.Year, -row.GDP_USD_billion, row.Country))
    columns: Columns = {name: list(map(attrgetter(name), ordered)) for name in VARYING}
    columns["Flags"] = list(map(source_flags, columns["Flags"]))
    columns["Note"] = list(map(note_of_source, columns["Flags"]))
    return Observations(vintage.as_of, vintage.source, institution, columns)

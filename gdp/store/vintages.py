"""Which vintages a database has: everything that one publisher published at one As_of. Loads lists them."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from typing import NamedTuple

from gdp.model import PUBLISHERS, WIKIPEDIA, is_as_of, publisher_of
from gdp.store.database import Connection
from gdp.validate.observations import Observations
from gdp.validate.thresholds import UNSETTLED
from utils import Exit, StageError

COMPARABLE = (None, UNSETTLED)  # doubts with which a vintage is still one that later ones are compared with
END_OF_DAY = "T24"  # later than every moment of a day: As_of < day + END_OF_DAY is what was current at its end

Order = tuple[str, bool, str, int, str]


class Vintage(NamedTuple):
    """A vintage: who published it when, whose figures it has, and where it was published."""

    publisher: str
    as_of: str
    institutions: tuple[str, ...]
    source: str


def changed_by_hand(what: str) -> StageError:
    """Return the error (65) for a row that no load writes."""
    remedy = "restore the database, or load into another with --database"
    return StageError(Exit.BAD_DATA, f"somebody changed the database by hand: {what}; {remedy}")


class Vintages:
    """The vintages of a database, by publisher and As_of."""

    def __init__(self, connection: Connection) -> None:
        self._vintages: dict[tuple[str, str], Vintage] = {}
        self._as_ofs: dict[str, list[str]] = {}  # by publisher, in order
        self.doubts: dict[tuple[str, str], str | None] = {}  # why a vintage is no baseline, by publisher and As_of
        self.fingerprints: dict[tuple[str, str], str | None] = {}
        self._files: dict[tuple[str, str], tuple[str, int]] = {}  # SHA-256 and figures of the last load
        self._control_totals: dict[tuple[str, str], str | None] = {}
        self.last_loaded: tuple[str, str] | None = None  # publisher and As_of of the last row
        self.last_findings: str | None = None  # in that row, as JSON
        number = connection.dialect.order_of_loads
        of_last = f"CASE WHEN {number} = (SELECT max({number}) FROM Loads) THEN Findings END"
        names = "Publisher, As_of, Institutions, Source, Doubt, Fingerprint, Control_totals, SHA256, Rows"
        for publisher, as_of, institutions, source, doubt, fingerprint, totals, *file, findings in connection.execute(
            f"SELECT {names}, {of_last} FROM Loads ORDER BY {number}"
        ):
            if publisher not in PUBLISHERS or not is_as_of(str(as_of)) or not isinstance(institutions, str):
                raise changed_by_hand(f"Loads has a row of {str(publisher)[:20]!r} as of {str(as_of)[:20]!r}")
            self.add(Vintage(publisher, as_of, tuple(institutions.split(", ")), source))
            self.doubts[publisher, as_of] = doubt
            self.fingerprints[publisher, as_of] = fingerprint
            self._control_totals[publisher, as_of] = totals
            self._files[publisher, as_of] = file[0], file[1]
            self.last_loaded, self.last_findings = (publisher, as_of), findings

    def add(self, vintage: Vintage) -> None:
        """Add a vintage, or replace the one of the same publisher and As_of."""
        if (vintage.publisher, vintage.as_of) not in self._vintages:
            insort(self._as_ofs.setdefault(vintage.publisher, []), vintage.as_of)
        self._vintages[vintage.publisher, vintage.as_of] = vintage

    def of_file(self, sha256: str) -> dict[Vintage, int]:
        """Return the vintages whose last load was of a file, with the number of their figures."""
        return {self._vintages[key]: rows for key, (own, rows) in self._files.items() if own == sha256}

    def control_totals(self, publisher: str, as_of: str) -> dict[str, dict[int, float]]:
        """Return a vintage's World rows by institution and year, in millions of USD."""
        text = self._control_totals.get((publisher, as_of)) or "{}"
        try:
            totals = json.loads(text)
            return {name: {int(year): float(one) for year, one in by_year.items()} for name, by_year in totals.items()}
        except (ValueError, TypeError, AttributeError):
            raise changed_by_hand(f"Loads has {text!r} in Control_totals"[:200]) from None

    def all(self) -> list[Vintage]:
        """Return every vintage."""
        return list(self._vintages.values())

    def of(self, institution: str, publisher: str | None = None) -> list[Vintage]:
        """Return the vintages that have an institution, oldest first."""
        found = (v for v in self._vintages.values() if institution in v.institutions)
        return sorted((v for v in found if publisher in (None, v.publisher)), key=lambda v: (v.as_of, v.publisher))

    def at(self, publisher: str, as_of: str) -> Vintage | None:
        """Return a publisher's vintage of an As_of, if there is one."""
        return self._vintages.get((publisher, as_of))

    @property
    def publishers(self) -> list[str]:
        """The publishers of the vintages."""
        return sorted(self._as_ofs)

    def last_of(self, institution: str, publisher: str, before: str) -> Vintage | None:
        """Return a publisher's last vintage from before a moment that has an institution, if there is one."""
        as_ofs = self._as_ofs.get(publisher, [])
        for as_of in reversed(as_ofs[: bisect_left(as_ofs, before)]):
            if institution in self._vintages[publisher, as_of].institutions:
                return self._vintages[publisher, as_of]
        return None

    def last_before(self, publisher: str, as_of: str, number: int) -> list[Vintage]:
        """Return a publisher's last vintages before an As_of, oldest first: back to so many that are a baseline."""
        as_ofs = self._as_ofs.get(publisher, [])
        found: list[Vintage] = []
        sound = 0
        for one in reversed(as_ofs[: bisect_left(as_ofs, as_of)]):
            if sound == number:
                break
            found.append(self._vintages[publisher, one])
            sound += self.doubts.get((publisher, one)) in COMPARABLE
        return found[::-1]

    def after(self, publisher: str, as_of: str) -> Vintage | None:
        """Return the publisher's next vintage after an As_of, if there is one."""
        as_ofs = self._as_ofs.get(publisher, [])
        place = bisect_right(as_ofs, as_of)
        return self._vintages[publisher, as_ofs[place]] if place < len(as_ofs) else None


def vintage_of(parts: list[Observations]) -> Vintage:
    """Return the vintage that these observations are of."""
    first = parts[0]
    institutions = tuple(sorted(part.institution for part in parts))
    return Vintage(publisher_of(first.source), first.as_of, institutions, first.source)


def order_of(part: Observations) -> Order:
    """Return what vintages are sorted by: As_of, pages after the IMF's own, and of one minute the later revision."""
    publisher, source = publisher_of(part.source), part.source
    return part.as_of, publisher == WIKIPEDIA.name, publisher, len(source), source

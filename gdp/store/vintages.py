"""Which vintages there are: a vintage is what one publisher said at one As_of. Loads tells them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from gdp.records import IMF_ITSELF, PAGE, PUBLISHERS, is_as_of, publisher_of
from gdp.store.database import Connection
from gdp.validate.consistency import UNSETTLED
from gdp.validate.observations import Said
from utils import Exit, StageError

END_OF_DAY = "T24"  # later than every moment of a day, so that As_of < day + END_OF_DAY is what stood at its end
ANY = ""  # in the place of an institution: of whichever

Which = tuple[str, bool, str, int, str]  # As_of, whether a page, publisher, and Source, by the revision's number


class Vintage(NamedTuple):
    """What one publisher said at one As_of: of which institutions, and where it is to be found."""

    publisher: str
    as_of: str
    institutions: tuple[str, ...]
    source: str


def changed_by_hand(what: str) -> StageError:
    """Return the error (65) for a row that no load of ours writes."""
    remedy = "restore the database, or load into another with --database"
    return StageError(Exit.BAD_DATA, f"somebody changed the database by hand: {what}; {remedy}")


class Vintages:
    """The vintages of a database, found by publisher, institution and As_of."""

    def __init__(self, connection: Connection) -> None:
        self._vintages: dict[tuple[str, str], Vintage] = {}
        self._as_ofs: dict[tuple[str, str], list[str]] = {}  # by publisher and institution, in order
        self.doubts: dict[tuple[str, str], str | None] = {}  # by publisher and As_of: what Loads says under Doubt
        # a question may be put to a database of an older version
        doubts = "Doubt" if "doubt" in connection.columns("Loads") else "NULL"
        for publisher, as_of, institutions, source, doubt in connection.execute(
            f"SELECT Publisher, As_of, Institutions, Source, {doubts} FROM Loads"
            f" ORDER BY {connection.dialect.order_of_loads}"
        ):
            if publisher not in PUBLISHERS or not is_as_of(str(as_of)) or not isinstance(institutions, str):
                raise changed_by_hand(f"Loads has a line of {str(publisher)[:20]!r} as of {str(as_of)[:20]!r}")
            self.add(Vintage(publisher, as_of, tuple(institutions.split(", ")), source))
            self.doubts[publisher, as_of] = doubt
        self.loaded_before = frozenset(self.doubts)

    def add(self, vintage: Vintage) -> None:
        """Take up a vintage, in the place of what its publisher said at the same As_of."""
        known = self._vintages.get((vintage.publisher, vintage.as_of))
        self._vintages[vintage.publisher, vintage.as_of] = vintage
        before = {*known.institutions, ANY} if known else set()
        for institution in before ^ {*vintage.institutions, ANY}:
            as_ofs = self._as_ofs.setdefault((vintage.publisher, institution), [])
            if institution in (*vintage.institutions, ANY):
                insort(as_ofs, vintage.as_of)
            else:
                as_ofs.remove(vintage.as_of)

    def all(self) -> list[Vintage]:
        """Return every vintage."""
        return list(self._vintages.values())

    def of(self, institution: str, publisher: str | None = None) -> list[Vintage]:
        """Return the vintages that speak of an institution, oldest first."""
        found = (v for v in self._vintages.values() if institution in v.institutions)
        return sorted((v for v in found if publisher in (None, v.publisher)), key=lambda v: (v.as_of, v.publisher))

    def institutions_of(self, publisher: str) -> list[str]:
        """Return the institutions that a publisher ever spoke of."""
        return [institution for whose, institution in self._as_ofs if whose == publisher and institution != ANY]

    def at(self, publisher: str, as_of: str) -> Vintage | None:
        """Return what a publisher said at an As_of, if anything."""
        return self._vintages.get((publisher, as_of))

    def before(self, publisher: str, institution: str, as_of: str) -> str | None:
        """Return the As_of of the vintage before."""
        as_ofs = self._as_ofs.get((publisher, institution), [])
        place = bisect_left(as_ofs, as_of)
        return as_ofs[place - 1] if place else None

    def after(self, publisher: str, institution: str, as_of: str) -> Vintage | None:
        """Return the vintage after."""
        as_ofs = self._as_ofs.get((publisher, institution), [])
        place = bisect_right(as_ofs, as_of)
        return self._vintages[publisher, as_ofs[place]] if place < len(as_ofs) else None

    def sound_before(self, publisher: str, institution: str, as_of: str, distance: int = 0) -> str | None:
        """Return the As_of of the nearest earlier vintage that is not in doubt, or of the one so many before that."""
        as_ofs = self._as_ofs.get((publisher, institution), [])
        earlier = range(bisect_left(as_ofs, as_of) - 1, -1, -1)
        return self._sound(publisher, map(as_ofs.__getitem__, earlier), distance)

    def sound_after(self, publisher: str, institution: str, as_of: str, distance: int = 0) -> str | None:
        """Return the As_of of the nearest later vintage that is not in doubt, or of the one so many after that."""
        as_ofs = self._as_ofs.get((publisher, institution), [])
        later = range(bisect_right(as_ofs, as_of), len(as_ofs))
        return self._sound(publisher, map(as_ofs.__getitem__, later), distance)

    def _sound(self, publisher: str, as_ofs: Iterator[str], distance: int) -> str | None:
        return next(islice((as_of for as_of in as_ofs if self.is_sound(publisher, as_of)), distance, None), None)

    def is_sound(self, publisher: str, as_of: str) -> bool:
        """Tell whether a vintage is a measure for others: it may contradict another where nobody knows which lies."""
        return self.doubts.get((publisher, as_of)) in (None, UNSETTLED)

    def around(self, vintage: Vintage, number: int) -> list[Vintage]:
        """Return so many vintages of the same publisher to each side of one."""
        as_ofs = self._as_ofs[vintage.publisher, ANY]
        first, last = bisect_left(as_ofs, vintage.as_of), bisect_right(as_ofs, vintage.as_of)
        beside = as_ofs[max(0, first - number) : first] + as_ofs[last : last + number]
        return [self._vintages[vintage.publisher, as_of] for as_of in beside]

    def depending_on(self, vintage: Vintage, institutions: set[str]) -> list[Vintage]:
        """Return the later vintages whose checks look at this one, or at what it replaces, oldest first.

        Those are the publisher's next, until each of the institutions was spoken of again in a vintage that measures
        others; and the pages of after the IMF's release, where this is one or precedes it.
        """
        found: set[Vintage] = set()
        waiting = set(institutions)
        all_of_it = self._as_ofs.get((vintage.publisher, ANY), [])
        for as_of in all_of_it[bisect_right(all_of_it, vintage.as_of) :]:
            if not waiting:
                break
            following = self._vintages[vintage.publisher, as_of]
            found.add(following)
            if self.is_sound(vintage.publisher, as_of):
                waiting -= set(following.institutions)
        if "IMF" in institutions:
            release = vintage if vintage.publisher == IMF_ITSELF else self.after(IMF_ITSELF, "IMF", vintage.as_of)
            if release:
                found |= {page for page in self.of("IMF", PAGE) if page.as_of > release.as_of}
        return sorted(found - {vintage})


def vintage_of(said: list[Said]) -> Vintage:
    """Return the vintage that says this."""
    first = said[0]
    return Vintage(
        publisher_of(first.source), first.as_of, tuple(sorted(one.institution for one in said)), first.source
    )


def which(said: Said) -> Which:
    """Return what tells a vintage: two revisions may have been saved in the same minute."""
    publisher, source = publisher_of(said.source), said.source
    return said.as_of, publisher == PAGE, publisher, len(source), source

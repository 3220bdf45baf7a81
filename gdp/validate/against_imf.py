"""The page's IMF column beside the IMF's own figures: what agrees, what is stale, what nothing explains.

Pure: the checks use it before a load, and `load.py --compare` afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gdp.validate.observations import Key
from gdp.validate.series import billions

AGREES, STALE, UNEXPLAINED = "agrees", "stale", "unexplained"
# The page rounds to millions, and we to hundredths of a billion: the last digit may differ, which must not hide an edit
# of the smallest economies (0.06 and 0.07).
ROUNDING_MILLION_USD, SMALL_MILLION_USD = 11, 1000
# A page that shares fewer figures than this with a release was made from another one. Seen: 0.03 to 0.06 with another
# release, 0.54 and more with the same one.
SAME_RELEASE_SHARE = 0.25


class Earlier(NamedTuple):
    """What was said of a figure before the newest release: when first, and how much in millions of USD."""

    as_of: str
    figure: float


class Release(NamedTuple):
    """The IMF's own figures: those of its newest release by country and year, and whatever was said before that."""

    as_of: str
    figures: Mapping[Key, float]
    older: Mapping[Key, list[Earlier]]


class Compared(NamedTuple):
    """One figure of the page beside the IMF's own, in millions of USD; `told` says the outcome in words."""

    key: Key
    page: float
    own: float
    kind: str
    told: str

    @property
    def departure(self) -> float:
        """How far the page is from the IMF, as a share of the IMF's figure."""
        return self.page / self.own - 1 if self.own else float("inf")


def compared(page: Mapping[Key, float], own: Release) -> list[Compared]:
    """Return the figures that both have, each with what is to say of it, the largest departure first."""
    found = [_compared(key, figure, own) for key, figure in page.items() if key in own.figures]
    return sorted(found, key=lambda one: (-abs(one.departure), one.key))


def explained(found: list[Compared]) -> bool:
    """Tell whether the page is made from this release at all, so that a departure says something of the figure."""
    return sum(one.kind == AGREES for one in found) >= SAME_RELEASE_SHARE * len(found)


def _compared(key: Key, figure: float, own: Release) -> Compared:
    theirs = own.figures[key]
    if _alike(figure, theirs):
        return Compared(key, figure, theirs, AGREES, "agrees")
    says = f"the IMF itself says {billions(theirs)} ({own.as_of[:10]})"
    before = next((said for said in own.older.get(key, []) if _alike(figure, said.figure)), None)
    if before:
        return Compared(key, figure, theirs, STALE, f"stale, as said on {before.as_of[:10]}; {says}")
    country, near = key[0], range(key[1] - 2, key[1] + 3)
    year = next((y for y in near if _alike(figure, own.figures.get((country, y), 0.0))), None)
    hint = f", and {billions(figure)} for {year}" if year else ""
    return Compared(key, figure, theirs, UNEXPLAINED, says + hint)


def _alike(one: float, other: float) -> bool:
    return one == other or (abs(one - other) < ROUNDING_MILLION_USD and min(one, other) >= SMALL_MILLION_USD)

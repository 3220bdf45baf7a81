"""Made-up lists of figures for the checks, and the real snapshots that come with the suite."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from operator import itemgetter

from gdp.model import CleanRecord
from gdp.store.seed import HISTORY_FILE
from gdp.validate.against_imf import Release
from gdp.validate.observations import VARYING, Key, Observations, Statement, observations_in

PAGE = "https://en.wikipedia.org/w/index.php?title=List_of_countries_by_GDP_(nominal)&oldid=1"
IMF_ITSELF = "https://www.imf.org/external/datamapper/api/v1/NGDPD"
DAY = "2025-12-30"


def names(number: int) -> list[str]:
    """Return so many made-up countries; a name is its own code."""
    return [f"C{place:03}" for place in range(number)]


def figures(number: int, year: int = 2025, step: float = 0.06) -> dict[Key, float]:
    """Return made-up figures from large to small in whole millions, each some `step` below the one before."""
    below, found = 0.0, {}
    for place, name in enumerate(names(number)):
        found[name, year] = float(round(9_000_000 * math.exp(-below)))
        below += step * (0.2 + 1.6 * (7 * place % 11) / 10)  # uneven, as real lists are
    return found


def observed(
    some: Mapping[Key, float],
    institution: str = "IMF",
    day: str = DAY,
    source: str = PAGE,
    flags: Mapping[Key, str] | None = None,
) -> Observations:
    """Return figures, in millions by name and year, as an institution's observations."""
    return observed_twice(list(some.items()), institution, day, source, flags)


def observed_twice(
    some: Iterable[tuple[Key, float]],
    institution: str = "IMF",
    day: str = DAY,
    source: str = PAGE,
    flags: Mapping[Key, str] | None = None,
) -> Observations:
    """Return figures, of a name and year perhaps several, as an institution's observations."""
    rows = list(some)
    columns: dict[str, list[object]] = {name: [None] * len(rows) for name in VARYING}
    columns["Country"] = columns["ISO3"] = [name for (name, _), _ in rows]
    columns["Year"] = [year for (_, year), _ in rows]
    columns["GDP_USD_million"] = [figure for _, figure in rows]
    columns["GDP_USD_billion"] = [round(figure / 1000, 2) for _, figure in rows]
    columns["Flags"] = [(flags or {}).get(key) for key, _ in rows]
    return Observations(day, source, institution, columns)


def changed(some: Mapping[Key, float], changes: Mapping[Key, float]) -> dict[Key, float]:
    """Return figures with some of them changed by a natural logarithm."""
    return {key: figure * math.exp(changes.get(key, 0.0)) for key, figure in some.items()}


def baseline(some: Mapping[Key, float], day: str = DAY, is_release: bool = False) -> Statement:
    """Return figures as another list to compare with: a vintage of the page, or a release of the IMF's."""
    other = Release(day, some) if is_release else Statement(day, some)
    other.name = "the other list"
    return other


@cache
def snapshots() -> dict[str, list[CleanRecord]]:
    """Return the real vintages of the page that come with the suite, by day."""
    records = map(json.loads, gzip.decompress(HISTORY_FILE.read_bytes()).splitlines())
    return {day[:10]: list(some) for day, some in groupby(records, itemgetter("As_of"))}


def snapshot(day: str) -> list[Observations]:
    """Return a real vintage of the page."""
    return observations_in(snapshots()[day])

"""What SQLite and PostgreSQL have in common, and what they write differently."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gdp.places import Place
from utils import Exit, StageError

LOCK_WAIT_S = 10.0  # how long another program may hold the database before we give up

Values = Sequence[object] | Mapping[str, object]


class Dialect(NamedTuple):
    """What the two databases write differently."""

    text: str  # compared byte by byte, as dates in ISO 8601 must be
    by_key: str
    number: str  # a column that counts the lines of Loads, where rows have no number of their own
    order_of_loads: str
    day_before: str
    can_add_key: bool  # to a table that is there


REMEDIES = {
    Exit.CANNOT_WRITE: "see that it has room and lets you write, or name another with --database",
    Exit.LOCKED: "another program holds it: run again when that is done",
    Exit.UNREACHABLE: "it went away; see that it is running, then run again, which does no harm if this was loaded",
}


@contextlib.contextmanager
def one_line_errors(place: Place, kind: type[Exception], code_of: Callable[[Exception], Exit]) -> Iterator[None]:
    """Turn the database's own errors within into the one-line StageError that names the place and what to do."""
    try:
        yield
    except kind as error:
        code = code_of(error)
        reason = place.scrubbed(" ".join(str(error).split()))
        raise StageError(code, f"cannot use {place}: {reason}; {REMEDIES[code]}") from error

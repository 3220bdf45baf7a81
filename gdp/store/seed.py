"""The vintages that come with the suite: what was said before the first load, for a database that has nothing yet."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from itertools import groupby, takewhile
from operator import itemgetter

import orjson

from gdp.store.history import History, Remarks
from gdp.store.ingest import Taken, take_each
from gdp.store.vintages import Vintage
from gdp.validate.observations import Said, said_in
from utils import HISTORY_FILE, read_bytes


def take_past(history: History, first: Vintage) -> Taken | None:
    """Store, in a database that has nothing, the vintages that come with the suite and are older than its first load.

    Return what was taken, or None. Only where the first load has the IMF's figures: else the newest of those vintages
    would stand as what the user loaded. Raises StageError (66) where the file is missing: it ships with us.
    """
    if "IMF" not in first.institutions or not history.is_empty():
        return None
    content = read_bytes(HISTORY_FILE)
    taken = take_each(history, _vintages_before(first.as_of, content), force=True)
    for vintage, rows in taken.loaded.items():
        remarks = Remarks(None, taken.found_in_short[vintage])
        history.remember(vintage, str(HISTORY_FILE), hashlib.sha256(content).hexdigest(), rows, remarks)
    history.remember_doubts(taken.loaded)
    return taken if taken.loaded else None


def _vintages_before(as_of: str, content: bytes) -> Iterator[list[Said]]:
    """Yield what each vintage says from before an As_of, the oldest first, as the file has them."""
    records = map(orjson.loads, gzip.decompress(content).splitlines())
    older = takewhile(lambda record: record["As_of"] < as_of, records)
    yield from (list(said_in(vintage)) for _, vintage in groupby(older, itemgetter("As_of")))

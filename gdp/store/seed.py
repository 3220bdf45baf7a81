"""The bundled history: vintages of the page that come with the suite, for a database that has nothing yet."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from itertools import groupby, takewhile
from operator import itemgetter

import orjson

from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.ingest import ingest
from gdp.store.loads import Remarks, record_loads
from gdp.store.outcome import LoadOutcome
from gdp.store.vintages import Vintage
from gdp.validate.observations import Observations, observations_in
from utils import HISTORY_FILE, PROJECT, read_bytes


def load_bundled_history(connection: Connection, first: Vintage) -> LoadOutcome | None:
    """Store the bundled vintages that are older than a database's first vintage; return what was stored, or None.

    Only where the first vintage has the IMF's figures: else the newest bundled one would look like what the user
    loaded. Raises StageError (66) where the file is missing: it comes with the suite.
    """
    if "IMF" not in first.institutions or not History(connection).is_empty():
        return None
    content = read_bytes(HISTORY_FILE)
    outcome = ingest(connection, _vintages_before(first.as_of, content), force=True)
    sha256 = hashlib.sha256(content).hexdigest()
    record_loads(
        outcome,
        str(HISTORY_FILE.relative_to(PROJECT)),
        sha256,
        lambda one: Remarks(None, outcome.found_in_short[one]),
    )
    return outcome if outcome.loaded else None


def _vintages_before(as_of: str, content: bytes) -> Iterator[list[Observations]]:
    """Yield the bundled vintages from before an As_of, oldest first, as the file has them."""
    records = map(orjson.loads, gzip.decompress(content).splitlines())
    older = takewhile(lambda record: record["As_of"] < as_of, records)
    yield from (list(observations_in(vintage)) for _, vintage in groupby(older, itemgetter("As_of")))

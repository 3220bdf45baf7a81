"""What an empty database begins with: the bundled history of the page, or an export, whose tables are then equal."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from itertools import groupby, islice, takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any

from gdp.model import CURRENT, FORMULA_SIGNS, Field
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.ingest import ingest
from gdp.store.outcome import LoadOutcome, record_loads
from gdp.store.schema import TABLES, index_estimates
from gdp.store.vintages import Vintage
from gdp.validate.observations import Observations, observations_in
from utils import PROJECT, Exit, StageError, open_to_read, read_bytes

HISTORY_FILE = PROJECT / "data" / "history.jsonl.gz"  # the bundled vintages, as clean records
RESTORED = ("GDP_Estimates", "Loads", "Confirmations")
PACKAGE = "datapackage.json"
BATCH_ROWS = 10_000
PIECE_BYTES = 1_000_000
REMEDY = "export again, or name the folder of another export"


def load_bundled_history(connection: Connection, first: Vintage) -> LoadOutcome | None:
    """Store the bundled vintages that are older than a database's first vintage; return what was stored, or None.

    Only where the first vintage has the IMF's figures: else the newest bundled one would look like what the user
    loaded. Raises StageError (66) where the file is missing: it comes with the suite.
    """
    history = History(connection)
    if "IMF" not in first.institutions or history.vintages.all():
        return None
    content = read_bytes(HISTORY_FILE)
    outcome = ingest(history, _vintages_before(first.as_of, content), force=True)
    record_loads(outcome, str(HISTORY_FILE.relative_to(PROJECT)), hashlib.sha256(content).hexdigest())
    return outcome if outcome.loaded else None


def _vintages_before(as_of: str, content: bytes) -> Iterator[list[Observations]]:
    """Yield the bundled vintages from before an As_of, oldest first, as the file has them."""
    import orjson  # it imports inspect and more, which most loads do not need

    records = map(orjson.loads, gzip.decompress(content).splitlines())
    older = takewhile(lambda record: record["As_of"] < as_of, records)
    yield from (list(observations_in(vintage)) for _, vintage in groupby(older, itemgetter("As_of")))


# --- an export --------------------------------------------------------------------------------------------------------


def restore(connection: Connection, folder: Path) -> int:
    """Load the tables of an export into a database without figures; return the number of estimates.

    Raises StageError: 66 where a file is missing, 65 for a file that is not as the export wrote it, or where the
    database has figures already.
    """
    if History(connection).vintages.all():
        raise StageError(
            Exit.BAD_DATA, f"{connection.place} has figures already, which a restore would mix; name a new database"
        )
    hashes = _hashes_in(folder / PACKAGE)
    numbers = {}
    for name in RESTORED:
        path = folder / f"{name}.csv"
        _check_hash(path, hashes.get(path.name))
        numbers[name] = _load_csv(connection, name, path)
    index_estimates(connection)
    return numbers["GDP_Estimates"]


def _hashes_in(package: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a data package describes."""
    with open_to_read(package) as file:
        try:
            resources = json.load(file)["resources"]
            return {str(one["path"]): str(one["hash"]).removeprefix("sha256:") for one in resources}
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise StageError(Exit.BAD_DATA, f"{package} is no data package: {error!r}; {REMEDY}") from None


def _check_hash(path: Path, expected: str | None) -> None:
    digest = hashlib.sha256()
    with open_to_read(path) as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    if digest.hexdigest() != expected:
        raise StageError(Exit.BAD_DATA, f"{path} is not the file that {PACKAGE} describes; {REMEDY}")


def _load_csv(connection: Connection, name: str, path: Path) -> int:
    fields = list(TABLES[name].fields.values())
    number = 0
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        if next(lines, None) != [field.name for field in fields]:
            raise StageError(Exit.BAD_DATA, f"{path} has other columns than {name} has today; {REMEDY}")
        rows = _rows(lines, fields, path)
        while batch := list(islice(rows, BATCH_ROWS)):
            connection.add(name, tuple(TABLES[name].fields), batch)
            number += len(batch)
    return number


def _rows(lines: Iterator[list[str]], fields: list[Field], path: Path) -> Iterator[tuple[Any, ...]]:
    for number, line in enumerate(lines, 2):
        try:
            yield tuple(_value(cell, field) for cell, field in zip(line, fields, strict=True))
        except ValueError as error:
            raise StageError(Exit.BAD_DATA, f"{path} line {number}: {error}; {REMEDY}") from None


def _value(cell: str, field: Field) -> Any:
    """Return the value of a cell: an empty one is null, or for Until a figure that is current."""
    if not cell:
        return CURRENT if field.name == "Until" else "" if not field.is_nullable else None
    if field.python_type is not str:
        return field.python_type(cell)
    # an apostrophe keeps a spreadsheet from taking the text for a formula
    return cell[1:] if cell[0] == "'" and cell[1:].startswith(FORMULA_SIGNS) else cell

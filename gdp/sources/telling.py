"""What is told of a page or an answer: that it was fetched and kept, what was read in it, or why it could not be."""

from __future__ import annotations

import hashlib

from gdp.places import without_credentials
from gdp.runtime.run_log import run_log
from gdp.sources import Extracted, Refused, Unreachable
from gdp.sources.cache import Page, is_kept, keep
from utils import Exit, StageError

NOTHING_CHANGED = "fetched, and nothing changed"


def keep_once(name: str, page: Page, what: str) -> None:
    """Keep something fetched, unless it is there already."""
    if is_kept(name):
        run_log.facts["fetched"] = NOTHING_CHANGED
        run_log.info(f"{NOTHING_CHANGED}: {what} is kept already as {name}")
        return
    path = keep(name, page.content)
    run_log.facts["fetched"] = "fetched, new"
    run_log.info(f"fetched {what}, which is new; kept as {path}")


def tell_reading(reading: Extracted, page: Page) -> None:
    """Tell what was read, on screen and in the run's facts."""
    run_log.facts |= {
        "input": page.location,
        "input_sha256": hashlib.sha256(page.content).hexdigest(),
        "bytes_in": len(page.content),
        "as_of": max(reading.records[0]["As_of"], run_log.facts.get("as_of", "")),
    }
    countries = len({record["Country"] for record in reading.records})
    run_log.info(f"{len(reading.records)} figures of {countries} countries and aggregates read from {page.location}")


def unreachable(what: str, reason: Unreachable, remedy: str) -> StageError:
    """Return the error (69) for a source that cannot be reached."""
    return StageError(Exit.UNREACHABLE, f"could not reach {what} ({without_credentials(str(reason))}); {remedy}")


def refusal(location: str, reason: Refused) -> StageError:
    """Return the error (65) for a page that cannot be read right."""
    return StageError(Exit.BAD_DATA, f"{location} is refused: {reason}; look at it, or name an older page with --page")

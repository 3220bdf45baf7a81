"""The past of Wikipedia's page: which revisions it has had, by the MediaWiki API, and which of them to fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gdp.records import is_as_of
from gdp.sources import Unreachable
from gdp.sources.answers import fetch_json
from gdp.sources.identity import read_revision
from gdp.sources.wikipedia import PAGE_TITLE, fetch, site
from gdp.sources.wikipedia import decode as decoded

MAX_LAG_S = 5  # Wikimedia's advice: when its copies lag more than this, we come back later
LAG_PAUSE_S = 5.0  # the least that it asks for
LAG_TRIES = 20
RELEASE_MONTHS = (4, 10)  # the IMF's releases


class PastRevision(NamedTuple):
    """A revision of the page: when it was saved, and its number."""

    saved: str
    number: int


def list_revisions(first_day: str, last_day: str, wait: Callable[[], None]) -> Iterator[PastRevision]:
    """Yield the page's revisions between two days, oldest first; `wait` is called before each request.

    Raises Unreachable when the API cannot be had, answers with an error, or not with revisions.
    """
    asked = {
        "action": "query", "prop": "revisions", "titles": PAGE_TITLE, "rvprop": "ids|timestamp", "rvlimit": "max",
        "rvdir": "newer", "rvstart": f"{first_day}T00:00:00Z", "rvend": f"{last_day}T23:59:59Z",
        "format": "json", "formatversion": "2", "maxlag": str(MAX_LAG_S),
    }  # fmt: skip
    following: dict[str, str] = {}
    continued: list[dict[str, str]] = []
    while following not in continued:
        continued.append(following)
        told = _ask(f"{site()}/w/api.php?{urlencode({**asked, **following})}", wait)
        try:
            for page in told["query"]["pages"]:
                if "missing" in page:
                    raise Unreachable(f"it has no page {PAGE_TITLE}")
                for revision in page.get("revisions", ()):
                    saved = str(revision["timestamp"])
                    if not is_as_of(saved):
                        raise ValueError
                    yield PastRevision(saved, int(revision["revid"]))
            following = {name: str(value) for name, value in told.get("continue", {}).items()}
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unreachable(f"its answer holds no revisions: {str(told)[:80]}") from None
        if not following:
            return
    raise Unreachable("its list of revisions goes in a circle")


def _ask(url: str, wait: Callable[[], None]) -> Any:
    for _ in range(LAG_TRIES):
        wait()
        told = fetch_json(url, patient=True)
        error = told.get("error") if isinstance(told, dict) else None
        if not error:
            return told
        if not isinstance(error, dict) or error.get("code") != "maxlag":
            raise Unreachable(f"it answered with an error: {str(error)[:80]}")
        time.sleep(LAG_PAUSE_S)
    raise Unreachable("its databases lag, and went on lagging")


def last_of_each(revisions: Iterator[PastRevision], every: str) -> list[PastRevision]:
    """Return the last revision of each month, quarter or release of the IMF's, oldest first."""
    return list({_period(revision.saved, every): revision for revision in sorted(revisions)}.values())


def _period(saved: str, every: str) -> tuple[int, int]:
    year, month = int(saved[:4]), int(saved[5:7])
    if every == "month":
        return year, month
    if every == "quarter":
        return year, (month - 1) // 3
    april, october = RELEASE_MONTHS
    return (year - 1, october) if month < april else (year, april if month < october else october)


def fetch_revision(revision: PastRevision) -> bytes:
    """Return the page as it was; raises Unreachable when it cannot be had whole, or is another."""
    asked = urlencode({"title": PAGE_TITLE, "oldid": revision.number})
    content = fetch(f"{site()}/w/index.php?{asked}", patient=True).content
    found = read_revision(decoded(content)).number
    if found != revision.number:
        raise Unreachable(f"it sent revision {found} for {revision.number}")
    return content

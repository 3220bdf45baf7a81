"""Past revisions of Wikipedia's page: listed by the MediaWiki API, chosen by period, and fetched into the cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gdp.model import WIKIPEDIA, is_as_of
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.sources import Missing, Refused, Unreachable
from gdp.sources.cache import cache_page, cached_name, cached_revisions, open_page
from gdp.sources.http import paced
from gdp.sources.payloads import fetch_json
from gdp.sources.wikipedia.page import PAGE_TITLE, download_page, parse, read, site
from gdp.sources.wikipedia.page_metadata import read_revision
from gdp.sources.wikipedia.unwrap import decode
from utils import Exit, StageError, first_few

# Wikimedia's limit of 2026 is 200 requests a minute for a client that gives a contact, and 10 for one that does not.
PAUSE_S, PAUSE_WITHOUT_CONTACT_S = 60 / 150, 60 / 8
TRIES_PER_PERIOD = 5  # revisions; vandalism is reverted within a few
MAX_LAG_S = 5  # Wikimedia's advice: come back later when its copies lag more than this
LAG_PAUSE_S = 5.0  # the least that it asks for
LAG_TRIES = 20
PASSING_ERRORS = ("maxlag", "ratelimited")  # both come with status 200
REVERTED_TAG = "mw-reverted"  # since 2020 MediaWiki marks edits that were reverted
REVERT_DEPTH = 15  # how many edits back MediaWiki itself looks for the same text
HIDDEN = ("texthidden", "sha1hidden", "suppressed")
# The first month of the year with which a period begins, and its months; the IMF's releases are of April and October.
PERIODS = {"month": (1, 1), "quarter": (1, 3), "release": (4, 6)}
Wait = Callable[[], None]


class PastRevision(NamedTuple):
    """A revision of the page: when it was saved, and its number."""

    saved: str
    number: int


# As the API lists it: the revision, the hash of its text, and whether it is public and was not reverted.
_ListEntry = tuple[PastRevision, str | None, bool]


def list_revisions(first_day: str, last_day: str, wait: Wait) -> list[PastRevision]:
    """Return the page's revisions between two days, oldest first; `wait` is called before each request.

    Hidden and reverted revisions are skipped, and those without a time. A page that was moved keeps its past.
    Raises Unreachable when the API cannot be reached, answers with an error, has no such page, or lists no revision.
    """
    listed = list(_listed(first_day, last_day, wait))
    if not listed:
        raise Unreachable(f"it lists no revision of {PAGE_TITLE} from {first_day} to {last_day}; name other days")
    reverted: set[int] = set()  # the places between a text and the same text again
    last_place: dict[str, int] = {}
    for place, (_, sha1, _) in enumerate(listed):
        if sha1:
            before = last_place.get(sha1, place)
            last_place[sha1] = place
            if place - before <= REVERT_DEPTH:
                reverted.update(range(before + 1, place))
    return [revision for place, (revision, _, is_usable) in enumerate(listed) if is_usable and place not in reverted]


def _listed(first_day: str, last_day: str, wait: Wait) -> Iterator[_ListEntry]:
    query = {
        "action": "query", "prop": "revisions", "titles": PAGE_TITLE, "redirects": "1", "rvlimit": "max",
        "rvprop": "ids|timestamp|sha1|tags", "rvdir": "newer",
        "rvstart": f"{first_day}T00:00:00Z", "rvend": f"{last_day}T23:59:59Z",
        "format": "json", "formatversion": "2", "maxlag": str(MAX_LAG_S),
    }  # fmt: skip
    following: dict[str, str] = {}
    continued: list[dict[str, str]] = []
    while following not in continued:
        continued.append(following)
        answer = _query(f"{site()}/w/api.php?{urlencode({**query, **following})}", wait)
        try:
            for page in answer["query"]["pages"]:
                yield from _of_page(page)
            following = {name: str(value) for name, value in answer.get("continue", {}).items()}
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unreachable(f"its answer has no revisions: {str(answer)[:80]}") from None
        if not following:
            return
    raise Unreachable("its list of revisions goes in a circle")


def _of_page(page: dict[str, Any]) -> Iterator[_ListEntry]:
    for trouble in ("missing", "invalid"):
        if page.get(trouble):
            raise Unreachable(f"it has no page {PAGE_TITLE}: the title is {trouble}")
    for revision in page.get("revisions", ()):
        saved, sha1 = str(revision.get("timestamp")), revision.get("sha1")
        if is_as_of(saved):
            is_bad = any(revision.get(mark) for mark in HIDDEN) or REVERTED_TAG in revision.get("tags", ())
            yield PastRevision(saved, int(revision["revid"])), str(sha1) if sha1 else None, not is_bad


def _query(url: str, wait: Wait) -> Any:
    for _ in range(LAG_TRIES):
        wait()
        answer = fetch_json(url, patient=True)
        error = answer.get("error") if isinstance(answer, dict) else None
        if not error:
            return answer
        if not isinstance(error, dict) or error.get("code") not in PASSING_ERRORS:
            raise Unreachable(f"it answered with an error: {str(error)[:80]}")
        time.sleep(LAG_PAUSE_S)
    raise Unreachable(f"it still lags after {LAG_TRIES} requests")


def by_period(revisions: Iterable[PastRevision], every: str) -> list[list[PastRevision]]:
    """Return the revisions of each month, quarter or release of the IMF's, oldest period first, last revision first."""
    first, length = PERIODS[every]
    periods: dict[int, list[PastRevision]] = {}
    for revision in sorted(revisions):
        month = 12 * int(revision.saved[:4]) + int(revision.saved[5:7])
        periods.setdefault((month - first) // length, []).insert(0, revision)
    return list(periods.values())


def fetch_revisions(days: tuple[str, str], every: str, pause_s: float | None, refetch: bool = False) -> None:
    """Fetch the last revision of each period between two days that is not cached yet, one request at a time.

    If that was deleted, or cannot be read, the one before it is used. With `refetch`, unreadable cached revisions are
    fetched again. Raises StageError (69) at the end when some could not be fetched; the next run tries those.
    """
    wait = paced(pause_s or (PAUSE_S if os.environ.get("GDP_ETL_CONTACT") else PAUSE_WITHOUT_CONTACT_S))
    run_log.info(f"listing the page's revisions from {days[0]} to {days[1]}")
    try:
        wanted = by_period(list_revisions(*days, wait), every)
    except Unreachable as reason:
        message = f"could not list the page's revisions ({reason}); try again later"
        raise StageError(Exit.UNREACHABLE, message) from reason
    cached = {number for number, path in cached_revisions().items() if not (refetch and not _is_readable(path))}
    missing = [period for period in wanted if period[0].number not in cached]
    run_log.info(
        f"{len(wanted)} revisions, the last of each {every} from {days[0]} to {days[1]}:"
        f" {len(wanted) - len(missing)} cached already, {len(missing)} to fetch"
    )
    failed: list[str] = []
    with progress(len(missing), "revisions fetched") as advance:
        for period in missing:
            failed += _fetch_last(period, cached, wait)
            advance(1)
    run_log.facts |= {"rows_in": len(wanted), "rows_out": len(wanted) - len(failed)}
    if failed:
        raise StageError(
            Exit.UNREACHABLE,
            f"{len(failed)} of {len(wanted)} revisions could not be fetched: {first_few(failed, '; ')}; run again",
        )


def _fetch_last(period: list[PastRevision], cached: set[int], wait: Wait) -> list[str]:
    """Fetch and cache the last available revision of a period; return the reason if there is none, or nothing.

    The one before is used only if a revision does not exist or cannot be read: any other failure may pass.
    """
    reasons: list[str] = []
    for revision in period[:TRIES_PER_PERIOD]:
        if revision.number in cached:
            return []
        try:
            content = _fetch(revision, wait)
            cache_page(cached_name(WIKIPEDIA.name, revision.saved[:10], content, revision.number), content)
            return []
        except (Unreachable, Refused) as reason:
            reasons.append(f"{revision.number} of {revision.saved[:10]} ({reason})")
            run_log.detail(f"could not fetch revision {reasons[-1]}")
            if not isinstance(reason, Missing | Refused):
                break
    return reasons[:1]


def _fetch(revision: PastRevision, wait: Wait) -> bytes:
    """Return the page as it was; a download that broke off is tried once more.

    Raises Unreachable when it is not whole, Refused when it is another, a redirect, or cannot be read.
    """
    url = f"{site()}/w/index.php?{urlencode({'title': PAGE_TITLE, 'oldid': revision.number})}"
    wait()
    try:
        content = download_page(url, patient=True).content
    except Missing:
        raise
    except Unreachable:
        wait()
        content = download_page(url, patient=True).content
    found = read_revision(decode(content)).number
    if found != revision.number:
        raise Refused(f"it sent revision {found} for {revision.number}")
    parse(content, PAGE_TITLE)
    return content


def _is_readable(path: Path) -> bool:
    try:
        read(open_page(path))
    except (StageError, Refused):
        return False
    return True

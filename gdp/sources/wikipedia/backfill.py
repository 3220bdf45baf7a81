"""The past of Wikipedia's page: which revisions it has had, by the MediaWiki API, and which of them to fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gdp.records import is_as_of
from gdp.sources import Refused, Unreachable
from gdp.sources.payloads import fetch_json
from gdp.sources.wikipedia.page import PAGE_TITLE, fetch, parse, site
from gdp.sources.wikipedia.page_metadata import read_revision
from gdp.sources.wikipedia.unwrap import decode as decoded

MAX_LAG_S = 5  # Wikimedia's advice: when its copies lag more than this, we come back later
LAG_PAUSE_S = 5.0  # the least that it asks for
LAG_TRIES = 20
COME_BACK_LATER = ("maxlag", "ratelimited")  # errors that pass; both come with status 200
REVERTED_TAG = "mw-reverted"  # since 2020 MediaWiki marks what was taken back later
REVERT_DEPTH = 15  # how many edits back MediaWiki itself looks for the text that one brought back
HIDDEN = ("texthidden", "sha1hidden", "suppressed")
RELEASE_MONTHS = (4, 10)  # the IMF's releases


class PastRevision(NamedTuple):
    """A revision of the page: when it was saved, and its number."""

    saved: str
    number: int


class _Listed(NamedTuple):
    """A revision as the API lists it: the mark of its text, and whether it can be had and was left standing."""

    revision: PastRevision
    sha1: str | None
    stands: bool


def list_revisions(first_day: str, last_day: str, wait: Callable[[], None]) -> list[PastRevision]:
    """Return the page's revisions between two days that stood, oldest first; `wait` is called before each request.

    Those that were hidden or reverted are passed over, and those without a time. A page that was moved keeps its past.
    Raises Unreachable when the API cannot be had, answers with an error, has no such page, or lists no revision of it.
    """
    listed = list(_listed(first_day, last_day, wait))
    if not listed:
        raise Unreachable(f"it lists no revision of {PAGE_TITLE} from {first_day} to {last_day}; name other days")
    reverted = _reverted(listed)
    return [one.revision for place, one in enumerate(listed) if one.stands and place not in reverted]


def _listed(first_day: str, last_day: str, wait: Callable[[], None]) -> Iterator[_Listed]:
    asked = {
        "action": "query", "prop": "revisions", "titles": PAGE_TITLE, "redirects": "1", "rvlimit": "max",
        "rvprop": "ids|timestamp|sha1|tags", "rvdir": "newer",
        "rvstart": f"{first_day}T00:00:00Z", "rvend": f"{last_day}T23:59:59Z",
        "format": "json", "formatversion": "2", "maxlag": str(MAX_LAG_S),
    }  # fmt: skip
    following: dict[str, str] = {}
    continued: list[dict[str, str]] = []
    while following not in continued:
        continued.append(following)
        answer = _ask(f"{site()}/w/api.php?{urlencode({**asked, **following})}", wait)
        try:
            for page in answer["query"]["pages"]:
                yield from _of_page(page)
            following = {name: str(value) for name, value in answer.get("continue", {}).items()}
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unreachable(f"its answer holds no revisions: {str(answer)[:80]}") from None
        if not following:
            return
    raise Unreachable("its list of revisions goes in a circle")


def _of_page(page: dict[str, Any]) -> Iterator[_Listed]:
    for trouble in ("missing", "invalid"):
        if page.get(trouble):
            raise Unreachable(f"it has no page {PAGE_TITLE}: the title is {trouble}")
    for revision in page.get("revisions", ()):
        saved = str(revision.get("timestamp"))
        if is_as_of(saved):
            stands = not any(revision.get(hidden) for hidden in HIDDEN) and REVERTED_TAG not in revision.get("tags", ())
            sha1 = revision.get("sha1")
            yield _Listed(PastRevision(saved, int(revision["revid"])), str(sha1) if sha1 else None, stands)


def _reverted(listed: list[_Listed]) -> set[int]:
    """Return the places of revisions that stand between one text and the same text again: they were taken back."""
    reverted: set[int] = set()
    last_place: dict[str, int] = {}
    for place, one in enumerate(listed):
        if not one.sha1:
            continue
        before = last_place.get(one.sha1, place)
        if place - before <= REVERT_DEPTH:
            reverted.update(range(before + 1, place))
        last_place[one.sha1] = place
    return reverted


def _ask(url: str, wait: Callable[[], None]) -> Any:
    for _ in range(LAG_TRIES):
        wait()
        answer = fetch_json(url, patient=True)
        error = answer.get("error") if isinstance(answer, dict) else None
        if not error:
            return answer
        if not isinstance(error, dict) or error.get("code") not in COME_BACK_LATER:
            raise Unreachable(f"it answered with an error: {str(error)[:80]}")
        time.sleep(LAG_PAUSE_S)
    raise Unreachable("it asked us to come back later, and went on asking")


def by_period(revisions: Iterable[PastRevision], every: str) -> list[list[PastRevision]]:
    """Return the revisions of each month, quarter or release of the IMF's, oldest period first, last revision first."""
    periods: dict[tuple[int, int], list[PastRevision]] = {}
    for revision in sorted(revisions):
        periods.setdefault(_period(revision.saved, every), []).insert(0, revision)
    return list(periods.values())


def _period(saved: str, every: str) -> tuple[int, int]:
    year, month = int(saved[:4]), int(saved[5:7])
    if every == "month":
        return year, month
    if every == "quarter":
        return year, (month - 1) // 3
    april, october = RELEASE_MONTHS
    return (year - 1, october) if month < april else (year, april if month < october else october)


def fetch_revision(revision: PastRevision) -> bytes:
    """Return the page as it was.

    Raises Unreachable when it cannot be had whole, Refused when it is another, a redirect, or cannot be read.
    """
    asked = urlencode({"title": PAGE_TITLE, "oldid": revision.number})
    content = fetch(f"{site()}/w/index.php?{asked}", patient=True).content
    found = read_revision(decoded(content)).number
    if found != revision.number:
        raise Refused(f"it sent revision {found} for {revision.number}")
    parse(content, PAGE_TITLE)
    return content

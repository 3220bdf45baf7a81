"""One polite way to download: with a User-Agent and retries, bounded in time and size."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from gdp.sources import SIZE_LIMIT_BYTES, Missing, Unreachable

if TYPE_CHECKING:  # imported where it is used: it takes 0.13 s, and a local page needs none of it
    import requests

# To connect, a little over a multiple of 3, TCP's retransmission window, as requests' manual advises; and to read.
TIMEOUTS_S = (3.05, 8.0)
# With an unreachable network a cached page must be read within 20 s, name look-ups and retries included.
DEADLINE_S = 17.0
CALL_DEADLINE_S = 5.0  # a dead-man's switch must not delay the run
CHUNK_BYTES = 65_536
RETRIES = 3
BACKOFF_FACTOR_S, BACKOFF_JITTER_S = 0.5, 0.5
RETRY_AFTER_CAP_S = 10  # longer than this, and the deadline would pass while we sleep
# For an archive: nobody waits at a screen, and "come back later" is no failure.
PATIENT_DEADLINE_S, PATIENT_RETRIES, PATIENT_RETRY_AFTER_CAP_S = 600.0, 8, 120
RETRIED_STATUSES = (429, 500, 502, 503, 504)
OK_STATUS, SUCCESS = 200, (200, 299)
GONE_STATUSES = (404, 410)
MAX_REDIRECTS = 5

Result = TypeVar("Result")


class Download(NamedTuple):
    """A whole answer: its address after redirects, its bytes, and its Last-Modified header."""

    url: str
    content: bytes
    last_modified: str | None


def _new_session(patient: bool = False) -> requests.Session:
    """Return a session that retries what may pass: connection errors, 429, and the 5xx of a busy server.

    Its User-Agent has the operator's contact, as Wikimedia's policy asks.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    retry = Retry(
        total=PATIENT_RETRIES if patient else RETRIES,
        status_forcelist=RETRIED_STATUSES, allowed_methods=("GET",), raise_on_status=False,
        backoff_factor=BACKOFF_FACTOR_S, backoff_jitter=BACKOFF_JITTER_S,
        retry_after_max=PATIENT_RETRY_AFTER_CAP_S if patient else RETRY_AFTER_CAP_S,
    )  # fmt: skip
    session = requests.Session()
    contact = os.environ.get("GDP_ETL_CONTACT", "").encode("ascii", "ignore").decode().strip() or "no contact given"
    session.headers["User-Agent"] = f"gdp-etl/1.0 ({contact}) python-requests/{requests.__version__}"
    session.max_redirects = MAX_REDIRECTS
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def download(url: str, patient: bool = False, deadline_s: float | None = None) -> Download:
    """Return the whole answer to a GET of `url`.

    Raises Unreachable, within DEADLINE_S (PATIENT_DEADLINE_S, or another), when it is not whole: no connection, an
    error status, a body that is too large, too slow or shorter than promised, a redirect from https to http or away
    from the web.
    """
    try:
        return within(deadline_s or (PATIENT_DEADLINE_S if patient else DEADLINE_S), lambda: _download(url, patient))
    except Unreachable as reason:
        with contextlib.suppress(ValueError):
            reason.host = urlsplit(url).hostname
        raise


def call(url: str) -> None:
    """Call a URL and ignore its answer; raises Unreachable when no success (2xx) came within CALL_DEADLINE_S."""
    within(CALL_DEADLINE_S, lambda: _send("GET", url))


def post(url: str, content: object) -> None:
    """Post something as JSON, once; raises Unreachable when nobody accepted it within CALL_DEADLINE_S."""
    within(CALL_DEADLINE_S, lambda: _send("POST", url, content))


def paced(pause_s: float) -> Callable[[], None]:
    """Return a function that returns no sooner than `pause_s` after its last return."""
    last = -pause_s

    def wait() -> None:
        nonlocal last
        time.sleep(max(0.0, last + pause_s - time.monotonic()))
        last = time.monotonic()

    return wait


@contextlib.contextmanager
def _mapped_errors() -> Iterator[None]:
    """Turn all that can go wrong between us and a server into Unreachable, with the reason in a few words.

    Not all of it is a RequestException: a CA file that is missing is a plain OSError, and a broken address ValueError.
    """
    import requests
    import urllib3

    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unreachable(_reason(error)) from error


def _send(method: str, url: str, content: object = None) -> None:
    settings: dict[str, Any] = {"json": content, "timeout": TIMEOUTS_S, "stream": True}
    settings["allow_redirects"] = method == "GET"
    with _mapped_errors(), _new_session() as session, session.request(method, url, **settings) as answer:
        if not SUCCESS[0] <= answer.status_code <= SUCCESS[1]:
            raise Unreachable(f"it answered {answer.status_code} {answer.reason}".rstrip())


def _download(url: str, patient: bool = False) -> Download:
    settings: dict[str, Any] = {"timeout": TIMEOUTS_S, "stream": True}
    with _mapped_errors(), _new_session(patient) as session, session.get(url, **settings) as answer:
        if urlsplit(url).scheme == "https" and urlsplit(answer.url).scheme != "https":
            raise Unreachable(f"it redirects from https to {answer.url}")
        if answer.status_code != OK_STATUS:
            problem = Missing if answer.status_code in GONE_STATUSES else Unreachable
            raise problem(f"it answered {answer.status_code} {answer.reason}".rstrip())
        body = bytearray()
        for chunk in answer.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > SIZE_LIMIT_BYTES:
                raise Unreachable(f"its answer is larger than {SIZE_LIMIT_BYTES // 1_000_000} MB")
        return Download(answer.url, bytes(body), answer.headers.get("Last-Modified"))


def within(deadline_s: float, work: Callable[[], Result]) -> Result:
    """Return what `work` returns; raises Unreachable after the deadline.

    It runs in a thread that can be left behind: no socket timeout bounds a name look-up or a slow drip.
    """
    outcome: list[Result | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # handed to the thread that waits
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(deadline_s)
    if not outcome:
        raise Unreachable(f"no whole answer within {deadline_s:g} s")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


_REASONS: tuple[tuple[str, str], ...] = (
    ("NameResolutionError", "its name could not be resolved"),
    ("ProxyError", "the proxy could not be reached"),
    ("SSLError", "its certificate could not be verified"),
    ("ConnectTimeoutError", "the connection timed out"),
    ("ReadTimeout", "it stopped answering"),
    ("NewConnectionError", "no connection could be made"),
    ("IncompleteRead", "its answer was shorter than promised"),
    ("ConnectionReset", "the connection was reset"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("TooManyRedirects", "it redirects in a loop"),
    ("Missing dependencies for SOCKS", "the proxy is a SOCKS proxy, which needs: pip install requests[socks]"),
    ("TLS CA certificate bundle", "the file of REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE is missing"),
    ("TLS certificate file", "a certificate file is missing"),
    ("No connection adapters", "it redirects to something that is not the web"),
    # with the words of the address, or of a proxy's, which may have a password
    ("InvalidURL", "its address, or that of a proxy, is not valid"),
    ("LocationParseError", "its address, or that of a proxy, is not valid"),
    ("InvalidProxyURL", "the address of the proxy is not valid"),
    ("InvalidSchema", "the scheme of its address, or of a proxy's, is not known"),
    ("ProxySchemeUnknown", "the scheme of the proxy's address is not known"),
)


def _reason(error: BaseException) -> str:
    """Return the cause of a failed request in a few words: requests' own messages nest three causes in one line."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    named = repr(error) + "".join(type(cause).__name__ for cause in causes)
    return next((words for name, words in _REASONS if name in named), f"{type(error).__name__}: {error}"[:120])

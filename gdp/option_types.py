"""The types of the options' values: each turns a text into a value, or raises ArgumentTypeError with what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gdp.model import INSTITUTIONS, PUBLISHERS, is_in_future
from gdp.places import HOSTS_AND_PORTS, WEB, as_typed, file_named, split_scheme, unknown_scheme, without_credentials
from gdp.remote_files import FILE_SERVERS, RemotePath, Where, is_store

if TYPE_CHECKING:
    from gdp.sources import Span

MIN_SECONDS, MAX_SECONDS = 0.1, 1_000_000  # more than a week and a half is no timeout, and overflows a lock's


# --- numbers ----------------------------------------------------------------------------------------------------------


def seconds(text: str) -> float:
    """Return a number of seconds; raises ArgumentTypeError."""
    return _number_between(text, 0, MAX_SECONDS)


def positive_seconds(text: str) -> float:
    """Return a number of seconds that is not 0; raises ArgumentTypeError."""
    return _number_between(text, MIN_SECONDS, MAX_SECONDS)


def share(text: str) -> float:
    """Return a share; raises ArgumentTypeError."""
    return _number_between(text, 0, 1)


def count(text: str) -> int:
    """Return a number of at least 1; raises ArgumentTypeError."""
    return _whole_number(text, 1)


def days(text: str) -> int:
    """Return a number of days; raises ArgumentTypeError."""
    return _whole_number(text, 0)


def _number_between(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
    return number


def _whole_number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is less than {least}")
    return number


# --- words ------------------------------------------------------------------------------------------------------------


def one_of(*words: str) -> Callable[[str], str]:
    """Return a type that takes one of these words."""

    def word(text: str) -> str:
        return _nearest_or_wrong(text, words)

    return word


def institution(text: str) -> str:
    """Return an institution's name, in its own case; raises ArgumentTypeError."""
    names = {name.casefold(): name for name in INSTITUTIONS}
    return names.get(text.casefold()) or _nearest_or_wrong(text, INSTITUTIONS)


def source_names(text: str) -> list[str]:
    """Return the names of sources, separated by commas, in any case; raises ArgumentTypeError."""
    names = (name.strip().casefold().replace(" ", "_").replace("-", "_") for name in text.split(","))
    return [_nearest_or_wrong(name, PUBLISHERS) for name in names]


def _nearest_or_wrong(text: str, words: Iterable[str]) -> str:
    """Return the text if it is one of the words; raises ArgumentTypeError that names the nearest one, or all."""
    words = list(words)
    if text in words:
        return text
    import difflib

    near = difflib.get_close_matches(text, words, 1)
    hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(words)}"
    raise argparse.ArgumentTypeError(f"{text!r} is unknown; {hint}")


# --- days -------------------------------------------------------------------------------------------------------------


def day(text: str) -> str:
    """Return a day as YYYY-MM-DD; raises ArgumentTypeError for a day that no calendar has."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; write it as 2024-07-01") from None


def past_day(text: str) -> str:
    """Return a day that is not in the future; raises ArgumentTypeError."""
    if is_in_future(day(text)):
        raise argparse.ArgumentTypeError(f"{text} is in the future; name a day that is over")
    return day(text)


def span_of_days(text: str) -> tuple[str, str]:
    """Return the two days of FROM..TO; raises ArgumentTypeError."""
    first, dots, last = text.partition("..")
    if not dots or day(first) > day(last):
        raise argparse.ArgumentTypeError(f"{text} is not FROM..TO; write it as 2015-01-01..2026-11-01")
    return day(first), day(last)


def months(text: str) -> Span:
    """Return the first and last month of MONTH or MONTH..MONTH; raises ArgumentTypeError."""
    from gdp.sources.payloads import month_span

    try:
        return month_span(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no month; write 2013-04, or 2007-10..2026-04") from None


# --- pages and files, on this machine or in a store -------------------------------------------------------------------


def page_named(text: str) -> str | Where:
    """Return the http(s):// address, or the file, at which a page is read; raises ArgumentTypeError."""
    scheme, rest = split_scheme(text)
    if scheme not in WEB:
        return stream_named(text)
    try:
        host = urlsplit(f"{scheme}:{rest}").hostname
    except ValueError:  # whose message may quote a password
        host = None
    if not host:
        raise argparse.ArgumentTypeError(
            f"{without_credentials(f'{scheme}:{rest}')} is no address: write https://HOST/PAGE"
        )
    return f"{scheme}:{rest}"


def stream_named(text: str) -> Where:
    """Return the file, or folder of partitions, of a path or a store's URL; raises ArgumentTypeError."""
    place = folder_named(text)
    if isinstance(place, RemotePath) and not place.folder:
        raise argparse.ArgumentTypeError(f"{place} names no file: write {place}/NAME")
    return place


def folder_named(text: str) -> Where:
    """Return the folder, or whole bucket, of a path or a store's URL; raises ArgumentTypeError."""
    scheme, rest = split_scheme(text)
    if scheme in ("", "file"):
        return file_named(text)
    shown = without_credentials(f"{scheme}:{rest}")
    try:
        if not is_store(scheme):
            raise unknown_scheme(rest, scheme, "a path, file://, or what fsspec opens, as s3://BUCKET/NAME")
    except ImportError as error:
        raise argparse.ArgumentTypeError(f"{shown} cannot be opened here: {error}") from None
    if _may_hold_a_password(scheme, rest):
        raise argparse.ArgumentTypeError(f"{shown}: credentials come from the environment, and not from a URL")
    if not rest.startswith("//") or not rest.strip("/"):
        raise argparse.ArgumentTypeError(f"{shown} names nothing: write {scheme}://BUCKET/NAME")
    return RemotePath(f"{scheme}:{as_typed(rest).rstrip('/')}")


def _may_hold_a_password(scheme: str, rest: str) -> bool:
    authority, _, path = rest.removeprefix("//").partition("/")
    user, _, host = authority.rpartition("@")
    is_port = scheme in FILE_SERVERS and HOSTS_AND_PORTS.fullmatch(host) and "@" not in path
    return ":" in user or (":" in host and not is_port)

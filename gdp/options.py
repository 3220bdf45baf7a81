"""The command lines of the scripts: what every one takes, and the kinds of values that their options have."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, urlsplit

from gdp.model import PUBLISHERS
from gdp.places import HOSTS_AND_PORTS, WEB, as_typed, file_named, split_scheme, unknown_scheme, without_credentials
from gdp.remote_files import FILE_SERVERS, PARTS, Stored, Where, is_store
from gdp.runtime.rejects import MAX_REJECTED_SHARE, Limits

if TYPE_CHECKING:
    from gdp.scale.partitioned_output import Run

MIN_SECONDS, MAX_SECONDS = 0.1, 1_000_000  # more than a week and a half is no timeout, and overflows a lock's


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints quote no password: what is misspelt beside a URL is quoted with it."""

    def error(self, message: str) -> NoReturn:
        for argument in sys.argv[1:]:
            if "//" in argument:  # a blank or a quote in it would end the URL too early
                message = message.replace(argument, quote(argument, safe="/:?#[]@!$&()*+,;=%-._~"))
        super().error(without_credentials(message))


def command_line(description: str, *examples: str) -> argparse.ArgumentParser:
    """Return a parser with what every script takes; its help ends in commands that can be pasted."""
    indented = "".join(f"\n  {example}" for example in examples)
    parser = _Parser(
        description=description, epilog=f"examples:{indented}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quiet", action="store_true", help="say only warnings and errors, and print no tables")
    parser.add_argument("--wait", type=seconds, default=0, metavar="SECONDS", help="wait for another run to end")
    return parser


def seconds(text: str) -> float:
    """Return a number of seconds from the command line; raises ArgumentTypeError for what no clock can count."""
    number = float(text)
    if not 0 <= number <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {MAX_SECONDS}")
    return number


def some_seconds(text: str) -> float:
    """Return a number of seconds that is not 0."""
    number = seconds(text)
    if number < MIN_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is less than {MIN_SECONDS}")
    return number


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add --source, which takes one or several, apart or with commas; options.source is a list of lists."""

    def names(text: str) -> list[str]:
        for name in text.split(","):
            if name not in PUBLISHERS:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PUBLISHERS)}")
        return text.split(",")

    said = f"one or several of {', '.join(PUBLISHERS)} (default: {PUBLISHERS[0]})"
    parser.add_argument("--source", type=names, nargs="+", action="extend", metavar="SOURCE", help=said)


def sources_of(options: argparse.Namespace) -> list[str]:
    """Return the sources that --source names, each once; none where it was not given."""
    return list(dict.fromkeys(name for names in options.source or () for name in names))


def add_bulk_options(parser: argparse.ArgumentParser) -> None:
    """Add what tells how much is worked through, and by whom: --workers, --max-rejected, --engine and --master."""
    many = parser.add_argument_group("for more than fits in memory")
    many.add_argument("--workers", type=a_number, metavar="N", help="processes (default: the cores we may use)")
    many.add_argument(
        "--max-rejected",
        type=part_of_one,
        metavar="SHARE",
        help=f"fail when more than this is set aside (default: {MAX_REJECTED_SHARE})",
    )
    many.add_argument("--engine", choices=("local", "spark"), help="who does it (default: local, on this machine)")
    many.add_argument("--master", metavar="URL", help="with --engine spark: whose (default: local[*])")


def bulk_options(options: argparse.Namespace, most: float = MAX_REJECTED_SHARE) -> Limits:
    """Return what add_bulk_options's options say; `most` is the share that may be set aside where they do not say."""
    rejected = most if options.max_rejected is None else options.max_rejected
    return Limits(options.workers or len(os.sched_getaffinity(0)), rejected)


def parts_made_by(options: argparse.Namespace) -> Run | None:
    """Return what makes an output in parts, where --engine spark or its name asks for that; else None."""
    if options.engine == "spark":
        from gdp.scale.spark import on_spark

        return on_spark(options.master or "local[*]")
    if options.output and options.output.name.endswith(PARTS):
        from gdp.scale.partitioned_output import on_this_machine

        return on_this_machine(bulk_options(options).workers)
    return None


def a_number(text: str) -> int:
    """Return a number of at least 1 from the command line."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def part_of_one(text: str) -> float:
    """Return a share from the command line."""
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return float(text)


def day(text: str) -> str:
    """Return a day from the command line, as YYYY-MM-DD; raises ArgumentTypeError for what no calendar has."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; write it as 2024-07-01") from None


def days(text: str) -> int:
    """Return a number of days from the command line."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


# --- pages and files, here or in a store ------------------------------------------------------------------------------


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
    if isinstance(place, Stored) and not place.folder:
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
    return Stored(f"{scheme}:{as_typed(rest).rstrip('/')}")


def _may_hold_a_password(scheme: str, rest: str) -> bool:
    authority, _, path = rest.removeprefix("//").partition("/")
    user, _, host = authority.rpartition("@")
    is_port = scheme in FILE_SERVERS and HOSTS_AND_PORTS.fullmatch(host) and "@" not in path
    return ":" in user or (":" in host and not is_port)

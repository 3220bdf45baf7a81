"""What a text names: a file, a page, a stream or a database.

Every option that names a place is understood here, by its scheme, before anything is done. What nothing here knows is
wrong usage, told by argparse.ArgumentTypeError, whose message holds no credentials either.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from gdp.credentials import HIDDEN, HOSTS_AND_PORTS, WEB, as_typed, credentials_in, without_credentials
from gdp.remote_files import FILE_SERVERS, Stored, Where, is_store
from utils import database_file

POSTGRESQL = ("postgresql", "postgres")
STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs")  # those among what fsspec opens that people meet
BY_NAME_ALONE = (*WEB, *POSTGRESQL, *STORES, "file", "sqlite", "mysql", "mariadb", "jdbc", "ftp")
# A scheme ends in ://; some people write only the colon, which a file's name may have too.
_SCHEME = re.compile(rf"([^/\s]*?)://|((?:{'|'.join(BY_NAME_ALONE)}):)", re.IGNORECASE)
_DSN = re.compile(
    r"(?:^|\s)(?:host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*=(?=\s*\S)", re.IGNORECASE
)
_ENDS_A_URL = re.compile(r"[\s'\"<>]", re.ASCII)  # in running text, and so it must not stand in one


class Place(NamedTuple):
    """Where the tables are: a file of SQLite's, or a URL of PostgreSQL's."""

    path: Path | None
    url: str = ""

    def __str__(self) -> str:
        """Return the place as it may be told: without user, password and parameters."""
        return str(self.path) if self.path else re.split(r"[?#]", without_credentials(self.url))[0]

    @property
    def as_argument(self) -> str:
        """Return what names this place to another of our scripts, credentials included: never to be told."""
        return str(self.path or self.url)

    def scrubbed(self, text: str) -> str:
        """Return what somebody else says of this place without the credentials in its URL."""
        stands = credentials_in(self.url)
        secrets = stands | {unquote(secret) for secret in stands} | {as_typed(secret) for secret in stands}
        for secret in sorted(secrets, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
        return without_credentials(text)


# --- what a text names ------------------------------------------------------------------------------------------------


def file_named(text: str) -> Path:
    """Return the file or folder that a path or a file:// URL names; raises ArgumentTypeError for any other scheme."""
    scheme, rest = _apart(text)
    if not scheme:
        return Path(text)
    if scheme != "file":
        raise _unknown(rest, scheme, "a path or file://")
    host, slash, path = rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "", rest)
    if host not in ("", "localhost") or not slash + path:
        raise argparse.ArgumentTypeError("it names no file of this machine: file:///PATH does")
    return Path(unquote(slash + path))


def page_named(text: str) -> str | Where:
    """Return the http(s):// address, or the file, at which a page is read; raises ArgumentTypeError."""
    scheme, rest = _apart(text)
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
    """Return the file, or folder of parts, that a path or a URL of fsspec's names; raises ArgumentTypeError."""
    place = folder_named(text)
    if isinstance(place, Stored) and not place.folder:
        raise argparse.ArgumentTypeError(f"{place} names no file: write {place}/NAME")
    return place


def folder_named(text: str) -> Where:
    """Return the folder, which may be a whole bucket, that a path or a URL names; raises ArgumentTypeError."""
    scheme, rest = _apart(text)
    if scheme in ("", "file"):
        return file_named(text)
    shown = without_credentials(f"{scheme}:{rest}")
    try:
        if not is_store(scheme):
            raise _unknown(rest, scheme, "a path, file://, or what fsspec opens, as s3://BUCKET/NAME")
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


def database_named(text: str) -> Place:
    """Return the database that a path, file://, sqlite:///PATH or postgresql:// URL names; raises ArgumentTypeError."""
    scheme, rest = _apart(text)
    if not scheme and _DSN.search(text):
        raise argparse.ArgumentTypeError("a list of name=value is not understood: write postgresql://USER@HOST/NAME")
    if scheme == "sqlite":
        if not rest.startswith("///") or not rest[3:]:
            raise argparse.ArgumentTypeError(
                "sqlite: names its file as sqlite:///PATH, an absolute one as sqlite:////PATH"
            )
        return Place(_absolute(Path(rest[3:])))
    if scheme not in POSTGRESQL:
        if scheme not in ("", "file"):
            raise _unknown(rest, scheme, "a path, file://, sqlite:///PATH or postgresql://")
        return Place(_absolute(file_named(text)))
    if rest.partition("?")[0].count("@") > 1:
        raise argparse.ArgumentTypeError("it has more than one @: write one in a user or a password as %40")
    url = f"postgresql:{rest}"
    authority = re.split(r"[/?#]", rest.removeprefix("//").rpartition("@")[2], maxsplit=1)[0]
    if not rest.startswith("//") or not HOSTS_AND_PORTS.fullmatch(authority):
        raise argparse.ArgumentTypeError("it is no address: write postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return Place(None, url)


def default_database() -> Place:
    """Return where the tables are unless told otherwise."""
    return Place(database_file())


def _apart(text: str) -> tuple[str, str]:
    """Return a text's scheme in lower case, or "", and what follows its colon; raises ArgumentTypeError.

    Of a URL, blanks and quotes come back as %20 and the like: it means the same, and is told from the text around it.
    """
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("an empty text names no place")
    found = _SCHEME.match(text.strip())
    if not found:
        return "", text
    scheme = (found[1] if found[1] is not None else found[2][:-1]).lower()
    rest = text.strip()[len(scheme) + 1 :]
    if scheme not in ("file", "sqlite"):
        rest = _ENDS_A_URL.sub(lambda sign: quote(sign[0]), rest)
    return scheme or "://", rest


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path's own keeps "..", and one file then has two names


def _unknown(rest: str, scheme: str, known: str) -> argparse.ArgumentTypeError:
    shown = without_credentials(f"{scheme}:{rest}")
    return argparse.ArgumentTypeError(f"{shown}: {scheme}:// is not understood here; name {known}")

"""Where things are: local files, addresses and databases, recognised by their scheme and shown without credentials."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from utils import home

WEB = ("http", "https")
POSTGRESQL = ("postgresql", "postgres")
STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs")  # the common ones among those that fsspec opens
# These are recognised without the slashes too, as some people write only the colon.
_BEFORE_A_COLON = (*WEB, *POSTGRESQL, *STORES, "file", "sqlite", "mysql", "mariadb", "jdbc", "ftp")
_SCHEME = re.compile(rf"([^/\s]*?)://|((?:{'|'.join(_BEFORE_A_COLON)}):)", re.IGNORECASE)
_DSN = re.compile(
    r"(?:^|\s)(?:host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*=(?=\s*\S)", re.IGNORECASE
)
_ENDS_A_URL = re.compile(r"[\s'\"<>]", re.ASCII)  # in running text, so a URL must not contain it

# --- redaction --------------------------------------------------------------------------------------------------------

HIDDEN = "…"
HOSTS_AND_PORTS = re.compile(r"(?:(?:\[[0-9a-f:.%]+\]|[^\s:\[\]@/,]*)(?::\d*)?(?:,|$))+", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>[a-z][\w+.:-]*:)?//(?P<rest>[^\s'\"<>]+)", re.IGNORECASE | re.ASCII)
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&#;\s][^=&#;\s]*(?:user|passw|pwd|passfile|token|secret|key|sig|credential|auth|login)[^=&#;\s]*=)"
    r"(?P<value>'[^']*'|[^&#;\s'\"]*)",
    re.IGNORECASE,
)
# A query may be nothing but a token, and so may the part after a #.
_BARE_PARAMETER = re.compile(r"(?<=[?&#])[^=&#\s'\"]+(?=[&#\s'\"]|$)")
_ESCAPED_BY_US = re.compile(r"%(?:2[027]|3[CE]|0[9A-D])")


def without_credentials(text: str) -> str:
    """Return a text without the user, password and tokens of any URL or DSN in it, well formed or not."""

    def without_user(found: re.Match[str]) -> str:
        scheme, rest = found["scheme"] or "", found["rest"]
        return f"{scheme}//{rest[_end_of_user(scheme, rest) :]}"

    shown = _SECRET_PARAMETER.sub(rf"\g<name>{HIDDEN}", f" {_URL.sub(without_user, text)}")[1:]
    return _URL.sub(lambda found: _BARE_PARAMETER.sub(HIDDEN, found[0]), shown)


def _end_of_user(scheme: str, rest: str) -> int:
    """Return where user and password end in the part of a URL after //; 0 if it has none.

    A password may contain the characters that end a host. Only a page's address has an @ elsewhere, after a valid host.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    is_address = scheme.lower().rstrip(":") in WEB
    if is_address and "@" in authority:
        return authority.rindex("@") + 1
    return 0 if is_address and HOSTS_AND_PORTS.fullmatch(authority) else rest.rfind("@") + 1


def as_typed(secret: str) -> str:
    """Return a part of a URL with the blanks and quotes that split_scheme replaced by %20 and the like."""
    return _ESCAPED_BY_US.sub(lambda sign: unquote(sign[0]), secret)


def _credentials_in(url: str) -> set[str]:
    """Return the user, the password and the secret parameters of a URL."""
    rest = url.partition("//")[2]
    user, _, password = rest[: max(0, _end_of_user("", rest) - 1)].partition(":")
    return {user, password, *(found["value"] for found in _SECRET_PARAMETER.finditer(url))} - {""}


DATABASE_VARIABLE = "GDP_ETL_DATABASE"  # names the database where no option does; unlike an argument, `ps` hides it

# --- databases --------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where the tables are: a SQLite file, or a PostgreSQL URL."""

    path: Path | None
    url: str = ""

    def __str__(self) -> str:
        """Return the place for people: without user, password and parameters."""
        return str(self.path) if self.path else re.split(r"[?#]", without_credentials(self.url))[0]

    @property
    def as_argument(self) -> str:
        """Return the place for another of our scripts, credentials included: never show it."""
        return str(self.path or self.url)

    def scrubbed(self, text: str) -> str:
        """Return a library's message without the credentials of this place."""
        in_url = _credentials_in(self.url)
        secrets = {form for one in in_url for form in (one, unquote(one), as_typed(one))}
        for secret in sorted(secrets, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
        return without_credentials(text)


def database_named(text: str) -> Place:
    """Return the database of a path, file://, sqlite:///PATH or postgresql:// URL; raises ArgumentTypeError."""
    scheme, rest = split_scheme(text)
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
            raise unknown_scheme(rest, scheme, "a path, file://, sqlite:///PATH or postgresql://")
        return Place(_absolute(file_named(text)))
    if "@" in rest and "@" not in re.split(r"[/?#]", rest.removeprefix("//"), maxsplit=1)[0]:
        raise argparse.ArgumentTypeError("an @ belongs before the host: write / ? # in a password as %2F %3F %23")
    if rest.partition("?")[0].count("@") > 1:
        raise argparse.ArgumentTypeError("it has more than one @: write one in a user or a password as %40")
    url = f"postgresql:{rest}"
    authority = re.split(r"[/?#]", rest.removeprefix("//").rpartition("@")[2], maxsplit=1)[0]
    if not rest.startswith("//") or not HOSTS_AND_PORTS.fullmatch(authority):
        raise argparse.ArgumentTypeError("it is no address: write postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return Place(None, url)


def default_database() -> Place:
    """Return the database that is used when no option names one."""
    return Place(home() / "sqliteDB" / "World_Economies.db")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path's own keeps "..", and one file then has two names


# --- files and schemes ------------------------------------------------------------------------------------------------


def file_named(text: str) -> Path:
    """Return the file or folder of a path or a file:// URL; raises ArgumentTypeError for any other scheme."""
    scheme, rest = split_scheme(text)
    if not scheme:
        return Path(text)
    if scheme != "file":
        raise unknown_scheme(rest, scheme, "a path or file://")
    host, slash, path = rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "", rest)
    if host not in ("", "localhost") or not slash + path:
        raise argparse.ArgumentTypeError("it names no file of this machine: file:///PATH does")
    return Path(unquote(slash + path))


def split_scheme(text: str) -> tuple[str, str]:
    """Return a text's scheme in lower case, or "", and the part after its colon; raises ArgumentTypeError.

    In a URL, blanks and quotes are replaced by %20 and the like: the meaning is the same, and the URL ends clearly.
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


def unknown_scheme(rest: str, scheme: str, known: str) -> argparse.ArgumentTypeError:
    """Return the error for a scheme that is not understood."""
    shown = without_credentials(f"{scheme}:{rest}")
    return argparse.ArgumentTypeError(f"{shown}: {scheme}:// is not understood here; name {known}")

"""How a place is told: without the user, the password and the tokens in it, whatever somebody writes."""

from __future__ import annotations

import re
from urllib.parse import unquote

WEB = ("http", "https")
_URL = re.compile(r"(?P<scheme>[a-z][\w+.:-]*:)?//(?P<rest>[^\s'\"<>]+)", re.IGNORECASE | re.ASCII)
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&#;\s][^=&#;\s]*(?:user|passw|pwd|passfile|token|secret|key|sig|credential|auth|login)[^=&#;\s]*=)"
    r"(?P<value>'[^']*'|[^&#;\s'\"]*)",
    re.IGNORECASE,
)
# A query may be a token and nothing else, and so may what follows a #.
_BARE_PARAMETER = re.compile(r"(?<=[?&#])[^=&#\s'\"]+(?=[&#\s'\"]|$)")
_PUT_FOR_IT = re.compile(r"%(?:2[027]|3[CE]|0[9A-D])")
HOSTS_AND_PORTS = re.compile(r"(?:(?:\[[0-9a-f:.%]+\]|[^\s:\[\]@/,]*)(?::\d*)?(?:,|$))+", re.IGNORECASE)
HIDDEN = "…"


def without_credentials(text: str) -> str:
    """Return a text with no user, password or token of a URL or a DSN in it, whether the URL is well formed or not."""

    def without_user(found: re.Match[str]) -> str:
        scheme, rest = found["scheme"] or "", found["rest"]
        return f"{scheme}//{rest[_end_of_user(scheme, rest) :]}"

    shown = _SECRET_PARAMETER.sub(rf"\g<name>{HIDDEN}", f" {_URL.sub(without_user, text)}")[1:]
    return _URL.sub(lambda found: _BARE_PARAMETER.sub(HIDDEN, found[0]), shown)


def _end_of_user(scheme: str, rest: str) -> int:
    """Return where the user and password end in what follows a URL's //; 0 where it has none.

    A password may hold the signs that end a host. Only an address of a page has an @ elsewhere, behind a sound host.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in rest:
        return 0
    if scheme.lower().rstrip(":") in WEB and "@" not in authority and HOSTS_AND_PORTS.fullmatch(authority):
        return 0
    if scheme.lower().rstrip(":") in WEB and "@" in authority:
        return authority.rindex("@") + 1
    return rest.rindex("@") + 1


def as_typed(secret: str) -> str:
    """Return a part of a URL with blanks and quotes where _apart wrote %20 and the like, all else as it stands."""
    return _PUT_FOR_IT.sub(lambda sign: unquote(sign[0]), secret)


def credentials_in(url: str) -> set[str]:
    """Return the user, the password and the secret parameters in a URL, as they stand there."""
    rest = url.partition("//")[2]
    user, _, password = rest[: max(0, _end_of_user("", rest) - 1)].partition(":")
    return {
        secret for secret in (user, password, *(found["value"] for found in _SECRET_PARAMETER.finditer(url))) if secret
    }

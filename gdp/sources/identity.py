"""Which page is this? Its title, revision and time, from whatever form it was saved in, and whether it is our list."""

from __future__ import annotations

import html
import re
from datetime import datetime, timezone
from urllib.parse import unquote

from gdp.sources import Refused, Revision
from utils import MONTHS

OUR_TITLE = "List of countries by GDP (nominal)"
# What the page is and was called, and what redirects to it; folded.
_OUR_TITLES = frozenset(
    {
        "list of countries by gdp (nominal)", "list of countries by nominal gdp", "list of countries by gdp",
        "list of sovereign states by gdp (nominal)", "list of countries by gross domestic product",
        "list of countries by gross domestic product (nominal)", "list of countries by nominal gross domestic product",
        "countries by gdp (nominal)", "list of nations by gdp (nominal)",
    }
)  # fmt: skip
_SITE_NAME = re.compile(r"\s+[-–—|]\s+(?:wikipedia|wikiwand|wiki).*$", re.IGNORECASE)
# What only another list's name has, where nothing but the title in the browser's tab says which page it is.
_OTHER_LIST = re.compile(
    r"\bppp\b|purchasing power|per[ -]capita|per head|per person|per inhabitant|chained"
    r"|\bpast\b|projected|informal|shadow|\bdebt\b|largest"
    r"|historical|\bgni\b|\bgnp\b|gross national|\bsector|\breal\b|growth"
    r"|\b(?:african?|asian?|europe(?:an)?|oceania"
    r"|american?|arab|latin|caribbean|eu|states? and territories|provinces?|cities)\b",
    re.IGNORECASE,
)
# Where a page says which page it is, the most certain first: MediaWiki's own variable, Parsoid, links to itself.
_TITLES = (
    re.compile(r'"wgPageName"\s*:\s*"([^"\\]{1,200})"'),
    re.compile(r"""<link\b[^>]*\brel=["']?dc:isVersionOf["']?[^>]*\bhref=["'][^"']*/wiki/([^"'?#]{1,300})""", re.I),
    re.compile(r"""<link\b[^>]*\brel=["']?canonical["']?[^>]*\bhref=["'][^"']*/wiki/([^"'?#]{1,300})""", re.IGNORECASE),
    re.compile(
        r"""<link\b[^>]*\bhref=["'][^"']*/wiki/([^"'?#]{1,300})["'][^>]*\brel=["']?(?:canonical|dc:isVersionOf)""", re.I
    ),
    re.compile(r"""<link\b[^>]*\brel=["']?canonical["']?[^>]*\bhref=["'][^"']*[?;&]title=([^"'&#]{1,300})""", re.I),
    re.compile(r"""Retrieved from[^<]{0,20}<a[^>]*[?;&]title=([^"'&#]{1,300})"""),
    re.compile(r"""<meta\b[^>]*\bproperty=["']og:title["'][^>]*\bcontent=["']([^"']{1,200})""", re.IGNORECASE),
)  # fmt: skip
_TAB_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_REVISIONS = (
    re.compile(r'"wgRevisionId"\s*:\s*([1-9]\d{0,12})\b'),
    re.compile(r"""\babout=["'][^"']*Special:Redirect/revision/([1-9]\d{0,12})\b"""),
    re.compile(r"""Retrieved from[^<]{0,20}<a[^>]*[?;&]oldid=([1-9]\d{0,12})\b"""),
)
_SAVED = re.compile(r"last (?:edited|modified) on (\d{1,2}) ([A-Z][a-z]+) (\d{4}), at (\d{1,2}):(\d{2})")
_MODIFIED = (
    re.compile(r"""property=["']dc:modified["'][^>]*content=["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"""),
    re.compile(r'"dateModified"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z"'),
)


def read_revision(page: str) -> Revision:
    """Return what a page says of its own revision, in whatever form it was saved."""
    return Revision(_number(page), _saved(page), stated_title(page))


def stated_title(page: str) -> str | None:
    """Return the name under which the page stands on its site, as it is written there, or None where it says none."""
    found = next((found for pattern in _TITLES if (found := pattern.search(page))), None)
    return unquote(html.unescape(found[1])) if found else None


def refuse_other_page(page: str, title: str | None) -> None:
    """Raise Refused, by name, when the page says that it is another than our list."""
    if title is not None:
        if _folded(title) not in _OUR_TITLES:
            raise Refused(f'the page is "{title}", not nominal GDP: expected "{OUR_TITLE}"')
        return
    tab = _TAB_TITLE.search(page)
    if tab and _OTHER_LIST.search(_folded(tab[1])):
        raise Refused(f'the page is "{html.unescape(tab[1]).strip()}", not nominal GDP: expected "{OUR_TITLE}"')


def _folded(title: str) -> str:
    return _SITE_NAME.sub("", " ".join(html.unescape(title).replace("_", " ").split())).casefold()


def _number(page: str) -> int | None:
    found = next((found for pattern in _REVISIONS if (found := pattern.search(page))), None)
    return int(found[1]) if found else None


def _saved(page: str) -> datetime | None:
    try:
        if footers := _SAVED.findall(page):
            day, month, year, hour, minute = footers[-1]  # the footer's; a sentence of the article may say the like
            return datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), tzinfo=timezone.utc)
        for pattern in _MODIFIED:
            if found := pattern.search(page):
                return datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError:  # the 31st of June
        pass
    return None

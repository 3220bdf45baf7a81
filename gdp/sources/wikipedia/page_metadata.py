"""Which page is this? Its title, revision and time, in any form of the page, and whether it is our list."""

from __future__ import annotations

import html
import re
from datetime import datetime, timezone
from urllib.parse import unquote

from gdp.sources import Refused, Revision
from utils import MONTHS

MAX_TAG_CHARACTERS = 1500  # three times what the patterns below look at
MAX_PLACES = 20  # of words that have no match around them; a real page has two
OUR_TITLE = "List of countries by GDP (nominal)"
# The page's present and former titles, and what redirects to it; folded.
_OUR_TITLES = {
    "list of countries by gdp (nominal)", "list of countries by nominal gdp", "list of countries by gdp",
    "list of sovereign states by gdp (nominal)", "list of countries by gross domestic product",
    "list of countries by gross domestic product (nominal)", "list of countries by nominal gross domestic product",
    "countries by gdp (nominal)", "list of nations by gdp (nominal)",
}  # fmt: skip
_SITE_NAME = re.compile(r"\s+[-–—|]\s+(?:wikipedia|wikiwand|wiki).*$", re.IGNORECASE)
# Words of other lists' titles, for a page that only the title in the browser's tab names.
_OTHER_LIST = re.compile(
    r"\bppp\b|purchasing power|per[ -]capita|per head|per person|per inhabitant|chained|\bpast\b|projected|informal"
    r"|shadow|\bdebt\b|largest|historical|\bgni\b|\bgnp\b|gross national|\bsector|\breal\b|growth|\b(?:african?|asian?"
    r"|europe(?:an)?|oceania|american?|arab|latin|caribbean|eu|states? and territories|provinces?|cities)\b",
    re.IGNORECASE,
)
# Where a page states which page it is, each with words of it, the most certain first: MediaWiki's own variable,
# Parsoid, links to itself. Each pattern looks within one tag, and no further than a tag is long, so that ten megabytes
# of "<link" take no longer.
_LINK = r"<link\b(?=[^<>]{0,500}?\brel="
_ON_SITE = r"""/wiki/([^"'?#<>]{1,300})"""
_IN_QUERY = r"""[?;&]title=([^"'&#<>]{1,300})"""
_TITLES = (
    ("wgPageName", re.compile(r'"wgPageName"\s*:\s*"([^"\\]{1,200})"')),
    *(
        (rel, re.compile(rf"""{_LINK}["']?{rel}\b)[^<>]{{0,500}}?\bhref=["'][^"'<>]{{0,300}}{address}""", re.I))
        for rel, address in (("dc:isVersionOf", _ON_SITE), ("canonical", _ON_SITE), ("canonical", _IN_QUERY))
    ),
    ("Retrieved from", re.compile(rf"""Retrieved from[^<]{{0,20}}<a[^<>]{{0,500}}?{_IN_QUERY}""")),
    ("og:title", re.compile(
        r"""<meta\b(?=[^<>]{0,500}?\bproperty=["']og:title["'])[^<>]{0,500}?\bcontent=["']([^"'<>]{1,200})""", re.I
    )),
)  # fmt: skip
_WIKIPEDIAS = re.compile(r"\s[-–—]\s+(?:Wikipedia|Wikiwand)\b", re.IGNORECASE)
_TAB_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,200})", re.IGNORECASE)
_REVISIONS = (
    ("wgRevisionId", re.compile(r'"wgRevisionId"\s*:\s*([1-9]\d{0,12})\b')),
    ("Special:Redirect/revision/", re.compile(
        r"""\babout=["'][^"'<>]{0,300}Special:Redirect/revision/([1-9]\d{0,12})\b"""
    )),
    ("oldid=", re.compile(r"""Retrieved from[^<]{0,20}<a[^<>]{0,500}?[?;&]oldid=([1-9]\d{0,12})\b""")),
)  # fmt: skip
_SAVED = re.compile(r"[Ll]ast (?:edited|modified) on (\d{1,2}) ([A-Z][a-z]+) (\d{4}), at (\d{1,2}):(\d{2})")
_MODIFIED = (
    re.compile(r'"dateModified"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z"'),
    # the last: unwrap.py writes the date of an .mhtml so, for a page that states none
    re.compile(r"""property=["']dc:modified["'][^<>]{0,200}?content=["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"""),
)
# What may be at a list's address instead of it, and how MediaWiki, or a gateway before it, marks that.
_OTHER_PAGES = {
    "a disambiguation page, which names other pages": r"""id=["']disambig|\bdmbox\b""",
    "a redirect to another page": r"""\bredirectMsg\b""",
    "a page that does not exist": r"""\bnoarticletext\b""",
    "a form to edit the article, or its source": r"""id=["']?wpTextbox1""",
    "the article's history": r"""id=["']?pagehistory|"wgAction"\s*:\s*"history\"""",
    "a comparison of two revisions": r"""class=["'][^"']{0,100}\bdiff-""",
    "a workbook of Excel that was saved as a web page; save it as .xlsx or CSV": r"schemas-microsoft-com:office:excel",
    "a page to log in": r"""<input\b[^<>]{0,300}\btype=["']?password""",
    "a check for a human reader": r"<title>[^<]{0,50}(?:captcha|Just a moment|Attention Required|Access denied)",
    "a refusal by a gateway": r"Request Rejected",
    "an error of the server": r"<title>[^<]{0,50}\bError\b",
}


def kind_of_page(page: str) -> str | None:
    """Return what kind of page has no table of ours, if a mark in it shows that."""
    return next((kind for kind, marks in _OTHER_PAGES.items() if re.search(marks, page, re.IGNORECASE)), None)


def read_revision(page: str) -> Revision:
    """Return what a page states about its own revision, in any form."""
    number, title = _stated(page, _REVISIONS), _stated(page, _TITLES)
    return Revision(int(number) if number else None, _saved(page), unquote(html.unescape(title)) if title else None)


def _stated(page: str, places: tuple[tuple[str, re.Pattern[str]], ...]) -> str | None:
    """Return what the first pattern finds around its words; to look for these takes a hundredth of the time."""
    for words, pattern in places:
        place = page.find(words)
        for _ in range(MAX_PLACES):
            if place < 0:
                break
            if found := pattern.search(page, max(0, place - MAX_TAG_CHARACTERS), place + MAX_TAG_CHARACTERS):
                return found[1]
            place = page.find(words, place + 1)
    return None


def _saved(page: str) -> datetime | None:
    """Return the moment in the footer, which is the last such sentence of the page, else the one in its data."""
    place = len(page)
    try:
        while (place := max(page.rfind(words, 0, place) for words in ("ast edited on ", "ast modified on "))) > 0:
            if footer := _SAVED.match(page, place - 1):
                day, month, *numbers = footer.groups()
                year, hour, minute = map(int, numbers)
                return datetime(year, MONTHS.index(month) + 1, int(day), hour, minute, tzinfo=timezone.utc)
        for pattern in _MODIFIED:
            if found := pattern.search(page):
                return datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError:  # the 31st of June
        pass
    return None


def refuse_other_page(page: str, title: str | None) -> None:
    """Raise Refused, with the title, when the page states that it is not our list."""
    is_ours = title is None or _folded(title) in _OUR_TITLES
    if title is None and (tab := _TAB_TITLE.search(page)):
        in_tab = html.unescape(tab[1])
        title, words = in_tab.strip(), _folded(tab[1])
        is_wikipedias_own = _WIKIPEDIAS.search(in_tab)  # then it names the page to the letter
        is_ours = words in _OUR_TITLES if is_wikipedias_own else not _OTHER_LIST.search(words)
    if not is_ours:
        raise Refused(f'the page is "{title}", not nominal GDP: expected "{OUR_TITLE}"')


def _folded(title: str) -> str:
    return _SITE_NAME.sub("", " ".join(html.unescape(title).replace("_", " ").split())).casefold()

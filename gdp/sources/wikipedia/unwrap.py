"""The page inside the form in which it was saved or sent: MediaWiki's JSON, a browser's .mhtml, or plain HTML."""

from __future__ import annotations

import html
import json
import re
from datetime import timezone
from itertools import islice
from typing import Any

from gdp.sources import FILE_LIMIT_BYTES, Refused
from gdp.sources.payloads import BYTE_ORDER_MARK, json_in

MAX_PARTS = 500  # of an .mhtml: a saved page has some fifty pictures and styles
_PROBED_BYTES = 8_000
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MHTML = re.compile(rb"[\w-]+:\s.*multipart/related", re.IGNORECASE | re.DOTALL)
_SCRIPT = re.compile(rb"(?:\s*//[^\n]*\n)*\s*(?:export\s+)?(?:const|let|var)\s|\s*//|\s*/\*")
# What people have saved instead of it, by its first bytes.
_OTHER_KINDS = {
    b"b'": "the Python form of bytes, which must be written as they are",
    b"%PDF": "a PDF", b"PK\x03\x04": "a zip archive or an office document", b"\xd0\xcf\x11\xe0": "an office document",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"RIFF": "a picture",
    b"{\\rtf": "a text document", b"SQLite format 3": "a database", b"BZh": "a packed file",
    b"7z\xbc\xaf": "a packed file", b"\xfd7zXZ": "a packed file", b"(\xb5/\xfd": "a packed file",
}  # fmt: skip
_AS_PAGE = """<html><head><title>{title}</title><script>{{"wgPageName":{name},"wgRevisionId":{revision}}}</script>
{saved}</head><body>{body}</body></html>"""


def _start_of(content: bytes) -> bytes:
    return content.removeprefix(BYTE_ORDER_MARK).lstrip()[:_PROBED_BYTES]


def _other_kind(start: bytes) -> str | None:
    return next((kind for magic, kind in _OTHER_KINDS.items() if start.startswith(magic)), None)


def in_words(content: bytes) -> str:
    """Return what a content is that is no page, by its first bytes, with the article: "a PDF"."""
    start = _start_of(content)
    if _SCRIPT.match(start):
        return "a script (JavaScript or TypeScript)"
    return _other_kind(start) or f"text that begins {start.decode('utf-8', 'replace')[:60]!r}"


def is_page(content: bytes) -> bool:
    """Return whether a content is a web page in any form: HTML, MediaWiki's JSON or wikitext, a browser's .mhtml."""
    start = _start_of(content)
    if start.startswith(_UTF16_MARKS):
        start = start.decode("utf-16", "ignore").lstrip().encode()
    if start.startswith((b"{", b"[")):
        return start.startswith(b"{|") or _is_mediawikis(json_in(content))
    if start.startswith((b"<?xml", b"<wb:")) and (b"sdmx" in start or b"www.worldbank.org" in start[:1000]):
        return False
    return start.startswith(b"<") or bool(_MHTML.match(start))


def page_in(content: bytes) -> str:
    """Return the page's HTML; raises Refused, with what it is, for anything without a page."""
    start = _start_of(content)
    if kind := _other_kind(start):
        raise Refused(f"it is {kind}, not a web page")
    if start.startswith((b"{", b"[")):
        return _page_in_json(content)
    if _MHTML.match(start):
        return _page_in_mhtml(content)
    page = decode(content)
    if "<" not in page and page.strip():
        raise Refused(f"it is plain text, not a web page: {' '.join(page.split())[:60]!r}")
    return page


def decode(content: bytes) -> str:
    """Return a page as text: UTF-8, as MediaWiki sends it, or UTF-16 if it begins with its mark; raises Refused."""
    try:
        page = content.decode("utf-16" if content.startswith(_UTF16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"the page is not text in UTF-8: byte {error.start} is {content[error.start]:#04x}") from None
    if "\0" in page:
        raise Refused(f"the page is not text: character {page.index(chr(0))} is NUL")
    return page


def _is_mediawikis(answer: Any) -> bool:
    """Return whether JSON is MediaWiki's: a parsed page, a page of its REST interface, or an error of it."""
    return isinstance(answer, dict) and ("parse" in answer or "html" in answer or _error_in(answer) is not None)


def _error_in(answer: dict[str, Any]) -> str | None:
    error = answer.get("error")
    if isinstance(error, dict) and "code" in error:
        return f"{error['code']}: {error.get('info')}"
    return str(answer["messageTranslations"]) if "messageTranslations" in answer else None


def _page_in_json(content: bytes) -> str:
    """Return a page that states about itself what MediaWiki's answer states beside it."""
    try:
        answer = json.loads(decode(content))
    except (ValueError, RecursionError) as error:
        if content.lstrip().startswith(b"{|"):
            raise Refused("it is wikitext, the article's source, not a web page") from None
        raise Refused(f"it begins like JSON and is none: {error}") from None
    if not _is_mediawikis(answer):
        raise Refused(f"it is JSON without a page in it: {json.dumps(answer)[:60]}")
    if problem := _error_in(answer):
        raise Refused(f"it is an error of MediaWiki, {problem[:100]}")
    parsed = answer["parse"] if isinstance(answer.get("parse"), dict) else answer
    text = parsed.get("text", parsed.get("html"))
    body = text.get("*") if isinstance(text, dict) else text
    if not isinstance(body, str):
        raise Refused("it is MediaWiki's answer without the page's text: ask for it with prop=text")
    if "</html>" in body.lower():
        return body
    latest = parsed.get("latest") if isinstance(parsed.get("latest"), dict) else {}
    title, revision = str(parsed.get("title") or ""), parsed.get("revid") or latest.get("id")
    saved = html.escape(str(latest.get("timestamp") or ""))
    name = json.dumps(html.escape(title.replace(" ", "_")), ensure_ascii=False)  # no quote or tag ends the script
    return _AS_PAGE.format(
        title=html.escape(title), name=name if title else "null",
        revision=revision if isinstance(revision, int) else "null", body=body,
        saved=f'<meta property="dc:modified" content="{saved}">' if saved else "",
    )  # fmt: skip


def _page_in_mhtml(content: bytes) -> str:
    """Return the first page among the parts; the day it was saved is added, for a page that does not state its own.

    Nothing is added that closes the page: whether it reaches its end is checked afterwards.
    """
    import email
    import email.utils

    try:
        parts = list(islice(email.message_from_bytes(content).walk(), MAX_PARTS))
    except RecursionError:
        raise Refused("it is an .mhtml of parts within parts without end") from None
    page = next((part for part in parts if part.get_content_type() in ("text/html", "application/xhtml+xml")), None)
    text = page.get_payload(decode=True) if page else None
    if page is None or not isinstance(text, bytes):
        raise Refused(f"it is an .mhtml without a web page among its {len(parts)} parts")
    if len(text) > FILE_LIMIT_BYTES:
        raise Refused(f"its page has over {FILE_LIMIT_BYTES // 1_000_000} MB")
    try:
        decoded = text.decode(page.get_content_charset() or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        raise Refused(f"its page is not text: {error}") from None
    try:
        saved = email.utils.parsedate_to_datetime(str(parts[0]["Date"])).astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError):
        return decoded
    return f'{decoded}<meta property="dc:modified" content="{saved:%Y-%m-%dT%H:%M:%S}">'

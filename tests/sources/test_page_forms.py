"""The same page in any form gives the same figures, and anything else is named."""

from __future__ import annotations

import gzip
import json
import re
from datetime import datetime, timezone
from email.message import EmailMessage

import pytest

from gdp.model import WIKIPEDIA
from gdp.sources import Reading, Refused
from gdp.sources.registry import source_of
from gdp.sources.wikipedia import page as wikipedia
from tests.page_builder import SHIPPED

PLAIN = gzip.decompress(SHIPPED.read_bytes()).decode()
REVISION, DAY = 1330326028, datetime(2025, 12, 30, 20, 9, tzinfo=timezone.utc)
BODY = PLAIN[PLAIN.index("<body") : PLAIN.index("</body>")].partition(">")[2]
WITHOUT_FOOTER = re.sub(r"<footer>.*?</footer>", "", BODY, flags=re.DOTALL)
TITLE = "List of countries by GDP (nominal)"


def read(content: bytes, saved: datetime = DAY) -> Reading:
    assert source_of(content).name == WIKIPEDIA.name
    return wikipedia.parse(content, "somewhere", saved)


def figures(extracted: Reading) -> list[tuple[str, str, str, str | None]]:
    return [(r["Country"], r["GDP"], r["Institution"], r["Year"]) for r in extracted.records]


def action_parse(version: int) -> bytes:
    text = {"*": WITHOUT_FOOTER} if version == 1 else WITHOUT_FOOTER
    return json.dumps({"parse": {"title": TITLE, "pageid": 1, "revid": REVISION, "text": text}}).encode()


def rest_html() -> bytes:
    latest = {"id": REVISION, "timestamp": "2025-12-30T20:09:00Z"}
    return json.dumps({"id": 1, "title": TITLE, "latest": latest, "html": WITHOUT_FOOTER}).encode()


def parsoid() -> bytes:
    about = f'about="https://en.wikipedia.org/wiki/Special:Redirect/revision/{REVISION}"'
    head = f'<link rel="dc:isVersionOf" href="//en.wikipedia.org/wiki/{TITLE.replace(" ", "_")}"/>'
    saved = '<meta property="dc:modified" content="2025-12-30T20:09:00.000Z"/>'
    return f"<!DOCTYPE html><html {about}><head>{saved}{head}</head><body>{WITHOUT_FOOTER}</body></html>".encode()


def mhtml() -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "<Saved by Blink>", f"{TITLE} - Wikipedia"
    message["Date"] = "Tue, 30 Dec 2025 22:09:00 +0200"
    message.add_related(PLAIN.encode(), "text", "html", cte="quoted-printable", params={"charset": "utf-8"})
    message.add_related(b"\x89PNG" * 10, "image", "png")
    return bytes(message).replace(b"\n", b"\r\n")


def archived() -> bytes:
    toolbar = "<div><table><tr><td>Jan</td><td><table><tr><td>1</td></tr></table></td></tr></table></div>"
    rewritten = PLAIN.replace("/wiki/", "/web/20251231/https://en.wikipedia.org/wiki/")
    return rewritten.replace("<body>", f"<body>{toolbar}").encode()


def sorted_copy() -> bytes:
    rows = re.findall(r"<tr>\n<td.*?</tr>", PLAIN, re.DOTALL)
    return PLAIN.replace("".join(rows), "\n".join(sorted(rows))).encode()


FORMS = {
    "action=parse": action_parse(1), "action=parse, second version": action_parse(2), "REST": rest_html(),
    "Parsoid": parsoid(), "mhtml": mhtml(), "an archive's copy": archived(), "a sorted copy": sorted_copy(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_the_page_gives_its_figures_its_day_and_its_revision(form: str) -> None:
    found = read(FORMS[form])
    assert sorted(figures(found)) == sorted(figures(read(PLAIN.encode())))
    assert {record["As_of"] for record in found.records} == {"2025-12-30T20:09:00Z"}
    assert {record["Source"].rpartition("=")[2] for record in found.records} == {str(REVISION)}


NO_PAGES = {
    b"%PDF-1.7 ...": "it is a PDF", b"PK\x03\x04....": "a zip archive or an office document",
    b"\x89PNG\r\n": "a picture",
    b'{"error": {"code": "missingtitle", "info": "no such page"}}': "an error of MediaWiki, missingtitle",
    b'{"parse": {"title": "List of countries by GDP (PPP)", "text": "<p></p>"}}': "(PPP)\", not nominal GDP",
    b'{"parse": {"title": "x"}}': "without the page's text", b'{"html": 5}': "without the page's text",
    b"{broken": "begins like JSON and is none", b"just words": "plain text",
    b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/css\n\na{}\n--x--\n":
        "without a web page among its 2 parts",
}  # fmt: skip


@pytest.mark.parametrize("content", NO_PAGES)
def test_what_is_no_page_is_named_as_what_it_is(content: bytes) -> None:
    with pytest.raises(Refused, match=re.escape(NO_PAGES[content])):
        wikipedia.parse(content, "somewhere", DAY)


@pytest.mark.parametrize("share", [0.45, 0.6, 0.8])
def test_an_mhtml_that_breaks_off_is_refused_and_not_read_as_a_shorter_list(share: float) -> None:
    whole = FORMS["mhtml"]
    with pytest.raises(Refused, match="breaks off"):
        wikipedia.parse(whole[: int(len(whole) * share)], "somewhere", DAY)


def test_the_page_says_better_than_the_mhtml_around_it_when_it_was_saved() -> None:
    answer = '<script>{"dateModified":"2025-12-30T20:09:00Z"}</script>'
    page = PLAIN.replace(PLAIN[PLAIN.index("<footer>") : PLAIN.index("</footer>")], f"<footer>{answer}")
    sent = b"MIME-Version: 1.0\nDate: Mon, 05 Jan 2026 09:00:00 +0000\nContent-Type: multipart/related; boundary=x\n\n"
    part = b"--x\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    found = read(sent + part + page.encode() + b"\n--x--\n")
    assert {record["As_of"] for record in found.records} == {"2025-12-30T20:09:00Z"}


OTHERS = ("Lista de países por PIB (nominal)", "Talk:List of countries by GDP (nominal)", "User:X/sandbox",
          "List of countries by total wealth", 'The "richest" countries')  # fmt: skip


@pytest.mark.parametrize("title", OTHERS)
def test_another_page_is_refused_by_its_name_in_json_and_in_the_tab(title: str) -> None:
    in_json = json.dumps({"parse": {"title": title, "text": WITHOUT_FOOTER}})
    in_tab = f"<html><head><title>{title} - Wikipedia</title></head><body>{WITHOUT_FOOTER}</body></html>"
    for page in (in_json, in_tab):
        with pytest.raises(Refused, match="not nominal GDP"):
            wikipedia.parse(page.encode(), "somewhere", DAY)


ENDLESS = ("<!--", "<title ", "<meta ", "<link ", "Retrieved from<a ", "property='dc:modified' ",
           "<link rel='canonical' href='", "<link rel=canonical ")  # fmt: skip


@pytest.mark.parametrize(
    "text", [*ENDLESS[::2], *(pytest.param(text, marks=pytest.mark.long) for text in ENDLESS[1::2])]
)
def test_a_tag_that_begins_half_a_million_times_and_never_ends_is_read_once(text: str) -> None:
    with pytest.raises(Refused):
        wikipedia.parse(f"<html>{text * 500_000}</html>".encode(), "somewhere", DAY)


def test_an_mhtml_of_parts_within_parts_is_refused() -> None:
    deep = "".join(f"Content-Type: multipart/related; boundary=b{n}\n\n--b{n}\n" for n in range(3000))
    with pytest.raises(Refused, match="parts within parts"):
        wikipedia.parse(deep.encode(), "somewhere", DAY)

"""The words that may describe nominal GDP in US dollars: what is read must be positively known.

A list of other currencies, price bases and quantities is never complete. A list of the words with which this one list
describes itself can be.
"""

from __future__ import annotations

import re
from functools import lru_cache

_FOOTNOTE = re.compile(r"\[[^\[\]]*\]")
_RAISED = re.compile("[⁰¹²³⁴-⁹]+")
MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR = r"(?<!\d)(?:19|20)\d\d(?:\s?[-–—/]\s?(?:(?:19|20)\d\d|\d\d))?(?!\d)"
_DOLLARS = (
    r"(?:(?<![a-z.])\$\s?us\b|\bus\s?\$|\bu\.\s?s\.\s?\$|(?<![a-z.\d])\$|\busd\b"
    r"|\b(?:us|u\.\s?s\.|united states|american)\s?-?dollars?\b|\bdollars?\b)"
)
# A year beside the money is that of prices: "2015 US$", "1990 dollars", "dollars of 1990", "2015 prices".
_PRICES_OF_A_YEAR = re.compile(
    rf"{_YEAR}\s*(?:{_DOLLARS}|price|exchange|market price)|{_DOLLARS}\s+(?:of|at|in)\s+{_YEAR}|\bprices\s+of\s+{_YEAR}"
)
_TWO_SCALES = re.compile(r"\b(?:thousand|million|billion)s?\s+(?:of\s+)?(?:million|billion|trillion)s?\b")
_KNOWN = re.compile(
    "|".join((
        rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTHS}(?:\s+{_YEAR})?",
        rf"{MONTHS}\s+\d{{1,2}}(?:st|nd|rd|th)?,?(?:\s+{_YEAR})?(?!\d)", rf"\b{MONTHS}(?!\w)",
        rf"\b(?:fy\s?)?{_YEAR}(?:[efp]\b)?", r"\bfy\s?\d\d(?:/\d\d)?\b", r"(?<!\w)['’]\d\d\b", r"\b20\d\ds\b",
        r"\b\d{1,3}\s+(?=(?:largest\s+)?(?:countr|econom|state|nation|territor|member))", r"\btop\s+\d{1,3}\b",
        # the quantity
        r"\bgross\s+domestic\s+products?\b", r"\bg\.?d\.?p\.?(?:'s|s)?(?=$|[^a-z])",
        r"\b(?:at|in)\s+current\s+prices\b", r"\bcurrent\s+prices\b", r"\b(?:at\s+)?market\s+prices\b",
        r"\b(?:at\s+|using\s+)?(?:current\s+|official\s+|market\s+|government\s+)*exchange\s+rates?\b",
        # money and scale
        rf"(?:current\s+)?{_DOLLARS}(?:\s?m[mn]?\b|\s?bn\b)?",
        r"\b(?:in\s+)?(?:millions?|billions?|trillions?|thousands?|mn|mm|bn|mio|mil)\b\.?",
        # whose figures
        r"\b(?:the\s+)?int(?:ernational|l|['’]l)?\.?\s*monetary\s*fund(?:'s|’s)?\b", r"\bi\.\s?m\.\s?f\.",
        r"\bimf(?:['’]s)?\b", r"\b(?:the\s+)?world\s+bank(?:\s+group)?(?:['’]s)?\b",
        r"\bworld\s+development\s+indicators?\b", r"\bwb\b|\bwbg\b|\bwdi\b",
        r"\bunited\s+nations(?:['’]s?)?\b", r"\bun\b|\bu\.\s?n\.|\bunsd\b|\bundata\b|\bun\s?desa\b",
        r"\bstatistics?\s+division\b", r"\bnational\s+accounts(?:\s+main\s+aggregates)?(?:\s+database)?\b",
        r"\bcia\b|\bcentral\s+intelligence\s+agency\b|\b(?:the\s+)?(?:world\s+)?factbook\b",
        r"\bweo\b|\bworld\s+economic\s+outlook(?:\s+databases?)?\b",
    ))
)  # fmt: skip
_WORDS = frozenset(
    """
    a about above accessed according africa african all alphabetical alphabetically also american americas among
    amount an and annual any are area areas arrow arrows article articles as asia asian at available based be been
    below bold both but button by calculated can caribbean central chart charts click collapse color colors colour
    coloured colours column columns compared comparison complete contents countries countries' country country's
    data database date dependencies dependency dependent descending each east eastern economies economy edit entire
    entities entity est estimate estimated estimates europe european except excluding expand figure figures final
    fiscal flag flags following for forecast forecasted forecasts from full fund global graph grey has have header
    headers heading here hide history i icon icons ii iii image in including individual initial into introduction is
    italic italics its jurisdiction jurisdictions key kingdom largest last latest legend link links list listed
    listing lists location main map maps marked may member members most multiple name named names nation nations
    navigation near newest no nominal north not note notes number oceania of official on one only or order ordered
    organisation organization other over overview page part per period place places position preliminary present
    previous primary projected projection projections provided published rank ranked ranking rankings rankings'
    ranks rate rated recent ref reference references refs region regional regions related release released releases
    report reported reports respective result results retrieved revised row rows s section sections see selected
    selection show shown some sort sortable sorted source sources south southern sovereign state statement states
    statistics summary table tables template territories territory than the their there these this three to top
    total two unit units unranked until update updated updates used user using value values various version view
    views vs was were west western where which wikipedia will with without world worldwide year year's yearly years
    """.split()  # noqa: SIM905 - easier to read and to add to
)
_LEFT_OVER = re.compile(
    r"[^\W_]+(?:['’][^\W\d_]+)*|[^\s\w(),.;:/–—\-'\"“”‘’&#*+|•·\[\]…=?†‡§^~▲▼△▽⇅↕↑↓►◄→←©]", re.UNICODE
)
_LETTERS = re.compile(r"[a-z](?:\s?[-–—]\s?[a-z])?")  # a table a letter


def folded(text: str) -> str:
    """Return a text as words to compare: no footnote marks, lower case, single spaces."""
    if "[" in text:
        text = _FOOTNOTE.sub(" ", text)
    if not text.isascii():
        text = _RAISED.sub(" ", text)
    return " ".join(text.casefold().split())


@lru_cache(4096)
def unknown_words(text: str) -> str | None:
    """Return the first words of a text that are not known to describe nominal GDP in US dollars; None if all are."""
    words = folded(text)
    if found := _PRICES_OF_A_YEAR.search(words) or _TWO_SCALES.search(words):
        return found[0]
    if _LETTERS.fullmatch(words):
        return None
    left = _KNOWN.sub(" ", words)
    return next((word for word in _LEFT_OVER.findall(left) if word not in _WORDS), None)


def years_in(text: str) -> list[int]:
    """Return the years that a text states, of a range the first."""
    return [int(found[0][:4]) for found in re.finditer(_YEAR, folded(text))]

"""What a cell with a figure says: hundredths of a billion US dollars, exactly, or why it is no figure."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import orjson

from gdp.records import MAX_BILLION_USD
from gdp.transform.source_marks import source_note
from gdp.transform.years import FOOTNOTE, MARKS, YEAR_IN_BRACKETS, Unreadable, checked_year, without_marks

CACHED_VALUES = 16_384  # distinct texts that are understood once; a page has a few hundred

NO_FIGURE = frozenset(
    {"", "—", "–", "-", "−", "n/a", "na", "n.a.", "n.a", "..", "...", "…", "?", "no data", "none", "unknown"}
)
_GROUP_SPACE = re.compile(r"(?<=\d)[\s\u200b\u2060'’](?=\d{3}(?!\d))")  # thin, non-breaking, plain, Swiss
_NUMBER = re.compile(r"(?:US)?\$?(\d[\d.,]*)(?:/(?:na|n/a))?", re.IGNORECASE)
_DOTTED_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_COMMA_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})*(?:\.\d+)?|\d+(?:\.\d+)?")
_MARK_INSIDE = re.compile(rf"\d\s*(?:{FOOTNOTE.pattern}|{MARKS.pattern})+\s*\d")
_WIDE = {"\uff0c": ",", "\uff0e": ".", "\uff04": "$"}
# What a reader passes over. "Int$" is not here: it is purchasing power; nor is "<", which is no figure.
_BEFORE = re.compile(
    r"(?:(?:US\s?\$|USD|\$|[~≈≃▲▼△▽↑↓]|approx(?:imately|\.)?|about|around|circa|ca?\.|est\.?|increase|decrease|steady)\s*)+"
    r"(?=\d)",
    re.IGNORECASE,
)
# The currency, shares, ranks in brackets, and the marks of estimates; a list has no rank over 299.
_BEHIND = re.compile(
    r"(?<=\d)(?:\s*(?:USD|US\$|\$|US\ dollars|[▲▼△▽↑↓]|est\.?|[efp]"
    r"|\((?:est(?:imate)?\.?|proj(?:ect(?:ed|ion))?\.?|forecast|[efp]|\d+(?:\.\d+)?\s?%|[12]?\d?\d(?:st|nd|rd|th)?)\))"
    r"|\s+(?:a|\d+(?:\.\d+)?\s?%))+$",
    re.IGNORECASE,
)
# "4,125,213 1": behind whole groups of three, a digit that stands apart is a footnote's.
_RAISED_DIGIT = re.compile(r"(?<=\d)((?:,\d{3})+)\s\d{1,2}$")
# How many billions a unit is; the last are the World Bank's own words for plain dollars. A page that names none has
# always meant millions.
_UNITS = (
    (re.compile(r"\btrillions?\b|\btn\b", re.IGNORECASE), Decimal(1000)),
    (re.compile(r"\bbillions?\b|\bbn\b", re.IGNORECASE), Decimal(1)),
    (re.compile(r"\bmillions?\b|\bm[mn]\b|\$mm?\b", re.IGNORECASE), Decimal("1e-3")),
    (re.compile(r"\bthousands?\b", re.IGNORECASE), Decimal("1e-6")),
    (re.compile(r"\bcurrent US\$", re.IGNORECASE), Decimal("1e-9")),
)
_MILLION = Decimal("1e-3")
_DOUBLE_DIGITS = 17  # a number in more digits is a binary double written out


@lru_cache(CACHED_VALUES)
def unit_factor(column: str | None, unit: str | None) -> Decimal:
    """Return how many billions of US dollars one of the source's units is: the heading tells, or else the caption."""
    named = [factor for text in (column, unit) if text for pattern, factor in _UNITS if pattern.search(text)]
    return named[0] if named else _MILLION


class Figure(NamedTuple):
    """What a GDP cell says: hundredths of a billion US dollars, the year in its brackets, and what is odd about it."""

    cents: int | None
    problem: str | None = None
    year: int | None = None
    year_problem: str | None = None
    note: str | None = None


@lru_cache(CACHED_VALUES)
def figure_of(text: str, factor: Decimal) -> Figure:
    """Return what a GDP cell says, in a unit that is `factor` billions of US dollars."""
    if text.isascii() and text.replace(",", "").isdecimal():
        whole, odd = hundredths_at_once([text.encode()], factor)
        if not odd:
            return Figure(whole[0])
    try:
        cents = hundredths_of_billions(text, factor)
    except Unreadable as error:
        return Figure(None, str(error))
    in_brackets = YEAR_IN_BRACKETS.search(FOOTNOTE.sub(" ", text))
    year, problem = checked_year(int(in_brackets[1])) if in_brackets else (None, None)
    return Figure(cents, None, year, problem, source_note(text))


def hundredths_of_billions(text: str, factor: Decimal) -> int | None:
    """Return a figure in hundredths of a billion US dollars, halves up, exactly; None for a known sign of absence.

    Raises Unreadable for anything else: "abc" is no figure, nor is 0 or a negative number.
    """
    figure = _without_unit(figure_text(text), factor)
    if figure.casefold() in NO_FIGURE:
        return None
    found = _NUMBER.fullmatch(figure)
    if found and not _is_well_grouped(found[1]):
        raise Unreadable(f"GDP is {text[:40]!r}, whose commas do not stand in threes; a footnote may be stuck to it")
    number = _decimal(found[1], factor) if found else None
    if not number or number * factor > MAX_BILLION_USD:
        raise Unreadable(f"GDP is {text[:40]!r}, which is no figure")
    return int(number * factor * 100 + Decimal("0.5"))


def figure_text(text: str) -> str:
    """Return a GDP cell without marks, spaces, hidden sort key ("7007…♠"), what stands around it and its year."""
    if _MARK_INSIDE.search(text):
        return text  # its two halves are not one figure
    figure = YEAR_IN_BRACKETS.sub(" ", without_marks(text)).rpartition("♠")[2]
    figure = _BEHIND.sub("", _BEFORE.sub("", "".join(map(_plain_digit, figure)).strip())).strip()
    return _GROUP_SPACE.sub("", _RAISED_DIGIT.sub(r"\1", figure))


def _plain_digit(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # what nobody sees: a byte order mark, a mark of the writing's direction, a soft hyphen
    return "" if unicodedata.category(character) == "Cf" else _WIDE.get(character, character)


def _without_unit(figure: str, factor: Decimal) -> str:
    """Return a figure without the unit behind it, where that is the column's own."""
    return next((pattern.sub("", figure).strip() for pattern, unit in _UNITS if unit == factor), figure)


def _is_well_grouped(digits: str) -> bool:
    return "," not in digits or bool(_COMMA_GROUPS.fullmatch(digits) or _DOTTED_GROUPS.fullmatch(digits))


def _decimal(digits: str, factor: Decimal) -> Decimal | None:
    """Return the number that digits with separators mean, or None.

    A dot before three digits is a thousands separator, unless it stands alone in a figure in billions: nobody gives
    thousandths of a million, and the IMF gives thousandths of a billion.
    """
    if _DOTTED_GROUPS.fullmatch(digits) and (digits.count(".") > 1 or "," in digits or factor < 1):
        digits = digits.replace(".", "").replace(",", ".")
    digits = digits.replace(",", "")
    if not re.fullmatch(r"\d+(?:\.\d+)?", digits):
        return None
    number = Decimal(digits)
    # the IMF sends 9.095 as 9.0950000000000006394884621840901672840118408203125
    return Decimal(repr(float(number))) if len(number.as_tuple().digits) >= _DOUBLE_DIGITS else number


# --- many figures at once ---------------------------------------------------------------------------------------------

_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_AS_ITEMS = bytes.maketrans(b"\n", b",")


@lru_cache
def _whole_shapes(factor: Decimal) -> frozenset[bytes]:
    """Return figures in digits alone, and in threes by commas, all digits 0; in a unit, none over MAX_BILLION_USD."""
    digits = (MAX_BILLION_USD / factor).adjusted()
    return frozenset(f"{10**n:{by}}".replace("1", "0").encode() for n in range(digits) for by in ("", ","))


def hundredths_at_once(texts: list[bytes], factor: Decimal) -> tuple[list[int], list[int]]:
    """Return what hundredths_of_billions makes of whole figures ("1,234", "1234"), and the places of all others.

    A figure that is not whole is 0 here: it goes the long way.
    """
    joined = b"\n".join([b"", *texts]).replace(b"\n0", b"\n-")
    shapes, whole = joined.translate(_AS_ZEROS).split(b"\n"), _whole_shapes(factor)
    odd = [place for place, shape in enumerate(shapes, -1) if shape not in whole][1:]
    if odd:
        texts = texts.copy()
        for place in odd:
            texts[place] = b"0"
        joined = b"\n".join([b"", *texts])
    numbers = orjson.loads(b"[%b]" % joined[1:].translate(_AS_ITEMS, b","))
    times, unit = (factor * 100).as_integer_ratio()
    half = unit // 2
    return [(number * times + half) // unit for number in numbers], odd


_FRACTIONS = [repr(one / 100).encode()[1:] for one in range(100)]


def texts_of_billions(cents: list[int]) -> tuple[list[bytes], list[bytes]]:
    """Return hundredths of a billion as JSON has billions: the whole ones, and the point with what is behind it."""
    # as repr of one / 100 has them, in half the time; orjson, as quick, dies by a signal where memory is short
    wholes = repr([one // 100 for one in cents])[1:-1].encode().split(b", ") if cents else []
    return wholes, [_FRACTIONS[one % 100] for one in cents]

"""What the cell of a figure means: millions of US dollars as published, and hundredths of a billion, both exact."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import orjson

from gdp.model import MAX_BILLION_USD
from gdp.transform import years
from gdp.transform.years import CACHED_TEXTS, FOOTNOTE, YEAR_IN_BRACKETS, Unreadable

NO_FIGURE = frozenset(
    {"", "—", "–", "-", "−", "n/a", "na", "n.a.", "n.a", "nan", "..", "...", "…", "?", "no data", "none", "unknown"}
)
_GROUP_SPACE = re.compile(r"(?<=\d)[\s\u200b\u2060'’](?=\d{3}(?!\d))")  # thin, non-breaking, plain, Swiss
_NUMBER = re.compile(r"(?:US)?\$?(\d[\d.,]*)(?:/(?:na|n/a))?", re.IGNORECASE)
_DOTTED_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_COMMA_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})*(?:\.\d+)?|\d+(?:\.\d+)?")
_MARK_INSIDE = re.compile(rf"\d\s*(?:{FOOTNOTE.pattern}|{years.MARKS.pattern})+\s*\d")
_WIDE = {"\uff0c": ",", "\uff0e": ".", "\uff04": "$"}
# What a reader skips. "Int$" is not here: it is purchasing power; nor is "<", which is no figure.
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
# "4,125,213 1": after whole groups of three, a separate digit is a footnote's.
_RAISED_DIGIT = re.compile(r"(?<=\d)((?:,\d{3})+)\s\d{1,2}$")
# How many billions a unit is; the last are the World Bank's own words for plain dollars. A page without a unit has
# always meant millions.
_UNITS = (
    (re.compile(r"\btrillions?\b|\btn\b", re.IGNORECASE), Decimal(1000)),
    (re.compile(r"\bbillions?\b|\bbn\b", re.IGNORECASE), Decimal(1)),
    (re.compile(r"\bmillions?\b|\bm[mn]\b|\$mm?\b", re.IGNORECASE), Decimal("1e-3")),
    (re.compile(r"\bthousands?\b", re.IGNORECASE), Decimal("1e-6")),
    (re.compile(r"\bcurrent US\$", re.IGNORECASE), Decimal("1e-9")),
)
_MILLION = Decimal("1e-3")
_DOUBLE_DIGITS = 17  # a number with more digits is a binary double in full


@lru_cache(CACHED_TEXTS)
def unit_factor(column: str | None, unit: str | None) -> Decimal:
    """Return how many billions of US dollars the source's unit is: from the heading, else from the caption."""
    stated = [factor for text in (column, unit) if text for pattern, factor in _UNITS if pattern.search(text)]
    return stated[0] if stated else _MILLION


class Figure(NamedTuple):
    """What a GDP cell means: hundredths of a billion US dollars, millions, the year in its brackets, its flag."""

    cents: int | None
    million: float | None = None  # an int where it is whole
    problem: str | None = None
    year: int | None = None
    year_problem: str | None = None
    flag: str | None = None


@lru_cache(CACHED_TEXTS)
def figure_of(text: str, factor: Decimal, is_of_page: bool = True) -> Figure:
    """Return what a GDP cell means, in a unit that is `factor` billions of US dollars.

    On a page a dot may be between thousands, and a cell may have nothing but a footnote. In the files of the IMF and
    the World Bank a dot is a decimal point, and marks are not known.
    """
    if text.isascii() and text.replace(",", "").isdecimal():
        numbers, odd = whole_numbers([text.encode()], factor)
        if not odd:
            return Figure(hundredths(numbers, factor)[0], millions(numbers, factor)[0])
    try:
        billions = billions_in(text, factor, is_of_page)
    except Unreadable as error:
        return Figure(None, problem=str(error))
    if billions is None:
        return Figure(None)
    in_brackets = YEAR_IN_BRACKETS.search(FOOTNOTE.sub(" ", text))
    year, problem = years.checked_year(int(in_brackets[1])) if in_brackets else (None, None)
    cents, million = int(billions * 100 + Decimal("0.5")), billions * 1000
    shortest = int(million) if million == int(million) else float(million)
    return Figure(cents, shortest, None, year, problem, years.source_flag(text))


def billions_in(text: str, factor: Decimal, is_of_page: bool = True) -> Decimal | None:
    """Return a figure in billions of US dollars, exactly; None for a known sign that there is none.

    Raises Unreadable for anything else: "abc" is no figure, nor is 0 or a negative number.
    """
    own_unit = next(pattern for pattern, unit in _UNITS if unit == factor)  # it may follow the figure
    figure = own_unit.sub("", figure_text(text)).strip()
    if (figure if is_of_page else text.strip()).casefold() in NO_FIGURE:
        return None
    found = _NUMBER.fullmatch(figure)
    is_dotted = is_of_page and found and _DOTTED_GROUPS.fullmatch(found[1])
    if found and "," in found[1] and not (_COMMA_GROUPS.fullmatch(found[1]) or is_dotted):
        raise Unreadable(f"GDP is {text[:40]!r}, whose commas do not separate groups of three; it may have a footnote")
    number = _decimal(found[1], factor < 1, bool(is_dotted)) if found else None
    if not number or number * factor > MAX_BILLION_USD:
        raise Unreadable(f"GDP is {text[:40]!r}, which is no figure")
    return number * factor


def figure_text(text: str) -> str:
    """Return a GDP cell without marks, spaces, hidden sort key ("7007…♠"), words beside the figure, and its year."""
    if _MARK_INSIDE.search(text):
        return text  # its two halves are not one figure
    figure = YEAR_IN_BRACKETS.sub(" ", years.without_marks(text)).rpartition("♠")[2]
    figure = _BEHIND.sub("", _BEFORE.sub("", "".join(map(_plain_digit, figure)).strip())).strip()
    return _GROUP_SPACE.sub("", _RAISED_DIGIT.sub(r"\1", figure))


def _plain_digit(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # invisible: a byte order mark, a direction mark, a soft hyphen
    return "" if unicodedata.category(character) == "Cf" else _WIDE.get(character, character)


def _decimal(digits: str, is_below_billions: bool, is_dotted: bool) -> Decimal | None:
    """Return the number that digits with separators mean, or None.

    On a page, a dot before three digits separates thousands, unless it is the only separator of a figure in billions:
    no list has thousandths of a million, and the IMF publishes thousandths of a billion.
    """
    if is_dotted and (digits.count(".") > 1 or "," in digits or is_below_billions):
        digits = digits.replace(".", "").replace(",", ".")
    digits = digits.replace(",", "")
    if not re.fullmatch(r"\d+(?:\.\d+)?", digits):
        return None
    number = Decimal(digits)
    # the IMF sends 9.095 as 9.0950000000000006394884621840901672840118408203125
    return Decimal(repr(float(number))) if len(number.as_tuple().digits) >= _DOUBLE_DIGITS else number


_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_AS_ITEMS = bytes.maketrans(b"\n", b",")


@lru_cache
def _whole_shapes(factor: Decimal) -> frozenset[bytes]:
    """Return figures of digits alone, and with commas, every digit 0; in this unit, none over MAX_BILLION_USD."""
    digits = (MAX_BILLION_USD / factor).adjusted()
    return frozenset(f"{10**n:{by}}".replace("1", "0").encode() for n in range(digits) for by in ("", ","))


def whole_numbers(texts: list[bytes], factor: Decimal) -> tuple[list[int], list[int]]:
    """Return the numbers in figures that are whole ("1,234", "1234"), and the places of all others.

    A figure that is not whole is 0 here: `figure_of` reads it.
    """
    joined = b"\n".join([b"", *texts]).replace(b"\n0", b"\n-")
    shapes, whole = joined.translate(_AS_ZEROS).split(b"\n"), _whole_shapes(factor)
    odd = [place for place, shape in enumerate(shapes, -1) if shape not in whole][1:]
    if odd:
        texts = texts.copy()
        for place in odd:
            texts[place] = b"0"
        joined = b"\n".join([b"", *texts])
    return orjson.loads(b"[%b]" % joined[1:].translate(_AS_ITEMS, b",")), odd


def hundredths(numbers: list[int], factor: Decimal) -> list[int]:
    """Return whole figures in hundredths of a billion US dollars, rounded half up."""
    times, unit = (factor * 100).as_integer_ratio()
    half = unit // 2
    return [(number * times + half) // unit for number in numbers]


def millions(numbers: list[int], factor: Decimal) -> list[float]:
    """Return whole figures in millions of US dollars, each at its shortest."""
    times, unit = (factor * 1000).as_integer_ratio()
    if unit == 1:
        return numbers if times == 1 else [number * times for number in numbers]  # type: ignore[return-value]
    return [number / unit if number % unit else number // unit for number in numbers]


_FRACTIONS = [repr(one / 100).encode()[1:] for one in range(100)]


def texts_of(numbers: list[int] | list[float], end: str = "") -> list[bytes]:
    """Return numbers as JSON has them, each with the same text behind it."""
    if not numbers:
        return []
    # in half the time of json; orjson, as quick, ends the process where memory is short
    return (repr(numbers)[1:-1].replace(", ", f"{end}\0") + end).encode().split(b"\0")


def texts_of_billions(cents: list[int]) -> tuple[list[bytes], list[bytes]]:
    """Return hundredths of a billion as JSON has billions: the whole ones, and the point with the digits after it."""
    return texts_of([one // 100 for one in cents]), [_FRACTIONS[one % 100] for one in cents]

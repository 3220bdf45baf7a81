"""Which names are countries: of the reference table, as a source must know before a record is cleaned."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

from utils import COUNTRY_TABLE

_MARKS = re.compile(r"\[[^\[\]]*\]|[⁰¹²³⁴-⁹]")
_RANK_OR_BRACKETS = re.compile(r"^#?\d{1,3}[.)]?\s+|\s\([^()]*\)")


@lru_cache(8192)  # pages of an archive have the same names
def is_country(name: str) -> bool:
    """Return whether a name or code is a country's, without a rank, notes and brackets."""
    plain = _MARKS.sub(" ", name)
    return not {_letters(plain), _letters(_RANK_OR_BRACKETS.sub(" ", plain))}.isdisjoint(_countries())


@lru_cache(8192)
def bare_name(name: str) -> str:
    """Return the letters of a name without a rank, notes and brackets, to compare two tables' names."""
    return _letters(_RANK_OR_BRACKETS.sub(" ", _MARKS.sub(" ", name)))


@lru_cache(8192)
def is_aggregate(name: str) -> bool:
    """Return whether a name is known as a group of countries."""
    return _letters(name) in _aggregates()


def name_or_code(name: str, code: str) -> str:
    """Return a name, or the code beside it if only that is a country's: an encoding may have broken the name."""
    return code if code and not is_country(name) and not is_aggregate(name) and is_country(code) else name


def _letters(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("&", "and"))
    return "".join(character for character in plain.casefold() if character.isalpha())


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(COUNTRY_TABLE.read_text(encoding="utf-8"))
    return table


@cache
def _countries() -> frozenset[str]:
    countries = _table()["countries"]
    names = [name for country in countries.values() for name in (country["name"], *country["aliases"])]
    return frozenset(map(_letters, [*countries, *names]))


@cache
def _aggregates() -> frozenset[str]:
    return frozenset(map(_letters, _table()["aggregates"]))

"""Countries by the names that sources give them: ISO 3166-1 alpha-3, region and subregion from the reference table.

Regions are UN M49's, with the Americas split in North and South. Names match exactly after folding; a guess never
assigns a country.
"""

from __future__ import annotations

import difflib
import json
import pkgutil
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from utils import COUNTRY_TABLE, PROJECT, Exit, StageError

COUNTRY_NAMES = PROJECT / "data" / "country_names.json"

_NOT_A_LETTER = re.compile(r"[\W_]+")
# "1 United States", "1. United States" (no list has 300 ranks); "India 1", a footnote's digit; "Georgia (country)".
_BESIDE_THE_NAME = re.compile(r"^#?[12]?\d?\d[.)]?\s+(?=\D)|(?<=\D)\s\d{1,2}$|\s\(country\)$")
_PART = re.compile(r"[-–—−‒•·◦‣▪>→↳]")
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)$")  # "European Union (27)"
_CODE_BEFORE = re.compile(r"([A-Z]{2,3})\s*[-–—:]?\s+(.+)")  # "USA United States", "US – United States"
_CODE_BEHIND = re.compile(r"(?P<name>.+?)\s*(?:[-–—:,]\s*|\()(?P<code>[A-Z]{2,3})\)?")  # "United States (USA)"


class Country(NamedTuple):
    """One country or territory of the reference table; the region is null for Antarctica alone."""

    iso3: str
    name: str
    region: str | None
    subregion: str | None
    alpha2: str | None = None  # ISO 3166-1; XK for Kosovo; none for states that are gone


class Reference(NamedTuple):
    """Every known name, folded: those of countries, and those of aggregates such as World."""

    countries: dict[str, Country]
    aggregates: frozenset[str]

    def find(self, name: str) -> Country | None:
        """Return the country of that name, or None."""
        return self.countries.get(fold(name))

    def find_beside_code(self, name: str) -> Country | None:
        """Return the country of that name, also with its own code beside it; None where code and name differ."""
        if country := self.find(name):
            return country
        before, behind = _CODE_BEFORE.fullmatch(name), _CODE_BEHIND.fullmatch(name)
        named = self.find(before[2]) if before else self.find(behind["name"]) if behind else None
        code = before[1] if before else behind["code"] if behind else ""
        return named if named and self.find(code) is named else None

    def is_aggregate(self, name: str) -> bool:
        """Tell whether the name is a group of countries, whose figure is a control total and not a row."""
        return not self.aggregates.isdisjoint((fold(name), fold(_IN_BRACKETS.sub("", name))))

    def nearest(self, name: str) -> list[str]:
        """Return up to three known names that look like this one, for a message; they assign nothing."""
        close = difflib.get_close_matches(fold(name), self.countries, n=3, cutoff=0.6)
        return list(dict.fromkeys(self.countries[known].name for known in close))


def country_asked_for(name: str) -> Country | None:
    """Return the country that a person means: by a name or code, a two-letter code, or a name in another language.

    Figures are never assigned so. Raises StageError as `reference` does.
    """
    if country := reference().find(name):
        return country
    code = name.strip().upper()
    by_alpha2 = (one for one in reference().countries.values() if one.alpha2 == code)
    return next(by_alpha2, None) or _in_other_languages().get(fold(name))


def _missing(path: Path, error: Exception) -> StageError:
    return StageError(Exit.NO_INPUT, f"cannot read {path}: {error}; restore it from the repository")


@cache
def _in_other_languages() -> dict[str, Country]:
    """Return countries by their folded names in the languages of the IMF and the UN."""
    try:
        names: dict[str, list[str]] = json.loads(COUNTRY_NAMES.read_bytes())
    except (OSError, ValueError) as error:
        raise _missing(COUNTRY_NAMES, error) from None
    return {fold(name): reference().countries[fold(iso3)] for iso3, known in names.items() for name in known}


def visible(text: str) -> str:
    """Return a text without what a reader never sees: soft hyphens, joiners, direction marks, control characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text
                   if unicodedata.category(c) != "Cf")  # fmt: skip


def is_part_of_country(name: str) -> bool:
    """Return whether a name is marked as a part of the country above it: "— England", "• Hong Kong"."""
    return bool(_PART.match(name))


def bare_name(name: str) -> str:
    """Return a name without the rank before it, and a footnote's digit or a "(country)" behind it."""
    return _BESIDE_THE_NAME.sub("", name)


def fold(name: str) -> str:
    """Return a name as it is compared: no accents, case or punctuation; "&" is "and"."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return _NOT_A_LETTER.sub(" ", plain.replace("&", " and ").casefold()).strip()


@cache
def reference() -> Reference:
    """Return the reference table, read once a process.

    Raises StageError (66 or 1) when data/country_region_table.json is missing or contradicts itself: it ships with us.
    """
    try:
        # by the loader that found utils.py beside data/: on Spark's workers it reads out of a zip
        text = pkgutil.get_data("utils", str(COUNTRY_TABLE.relative_to(PROJECT)))
        table: dict[str, Any] = json.loads(text or b"")
    except OSError as error:
        raise _missing(COUNTRY_TABLE, error) from None
    except ValueError as error:
        raise StageError(Exit.FAULT, f"{COUNTRY_TABLE} is broken: {error}; restore it from the repository") from None
    countries: dict[str, Country] = {}
    for iso3, entry in table["countries"].items():
        country = Country(iso3, entry["name"], entry["region"], entry["subregion"], entry.get("alpha2"))
        for name in (iso3, entry["name"], *entry["aliases"]):
            if countries.setdefault(fold(name), country) is not country:
                raise StageError(Exit.FAULT, f"{COUNTRY_TABLE} gives {name} to {iso3} and {countries[fold(name)].iso3}")
    return Reference(countries, frozenset(fold(name) for name in table["aggregates"]) - countries.keys())

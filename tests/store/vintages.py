"""Vintages that were never published, as clean records: honest revisions, single faults and columns that are wrong."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

from gdp.model import CleanRecord
from gdp.store.seed import HISTORY_FILE
from gdp.transform.countries import reference
from gdp.validate.thresholds import WORLD_GROWTH

COUNTRIES = list(dict.fromkeys(c for c in reference().countries.values() if c.region))
PAGE, RELEASE = "https://example.org", "https://www.imf.org"
FIRST_DAY, MONTHS_OF_RELEASES = date(1985, 1, 25), (4, 10)
GROWTH = WORLD_GROWTH  # of every country, a year

Key = tuple[str, str, int]  # institution, ISO code, year
Figures = dict[Key, float]  # in billions


class Vintage(NamedTuple):
    """What one publisher publishes at one moment."""

    as_of: str
    figures: Figures
    source: str = PAGE

    @property
    def records(self) -> list[CleanRecord]:
        return vintage(self.as_of, self.figures, self.source)


def vintage(as_of: str, figures: Figures, source: str = PAGE) -> list[CleanRecord]:
    """Return figures as clean records, highest first, as transform writes them."""
    by_code = {country.iso3: country for country in COUNTRIES}
    records = [
        {
            "Country": by_code[code].name, "ISO3": code, "Region": by_code[code].region,
            "Subregion": by_code[code].subregion, "Institution": institution, "Year": year,
            "GDP_USD_billion": round(figure, 2), "As_of": as_of, "Source": f"{source}/{as_of}", "Note": None,
            "Status": None, "Flags": None, "GDP_USD_million": round(figure * 1000),
        }
        for (institution, code, year), figure in figures.items()
    ]  # fmt: skip
    return sorted(records, key=lambda one: (one["Institution"], -one["Year"], -one["GDP_USD_billion"]))


def write(path: Path, vintages: Iterable[Vintage]) -> Path:
    """Return the path, with the records of vintages written there, one a line or as an array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = (record for one in vintages for record in one.records)
    if path.suffix == ".json":
        path.write_text(json.dumps(list(records)), encoding="utf-8")
        return path
    with path.open("wb") as file:
        file.writelines(orjson.dumps(record) + b"\n" for record in records)
    return path


# --- a list over the years --------------------------------------------------------------------------------------------


@cache
def sizes() -> dict[str, dict[str, float]]:
    """Return by institution and ISO code what the newest bundled vintage would be at the first day, in billions."""
    shrunk = GROWTH ** (FIRST_DAY.year - 2025)
    records = [json.loads(line) for line in gzip.decompress(HISTORY_FILE.read_bytes()).splitlines()]
    found: dict[str, dict[str, float]] = {"IMF": {}, "World Bank": {}}
    for record in records:
        if record["As_of"] == records[-1]["As_of"] and record["Institution"] in found:
            found[record["Institution"]][record["ISO3"]] = record["GDP_USD_billion"] * shrunk
    return found


def made_up_list(number: int, seed: int) -> list[Vintage]:
    """Return so many pages of a list, oldest first, with the IMF's own releases among them.

    The IMF revises its figures in April and October, and pages follow; in between few cells change. At times a figure
    is wrong, a country is missing, a year moves on early, or a whole column is wrong. All days are before those of the
    bundled releases, and at most a month apart.
    """
    chance = random.Random(seed)
    page = {name: dict(figures) for name, figures in sizes().items()}
    found: list[Vintage] = []
    releases: set[tuple[int, int]] = set()
    for n in range(number):
        day = FIRST_DAY + timedelta(days=n * min(30, 12_000 // number))
        release = day.year, day.month
        if found and int(found[-1].as_of[:4]) < day.year:
            page = {name: _changed(figures, GROWTH, chance) for name, figures in page.items()}
        if day.month in MONTHS_OF_RELEASES and release not in releases:
            releases.add(release)
            page = {name: _changed(figures, 1, chance) for name, figures in page.items()}
            own = {("IMF", c, day.year + y): f * GROWTH**y for c, f in page["IMF"].items() for y in (-1, 0, 1)}
            found.append(Vintage(str(day), own, RELEASE))
        for code in chance.sample(sorted(page["IMF"]), chance.choice([0, 0, 1, 2])):
            page["IMF"][code] *= chance.choice([0.97, 1.01, 1.2, 1.5])
        figures = {(name, code, day.year): figure for name, some in page.items() for code, figure in some.items()}
        found.append(Vintage(f"{day}T10:00:00Z", _with_fault(figures, n, chance)))
    return found


def _changed(figures: dict[str, float], factor: float, chance: random.Random) -> dict[str, float]:
    return {code: figure * chance.gauss(factor, 0.01) for code, figure in figures.items()}


def _with_fault(figures: Figures, number: int, chance: random.Random) -> Figures:
    """Return figures with the fault of a vintage of this number, if it has one."""
    imf = {key: figure for key, figure in figures.items() if key[0] == "IMF"}
    gone = set(chance.sample(sorted(imf), 4))
    wrong = chance.choice(sorted(imf)), chance.choice([0.5, 1.3, 10])
    factor, others = chance.choice([1.2, 1.5, 0.001]), chance.sample(list(imf.values()), len(imf))
    faults: dict[int, Figures] = {
        1: {**figures, wrong[0]: imf[wrong[0]] * wrong[1]},
        3: {key: figure for key, figure in figures.items() if key not in gone},
        6: {**figures, **{key: figure * factor for key, figure in imf.items()}},
        8: {**figures, wrong[0]: imf[wrong[0]] * wrong[1]},
        10: {**figures, **dict(zip(imf, others, strict=True))},
        13: {(name, code, year + (name == "IMF")): figure for (name, code, year), figure in figures.items()},
        15: imf,
    }
    return faults.get(number % 17, figures)


# --- any vintages -----------------------------------------------------------------------------------------------------


def random_vintages(number: int, seed: int) -> dict[str, Figures]:
    """Return figures by As_of that are revised, removed and come back; at times an institution is missing."""
    chance = random.Random(seed)
    codes = [country.iso3 for country in COUNTRIES[:12]]
    now: Figures = {}
    removed: Figures = {}
    found = {}
    for n in range(number):
        for _ in range(chance.randint(0, 6)):
            key = chance.choice(["IMF", "UN"]), chance.choice(codes), chance.choice([2023, 2024])
            what = chance.random()
            if key in now and what < 0.3:
                removed[key] = now.pop(key)
            else:
                now[key] = removed.get(key, 1.0) if what < 0.6 else chance.randint(100, 99999) / 100
        missing = chance.choice([None, None, None, "IMF", "UN"])
        figures = {key: figure for key, figure in now.items() if key[0] != missing}
        if figures:
            found[f"2024-{1 + n // 25:02}-{1 + n % 25:02}T0{chance.randint(0, 9)}:00:00Z"] = figures
    return found


def archive(number: int, first_year: int = 1970) -> Iterator[Vintage]:
    """Yield vintages in which every figure is another, one a month, of one year each."""
    for n in range(number):
        year = first_year + n // 12
        figures = {("IMF", one.iso3, year): 100.0 + place + n / 100 for place, one in enumerate(COUNTRIES)}
        yield Vintage(f"{year}-{1 + n % 12:02}-01T00:00:00Z", figures)

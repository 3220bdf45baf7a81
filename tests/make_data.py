"""Made-up data of any size, seeded, written as a stream, with what it is made of stated beside it.

    python tests/make_data.py --pages 1000 --output /tmp/pages
    python tests/make_data.py --records 1000000 --output /tmp/raw.jsonl
    python tests/make_data.py --records 1000000 --distinct --output /tmp/raw.jsonl

Records come as an archive of pages has them: 600 a page, six hours from page to page, one figure in a hundred revised;
with footnote marks, aliases, missing cells, World rows, unknown names and bad rows in the shares below. So an error of
the rules can be had on small data. With --distinct every figure is another one on each page, as in the IMF's releases.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from gdp.transform.countries import reference
from gdp.validate.thresholds import LARGE_ECONOMIES
from tests.page_builder import Layout, Page, Series, build, page_of_facts, plain, short

START = datetime(2012, 1, 15, 12, tzinfo=timezone.utc)
STEP = timedelta(hours=6)  # between pages: ten million records reach to 2023, and none is to come
LAST_PAGE = datetime(2025, 12, 30, tzinfo=timezone.utc)
PAGE_STEP = timedelta(minutes=30)  # so that all are in the figures' own year
REVISED = 0.01  # of the figures, from one page to the next
NEAR, NEAR_DISTINCT = 0.01, 0.05  # of the real figure: how far a made-up one is from it
LEAST_MILLION = 10  # clean figures are in hundredths of a billion: two that are to differ do so by this much
MISSING, MARKED, ALIASED = 0.01, 0.1, 0.1
UNKNOWN, BAD_FIGURE, BROKEN_LINE = 0.002, 0.003, 0.001  # all in all within the share that a run allows
BAD_PAGES = 0.004
BROKEN = "no record"
NO_FIGURE = ("—", "N/A", "")
BAD = ("abc", "0", "12 13", "-5", "1,2,x")
MARKS = ("[n 1]", "[n 11][n 12]", "†", "[a]")
LAYOUTS = (
    Layout(),
    Layout(heading=plain, heading_rows=2, year_column=True, caption="GDP (million US$) by country"),
    Layout(heading=short, rank=True, country_heading="Country", before_name=""),
    Layout(wrappers=1, saved_by_browser=True),
)


def main() -> None:
    """Write pages or records, and what they are made of beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, metavar="N")
    parser.add_argument("--records", type=int, metavar="N")
    parser.add_argument(
        "--distinct", action="store_true", help="records that never repeat the figure of the page before"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="a folder for pages, a .jsonl for records")
    options = parser.parse_args()
    made = make_pages(options.pages, options.output, options.seed) if options.pages else None
    made = made or make_records(options.records, options.output, options.seed, distinct=options.distinct)
    made_file(options.output).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(made))


def made_file(output: Path) -> Path:
    """Return where it is stated what was made."""
    return output.with_name(f"{output.name}.made.json")


# --- records ----------------------------------------------------------------------------------------------------------


def make_records(
    number: int, output: Path, seed: int = 1, broken_lines: bool = True, distinct: bool = False
) -> dict[str, Any]:
    """Write raw records as lines; return the count of each kind, and the sums of the countries' figures."""
    counts: Counter[str] = Counter()
    cents: Counter[str] = Counter()
    with output.open("w", encoding="utf-8") as file:
        lines = (one for one in _lines(random.Random(seed), distinct) if broken_lines or one[1] != BROKEN)
        for line, kind, institution, hundredths in islice(lines, number):
            file.write(line)
            counts[kind] += 1
            if kind in ("clean", "unknown"):
                cents[institution] += hundredths
    return {"records": number, "seed": seed, "counts": dict(counts), "hundredths_of_billion": dict(cents)}


def records_a_page() -> int:
    """Return how many records a made-up page has; another number breaks off the last one, which load refuses."""
    return sum(len(_Column(series, random.Random(1)).countries) + 1 for series in page_of_facts().series)


def _lines(chance: random.Random, distinct: bool) -> Iterator[tuple[str, str, str, int]]:
    """Yield lines without end, with their kind, institution and figure in hundredths of a billion."""
    columns = [_Column(series, chance) for series in page_of_facts().series]
    for page in count():
        moment = START + STEP * page
        for column in columns:
            around = _around(column.institution, moment, page)
            total = 0
            for country in column.countries:
                line, kind, million = country.line(around, chance, distinct)
                total += million
                yield line, kind, column.institution, (million + 5) // 10
            yield f'{{"Country": "World", "GDP": "{total:,}", {around}\n', "aggregate", column.institution, 0


class _Column:
    """An institution's countries."""

    def __init__(self, series: Series, chance: random.Random) -> None:
        self.institution = series.institution
        texts = {
            name.partition("[")[0]: figure.text.partition(" (")[0].replace(",", "")
            for name, figure in series.figures.items()
        }
        known = {name: int(text) for name, text in texts.items() if text.isdecimal() and reference().find(name)}
        self.countries = [_Made(name, n, million, chance) for n, (name, million) in enumerate(known.items())]


class _Made:
    """A country of a column: its real figure, near which the made-up ones stay, and what may be odd about it."""

    def __init__(self, name: str, number: int, million: int, chance: random.Random) -> None:
        country = reference().find(name)
        assert country
        self.name, self.number, self.real, self.million = name, number, million, million
        # without one of the large economies, or Taiwan, the checks would refuse the whole vintage
        self.steady = country.iso3 in {*LARGE_ECONOMIES, "TWN"}
        self.missing = not self.steady and chance.random() < MISSING
        folded = (known for known, found in reference().countries.items() if found is country)
        self.aliases = sorted(known.title() for known in folded if len(known) > 3)

    def line(self, around: str, chance: random.Random, distinct: bool) -> tuple[str, str, int]:
        """Return a line, its kind, and its figure in millions, or 0 where it gives none."""
        if distinct:
            self.million = self._another(chance)
        elif chance.random() < REVISED:
            self.million = max(LEAST_MILLION, int(self.real * chance.uniform(1 - NEAR, 1 + NEAR)))
        name, gdp, kind, draw = self.name, f"{self.million:,}", "clean", chance.random()
        if self.missing:
            gdp, kind = chance.choice(NO_FIGURE), "no figure"
        elif self.steady:
            pass
        elif draw < BROKEN_LINE:
            return f'{{"Country": "{name}", "GDP": "{gdp}\n', BROKEN, 0
        elif draw < BROKEN_LINE + UNKNOWN:
            name, kind = f"Ruritania {self.number}", "unknown"
        elif draw < BROKEN_LINE + UNKNOWN + BAD_FIGURE:
            gdp, kind = chance.choice(BAD), "rejected"
        elif self.aliases and chance.random() < ALIASED:
            name = chance.choice(self.aliases)
        if chance.random() < MARKED:
            name += chance.choice(MARKS)
        answer = json.dumps(name, ensure_ascii=False)
        given = self.million if kind in ("clean", "unknown") else 0
        return f'{{"Country": {answer}, "GDP": "{gdp}", {around}\n', kind, given

    def _another(self, chance: random.Random) -> int:
        """Return a figure in millions near the real one that is not the last one, in hundredths of a billion too."""
        reach = max(NEAR_DISTINCT * self.real, 2 * LEAST_MILLION)
        while True:
            million = max(LEAST_MILLION, round(self.real + chance.uniform(-reach, reach)))
            if abs(million - self.million) >= LEAST_MILLION:
                return million


def _around(institution: str, moment: datetime, page: int) -> str:
    words = {
        "Year": None,
        "Column": f"{institution}({moment.year})[6]",
        "Unit": "GDP forecast or estimate (million US$) by country",
        "Institution": institution,
        "Source": "https://en.wikipedia.org/w/index.php?title=List_of_countries_by_GDP_(nominal)"
        f"&oldid={1_000_000 + page}",
        "As_of": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    }
    return json.dumps(words, ensure_ascii=False).removeprefix("{")


# --- pages ------------------------------------------------------------------------------------------------------------


def make_pages(number: int, folder: Path, seed: int = 1) -> dict[str, Any]:
    """Write pages in mixed layouts, some of them bad; return how many of each, their figures, and the IMF's sum."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    facts = page_of_facts()
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for n in range(number):
        moment = LAST_PAGE - PAGE_STEP * (number - n)
        if n and chance.random() < 0.3:  # an edit of single figures
            facts = replace(facts, series=[_edited(one, chance) for one in facts.series])
        content = build(replace(facts, saved=moment, revision=2_000_000 + n), chance.choice(LAYOUTS)).encode()
        bad = chance.random() < BAD_PAGES
        counts["bad pages" if bad else "pages"] += 1
        if bad:
            content = chance.choice((content[: len(content) // 2], b"<html><body>gone</body></html>"))
        else:
            _count(facts, counts, sums)
        name = f"{moment:%Y-%m-%d}_enwiki_rev{2_000_000 + n}.html.gz"
        (folder / name).write_bytes(gzip.compress(content, compresslevel=1, mtime=0))
    return {"pages": number, "seed": seed, "counts": dict(counts), "hundredths_of_billion": dict(sums)}


def _edited(series: Series, chance: random.Random) -> Series:
    figures = dict(series.figures)
    for name in chance.sample(sorted(figures), 3):
        figure = figures[name]
        digits = figure.text.replace(",", "")
        if digits.isdecimal() and name != "World":
            figures[name] = replace(figure, text=f"{int(int(digits) * chance.uniform(0.98, 1.02)) or 1:,}")
    return replace(series, figures=figures)


def _count(page: Page, counts: Counter[str], sums: Counter[str]) -> None:
    for one in page.series:
        for name, figure in one.figures.items():
            digits = figure.text.partition(" (")[0].replace(",", "")
            counts["raw records"] += 1
            if not digits.isdecimal():
                counts["no figure"] += 1
            elif reference().is_aggregate(name.partition("[")[0]):
                counts["aggregate"] += 1
            else:
                counts["clean"] += 1
                sums[one.institution] += (int(digits) + 5) // 10


if __name__ == "__main__":
    main()

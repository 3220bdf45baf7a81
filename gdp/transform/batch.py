"""A chunk of raw lines: the rules of rules.py, applied to many records at once.

Its result is clean lines in the same order, rejects with their place and reason, and totals. It is a pure function of
its lines: the same for an array and a stream, in one process, in several, or on Spark.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from gdp.model import RAW_FIELDS
from gdp.record_files import BYTE_ORDER_MARK, LINE_LIMIT_BYTES, length_problem, record_problem
from gdp.runtime.output import BYTE_OFFSET, Reject
from gdp.runtime.output import MAX_TEXT_CHARACTERS as MAX_REJECT_CHARACTERS
from gdp.transform import rules
from gdp.transform.amounts import hundredths, millions, texts_of, texts_of_billions, whole_numbers
from gdp.transform.rules import CACHED_COLUMNS, ColumnFacts, Fate, Meaning, Name, RawValues
from gdp.transform.years import CACHED_TEXTS
from utils import MAX_NAMED

BROKEN = "no record"  # the fate of a line that is no raw record at all
MAX_UNKNOWN = 25  # unknown names that are remembered for messages; no real page has one

Sums = dict[str, list[int]]  # by As_of, year and institution: hundredths of a billion, of the countries and of World
YEAR = b'", "Year": '  # what follows the figure in a raw line
NOTHING = b"\n"  # no line ends in it
# of a clean line: the country, the text before the figure, its whole, its fraction, the text before its millions, those
PARTS = 6
DONE = b"done"  # replaces the figure of a line that was read by itself
DAMAGED = "\ufffd".encode()  # readers, Spark's among them, write it instead of bytes that are not UTF-8
_NAMES = [*RAW_FIELDS]
_OPTIONAL = {name for name, field in RAW_FIELDS.items() if field.may_be_absent}


class ControlTotal(NamedTuple):
    """The sum of an institution's countries, and its World row, both in billions of US dollars."""

    as_of: str
    institution: str
    year: int
    countries: float
    world: float

    def as_json(self) -> dict[str, Any]:
        """Return the World row as results/Checks.json has it, in millions of USD."""
        million = round(self.world * 1000, 1)
        return {"Institution": self.institution, "As_of": self.as_of, "Year": self.year, "GDP_USD_million": million}


class Totals:
    """Totals of raw records, added up chunk by chunk; `saved` is what an earlier one's as_json returned."""

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        saved = saved or {"counts": {}, "sums": {}, "unknown": [], "first_rejects": []}
        self.counts: Counter[str] = Counter(saved["counts"])
        self.sums: Sums = dict(saved["sums"])
        self.unknown: list[str] = list(saved["unknown"])
        self.first_rejects: list[str] = list(saved["first_rejects"])

    def sums_of(self, name: str) -> list[int]:
        """Return the sums of a name, which may be changed: those of the countries and of World."""
        return self.sums.setdefault(name, [0, 0])

    def add(self, more: Totals) -> None:
        """Add the totals of more records."""
        self.counts.update(more.counts)
        for name, (countries, world) in more.sums.items():
            before = self.sums.get(name, [0, 0])
            self.sums[name] = [before[0] + countries, world or before[1]]
        self.unknown = list(dict.fromkeys([*self.unknown, *more.unknown]))[:MAX_UNKNOWN]
        self.first_rejects = [*self.first_rejects, *more.first_rejects][:MAX_NAMED]

    def as_json(self) -> dict[str, Any]:
        """Return the totals as a JSON object."""
        return vars(self)

    @property
    def by_fate(self) -> dict[str, int]:
        """How many records had each fate, in the order of Fate; fates of no record are left out."""
        return {fate: self.counts[fate] for fate in (*map(str, Fate), BROKEN) if self.counts[fate]}

    @property
    def left_out(self) -> dict[str, int]:
        """How many records gave no row, by reason: `by_fate` without the clean ones."""
        return {fate: count for fate, count in self.by_fate.items() if fate != Fate.CLEAN.value}

    @property
    def total(self) -> int:
        """How many records there were."""
        return self.counts.total()

    @property
    def written(self) -> int:
        """How many records gave a clean record."""
        return self.counts[Fate.CLEAN.value]

    @property
    def rejected(self) -> int:
        """How many records were rejected."""
        return self.counts[Fate.REJECTED.value] + self.counts[BROKEN]

    @property
    def newest(self) -> str:
        """The newest As_of of a figure, or an empty text where there is no figure."""
        return max((name.partition(" ")[0] for name in self.sums), default="")

    def control_totals(self) -> Iterator[ControlTotal]:
        """Yield the sum of the countries of each institution and As_of, and its World row.

        A column may have figures for other years, so all of them are compared with the only World row of a page. Where
        there are several World rows, one a year, each is compared with the countries of its year.
        """
        of_series: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(dict)
        for name, cents in self.sums.items():
            as_of, stated_year, institution = name.split(" ", 2)
            of_series[as_of, institution][int(stated_year)] = cents
        for (as_of, institution), by_year in sorted(of_series.items()):
            worlds = {year: world for year, (_, world) in by_year.items() if world}
            for year, world in sorted(worlds.items()):
                years = list(by_year) if len(worlds) == 1 else [year]
                countries = sum(by_year[one][0] for one in years)
                yield ControlTotal(as_of, institution, year, countries / 100, world / 100)


class CleanChunk(NamedTuple):
    """What became of a chunk of raw lines: clean lines, rejects, and the totals of both."""

    lines: bytes
    rejects: list[Reject]
    totals: Totals


class _Column(NamedTuple):
    """What the clean lines of a column share: the name of its sum, the text around a figure, and the figures' unit."""

    sum: str
    before: bytes
    after: bytes
    factor: Decimal


class _Known:
    """What the parts of earlier lines mean: most lines repeat them with another figure.

    Keyed by the raw line's own bytes, as extract writes them: up to the figure, and from the year to the end. Each part
    was found to mean by itself what it meant in its line, so any two of them with a whole figure between mean the same.
    """

    def __init__(self) -> None:
        self.countries: dict[bytes, bytes] = {}
        self.columns: dict[bytes, _Column] = {}

    def learn(self, line: bytes, found: Meaning, name: Name, facts: ColumnFacts) -> None:
        """Remember the parts of a clean line, unless its year or its flags can come from the name or the figure."""
        head, column = _cut(line)
        country, _, gdp = head.rpartition(b'"')
        is_whole = gdp.replace(b",", b"").isdigit()
        if name.country is None or name.year is not None or not is_whole or not _is_independent(country, column):
            return
        for known, most in ((self.countries, CACHED_TEXTS), (self.columns, CACHED_COLUMNS)):
            if len(known) >= most:
                known.clear()
        before, after = _text_of_column(facts, found.year, found.flags, found.status)
        self.countries[country] = _text_of_country(name).encode()
        self.columns[column] = _Column(sum_name(facts, found.year), before.encode(), after.encode(), facts.factor)


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """Return a raw line up to the end of its figure, and the rest; no text has an unescaped quotation mark."""
    head, year, column = line.partition(YEAR)
    return head, year + column


def _is_independent(country: bytes, column: bytes) -> bool:
    """Return whether the text on both sides of a figure is whole, and has the fields that it should and no other."""
    try:
        begin, rest = (orjson.loads(text) for text in (country + b'""}', b'{"GDP": "' + column))
    except orjson.JSONDecodeError:
        return False
    around = [name for name in rest if name not in _OPTIONAL]
    return list(begin) == _NAMES[:2] and around == [name for name in _NAMES[1:] if name not in _OPTIONAL]


_known = _Known()


class _Chunk:
    """The result of a chunk, built line by line; lines of known parts in stretches of one unit, at once."""

    def __init__(self, raws: list[bytes]) -> None:
        self.raws = raws
        self.lines: list[bytes] = []
        self.rejects: list[tuple[int, str]] = []
        self.totals = Totals()
        # of the stretch:
        self.factor = Decimal(1)
        self.columns: list[tuple[int, _Column]] = []  # with the places where they begin
        self.begins: list[bytes] = []  # of each line, its country; or the whole line, where it was read by itself
        self.figures: list[bytes] = []  # DONE for a line that was read by itself

    def read(self) -> None:
        """Read every line."""
        countries, end = _known.countries, NOTHING
        put_begin, put_figure = self.begins.append, self.figures.append
        for number, line in enumerate(self.raws):
            head = line.removesuffix(end)
            if head is line:
                head, end = self.begin_column(number)
            country, _, figure = head.rpartition(b'"')
            begin = countries.get(country)
            put_figure(figure if begin else DONE)
            put_begin(begin or self.read_by_itself(number))
        self.end_stretch(len(self.raws))

    def begin_column(self, number: int) -> tuple[bytes, bytes]:
        """Begin a column with a line, if it is known; return the line up to the end of its figure, and the rest."""
        head, rest = _cut(self.raws[number])
        column = _known.columns.get(rest)
        if not column:
            return b"", NOTHING
        if column.factor != self.factor:
            self.end_stretch(number)
            self.factor = column.factor
        self.columns.append((len(self.begins), column))
        return head, rest

    def end_stretch(self, number: int) -> None:
        """Read the figures before a line all at once; a line whose figure is not whole is read by itself."""
        length = len(self.begins)
        numbers, odd = whole_numbers(self.figures, self.factor)
        for place in odd:
            if self.figures[place] is not DONE:
                self.begins[place] = self.read_by_itself(number - length + place)
        cents = hundredths(numbers, self.factor)
        parts = [b""] * (length * PARTS)
        parts[::PARTS] = self.begins
        parts[2::PARTS], parts[3::PARTS] = texts_of_billions(cents)
        parts[5::PARTS] = texts_of(millions(numbers, self.factor), "}\n")
        ends = [*(begin for begin, _ in self.columns[1:]), length]
        for (begin, column), end in zip(self.columns, ends, strict=False):
            for part, text in ((1, column.before), (4, column.after)):
                parts[begin * PARTS + part : end * PARTS : PARTS] = [text] * (end - begin)
            if count := end - begin - (bisect_left(odd, end) - bisect_left(odd, begin)):
                self.totals.counts[Fate.CLEAN.value] += count
                self.totals.sums_of(column.sum)[0] += sum(cents[begin:end])
        for place in odd:
            parts[place * PARTS + 1 : (place + 1) * PARTS] = [b""] * (PARTS - 1)
        self.lines.append(b"".join(parts))
        for of_lines in (self.columns, self.begins, self.figures):
            of_lines.clear()

    def read_by_itself(self, number: int) -> bytes:
        """Read one line by the rules; return its clean line, or nothing."""
        line = self.raws[number]
        is_too_long = len(line) > LINE_LIMIT_BYTES  # and may be here without its end
        text = line if is_too_long else line.removeprefix(BYTE_ORDER_MARK).strip()
        if not text:
            return b""
        values, problem = _values(text)
        if values is None:
            self.totals.counts[BROKEN] += 1
            self.rejects.append((number, problem))
            return b""
        found = rules.meaning(values)
        self.totals.counts[found.fate.value] += 1
        name, facts, cents = found.name, found.column, found.figure.cents
        if name is None or facts is None or cents is None:
            if found.reason:
                self.rejects.append((number, found.reason))
            return b""
        if found.fate is Fate.AGGREGATE:
            if name.text in rules.WORLD:
                self.totals.sums_of(sum_name(facts, found.year))[1] = cents
            return b""
        _known.learn(line, found, name, facts)
        self.totals.sums_of(sum_name(facts, found.year))[0] += cents
        unknown = self.totals.unknown
        if name.country is None and len(unknown) < MAX_UNKNOWN and name.text not in unknown:
            unknown.append(name.text)
        return _line(found, name, facts).encode()


def clean_lines(text: bytes, file: str, places: int | Sequence[int], counted: str = BYTE_OFFSET) -> CleanChunk:
    """Return what becomes of raw lines, which begin in `file` at a byte offset, or each at a place of its own; pure.

    `counted` names the places: byte offsets, or the numbers of the records.
    """
    if text.endswith(b"\n\n"):
        text = text.rstrip(b"\n")  # a kilobyte may unpack to a hundred million ends of lines
    raws = text.split(b"\n")
    if not raws[-1]:
        raws.pop()
    chunk = _Chunk(raws)
    chunk.read()
    rejects = [
        Reject(file, reason, place, counted, raws[number].decode("utf-8", "replace")[:MAX_REJECT_CHARACTERS])
        for number, reason, place in _placed(sorted(chunk.rejects), raws, places)
    ]
    chunk.totals.first_rejects = list(map(str, rejects[:MAX_NAMED]))
    return CleanChunk(b"".join(chunk.lines), rejects, chunk.totals)


def _placed(
    rejects: list[tuple[int, str]], raws: list[bytes], places: int | Sequence[int]
) -> Iterator[tuple[int, str, int]]:
    """Yield the number of each rejected line, the reason, and its place."""
    if not isinstance(places, int):
        yield from ((number, reason, places[number]) for number, reason in rejects)
        return
    place, before = places, 0
    for number, reason in rejects:
        place += sum(map(len, raws[before:number])) + number - before  # one end of line each
        before = number
        yield number, reason, place


def _values(line: bytes) -> tuple[RawValues | None, str]:
    """Return the values of a raw line, or why it is no raw record."""
    if len(line) > LINE_LIMIT_BYTES:
        return None, f"is a line of over {LINE_LIMIT_BYTES:,} bytes, where a record has some hundred"
    try:
        if DAMAGED in line:
            raise UnicodeError
        raw = orjson.loads(line.decode())
    except UnicodeError:
        return None, "is not text in UTF-8"
    except orjson.JSONDecodeError as error:
        return None, f"is not JSON: {error}"
    try:
        values = rules.values_of(raw)
        if tuple(map(type, values)) in _right_types:
            problem = length_problem(values[0], values)
            return (None, problem) if problem else (values, "")
    except (LookupError, TypeError, AttributeError):
        pass
    if problem := record_problem(raw, RAW_FIELDS):
        return None, problem
    _right_types.add(tuple(map(type, rules.values_of(raw))))
    return rules.values_of(raw), ""


# The types of records that were found right: quicker to look up together than to check one by one.
_right_types: set[tuple[type, ...]] = set()


def sum_name(facts: ColumnFacts, year: int) -> str:
    """Return the name of a column's control sum: its As_of, year and institution."""
    return f"{facts.as_of} {year} {facts.institution}"


def _line(found: Meaning, name: Name, facts: ColumnFacts) -> str:
    """Return a clean record as write_records writes it."""
    assert found.figure.cents is not None
    before, after = _text_of_column(facts, found.year, found.flags, found.status)
    return f"{_text_of_country(name)}{before}{found.figure.cents / 100}{after}{found.figure.million!r}}}\n"


@lru_cache(CACHED_COLUMNS)
def _text_of_country(name: Name) -> str:
    return json.dumps(rules.country_fields(name), ensure_ascii=False).removesuffix("}")


@lru_cache(CACHED_COLUMNS)
def _text_of_column(facts: ColumnFacts, year: int, flags: str | None, status: str | None) -> tuple[str, str]:
    """Return the text of a clean line between country and billions, and between billions and millions."""
    rest = json.dumps(rules.column_fields(facts, flags, status), ensure_ascii=False)[1:-1]
    before = f', "Institution": "{facts.institution}", "Year": {year}, "GDP_USD_billion": '
    return before, f', {rest}, "GDP_USD_million": '

"""What became of the vintages of a load: stored, refused or unchanged, and what the checks found on them."""

from __future__ import annotations

import hashlib
import json
import marshal
from collections import Counter
from collections.abc import Iterable
from functools import cache

from gdp.store.history import History, State
from gdp.store.vintages import Vintage
from gdp.validate.findings import Finding
from gdp.validate.observations import Observations
from utils import PROJECT, pages_folder

# the columns of what was published; flags are apart, as the checks add to them
PUBLISHED = ("Country", "Year", "GDP_USD_billion", "GDP_USD_million", "Status")


class LoadOutcome:
    """What became of the vintages of a file, and what the checks found.

    Of an archive's older vintages, fatal findings are kept, and other findings are counted.
    """

    def __init__(self, history: History) -> None:
        self.history = history  # of before the load
        self.totals_before = history.totals()
        self.number = 0
        self.newest: dict[str, Vintage] = {}  # by publisher
        self.loaded: dict[Vintage, tuple[int, str]] = {}  # with the number of figures and the fingerprint
        self.unchanged: list[Vintage] = []
        self.refused: list[Vintage] = []
        self.outdated: list[Vintage] = []
        self.later_fatal: list[Finding] = []  # on vintages that were loaded before
        self.rows, self.cents = 0, 0  # that were added to GDP_Estimates, less those that were removed
        self.states: dict[tuple[str, str], tuple[str, State]] = {}  # the last As_of of each series, and its rows
        self.doubts: dict[tuple[str, str], str | None] = {}  # by publisher and As_of
        self.checked_again: dict[Vintage, str] = {}  # loaded before, with other findings now, as JSON
        self.new_findings: dict[str, list[Finding]] = {}  # by publisher, on its newest vintage: not reported before
        self.older: Counter[str] = Counter()
        self.found_in_short: dict[Vintage, str] = {}  # as JSON
        self.last_found: dict[tuple[str, str], str] = {}  # of the vintage that was added last, by publisher and As_of
        self.control_totals: dict[Vintage, str] = {}  # as JSON
        self._found: dict[Vintage, list[Finding]] = {}

    @property
    def findings(self) -> list[Finding]:
        """The findings, oldest vintage first."""
        return [finding for vintage in sorted(self._found) for finding in self._found[vintage]]

    def add(self, vintage: Vintage, findings: list[Finding], new: list[Finding]) -> None:
        """Add a vintage of the file and what was found on it; `new` are the findings that were not reported before."""
        self._found[vintage] = findings
        self.new_findings[vintage.publisher] = new
        self.found_in_short[vintage] = short_json(findings)
        self.last_found = {(vintage.publisher, vintage.as_of): self.found_in_short[vintage]}
        before = self.newest.get(vintage.publisher)
        self.newest[vintage.publisher] = max(before or vintage, vintage)
        for older in {before, vintage} - {None, self.newest[vintage.publisher]}:
            assert older
            found = self._found.pop(older, [])
            self.older.update(finding.check for finding in found if not finding.fatal)
            fatal = [finding for finding in found if finding.fatal]
            if fatal:
                self._found[older] = fatal

    def add_loaded(self, vintage: Vintage, parts: list[Observations], figures: int) -> None:
        """Add a vintage that was stored, with the number of its figures."""
        self.loaded[vintage] = figures, vintage_fingerprint(parts)

    def add_unchanged(self, vintage: Vintage) -> None:
        """Add a vintage that the database has already."""
        self.unchanged.append(vintage)
        self.newest[vintage.publisher] = max(self.newest.get(vintage.publisher, vintage), vintage)


def short_json(findings: Iterable[Finding]) -> str:
    """Return findings without their notes, as Loads has them."""
    return json.dumps([finding.in_short() for finding in findings])


# --- unchanged vintages ----------------------------------------------------------------------------------------------


def vintage_fingerprint(parts: list[Observations]) -> str:
    """Return a hash of what a vintage published, and one of the rules that check it, with a colon between."""
    digest = hashlib.sha256()
    for part in sorted(parts, key=lambda one: one.institution):
        columns = [part.columns[name] for name in PUBLISHED]
        digest.update(marshal.dumps([part.institution, *columns, part.published_flags], 2))  # 2: without references
    return f"{digest.hexdigest()[:32]}:{_rules()}"


@cache
def _rules() -> str:
    """Return a hash of the checks and of the releases that they compare with."""
    files = [*sorted((PROJECT / "gdp" / "validate").glob("*.py")), *sorted((PROJECT / "data").glob("imf_releases*"))]
    answers = sorted(path.name for path in pages_folder().glob("*_imf_*"))
    digest = hashlib.sha256(" ".join(answers).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]

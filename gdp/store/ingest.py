"""Vintages taken into the database: each checked among its neighbours, stored, and those around it judged anew.

What a check finds may depend on the vintages before, and where two contradict each other on those after. So that no
order of loading matters, whatever was loaded before and looks at a new vintage is checked again.
"""

from __future__ import annotations

import contextlib
import gc
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from gdp.records import PAGE
from gdp.store.database import Connection
from gdp.store.history import History
from gdp.store.reader import CleanFile, Mixed, said_twice
from gdp.store.vintages import Vintage, vintage_of
from gdp.validate.consistency import LOOKED_AT, UNSETTLED
from gdp.validate.duplicates import one_figure_each
from gdp.validate.findings import Finding, NotesOfChecks
from gdp.validate.observations import Said
from gdp.validate.single_vintage import check_vintage
from utils import first_few

Begin = Callable[[History, Vintage], None]  # what is done with all that is loaded before the first of a file
# An archive makes millions of objects and none in a circle: to look for those took a fifth of the time.
OBJECTS_A_COLLECTION = 200_000
MOST_JUDGED = 3  # times that one load may judge a vintage anew: two that wait for each other must not go on for ever


class Taken:
    """What was taken from a file: its vintages, the rows of those that were loaded, and what the checks found.

    Of an archive's older vintages the fatal findings are kept, and of the others how many there were.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Vintage] = {}
        self.number = 0
        self.loaded: dict[Vintage, int] = {}
        self.refused: list[Vintage] = []
        self.outdated: list[Vintage] = []
        self.later_fatal: list[Finding] = []  # on vintages loaded before, in the light of what is loaded now
        self.older: Counter[str] = Counter()
        self.judged_anew: set[Vintage] = set()  # loaded before
        self.found_in_short: dict[Vintage, str] = {}  # what was found on each, in short, as JSON
        self._found: dict[Vintage, list[Finding]] = {}

    @property
    def findings(self) -> list[Finding]:
        """What was found, oldest vintage first."""
        return [finding for vintage in sorted(self._found) for finding in self._found[vintage]]

    def add(self, vintage: Vintage, found: list[Finding]) -> None:
        """Take note of a vintage and what was found on it."""
        self.number += 1
        self._found[vintage] = found
        self.found_in_short[vintage] = json.dumps([finding.in_short() for finding in found])
        before = self.newest.get(vintage.publisher)
        self.newest[vintage.publisher] = max(before or vintage, vintage)
        for older in {before, vintage} - {None, self.newest[vintage.publisher]}:
            assert older
            self.older.update(finding.check for finding in self._found[older] if not finding.fatal)
            fatal = [finding for finding in self._found.pop(older) if finding.fatal]
            if fatal:
                self._found[older] = fatal


class Checked(NamedTuple):
    """What a vintage says, one figure a country and year; what was found on it; and whether it stirs its neighbours."""

    said: list[Said]
    findings: list[Finding]
    stirs: bool

    @property
    def is_fatal(self) -> bool:
        """Tell whether a finding stops the vintage."""
        return any(finding.fatal for finding in self.findings)

    @property
    def doubt(self) -> str | None:
        """Return why the vintage is no measure for others, or UNSETTLED where nobody knows which of two is wrong."""
        fatal = next((str(finding) for finding in self.findings if finding.fatal), None)
        return fatal or next((UNSETTLED for finding in self.findings if finding.check == UNSETTLED), None)


def take_all(connection: Connection, clean_file: CleanFile, force: bool, begin: Begin) -> tuple[History, Taken]:
    """Store every vintage of a file that has no fatal finding, or all where forced; return what is known then.

    `begin` is called when the first is known, before it is stored: twice where the file is to be sorted first.
    """
    gc.set_threshold(OBJECTS_A_COLLECTION)
    connection.execute("SAVEPOINT before_reading")
    with contextlib.suppress(Mixed):
        history = History(connection)
        return history, take_each(history, _begun(history, clean_file.vintages(), begin), force)
    connection.execute("ROLLBACK TO before_reading")
    history = History(connection)
    return history, take_each(history, _begun(history, clean_file.sorted_vintages(), begin), force)


def _begun(history: History, vintages: Iterable[list[Said]], begin: Begin) -> Iterator[list[Said]]:
    for number, said in enumerate(vintages):
        if number == 0:
            begin(history, vintage_of(said))
        yield said


def take_each(history: History, vintages: Iterable[list[Said]], force: bool) -> Taken:
    """Store each vintage that has no fatal finding, or each one where forced."""
    taken = Taken()
    for said in vintages:
        vintage = vintage_of(said)
        known = history.vintages.at(vintage.publisher, vintage.as_of)
        if known and (len(known.source), known.source) > (len(vintage.source), vintage.source):
            taken.outdated.append(vintage)  # of two revisions saved in the same minute the later one stands
            continue
        checked = check(history, vintage, said)
        taken.add(vintage, checked.findings)
        if checked.is_fatal and not force:
            taken.refused.append(vintage)
            continue
        take_in(history, vintage, checked, taken)
        taken.loaded[vintage] = sum(len(one.years) for one in checked.said)
    history.save()
    return taken


def check(history: History, vintage: Vintage, said: list[Said]) -> Checked:
    """Return what comes of what a vintage says, given all that is loaded."""
    release = history.release_before(vintage.as_of) if vintage.publisher == PAGE else None
    around = history.neighbours(vintage.publisher, vintage.as_of)
    alike = [
        Finding("a country twice", False, one.institution, vintage.as_of, f"{first_few(names)} twice, alike", "once")
        for one in said
        if (names := said_twice(one))
    ]
    findings, stirs = check_vintage(said, around, release)
    last = around.earlier(0)
    return Checked([one_figure_each(one, last.get(one.institution)) for one in said], alike + findings, stirs)


def take_in(history: History, vintage: Vintage, checked: Checked, taken: Taken) -> None:
    """Store a vintage, and judge anew those that look at it, and then those that look at what changed."""
    replaced = history.vintages.at(vintage.publisher, vintage.as_of)
    institutions = {*vintage.institutions, *(replaced.institutions if replaced else ())}
    changed = store(history, vintage, checked)
    waiting = looking_at(history, vintage, checked, changed)  # none where an archive is loaded in order
    waiting |= set(history.vintages.depending_on(vintage, institutions))
    judged: Counter[Vintage] = Counter()
    while waiting:
        other = min(waiting, key=lambda one: (one.as_of, one.publisher))
        waiting.remove(other)
        judged[other] += 1
        again = check(history, other, history.said(other))
        changed = store(history, other, again)
        waiting |= {one for one in looking_at(history, other, again, changed) if judged[one] < MOST_JUDGED}
        taken.judged_anew.add(other)
        taken.later_fatal += [finding for finding in again.findings if finding.fatal]


def looking_at(history: History, vintage: Vintage, checked: Checked, changed: set[str]) -> set[Vintage]:
    """Return the vintages to judge anew as one was stored and rows changed: those at which the rows end, and the next.

    Where it stirs its neighbours, as it contradicts one of them, those too.
    """
    if not changed:
        return set()
    ends = [history.vintages.at(vintage.publisher, until) for until in changed]
    found = {end for end in ends if end and end.as_of > vintage.as_of}
    for looked_at in (vintage, *tuple(found)):
        found |= set(history.vintages.depending_on(looked_at, set(looked_at.institutions)))
    return found | (set(history.vintages.around(vintage, LOOKED_AT)) if checked.stirs else set())


def store(history: History, vintage: Vintage, checked: Checked) -> set[str]:
    """Store a vintage with Notes and doubt; return the Until of every row changed, its As_of where the doubt was."""
    key = vintage.publisher, vintage.as_of
    before = history.vintages.doubts.get(key)
    changed = history.put(vintage, checked.said, NotesOfChecks(checked.findings))
    history.vintages.doubts[key] = checked.doubt
    return changed | ({vintage.as_of} if before != checked.doubt else set())

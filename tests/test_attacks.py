"""Every attack holds; see tests/attacks."""

from __future__ import annotations

import pytest

from tests.attacks.every import ATTACKS
from tests.attacks.harness import Attack, NotPossible, new_home

# those that take longest; python -m tests.attacks runs them with the others
LONG = {
    "the password of a database, also in an address that is broken", "a database and logs that somebody edited",
    "the address of a dead-man's switch", "outputs and inputs under schemes that are none of ours",
    "databases that are none of ours", "a byte order mark and blank lines in a stream",
    "SIGKILL at each rename and each lock of a rotation", "a quota that is used up, at every file that a stage syncs",
    "a quota of btrfs that is used up before each stage", "a full tmpfs, filled before each stage",
    "a newer page into a database that somebody edited", "the address of a proxy, also a broken one",
    "hardly any descriptors", "EMFILE at each file that a stage opens", "Turkish, and locales that are not there",
    "the first and the last time zone of the day, and none", "a run a day", "a signal to each stage alone",
    "standard descriptors closed, each and all, and a high one in their place", "a server whose disk is full",
    "a server that accepts and never answers", "each signal to a run with workers, at many moments",
    "all output into head -1", "messages into a reader that is gone at once",
    "a workbook whose sheet or strings unpack to 2 GB",
    "an archive with one file of 2 GB, with a hundred thousand files, and with itself in it",
}  # fmt: skip


@pytest.mark.parametrize(
    "attack",
    [pytest.param(one, marks=[pytest.mark.long] * (one.tried in LONG)) for one in ATTACKS],
    ids=[f"{one.family}: {one.tried}" for one in ATTACKS],
)
def test_an_attack_fails(attack: Attack) -> None:
    with new_home() as home:
        try:
            attack.work(home)
        except NotPossible as reason:
            pytest.skip(str(reason))

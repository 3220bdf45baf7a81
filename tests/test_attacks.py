"""Every attack holds: closed pipes, others' things, secrets, endless input, odd values, names, quiet."""

from __future__ import annotations

import pytest

from tests.attacks.every import ATTACKS
from tests.attacks.harness import Attack, new_home

# those that take longest; python -m tests.attacks runs them with the others
LONG = {
    "the password of a database, also in an address that is broken", "a database and logs that somebody edited",
    "the address of a dead-man's switch", "outputs and inputs under schemes that are none of ours",
    "databases that are none of ours", "a byte order mark and blank lines in a stream",
}  # fmt: skip


@pytest.mark.parametrize(
    "attack",
    [pytest.param(one, marks=[pytest.mark.long] * (one.tried in LONG)) for one in ATTACKS],
    ids=[f"{one.family}: {one.tried}" for one in ATTACKS],
)
def test_what_is_attacked_holds(attack: Attack) -> None:
    with new_home() as home:
        attack.work(home)

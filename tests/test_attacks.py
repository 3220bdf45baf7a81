"""Every attack holds: closed pipes, others' things, secrets, endless input, odd values, names, quiet."""

from __future__ import annotations

import pytest

from tests.attacks.every import ATTACKS
from tests.attacks.harness import Attack, new_home


@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{attack.family}: {attack.tried}" for attack in ATTACKS])
def test_what_is_attacked_holds(attack: Attack) -> None:
    with new_home() as home:
        attack.work(home)

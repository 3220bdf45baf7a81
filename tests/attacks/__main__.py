"""Try every attack and print how many of each family held; the exit code is 0 where all did."""

from __future__ import annotations

import sys
from collections import Counter

from gdp.runtime.terminal import Screen, plain_lines
from tests.attacks.every import ATTACKS
from tests.attacks.harness import Attack, new_home


def holds(attack: Attack) -> bool:
    """Tell whether the suite holds against an attack, and print what happened where it does not."""
    try:
        with new_home() as home:
            attack.work(home)
    except Exception as error:  # whatever goes wrong, the attack did not hold
        print(f"did not hold: {attack.family}: {attack.tried}: {error!r}"[:600], file=sys.stderr)
        return False
    return True


def main() -> int:
    """Print the table of families: how many attacks were tried, and how many held."""
    tried: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for attack in ATTACKS:
        tried[attack.family] += 1
        held[attack.family] += holds(attack)
    rows = [[family, str(tried[family]), str(held[family])] for family in tried]
    rows.append(["all", str(tried.total()), str(held.total())])
    print("\n".join(plain_lines(Screen("Attacks", ["Family", "Tried", "Held"], rows, frozenset({"Tried", "Held"})))))
    return int(tried != held)


if __name__ == "__main__":
    sys.exit(main())

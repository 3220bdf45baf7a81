"""Try every attack; print each family's row as soon as it is done. The exit code is 0 where every attack held.

python -m tests.attacks FAMILY... tries those families alone, by the beginning of their names.
"""

from __future__ import annotations

import signal
import sys
import time
from itertools import groupby

from tests.attacks.every import ATTACKS
from tests.attacks.harness import Attack, NotPossible, new_home

ROW = "{:<36} {:>6} {:>6} {:>12} {:>8}"


def outcome(attack: Attack) -> str:
    """Return "held", "not possible" or "failed"; print what happened in the last case."""
    try:
        with new_home() as home:
            attack.work(home)
    except NotPossible as reason:
        print(f"not possible here: {attack.family}: {attack.tried}: {reason}", file=sys.stderr)
        return "not possible"
    except Exception as error:
        print(f"failed: {attack.family}: {attack.tried}: {error!r}"[:600], file=sys.stderr)
        return "failed"
    return "held"


def show(name: str, outcomes: list[str], began: float) -> None:
    """Print a row of the table."""
    counts = (len(outcomes), outcomes.count("held"), outcomes.count("not possible"))
    print(ROW.format(name, *counts, f"{time.monotonic() - began:.0f} s"), flush=True)


def main(names: list[str]) -> int:
    """Print the table of families: how many attacks were tried, held, or are not possible on this machine."""
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:  # under nohup or in the background: the runs must not ignore it
            signal.signal(number, lambda *_: None)
    chosen = [one for one in ATTACKS if not names or one.family.startswith(tuple(names))]
    began, every = time.monotonic(), []
    print(ROW.format("Attacks", "tried", "held", "not possible", "time"))
    for family, attacks in groupby(chosen, key=lambda one: one.family):
        began_family = time.monotonic()
        outcomes = [outcome(one) for one in attacks]
        show(family, outcomes, began_family)
        every += outcomes
    show("all", every, began)
    return int("failed" in every)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

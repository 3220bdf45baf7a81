"""The table Loads: a row for each vintage that was loaded, with what was found on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import NamedTuple

from gdp.store.outcome import LoadOutcome
from gdp.store.vintages import Vintage


class Remarks(NamedTuple):
    """What Loads has of a vintage as JSON: what transform left out, and what the checks found."""

    left_out: str | None = None
    findings: str | None = None


def record_loads(outcome: LoadOutcome, file: str, sha256: str, remarks: Callable[[Vintage], Remarks]) -> None:
    """Write into Loads what a load did: a row for each vintage that is new or has other figures."""
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    history = outcome.history
    rows = []
    known = history.vintages.fingerprints
    for vintage, (number, fingerprint) in outcome.loaded.items():
        key = (vintage.publisher, vintage.as_of)
        left_out, findings = remarks(vintage)
        doubt, before = outcome.doubts.get(key), known.get(key)
        if before and before.partition(":")[0] == fingerprint.partition(":")[0]:  # checked by other rules
            history.update_load(vintage, Findings=findings, Doubt=doubt, Fingerprint=fingerprint)
            continue
        published = (vintage.as_of, number, vintage.publisher, ", ".join(vintage.institutions), vintage.source)
        totals = outcome.control_totals[vintage]
        rows.append((now, file, sha256, *published, left_out, findings, doubt, fingerprint, totals))
    history.add_loads(rows)
    update_checked(outcome)


def update_checked(outcome: LoadOutcome) -> None:
    """Write into Loads what was found on vintages that were loaded before, where it changed."""
    for vintage, findings in outcome.checked_again.items():
        outcome.history.update_load(
            vintage, Doubt=outcome.doubts.get((vintage.publisher, vintage.as_of)), Findings=findings
        )

"""Every attack, family by family, in the order of the table."""

from tests.attacks import (
    clocks,
    endless,
    limits,
    logs,
    named,
    others,
    pipes,
    quiet,
    rotation,
    secrets,
    servers,
    stops,
    unpacked,
    values,
    years,
)
from tests.attacks.harness import ATTACKS

__all__ = [
    "ATTACKS", "clocks", "endless", "limits", "logs", "named", "others", "pipes", "quiet", "rotation", "secrets",
    "servers", "stops", "unpacked", "values", "years",
]  # fmt: skip

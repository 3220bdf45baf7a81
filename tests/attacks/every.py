"""Every attack, family by family."""

from tests.attacks import endless, named, others, pipes, quiet, secrets, values
from tests.attacks.harness import ATTACKS

__all__ = ["ATTACKS", "endless", "named", "others", "pipes", "quiet", "secrets", "values"]

"""What do people ask? The screens, what changed, and the report."""

from typing import Any

Row = dict[str, Any]  # of a table or an answer, by column name

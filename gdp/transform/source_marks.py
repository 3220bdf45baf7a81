"""Marks on the page that say that a column or a figure has no source, or a disputed one."""

from __future__ import annotations

import re
from functools import lru_cache

from gdp.model import DISPUTED, UNSOURCED

CACHED_TEXTS = 16_384  # a page has a few hundred distinct cells
_UNCITED = r"(?:citations?|sources?|references?|refs?)\s+(?:needed|missing|required)"
_DISPUTES = (
    r"dubious", r"disputed", r"unreliable", r"not\s+reliable", r"failed\s+verification",
    r"not\s+in\s+(?:the\s+)?(?:source|citation)",
    r"better\s+source", r"original\s+research", r"verification\s+needed", r"verify", r"self[-\s]published",
    r"(?:AI|LLM|chatbot)[-\s]generated", r"(?:non-)?primary\s+source", r"third-party\s+source", r"unverified",
)  # fmt: skip
_NO_SOURCE = re.compile(rf"\[[^\[\]]*\b{_UNCITED}\b[^\[\]]*\]|\b(?:unsourced|uncited)\b", re.IGNORECASE)
_DISPUTED = re.compile(rf"\[[^\[\]]*\b(?:{'|'.join(_DISPUTES)})\b[^\[\]]*\]", re.IGNORECASE)


@lru_cache(CACHED_TEXTS)
def source_flag(text: str | None) -> str | None:
    """Return the flag that a heading or a cell sets on its figures; None where it has no such mark."""
    if not text:
        return None
    # first, because "better source needed" contains "source needed" but states that there is a source
    if _DISPUTED.search(text):
        return DISPUTED
    return UNSOURCED if _NO_SOURCE.search(text) else None

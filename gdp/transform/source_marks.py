"""The marks with which a page's editors doubt a source: of a whole column or of one figure."""

from __future__ import annotations

import re
from functools import lru_cache

from gdp.records import DOUBTED_NOTE, UNSOURCED_NOTE

CACHED_TEXTS = 16_384  # a page has a few hundred distinct cells
_UNCITED = r"(?:citations?|sources?|references?|refs?)\s+(?:needed|missing|required)"
_DOUBTS = (
    r"dubious", r"disputed", r"unreliable", r"not\s+reliable", r"failed\s+verification",
    r"not\s+in\s+(?:the\s+)?(?:source|citation)",
    r"better\s+source", r"original\s+research", r"verification\s+needed", r"verify", r"self[-\s]published",
    r"(?:AI|LLM|chatbot)[-\s]generated", r"(?:non-)?primary\s+source", r"third-party\s+source", r"unverified",
)  # fmt: skip
_NO_SOURCE = re.compile(rf"\[[^\[\]]*\b{_UNCITED}\b[^\[\]]*\]|\b(?:unsourced|uncited)\b", re.IGNORECASE)
_DOUBTED = re.compile(rf"\[([^\[\]]*\b(?:{'|'.join(_DOUBTS)})\b[^\[\]]*)\]", re.IGNORECASE)


@lru_cache(CACHED_TEXTS)
def source_note(text: str | None) -> str | None:
    """Return the Note of figures whose source the page doubts in this heading or cell; None where it does not."""
    if not text:
        return None
    # first, for "better source needed" holds "source needed" and says that there is one
    doubted = _DOUBTED.search(text)
    if doubted:
        return f"{DOUBTED_NOTE}: {' '.join(doubted[1].replace(';', ',').split()).lower()[:60]}"
    return UNSOURCED_NOTE if _NO_SOURCE.search(text) else None

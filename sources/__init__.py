"""The places that figures come from, a module each; they know web pages and APIs, nothing of files or databases."""

SIZE_LIMIT_BYTES = 10_000_000  # of a page, fetched or kept: twenty-five times that of 2025


class Unreachable(Exception):
    """A source could not be reached, or did not send all of its answer; the message is the reason, in a few words."""


class Refused(Exception):
    """A source answered with something that cannot be read right; the message says what was found."""

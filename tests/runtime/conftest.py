"""What the tests of the runtime share."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def unanswered() -> Iterator[str]:
    """Yield the address of a page that does not come: the server accepts the connection and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/page"

"""An S3-compatible store on 127.0.0.1 for tests and trying out: moto's, which may refuse one request in so many.

    python tests/object_store.py --port 5055 --refuse-one-in 10

It forgets all when it ends. The bucket `forbidden` is nobody's; /requests has their number, and their bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster import free_port, wait_for_port

StartResponse = Callable[..., Any]
ERROR = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{0}</Code><Message>{0}</Message></Error>"


class Store:
    """A WSGI application before moto's: it counts, and refuses."""

    def __init__(self, application: Any, refuse_one_in: int) -> None:
        self._application, self._refuse_one_in = application, refuse_one_in
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, asked: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        method, path = asked["REQUEST_METHOD"], asked["PATH_INFO"]
        if path == "/requests":
            return self._answer(method, start, "200 OK", json.dumps(self._counts))
        is_list = method == "GET" and path.count("/") == 1
        with self._lock:
            self._counts["LIST" if is_list else method] += 1
            self._counts["bytes in"] += int(asked.get("CONTENT_LENGTH") or 0)
            number = sum(self._counts[one] for one in ("LIST", "GET", "PUT", "HEAD", "POST", "DELETE"))
        if self._refuse_one_in and number % self._refuse_one_in == 0:
            with self._lock:
                self._counts["refused"] += 1
            return self._answer(method, start, "503 Slow Down", ERROR.format("SlowDown"))
        if path.startswith("/forbidden"):
            return self._answer(method, start, "403 Forbidden", ERROR.format("AccessDenied"))
        found: list[bytes] = list(self._application(asked, start))
        with self._lock:
            self._counts["bytes out"] += sum(map(len, found))
        return found

    def _answer(self, method: str, start: StartResponse, status: str, body: str) -> list[bytes]:
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body.encode() * (method != "HEAD")]


@contextlib.contextmanager
def started(refuse_one_in: int = 0) -> Iterator[dict[str, str]]:
    """Yield what the environment must have for a store of its own, with a bucket `gdp`, in a process of its own."""
    port = free_port()
    command = [sys.executable, __file__, "--port", str(port), "--refuse-one-in", str(refuse_one_in)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "hunter2",
        }  # fmt: skip
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Serve until somebody ends it."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=5055)
    parser.add_argument("--refuse-one-in", type=int, default=0, metavar="N")
    options = parser.parse_args()
    store = Store(DomainDispatcherApplication(create_backend_app), options.refuse_one_in)
    MotoRequestHandler.log = lambda *_: None  # type: ignore[method-assign]
    run_simple("127.0.0.1", options.port, store, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()

"""One page, all stages, against a server on this machine: the suite beside the one-process yardstick, in turns.

Usage: python tests/benchmarks/one_page.py [--runs N] [--page FILE]
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "data" / "pages" / "2025-12-30_enwiki_rev1330326028.html.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the suite against the one-process yardstick, in turns.")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    content = options.page.read_bytes()
    content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    with served(content) as url, tempfile.TemporaryDirectory() as folder:
        commands = {
            "suite, four processes": [str(PROJECT / "etl_process.py"), "--page", url, "--no-report"],
            "yardstick, one process": [str(PROJECT / "tests/benchmarks/yardstick.py"), url, folder],
            "suite, with the report": [str(PROJECT / "etl_process.py"), "--page", url],
        }
        report(measured(commands, folder, options.runs), options.page)


class served:
    """A server on 127.0.0.1 that answers every request with one page."""

    def __init__(self, content: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=UTF-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/page"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def measured(commands: dict[str, list[str]], folder: str, runs: int) -> dict[str, list[float]]:
    """Return wall seconds of each command, run in turns after one warm-up."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"GDP_ETL_HOME": folder}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def report(seconds: dict[str, list[float]], page: Path) -> None:
    """Print medians, and the ratio of the suite's to the yardstick's, which draws nothing."""
    print(f"{page.name}; {platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        print(
            f"{name:<24} median {medians[name]:.3f} s  (min {min(times):.3f}, max {max(times):.3f}, {len(times)} runs)"
        )
    suite, yardstick, _ = medians.values()
    print(f"ratio of medians {suite / yardstick:.2f}")


if __name__ == "__main__":
    main()

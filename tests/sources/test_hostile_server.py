"""A server that does what servers should not: each behaviour ends in a right result or in its exit code, in bounds."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from gdp.sources import SIZE_LIMIT_BYTES
from tests.conftest import NO_NETWORK, PROJECT, made_once
from tests.page_builder import shipped_page

PAGE = shipped_page().encode()
IDLE_PLUS_MB = 100
HANGS_S = 100  # several times the deadline that a stage gives a server
Send = Callable[[bytes], None]
Behaviour = Callable[[Send, int, str], None]  # what to send, at which request of this client, whose headers these are


def head(status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def whole(body: bytes, **headers: str) -> bytes:
    return head(length=len(body), **{"Content_Type": "text/html; charset=UTF-8", **headers}) + body


def answers(*found: bytes) -> Behaviour:
    """Return a server that says this, and the last of it again and again."""
    return lambda send, number, _: send(found[min(number, len(found) - 1)])


def drip(start: bytes, endless: bytes) -> Behaviour:
    def behave(send: Send, _number: int, _headers: str) -> None:
        send(start)
        for _ in range(60):
            send(endless)
            time.sleep(1)

    return behave


def endless_body(send: Send, _number: int, _headers: str) -> None:
    send(head(Content_Type="text/html"))
    while True:
        send(b"<p>more</p>" * 10_000)


def endless_headers(send: Send, _number: int, _headers: str) -> None:
    send(b"HTTP/1.1 200 OK\r\n")
    while True:
        send(b"X-More: " + b"x" * 60_000 + b"\r\n")


def reset(send: Send, _number: int, _headers: str) -> None:
    send(head(length=len(PAGE)) + PAGE[:5000])
    raise ConnectionResetError


def only_with_contact(send: Send, _number: int, headers: str) -> None:
    named = re.search(r"User-Agent: gdp-etl/\S+ \(ops@example\.org\)", headers)
    send(whole(PAGE) if named else head("403 Forbidden", 0))


def bomb() -> bytes:
    """Return 400 kB of gzip that unpack to 400 MB; made in pieces, as a child's peak memory starts at its parent's."""
    pack = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return b"".join([pack.compress(b"0" * 1_000_000) for _ in range(400)]) + pack.flush()


BOMB = bomb()
IN_TWO_SECONDS = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=2), usegmt=True)
UNAVAILABLE = "503 Service Unavailable"
WITH_ESCAPES = PAGE.replace(b"Germany", b"Germ\x1b[2Jany").replace(b"Japan", b"[red]Japan'); DROP TABLE Loads; --")

# name: (behaviour, exit code, what the one line says)
BEHAVIOURS: dict[str, tuple[Behaviour, int, str]] = {
    "a good page": (answers(whole(PAGE)), 0, ""),
    "a body shorter than Content-Length": (answers(head(length=len(PAGE)) + PAGE[:-100]), 69, "shorter than promised"),
    "a body cut before its end": (answers(whole(PAGE[:-100])), 69, "broke off"),
    "gzip cut short": (answers(whole(gzip.compress(PAGE)[:-900], Content_Encoding="gzip")), 69, ""),
    "gzip that is none": (answers(whole(PAGE, Content_Encoding="gzip")), 69, ""),
    "a chunk cut short": (
        answers(head(Transfer_Encoding="chunked") + b"fffff\r\n" + PAGE[:3000]), 69, "shorter than promised"),
    "headers a byte a second": (drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), 69, "no whole answer within"),
    "a body a byte a second": (drip(head(length=len(PAGE)), b"<"), 69, "no whole answer within"),
    "429 with seconds": (answers(head("429 Too Many Requests", 0, Retry_After="1"), whole(PAGE)), 0, ""),
    "503 with a date": (answers(head(UNAVAILABLE, 0, Retry_After=IN_TWO_SECONDS), whole(PAGE)), 0, ""),
    "503 with garbage": (answers(head(UNAVAILABLE, 0, Retry_After="soon"), whole(PAGE)), 69, ""),
    "503 with an hour": (answers(head(UNAVAILABLE, 0, Retry_After="3600")), 69, ""),
    "an error page with status 200": (answers(whole(b"<html><body>Request rejected</body></html>")), 65, "0 tables"),
    "an empty 200": (answers(whole(b"")), 69, "empty page"),
    "a redirect loop": (answers(head("302 Found", 0, Location="/wiki/List")), 69, "redirects in a loop"),
    "a redirect to ftp": (answers(head("302 Found", 0, Location="ftp://127.0.0.1/x")), 69, "not the web"),
    "a redirect to a file": (answers(head("302 Found", 0, Location="file:///etc/passwd")), 69, "not the web"),
    "a redirect to the page": (answers(head("301 Moved", 0, Location="/wiki/New"), whole(PAGE)), 0, ""),
    "an endless body": (endless_body, 69, "larger than"),
    "endless headers": (endless_headers, 69, ""),
    "a gzip bomb": (answers(whole(BOMB, Content_Encoding="gzip")), 69, "larger than"),
    "a wrong charset": (answers(whole(PAGE, Content_Type="text/html; charset=iso-8859-1")), 0, ""),
    "no charset": (answers(whole(PAGE, Content_Type="text/html")), 0, ""),
    "no content type": (answers(head(length=len(PAGE)) + PAGE), 0, ""),
    "a wrong content type": (answers(whole(PAGE, Content_Type="image/png")), 0, ""),
    "utf-16": (answers(whole(PAGE.decode().encode("utf-16"))), 0, ""),
    "a byte order mark": (answers(whole(b"\xef\xbb\xbf" + PAGE)), 0, ""),
    "latin-1": (answers(whole(PAGE.decode().replace("—", "-").encode("latin-1"))), 65, "not text in UTF-8"),
    "nul bytes": (answers(whole(PAGE.replace(b"Chad", b"Ch\0d"))), 65, "NUL"),
    "403 without a contact": (only_with_contact, 0, ""),
    "403": (answers(head("403 Forbidden", 0)), 69, "403"),
    "404": (answers(head("404 Not Found", 0)), 69, "404"),
    "a reset in the middle": (reset, 69, ""),
    "a closed connection": (lambda send, number, headers: None, 69, ""),
    "not http at all": (answers(b"220 ftp.example.org FTP server ready\r\n"), 69, ""),
    "escape sequences, markup and SQL": (answers(whole(WITH_ESCAPES)), 0, ""),
    "a certificate that is not trusted": (answers(whole(PAGE)), 69, "certificate"),
}  # fmt: skip


@dataclass
class Ran:
    code: int
    found: str
    peak_mb: float
    home: Path


@contextlib.contextmanager
def hostile(behave: Behaviour, secure: ssl.SSLContext | None) -> Iterator[str]:
    """Serve one behaviour on a port of its own, until the client is done."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def answer(client: socket.socket, number: int) -> None:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(secure.wrap_socket(client, server_side=True) if secure else client) as open_socket,
        ):
            headers = open_socket.recv(65_536).decode("latin-1")

            def send(data: bytes) -> None:
                if done.is_set():
                    raise ConnectionAbortedError
                open_socket.sendall(data)

            try:
                behave(send, number, headers)
            except ConnectionResetError:
                open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def serve() -> None:
        for number in range(1000):
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client, number), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"{'https' if secure else 'http'}://127.0.0.1:{listening.getsockname()[1]}/wiki/List"
    done.set()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def run_against(name: str, folder: Path) -> Ran:
    behave, _, _ = BEHAVIOURS[name]
    home = folder / re.sub(r"\W", "_", name)
    secure = self_signed(folder) if "certificate" in name else None
    environment = {**os.environ, **NO_NETWORK, "GDP_ETL_HOME": str(home), "GDP_ETL_CONTACT": "ops@example.org"}
    with hostile(behave, secure) as url:
        done = subprocess.run(
            [sys.executable, str(PROJECT / "extract.py"), "--page", url],
            env=environment, capture_output=True, text=True, timeout=HANGS_S, check=False,
        )  # fmt: skip
    found = json.loads((home / "log" / "runs.jsonl").read_text().splitlines()[-1])
    return Ran(done.returncode, done.stderr, found["peak_memory_mb"], home)


def self_signed(folder: Path) -> ssl.SSLContext:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere.example", "-days", "9",
         "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Run against every behaviour, eight at a time: some take their whole deadline."""

    def make(folder: Path) -> dict[str, Ran]:
        names = [name for name in BEHAVIOURS if "certificate" not in name or shutil.which("openssl")]
        with ThreadPoolExecutor(8) as pool:
            return dict(zip(names, pool.map(lambda name: run_against(name, folder), names), strict=True))

    return made_once(tmp_path_factory, "hostile", make)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_hostile_behaviour_ends_in_its_code_with_one_line_in_bounds(name: str, ran: dict[str, Ran]) -> None:
    if name not in ran:
        pytest.skip("openssl is not installed")
    _, code, says = BEHAVIOURS[name]
    result = ran[name]
    assert result.code == code, result.found
    assert "Traceback" not in result.found
    errors = [line for line in result.found.splitlines() if "error:" in line]
    assert len(errors) == (code != 0)
    assert says in "".join(errors)
    assert result.peak_mb < ran["a good page"].peak_mb + IDLE_PLUS_MB


def test_no_behaviour_writes_outside_our_folders_or_keeps_what_it_could_not_have_whole(ran: dict[str, Ran]) -> None:
    for name, result in ran.items():
        kept = list(result.home.glob("data/pages/*"))
        assert all(re.fullmatch(r"2025-12-30_enwiki_rev1330326028\.html\.gz", path.name) for path in kept), name
        assert {path.name for path in result.home.iterdir()} <= {"log", "results", "data"}
        assert not list(result.home.rglob("*.tmp"))


def test_a_page_cannot_steer_a_terminal_or_the_database(ran: dict[str, Ran], tmp_path: Path) -> None:
    home = ran["escape sequences, markup and SQL"].home
    environment = {**os.environ, "GDP_ETL_HOME": str(home)}
    found = ""
    for command in (["transform.py"], ["load.py"], ["load.py", "--json"]):
        done = subprocess.run(
            [sys.executable, str(PROJECT / command[0]), *command[1:]],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        found += done.stdout + done.stderr
    assert "\x1b" not in found + (home / "log" / "etl_project_with_sql_log.txt").read_text()
    assert 10 * len(PAGE) < SIZE_LIMIT_BYTES

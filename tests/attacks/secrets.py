"""No password, token or user of an address is anywhere that we write."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.attacks.harness import Home, attack
from tests.page_builder import SHIPPED

FAMILY = "secrets in addresses"
SECRETS = ("hunter2", "t0k3n-abc", "anna.user")


@contextlib.contextmanager
def page_server(page: bytes, **headers: str) -> Iterator[str]:
    """Yield the host and port of a server that answers every request with a page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def hold_no_secret(home: Home, shown: str) -> None:
    """Hold that nothing printed or written holds any of the secrets, packed files unpacked."""
    for secret in SECRETS:
        assert secret not in shown, f"{secret} is on the screen: {shown[-500:]}"
    for name, content in home.written().items():
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        for secret in SECRETS:
            assert secret not in name and secret.encode() not in text, f"{secret} is in {name}"


@attack(FAMILY, "user, password and token of a page's address")
def page_address(home: Home) -> None:
    page = gzip.decompress(SHIPPED.read_bytes()).replace(b"wgRevisionId", b"wgRevisionOf")  # its address is its Source
    with page_server(page) as host:
        done = home.run("etl_process", "--page", f"http://anna.user:hunter2@{host}/page?token=t0k3n-abc&x=1")
    assert done.returncode == 0, done.stderr[-500:]
    hold_no_secret(home, done.stdout + done.stderr)


@attack(FAMILY, "a page's address that cannot be reached")
def unreachable_page(home: Home) -> None:
    for address in (
        "http://anna.user:hunter2@127.0.0.1:9/page?token=t0k3n-abc", "http://anna.user:hunter2@[broken/page?t0k3n-abc",
        "https://anna.user:hunter2@127.0.0.1:99999/?key=t0k3n-abc", "http://anna.user:hunter2@/nowhere#t0k3n-abc",
    ):  # fmt: skip
        done = home.run("etl_process", "--no-report", "--page", address)
        assert done.returncode in (2, 69), (address, done.returncode, done.stderr[-300:])
        hold_no_secret(home, done.stdout + done.stderr)


@attack(FAMILY, "the address of a dead-man's switch")
def ping_address(home: Home) -> None:
    for address in ("http://anna.user:hunter2@127.0.0.1:9/t0k3n-abc", "nonsense://anna.user:hunter2@x/t0k3n-abc"):
        done = home.run("etl_process", "--no-report", "--page", SHIPPED, "--ping", address)
        assert done.returncode in (0, 2), done.stderr[-300:]
        hold_no_secret(home, done.stdout + done.stderr)


@attack(FAMILY, "the password of a database, also in an address that is broken")
def database_address(home: Home) -> None:
    for address in (
        "postgresql://anna.user:hunter2@127.0.0.1:9/db?sslpassword=t0k3n-abc", "postgresql://anna.user:hunter2@host:port/db",
        "POSTGRESQL://anna.user:hunter2@127.0.0.1:9/db", "postgresql://anna.user:hunt%zzer2hunter2@127.0.0.1:9/db",
        "postgresql://anna.user:hunter2@127.0.0.1:9,127.0.0.1:10/db", "postgresql://anna.user:hunter2@[::1/db",
        "postgresql://127.0.0.1:9/db?user=anna.user&password=hunter2", "postgresql://anna.user:hunter2@127.0.0.1:99999/db",
        "postgresql://anna.user:hunter2@127.0.0.1:9/db?nonsense=t0k3n-abc", "postgres://anna.user:a@b@hunter2@127.0.0.1:9/d",
    ):  # fmt: skip
        for script in ("etl_process", "load"):
            page = ["--page", str(SHIPPED), "--no-report"] if script == "etl_process" else []
            done = home.run(script, *page, "--database", address)
            assert done.returncode in (2, 69), (address, done.returncode, done.stderr[-300:])
            assert "this is a bug" not in done.stderr
            hold_no_secret(home, done.stdout + done.stderr)


@attack(FAMILY, "a redirect's address")
def redirect(home: Home) -> None:
    with page_server(b"", Location="http://anna.user:hunter2@127.0.0.1:9/?t0k3n-abc") as host:
        done = home.run("extract", "--page", f"http://{host}/")
    assert done.returncode in (65, 69), done.stderr[-300:]
    hold_no_secret(home, done.stdout + done.stderr)


@attack(FAMILY, "the address of a proxy, also a broken one")
def proxy_address(home: Home) -> None:
    for proxy in (
        "http://anna.user:hunter2@127.0.0.1:9", "http://[anna.user:hunter2", "anna.user:hunter2@127.0.0.1:9",
        "socks5://anna.user:hunter2@127.0.0.1:9", "http://anna.user:hunter2@127.0.0.1:99999", "ftp://anna.user:hunter2@x:1",
    ):  # fmt: skip
        names = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy)
        done = home.run("etl_process", "--no-report", "--ping", "http://example.org/x", **names, NO_PROXY="")
        assert done.returncode == 0 and "this is a bug" not in done.stderr, (proxy, done.stderr[-300:])
        hold_no_secret(home, done.stdout + done.stderr)

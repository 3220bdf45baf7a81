"""A quiet run says only what a person should act on, and nothing that was the same yesterday."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests import stand_ins
from tests.attacks.harness import Home, attack
from tests.conftest import Answer
from tests.page_builder import SHIPPED

FAMILY = "quiet is quiet"


def serve(route: stand_ins.Route) -> tuple[ThreadingHTTPServer, str]:
    """Return a server that answers by a route, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer: Answer = route(self.path)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


@attack(FAMILY, "the same page every day")
def same_page(home: Home) -> None:
    home.fill("--quiet")
    done = home.run("etl_process", "--quiet", "--page", SHIPPED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


@attack(FAMILY, "the IMF and the World Bank every day")
def same_answers(home: Home) -> None:
    imf, imf_url = serve(stand_ins.imf())
    bank, bank_url = serve(stand_ins.world_bank())
    addresses = {"GDP_ETL_IMF_URL": imf_url, "GDP_ETL_WORLD_BANK_URL": bank_url}
    try:
        home.run("etl_process", "--quiet", "--no-report", "--source", "imf", "world_bank", **addresses)
        done = home.run("etl_process", "--quiet", "--no-report", "--source", "imf", "world_bank", **addresses)
    finally:
        for server in (imf, bank):
            server.shutdown()
            server.server_close()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


@attack(FAMILY, "the page with an uncited column every day")
def same_doubts(home: Home) -> None:
    assert home.run("etl_process", "--quiet", "--archive").returncode == 0
    done = home.run("etl_process", "--quiet", "--archive")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done

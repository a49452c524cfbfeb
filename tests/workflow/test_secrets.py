"""What opens a download is in the scene sheet, and in nothing that a run writes or shows."""

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.workflow.conftest import planned, snakemake

pytestmark = pytest.mark.xdist_group("workflow")


@pytest.fixture
def address() -> Iterator[str]:
    """Address of a server that has one product, whatever it is asked for."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("S1.SAFE/manifest.safe", "<xml/>")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(made.getvalue())))
            self.end_headers()
            self.wfile.write(made.getvalue())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:s3cret@127.0.0.1:{server.server_port}/x.zip?token=s3cret"
        server.shutdown()


def test_a_token_is_in_nothing_that_a_run_writes_or_shows(fresh: Path, address: str) -> None:
    sheet = fresh / "config/scenes.tsv"
    row = f"x\ta\tafter\t{address}"
    sheet.write_text(f"scene\tevent\trole\tsource\n{row}\n")
    run = snakemake(fresh, "resources/x.zip", "--printshellcmds", "--verbose")
    assert run.returncode == 0, run.stderr
    sheet.write_text(sheet.read_text().replace("s3cret\n", "s3cret2\n"))
    again = snakemake(fresh, "resources/x.zip", "--dry-run")
    assert planned(again) == {"acquire"}
    sheet.unlink()
    written = [path for path in fresh.rglob("*") if path.is_file()]
    assert (fresh / "resources/x.zip") in written
    assert [path for path in written if b"s3cret" in path.read_bytes()] == []
    for said in (run, again):
        assert "s3cret" not in said.stdout + said.stderr

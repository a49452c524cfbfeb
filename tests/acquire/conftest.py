"""A small server on this machine that answers as real ones do on bad days."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from rasterio.io import MemoryFile


@dataclass
class Server:
    """Answers by path, and the headers of the requests that came."""

    address: str
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have heard enough."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch) -> None:
    """Seconds become hundredths."""
    monkeypatch.setattr("floodloom.acquire.web.PAUSES_S", (0.01, 0.01, 0.01))


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve what the test puts among the answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.requests.append({"path": self.path, **self.headers})
            made.answers[self.path.partition("?")[0]](self)

        def log_message(self, *_: object) -> None:
            pass

    with _Quiet(("127.0.0.1", 0), Handler) as http:
        made = Server(f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        http.shutdown()


def answer(body: bytes, *, status: int = 200, stated: int | None = None, **headers: str):
    """Answer with a body, whose length may be stated wrongly."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if stated is None else stated))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


@pytest.fixture(scope="session")
def product() -> bytes:
    """A zip with a manifest."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("S1.SAFE/manifest.safe", "<xml/>")
        archive.writestr("S1.SAFE/measurement/a.tiff", np.random.default_rng(0).bytes(3_000_000))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def geotiff() -> bytes:
    """A tiled GeoTIFF whose directory comes first, as in cloud-optimised ones."""
    data = np.random.default_rng(0).integers(0, 255, (1, 300, 300), dtype=np.uint8)
    profile = {"driver": "COG", "height": 300, "width": 300, "count": 1, "dtype": "uint8"}
    with MemoryFile() as memory:
        with memory.open(**profile, blocksize=128) as raster:
            raster.write(data)
        return bytes(memory.read())

"""A SeaweedFS on this machine, for as long as a test takes, with a record of what it was asked."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEY, SECRET = "a-key-of-the-test", "a-secret-of-the-test"
_KEPT_APART = {"connection", "transfer-encoding", "keep-alive"}
_STARTS_WITHIN_S = 60.0


@dataclass
class Store:
    """A running store.

    Attributes
    ----------
    environment
        By which a client reaches it.
    requests
        Method, and path with query, of every request so far.
    """

    environment: dict[str, str]
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def seaweed(folder: Path) -> Iterator[Store]:
    """Run a store while the context is open.

    Parameters
    ----------
    folder
        For what it holds, and its log.
    """
    ports = [str(port) for port in free_ports(4)]
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    actions = ["Admin", "Read", "Write", "List"]
    identity = {"name": "test", "credentials": credentials, "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ("master.port", "volume.port", "filer.port", "s3.port")
    options = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    grpc = zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True)
    options += [f"-{name}.port.grpc={port}" for name, port in grpc]
    options += ["-s3", f"-s3.config={folder}/s3.json", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    options += [f"-dir={folder}", "-master.volumeSizeLimitMB=64", "-volume.max=64"]
    with (folder / "log").open("w") as log:
        weed = Path(sys.executable).with_name("weed")
        process = subprocess.Popen([weed, "server", *options], stdout=log, stderr=log, cwd=folder)
        try:
            _wait_for(int(ports[3]), folder / "log")
            with _recorded(int(ports[3])) as store:
                yield store
        finally:
            process.terminate()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nothing listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def _recorded(port: int) -> Iterator[Store]:
    """Pass requests on as they are, so that their signatures hold, and keep their first lines."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            store.requests.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            behind = http.client.HTTPConnection("127.0.0.1", port)
            behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                behind.putheader(name, value)
            behind.endheaders(body or None)
            answer = behind.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _KEPT_APART and name.lower() != "content-length":
                    self.send_header(name, value)
            size = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(size or 0))
            self.end_headers()
            self.wfile.write(content)
            behind.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        names = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        names |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        names |= {"AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
        store = Store(names)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield store
        server.shutdown()


def _wait_for(port: int, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/status")
            if connection.getresponse().status < 500:
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"the store doesn't start: {log.read_text()[-2000:]}")

"""Fixtures that every test package may use."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
NO_DATA = "no real data at"
_LONGEST_ID = 100
# Before torch is imported: each process of `pytest -n` would start a thread for every core. What
# sets threads of its own shares the cores, so that one that waits leaves its core to the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


# What is imported and collected stays to the end: it needn't be looked through for garbage.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make alone."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of the workflow: they run one after the other, and take longest.

    Of `pytest -n` one process runs all tests of a file, so that each fixture of it is made once.
    """
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their length: names of tests go to every process, again and again."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_ID:
        return f"{argname} of {len(val):,}"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all tests without real data one place, so that the summary has one line for them."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[-1]
        if NO_DATA in reason:
            report.longrepr = ("tests", None, reason)
    return report


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data; tests that need it are skipped where it isn't there."""
    folder = Path(os.environ.get("FLOODLOOM_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{NO_DATA} {folder}; set FLOODLOOM_DATA to their folder")
    return folder


@pytest.fixture
def address() -> Iterator[tuple[str, list[str]]]:
    """Address of a server that has nothing, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()

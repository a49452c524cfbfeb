"""The inputs of all stages, made once, and the process that runs stages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages.jobs import Arguments, command, prepare
from tests.stages.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The process that runs stages."""
    process = Server()
    yield process
    process.close()


@pytest.fixture(scope="session")
def have(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the inputs of all stages; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("stages") / "have"

    def run(stage: str, given: Arguments) -> None:
        ended = server.run(command(stage, given), folder.parent / stage, out=folder)
        assert ended.status == 0, (stage, ended.lines[-20:])

    prepare(folder, run)
    return folder

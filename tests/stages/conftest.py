"""The inputs of all stages, made once, and the process that runs stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stages.jobs import Arguments, arguments, command, names, prepare
from tests.stages.server import Ended, Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The process that runs stages."""
    process = Server()
    yield process
    process.close()


@dataclass(frozen=True)
class Whole:
    """A stage that nothing ended before its time: how it went, its results, the largest's bytes."""

    ended: Ended
    results: list[str]
    largest: int


@pytest.fixture(scope="session")
def whole_runs() -> dict[str, Whole]:
    """The stages that have run to their end so far, by name."""
    return {}


@pytest.fixture
def whole(
    stage: str,
    have: Path,
    server: Server,
    whole_runs: dict[str, Whole],
    tmp_path_factory: pytest.TempPathFactory,
) -> Whole:
    """A stage as it ends by itself; it runs once."""
    if stage not in whole_runs:
        folder = tmp_path_factory.mktemp(stage)
        out = folder / "out"
        out.mkdir()
        words = command(stage, arguments(stage, have, out))
        ended = server.run(words, folder / "log", out=out)
        assert ended.status == 0, ended.lines[-20:]
        largest = max(file.stat().st_size for file in out.rglob("*") if file.is_file())
        whole_runs[stage] = Whole(ended, sorted(names(out)), largest)
    return whole_runs[stage]


@pytest.fixture(scope="session")
def have(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the inputs of all stages; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("stages") / "have"

    def run(stage: str, given: Arguments) -> None:
        ended = server.run(command(stage, given), folder.parent / stage, out=folder)
        assert ended.status == 0, (stage, ended.lines[-20:])

    prepare(folder, run)
    return folder

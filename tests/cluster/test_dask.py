"""Raster stages on a scheduler's workers make what one machine makes, whatever dies meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest
import yaml
from distributed import Client

from benchmarks.compare import differences
from floodloom.cluster import ClusterError
from floodloom.dispatch import dask_workers
from floodloom.errors import ConfigError
from floodloom.sentinel1.settings import CalibrateSettings, GeocodeSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode
from tests.cluster.conftest import tiny_project
from tests.cluster.dask_cluster import DaskCluster, dask_cluster
from tests.conftest import REPOSITORY
from tests.simulated import lay_event
from tests.workflow.conftest import snakemake

pytestmark = pytest.mark.xdist_group("cluster")
SOURCE = REPOSITORY / "src"
STAGES = ("calibrated", "geocoded", "tiles", "mosaics", "maps", "models")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a simulated event, and its calibrated scene and map by threads."""
    folder = tmp_path_factory.mktemp("files")
    lay_event(folder, size=512)
    return folder


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Scenes are cut into more blocks than there are workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("floodloom.sentinel1.radar_scene._STRIP", 32)
        patch.setattr("floodloom.sentinel1.geocode._LARGEST", 64)
        yield


@pytest.fixture(scope="module")
def expected(files: Path, small: None) -> Path:
    """Folder with what this machine makes alone."""
    folder = files / "expected"
    folder.mkdir()
    with dask_workers("threads", 2):
        make(files, folder)
    return folder


def make(files: Path, folder: Path) -> None:
    """Calibrate and geocode."""
    scene = folder / "scene.zarr"
    settings = CalibrateSettings(quantity="beta0")
    calibrate(safe=files / "after.SAFE", out=scene, settings=settings)
    flattened = GeocodeSettings(flatten=True)
    geocode(scene=scene, dem=files / "dem.tif", out=folder / "map.zarr", settings=flattened)


def once_it_works(cluster: DaskCluster, do: Callable[[str], None]) -> threading.Thread:
    """Do something, as soon as workers have finished blocks, with the name of one that is busy."""

    def wait() -> None:
        until = time.monotonic() + 120
        with Client(cluster.address, set_as_default=False) as client:
            while time.monotonic() < until:
                busy = [worker for worker, keys in client.processing().items() if keys]
                if busy and any(client.has_what().values()):
                    workers = client.scheduler_info(n_workers=-1)["workers"]
                    do(workers[busy[0]]["name"])
                    return
                time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_run_on_workers_is_that_of_one_machine(alone: Path, tmp_path: Path) -> None:
    folder = tiny_project(tmp_path / "project")
    file = folder / "config/config.yaml"
    with dask_cluster(folder, folder / "src") as cluster:
        content = yaml.safe_load(file.read_text()) | {"dask": {"scheduler": cluster.address}}
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        found = snakemake(folder)
    assert found.returncode == 0, found.stderr[-6000:]
    for name in STAGES:
        assert (
            list(differences(alone / "results/tiny" / name, folder / "results/tiny" / name)) == []
        )


def test_a_worker_that_is_killed_changes_nothing(
    files: Path, expected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    killed: list[str] = []

    def kill(name: str) -> None:
        cluster.workers[name].kill()
        killed.append(name)

    with dask_cluster(tmp_path, SOURCE) as cluster:
        other = once_it_works(cluster, kill)
        with dask_workers(cluster.address, 2):
            make(files, tmp_path / "made")
        other.join()
    assert len(killed) == 1
    assert list(differences(expected, tmp_path / "made")) == []
    assert not list(tmp_path.rglob(".*.part*"))


def test_a_scheduler_that_goes_away_is_one_line(
    files: Path, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with dask_cluster(tmp_path, SOURCE) as cluster:
        other = once_it_works(cluster, lambda _: cluster.scheduler.kill())
        soon = dask.config.set({"distributed.comm.timeouts.connect": "5s"})
        gone = pytest.raises(ClusterError, match=rf"{cluster.address} went away; start it again")
        began = time.monotonic()
        with gone, soon, dask_workers(cluster.address, 2):
            make(files, tmp_path)
        other.join()
        assert time.monotonic() - began < 90
    assert not list(tmp_path.glob(".*.part*"))
    assert not list(tmp_path.glob("*.zarr"))


def test_a_worker_that_sees_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with dask_cluster(tmp_path, SOURCE, workers=1) as cluster:
        cluster.add_worker("elsewhere", tmp_path / "elsewhere", SOURCE)
        with Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(2)
        blind = pytest.raises(
            ConfigError, match=f"worker tcp.* doesn't see the files of {tmp_path}"
        )
        with blind, dask_workers(cluster.address, 1):
            pass
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_scheduler_without_workers_is_one_line(tmp_path: Path) -> None:
    none = pytest.raises(ConfigError, match="has no workers after 2s; start some")
    soon = dask.config.set({"distributed.comm.timeouts.connect": "2s"})
    alone = dask_cluster(tmp_path, SOURCE, workers=0)
    with alone as cluster, none, soon, dask_workers(cluster.address, 1):
        pass

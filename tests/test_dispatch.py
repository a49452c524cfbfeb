from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from floodloom.dispatch import dask_workers
from floodloom.errors import ConfigError
from floodloom.mapping.predict import reading
from floodloom.raster.store import open_store
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode
from floodloom.stages.simulate import simulate


def process_of() -> da.Array:
    """Compute the process that a chunk is made in."""
    import os

    return da.map_blocks(lambda block: block * 0 + os.getpid(), da.zeros(2, chunks=1, dtype=int))


def test_local_schedulers_are_honoured() -> None:
    import os

    with dask_workers("synchronous", 3):
        assert dask.config.get("num_workers") == 3
        assert set(process_of().compute()) == {os.getpid()}
    with dask_workers("processes", 2):
        assert os.getpid() not in set(process_of().compute())


def test_an_address_that_does_not_answer_is_one_line(monkeypatch) -> None:
    monkeypatch.setattr("floodloom.dispatch._CONNECT_S", 1)
    refused = pytest.raises(
        ConfigError, match=r"nothing answers at tcp://127\.0\.0\.1:9 .* threads"
    )
    with refused, dask_workers("tcp://127.0.0.1:9", 1):
        pass


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_rows_are_read_into_this_process_whoever_reads(scheduler: str) -> None:
    expected = np.arange(2 * 64 * 48, dtype=np.float32).reshape(2, 64, 48)
    inputs = xr.DataArray(da.from_array(expected, chunks=(1, 16, 48)), dims=("band", "y", "x"))
    with dask_workers(scheduler, 2), reading(inputs) as rows:
        np.testing.assert_array_equal(np.concatenate(list(rows), axis=1), expected)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    simulate(
        out_before=folder / "before.SAFE",
        out_after=folder / "after.SAFE",
        dem=folder / "dem.tif",
        optical=folder / "optical.tif",
        truth=folder / "truth.tif",
        size=160,
    )
    return folder


def test_other_processes_make_the_same_scene(files, tmp_path) -> None:
    from distributed import LocalCluster

    made = []
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        for number, scheduler in enumerate(("threads", "processes", cluster.scheduler_address)):
            with dask_workers(scheduler, 2):
                scene = tmp_path / f"{number}.zarr"
                calibrate(safe=files / "after.SAFE", out=scene, quantity="beta0", chunk=64)
                out = tmp_path / f"{number}-map.zarr"
                geocode(scene=scene, dem=files / "dem.tif", out=out, flatten=True, chunk=64)
                made.append(open_store(out).load())
    assert made[1].identical(made[0])
    assert made[2].identical(made[0])

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster  # its defaults must be there before one is set for a while

from floodloom.dispatch import dask_workers, run_stage
from floodloom.errors import ConfigError, InputError
from floodloom.mapping.plan import plan_scene
from floodloom.mapping.predict import read_ahead
from floodloom.raster.store import open_store
from floodloom.sentinel1.settings import CalibrateSettings, GeocodeSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode
from floodloom.workflow.sources import stand_in
from tests.simulated import lay_event


def process_of() -> da.Array:
    """Compute the process that a chunk is made in."""
    import os

    return da.map_blocks(lambda block: block * 0 + os.getpid(), da.zeros(2, chunks=1, dtype=int))


def test_local_schedulers_are_honoured() -> None:
    with dask_workers("synchronous", 3):
        assert dask.config.get("num_workers") == 3
        assert set(process_of().compute()) == {os.getpid()}
    with dask_workers("processes", 2):
        assert os.getpid() not in set(process_of().compute())


def test_an_address_that_does_not_answer_is_one_line() -> None:
    refused = pytest.raises(
        ConfigError, match=r"nothing answers at tcp://127\.0\.0\.1:9 .* threads"
    )
    soon = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with refused, soon, dask_workers("tcp://127.0.0.1:9", 1):
        pass


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_rows_are_read_into_this_process_whoever_reads(scheduler: str) -> None:
    expected = np.arange(2 * 64 * 48, dtype=np.float32).reshape(2, 64, 48)
    inputs = xr.DataArray(da.from_array(expected, chunks=(1, 16, 48)), dims=("band", "y", "x"))
    plan = plan_scene(64, 48, tile=64, field=1)
    with dask_workers(scheduler, 2), read_ahead(inputs, plan) as parts:
        np.testing.assert_array_equal(np.concatenate(list(parts), axis=2), expected)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    lay_event(folder, size=160)
    return folder


def test_other_processes_make_the_same_scene(files, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("floodloom.sentinel1.radar_scene._STRIP", 64)
    monkeypatch.setattr("floodloom.sentinel1.geocode._LARGEST", 64)
    made = []
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        for number, scheduler in enumerate(("threads", "processes", cluster.scheduler_address)):
            with dask_workers(scheduler, 2):
                scene = tmp_path / f"{number}.zarr"
                calibrate(
                    safe=files / "after.SAFE",
                    out=scene,
                    settings=CalibrateSettings(quantity="beta0"),
                )
                out = tmp_path / f"{number}-map.zarr"
                geocode(
                    scene=scene,
                    dem=files / "dem.tif",
                    out=out,
                    settings=GeocodeSettings(flatten=True),
                )
                made.append(open_store(out).load())
    assert made[1].identical(made[0])
    assert made[2].identical(made[0])


class Named(list[str]):
    """Files or wildcards by name, as Snakemake gives them."""

    def __init__(self, **values: object) -> None:
        super().__init__(map(str, values.values()))
        self.__dict__.update(values)

    def items(self):
        return {name: str(value) for name, value in self.__dict__.items()}.items()


def status_of(folder: Path, source: str, sheet: str | None = None) -> int:
    """Run a download in a fork, whose standard error is a file; the sheet may name another."""
    header = "scene\tevent\trole\tsource\n"
    (folder / "s.tsv").write_text(f"{header}a\te\tafter\t{sheet or source}\n")
    events = {"e": {"split": "target"}}
    job = SimpleNamespace(
        rule="acquire",
        config={"run": {"name": "r"}, "scenes": "s.tsv", "events": events},
        wildcards=Named(scene="a"),
        input=Named(),
        output=Named(out="out/a.zip"),
        params={"digest": "d", "source": stand_in(source), "sha256": None},
        threads=1,
        log=["job.log"],
    )
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.chdir(folder)
            logging.getLogger().handlers.clear()
            os.dup2(os.open("terminal", os.O_WRONLY | os.O_CREAT), 2)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", 1, closefd=False) for n in (1, 2))
            status = run_stage(job)
        finally:
            os._exit(status)  # or two processes would go on with the tests
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def failing(error: BaseException) -> Callable[..., None]:
    """Make a stage that writes half of its output and fails."""

    def stage(*, source: str, out: Path, **_: object) -> None:
        out.parent.mkdir()
        out.write_text(source)
        raise error

    return stage


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            InputError("x.zip: two\nlines\x1b[2J; fetch it"),
            1,
            r"x.zip: two\nlines\x1b[2J; fetch it",
        ),
        (KeyError("http://h/x?s3cret"), 1, "unexpected KeyError ('http://h/x"),
        (OSError(28, "No space left on device", "a"), 1, "a: No space left on device; free some"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, "ended by SIGTERM"),
    ],
)
def test_a_job_ends_in_one_line_on_the_screen_and_in_its_log(
    tmp_path, monkeypatch, error: BaseException, status: int, line: str
) -> None:
    monkeypatch.setattr("floodloom.stages.acquire.acquire", failing(error))
    assert status_of(tmp_path, "http://me:s3cret@h/x.zip") == status
    (said,) = (tmp_path / "terminal").read_text().splitlines()
    assert said.startswith(f"floodloom: acquire a failed: {line}")
    assert said.endswith("; log: job.log")
    (logged,) = (tmp_path / "job.log").read_text().splitlines()
    assert f" E floodloom.acquire: {line}" in logged
    assert "s3cret" not in said + logged
    assert not (tmp_path / "out/a.zip").exists()


def test_a_log_holds_the_traceback_if_it_is_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FLOODLOOM_DEBUG", "1")
    monkeypatch.setattr("floodloom.stages.acquire.acquire", failing(KeyError("s")))
    assert status_of(tmp_path, "http://h/x.zip") == 1
    first, *_, last = (tmp_path / "job.log").read_text().splitlines()
    assert first.startswith("Traceback")
    assert " E floodloom.acquire: unexpected KeyError" in last
    assert len((tmp_path / "terminal").read_text().splitlines()) == 1


def test_a_log_that_can_not_be_written_is_one_line(tmp_path) -> None:
    (tmp_path / "job.log").mkdir()
    assert status_of(tmp_path, "http://h/x.zip") == 1
    (said,) = (tmp_path / "terminal").read_text().splitlines()[:1]
    assert said.startswith("floodloom: acquire a failed: job.log: Is a directory")


@pytest.mark.parametrize(
    "source", ["http://me:s3cret@h/x.zip?a=s3cret#b", "https://h/x.zip?s3cret", "http://h/x.zip"]
)
def test_a_job_finds_the_address_that_its_parameters_only_stand_for(
    tmp_path, monkeypatch, source: str
) -> None:
    monkeypatch.setattr(
        "floodloom.stages.acquire.acquire",
        lambda source, **_: (tmp_path / "asked").write_text(source),
    )
    assert "s3cret" not in stand_in(source)
    assert stand_in(source) != stand_in(f"{source}?s3cre7")
    assert status_of(tmp_path, source) == 0
    assert (tmp_path / "asked").read_text() == source


def test_an_address_that_was_changed_meanwhile_is_not_asked(tmp_path) -> None:
    assert status_of(tmp_path, "http://h/x.zip?s3cret", sheet="http://h/x.zip?s3cre7") == 1
    said = (tmp_path / "terminal").read_text()
    assert "its source was changed during the run; start it again" in said
    assert "s3cre" not in said

"""What the benchmark of a pair of products measures, and what it measures on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pair_products import write_pair
from benchmarks.pair_tables import pair_tables
from benchmarks.watch import watch
from floodloom.raster.store import open_store
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.product import open_product
from floodloom.stages.calibrate import calibrate

PRODUCT = "S1A_IW_GRDH_1SDV_20200708T182643_20200708T182708_033367_03DDAA_9550.zip"

JOB = """
import os, subprocess, sys, time
log = os.open("run/logs/predict/place-after.log", os.O_WRONLY | os.O_CREAT)
os.dup2(log, 1)
held = bytearray(200 << 20)
open("out", "wb").write(held[: 20 << 20])
burn = "import time\\nwhile time.process_time() < .5: pass"
subprocess.run([sys.executable, "-c", burn])
subprocess.run([sys.executable, "-c", "import time; held = bytearray(100 << 20); time.sleep(4)"])
"""
RUNNER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {JOB!r}], check=True)"


def test_a_job_is_watched_with_its_children(tmp_path: Path) -> None:
    (tmp_path / "run/logs/predict").mkdir(parents=True)
    jobs = {}
    watch([sys.executable, "-c", RUNNER], tmp_path, jobs.__setitem__)
    (figures,) = [jobs.pop("predict/place-after")]
    assert not jobs
    assert 1.2 < figures["seconds"] < 60
    assert figures["cpu_seconds"] >= 0.5
    assert figures["written_bytes"] >= 20 << 20
    assert 300 < figures["peak_mib"] < 400


def test_a_run_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        watch([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, lambda *_: None)


def annotation(product: Path) -> Annotation:
    return parse_annotation(open_product(product).xml("annotation", "vv"), str(product))


def test_a_part_of_a_product_lies_where_it_lay_in_the_whole(shared_data, tmp_path) -> None:
    source = shared_data / "sentinel1_safe" / PRODUCT
    pair = write_pair(source, tmp_path, parts=64)
    whole, part, earlier = map(annotation, (source, pair.after, pair.before))
    assert (part.lines, part.samples) == (whole.lines // 64, whole.samples // 64)
    for name in ("latitude", "longitude", "slant_range_time", "azimuth_time"):
        table = getattr(whole.grid, name).reshape(10, 21)
        cut = getattr(part.grid, name).reshape(10, 21)
        assert cut[0, 0] == pytest.approx(table[0, 0], abs=1e-9)
        rate = (table[1, 0] - table[0, 0]) / whole.grid.line.reshape(10, 21)[1, 0]
        assert cut[-1, 0] - cut[0, 0] == pytest.approx(rate * (part.lines - 1), rel=1e-3, abs=2e-6)
    assert part.first_line_time - earlier.first_line_time == np.timedelta64(12, "D")
    np.testing.assert_array_equal(part.orbit_position, earlier.orbit_position)
    assert open_product(pair.after).relative_orbit == open_product(pair.before).relative_orbit


def test_valleys_hold_more_water_during_the_flood(shared_data, tmp_path) -> None:
    pair = write_pair(shared_data / "sentinel1_safe" / PRODUCT, tmp_path, parts=64)
    again = write_pair(shared_data / "sentinel1_safe" / PRODUCT, tmp_path, parts=64)
    assert again == pair
    dark = {}
    for role in ("before", "after"):
        store = calibrate(safe=getattr(pair, role), out=tmp_path / f"{role}.zarr")
        scene = open_store(store)
        backscatter = 10 * np.log10(np.nan_to_num(scene["vv"].values, nan=1.0) + 1e-6)
        dark[role] = (backscatter < -15).mean()
        assert np.median(backscatter) == pytest.approx(-9, abs=1.5)
    assert 0.02 < dark["before"] < dark["after"] - 0.04 < 0.25


def job(seconds: float, mib: float) -> dict[str, float]:
    """Figures of a job that wrote as many bytes as it read."""
    return {
        "seconds": seconds,
        "cpu_seconds": 2 * seconds,
        "read_bytes": 1e9,
        "written_bytes": 1e9,
        "peak_mib": mib,
        "load": 2.0,
    }


def test_the_table_adds_the_jobs_and_shows_the_limits() -> None:
    jobs = {f"{stage}/{date}": job(10, 1000) for stage in ("calibrate", "geocode", "predict")
            for date in ("before", "after")}  # fmt: skip
    jobs |= {"delineate/pair": job(50, 2000), "report": job(20, 500)}
    size = {"megapixels_of_image": 800, "megapixels_of_map": 100.0}
    whole = {**size, "jobs": {**jobs, "workflow": {"seconds": 5.0}}}
    result = {"product": "S1", "relief_m": 1000, "cores": 2, "beside": {}, "published": ()}
    text = "\n".join(pair_tables({**result, "sizes": {"whole": whole}}))
    assert "| **all** | **135** | 260 | 8.0 | 8.0 | **2.10** | |" in text
    assert "| limit | 480 | | | | 2.50 | |" in text
    assert "| predict | 0.400 | 1000 |" in text

    del jobs["report"]
    some = "\n".join(pair_tables({**result, "sizes": {"whole": {**size, "jobs": jobs}}}))
    assert "**all**" not in some

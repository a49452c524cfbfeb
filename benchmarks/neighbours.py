"""What a neighbour takes for the same work; runs in an environment of its own, without floodloom.

python benchmarks/neighbours.py gtc|rtc SAFE DEM OUT.tif
python benchmarks/neighbours.py places SAFE DEM OUT.npz
python benchmarks/neighbours.py calibrate SAFE LINES SAMPLES
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def correct_terrain(safe: str, dem: str, out: str, radiometry: str | None) -> None:
    """sarsen's terrain correction of VV, bilinear."""
    import sarsen

    product = sarsen.Sentinel1SarProduct(safe, measurement_group="IW/VV")
    sarsen.terrain_correction(
        product,
        dem_urlpath=dem,
        output_urlpath=out,
        correct_radiometry=radiometry,
        interp_method="linear",
    )


def places(safe: str, dem: str, out: str) -> None:
    """sarsen's azimuth and slant range times of every pixel of the elevation raster."""
    import sarsen
    from sarsen import apps, orbit, scene

    product = sarsen.Sentinel1SarProduct(safe, measurement_group="IW/VV")
    raster = scene.open_dem_raster(dem)
    path = orbit.OrbitPolyfitInterpolator.from_position(product.state_vectors())
    found = apps.simulate_acquisition(scene.convert_to_dem_ecef(raster), path)
    found = found.sortby("y", ascending=False)
    time_ns = found.azimuth_time.transpose("y", "x").values.astype("datetime64[ns]")
    distance = found.slant_range_time.transpose("y", "x").values * 299792458.0 / 2
    np.savez(out, azimuth_ns=time_ns.astype(np.int64), slant_range=distance)


def calibrate(safe: str, lines: int, samples: int) -> None:
    """xarray-sentinel's calibration of a block of VV, without noise removal."""
    import xarray as xr
    import xarray_sentinel

    image = xr.open_dataset(safe, engine="sentinel-1", group="IW/VV")
    tables = xr.open_dataset(safe, engine="sentinel-1", group="IW/VV/calibration")
    block = image.measurement.isel(azimuth_time=slice(0, lines), ground_range=slice(0, samples))
    xarray_sentinel.calibrate_intensity(block, tables.sigmaNought).compute()


def peak_mib() -> float:
    """Return the greatest memory that this process has held, MiB."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def main() -> None:
    """Run one step and print its figures as JSON."""
    import sarsen  # noqa: F401  imports aren't measured
    import xarray_sentinel  # noqa: F401

    step, *arguments = sys.argv[1:]
    began = time.perf_counter()
    if step in ("gtc", "rtc"):
        correct_terrain(*arguments, None if step == "gtc" else "gamma_bilinear")
    elif step == "places":
        places(*arguments)
    else:
        calibrate(arguments[0], int(arguments[1]), int(arguments[2]))
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time(),
        "peak_mib": peak_mib(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

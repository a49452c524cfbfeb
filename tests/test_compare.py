"""What compares two folders of results finds every other bit, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import zarr
from safetensors.torch import load_file, save_file

from benchmarks.compare import differences, main

MAP, TILES, WEIGHTS = "maps/a/flood.tif", "tiles/a.zarr", "models/unet-0.safetensors"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal folders of results."""
    before, after = tmp_path / "before", tmp_path / "after"
    for name in (MAP, TILES, WEIGHTS):
        (before / name).parent.mkdir(parents=True)
    bands = np.arange(2 * 600 * 3, dtype=np.float32).reshape(2, 600, 3)
    bands[0, 0, 0] = np.nan
    profile = {"driver": "GTiff", "width": 3, "height": 600, "count": 2}
    profile |= {"dtype": "float32", "nodata": np.nan}
    profile["transform"] = rasterio.transform.from_origin(0, 0, 10, 10)
    with rasterio.open(before / MAP, "w", **profile) as raster:
        raster.write(bands)
    store = zarr.create_group(before / TILES)
    store.create_array("image", data=bands, chunks=(1, 600, 3))
    store.create_array("id", data=np.array(["a", "b"], dtype=np.dtypes.StringDType()))
    save_file({"weight": torch.arange(4.0).to(torch.bfloat16)}, before / WEIGHTS)
    shutil.copytree(before, after)
    return before, after


def test_equal_folders_have_no_difference(folders, capsys) -> None:
    assert list(differences(*folders)) == []
    assert main([str(folder) for folder in folders]) == 0
    assert capsys.readouterr().out == "3 files, no difference\n"


def test_a_value_of_any_band_is_a_difference(folders) -> None:
    with rasterio.open(folders[1] / MAP, "r+") as raster:
        band = raster.read(2)
        band[599, 2] += 1
        raster.write(band, 2)
    assert list(differences(*folders)) == [f"{MAP}: band 2: 1 of 1,800 values differ"]


def test_a_negative_zero_in_a_store_is_a_difference(folders) -> None:
    zarr.open_group(folders[0] / TILES)["image"][1, 0, :2] = 0.0
    zarr.open_group(folders[1] / TILES)["image"][1, 0, :2] = -0.0
    assert list(differences(*folders)) == [f"{TILES}: image: 2 of 3,600 values differ"]


def test_weights_are_compared_by_name_shape_and_value(folders, capsys) -> None:
    weights = load_file(folders[1] / WEIGHTS)
    weights["weight"][0] = -1.0
    save_file({**weights, "bias": torch.zeros(1)}, folders[1] / WEIGHTS)
    assert main([str(folder) for folder in folders]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{WEIGHTS}: bias is in one only",
        f"{WEIGHTS}: weight: 1 of 4 values differ",
    ]
    save_file({"weight": torch.zeros(2, 2)}, folders[1] / WEIGHTS)
    assert list(differences(*folders)) == [f"{WEIGHTS}: weight has another shape or type"]


def test_another_grid_and_a_file_of_one_side_are_differences(folders) -> None:
    before, after = folders
    (after / "maps/b").mkdir()
    (after / MAP).rename(after / "maps/b/flood.tif")
    assert list(differences(*folders)) == [
        f"{MAP}: only in {before}",
        f"maps/b/flood.tif: only in {after}",
    ]
    shutil.copy(before / MAP, after / MAP)
    with rasterio.open(after / MAP, "r+") as raster:
        raster.nodata = 0
    assert f"{MAP}: nodata" in list(differences(*folders))


def test_a_folder_without_results_is_refused(folders, tmp_path, capsys) -> None:
    assert main([str(folders[0]), str(tmp_path / "none")]) == 2
    assert "none: no raster, store or checkpoint" in capsys.readouterr().err

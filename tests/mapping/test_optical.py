"""Mapping a scene by networks that see an optical image beside radar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr
from odc.geo.xr import wrap_xr

from floodloom.errors import CheckpointError, InputError, RecipeMismatchError
from floodloom.learning.checkpoint import Checkpoint, save_checkpoint
from floodloom.learning.data.optical import channels_of
from floodloom.learning.inference import ensemble_of, load_ensemble
from floodloom.mapping.combine import mean_percent
from floodloom.mapping.scene_inputs import optical_bands, with_optical
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.models.registry import build
from floodloom.raster.cog import ACQUIRED, write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.store import stamp, write_store
from floodloom.settings import arguments_of
from floodloom.stages.combine import combine
from floodloom.stages.predict import predict
from tests.mapping.conftest import INPUTS, PRODUCT, as_inputs, backscatter

GRID = grid_from_bounds((400000, 5000000, 403310, 5002030), 32633, 10.0)
SHAPE = (203, 331)
CHANNELS = ("green", "nir", "ndwi")
STATISTICS = {"channels": CHANNELS, "mean": (0.1, 0.2, 0.0), "deviation": (0.05, 0.1, 0.4)}


def seeing_both(seed: int = 0, channels=CHANNELS, **changes) -> Checkpoint:
    """A fused checkpoint with random weights whose probabilities take many values."""
    bands = (*INPUTS.bands, *channels)
    groups = [list(range(2)), list(range(2, len(bands)))]
    arguments = {"in_channels": len(bands), "classes": 2, "width": 4, "groups": groups}
    arguments |= {"alone": True, "branch": "fcn8"}
    torch.manual_seed(seed)
    model = build("late_fusion", **arguments).eval()
    radar = np.nan_to_num(as_inputs(backscatter(128, 128)).values)[np.newaxis]
    blank = np.pad(radar, ((0, 0), (0, len(channels)), (0, 0), (0, 0)))
    shown = blank + np.pad(
        np.random.default_rng(1).normal(size=(1, len(channels), 128, 128)),
        ((0, 0), (2, 0), (0, 0), (0, 0)),
    )
    with torch.no_grad():
        for head, image in ((model.alone, blank), (model.head, shown)):
            logits = model(torch.from_numpy(image.astype("float32")))
            difference = logits[:, 1] - logits[:, 0]
            head.weight *= 3 / difference.std()
            head.bias[1] -= difference.mean()
            head.bias *= 3 / difference.std()
    statistics = {**STATISTICS, "channels": channels}
    checkpoint = Checkpoint(
        "late_fusion", arguments, ("dry", "water"), INPUTS, model.state_dict(),
        inputs="fused", channels=bands, statistics=statistics,
    )  # fmt: skip
    return replace(checkpoint, **changes)


def untaught() -> Checkpoint:
    """One that hasn't learnt to do without its optical image."""
    both = seeing_both()
    weights = {name: tensor for name, tensor in both.weights.items() if "alone" not in name}
    return replace(both, arguments={**both.arguments, "alone": False}, weights=weights)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return save_checkpoint(seeing_both(), tmp_path_factory.mktemp("teacher") / "t.safetensors")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    power = backscatter(*SHAPE)
    bands = {name: wrap_xr(v, GRID) for name, v in zip(("vv", "vh"), power, strict=True)}
    store = xr.Dataset(bands).assign_attrs(acquisition_time="2023-05-14T16:58:21")
    path = tmp_path_factory.mktemp("scene") / "s.zarr"
    return write_store(stamp(store, PRODUCT), path, chunk=64, shard=128)


def reflectance(cloud=None) -> np.ndarray:
    """(green, nir) float32; what `cloud` (y, x) hides is NaN."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    green = 0.08 + 0.04 * np.sin(rows / 19)
    nir = 0.2 + 0.15 * np.cos(cols / 23)
    image = np.stack([green, nir]).astype("float32")
    return image if cloud is None else np.where(cloud, np.float32(np.nan), image)


@pytest.fixture
def optical(tmp_path):
    def write(image, when="2023-05-15T10:00:00", names=("green", "nir")):
        path = tmp_path / "sentinel2.tif"
        return write_cog(
            image, path, geobox=GRID, nodata=np.nan, descriptions=names, tags={ACQUIRED: when}
        )

    return write


def mapped(scene, teacher, out, **arguments):
    """Percent (y, x) of a prediction and the file's tags."""
    given = {"scene": scene, "checkpoint": [teacher], "out": out, **arguments}
    path = predict(**arguments_of(predict, given))
    with rasterio.open(path) as raster:
        return raster.read(1), raster.tags()


def test_the_networks_see_what_they_were_trained_on() -> None:
    power = backscatter(*SHAPE)
    cloud = np.zeros(SHAPE, bool)
    cloud[50:90, 30:] = True
    image = reflectance(cloud)
    lazy = xr.DataArray(image, dims=("channel", "y", "x"), coords={"channel": ["green", "nir"]})
    radar = as_inputs(power).assign_coords(band=["vv", "vh"])
    ensemble = ensemble_of([seeing_both()])
    both = with_optical(radar, lazy, ensemble)
    assert list(both.band.values) == ["vv", "vh", *CHANNELS]
    assert both.dtype == np.float32
    np.testing.assert_array_equal(both.values[:2], radar.values)
    green, nir = image
    ndwi = (green - nir) / (green + nir)
    expected = np.stack([(green - 0.1) / 0.05, (nir - 0.2) / 0.1, ndwi / 0.4])
    np.testing.assert_allclose(both.values[2:], np.where(cloud, 0, expected), atol=1e-5)
    chunked = with_optical(radar.chunk(y=64), lazy, ensemble)
    assert chunked.chunksizes["y"] == (64, 64, 64, 11)
    np.testing.assert_array_equal(chunked.values, both.values)
    assert (with_optical(radar.chunk(y=64), None, ensemble).values[2:] == 0).all()


def test_indices_are_made_of_the_bands_of_their_date() -> None:
    stored = np.random.default_rng(0).uniform(0, 0.4, (1, 4, 3, 3)).astype("float32")
    have = ["before_green", "before_nir", "green", "nir"]
    found = channels_of(stored, have, ["before_ndwi", "nir"])[0]
    one, other = stored[0, :2]
    np.testing.assert_allclose(found[0], (one - other) / (one + other), rtol=1e-5)
    np.testing.assert_array_equal(found[1], stored[0, 3])


def test_an_optical_image_changes_the_map_where_it_shows_the_ground(
    scene, teacher, optical, tmp_path
) -> None:
    alone, tags = mapped(scene, teacher, tmp_path / "alone.tif")
    assert tags["FLOODLOOM_OPTICAL"] == "none"
    assert np.ptp(alone[alone < 255].astype(int)) > 30
    cloud = np.zeros(SHAPE, bool)
    cloud[:, :200] = True
    seen, tags = mapped(scene, teacher, tmp_path / "seen.tif", optical=optical(reflectance(cloud)))
    assert tags["FLOODLOOM_OPTICAL"] == "sentinel2"
    assert float(tags["FLOODLOOM_OPTICAL_CLEAR"]) == pytest.approx(131 / 331, abs=1e-3)
    np.testing.assert_array_equal(seen == 255, alone == 255)  # no optical image is no missing data
    np.testing.assert_array_equal(seen[:, :200], alone[:, :200])
    known = alone[:, 200:] < 255
    assert (seen[:, 200:] != alone[:, 200:])[known].mean() > 0.5


def test_windows_change_nothing(scene, teacher, optical, tmp_path) -> None:
    path = optical(reflectance())
    maps = [
        predict(
            scene=scene,
            checkpoint=[teacher],
            out=tmp_path / f"{tile}.tif",
            files=PredictFiles(optical=path),
            settings=PredictSettings(tile=tile),
        )
        for tile in (288, 416)
    ]
    small, large = (rasterio.open(one).read(1).astype(int) for one in maps)
    assert np.abs(small - large).max() <= 1


@pytest.mark.parametrize("when", ["2023-07-01T10:00:00", "2022-05-15T10:00:00"])
def test_an_image_that_is_too_old_is_left_out_and_the_file_says_so(
    scene, teacher, optical, tmp_path, when
) -> None:
    alone, _ = mapped(scene, teacher, tmp_path / "alone.tif")
    path = optical(reflectance(), when)
    late, tags = mapped(scene, teacher, tmp_path / "late.tif", optical=path)
    np.testing.assert_array_equal(late, alone)
    assert "days from the scene, more than 10" in tags["FLOODLOOM_OPTICAL_REFUSED"]
    _, tags = mapped(scene, teacher, tmp_path / "any.tif", optical=path, optical_gap_days=None)
    assert "FLOODLOOM_OPTICAL_REFUSED" not in tags


def test_networks_of_radar_alone_map_a_scene_whose_image_is_refused(
    scene, teacher, checkpoints, optical, tmp_path
) -> None:
    path = optical(reflectance(), "2022-05-15T10:00:00")
    needy = save_checkpoint(untaught(), tmp_path / "needy.safetensors")
    students = {"optical": path, "radar_checkpoint": checkpoints}
    expected = predict(scene=scene, checkpoint=checkpoints, out=tmp_path / "radar.tif")
    for name, checkpoint in (("robust", teacher), ("needs", needy)):
        late, tags = mapped(scene, checkpoint, tmp_path / f"{name}.tif", **students)
        with rasterio.open(expected) as radar:
            np.testing.assert_array_equal(late, radar.read(1))
            assert tags["FLOODLOOM_CHECKPOINT"] == radar.tags()["FLOODLOOM_CHECKPOINT"]
        assert "days from the scene, more than 10" in tags["FLOODLOOM_OPTICAL_REFUSED"]
    with pytest.raises(InputError, match="hasn't learnt to do without its optical image"):
        mapped(scene, needy, tmp_path / "none.tif", optical=path)
    assert not (tmp_path / "none.tif").exists()
    fine = optical(reflectance())
    shown, _ = mapped(scene, teacher, tmp_path / "shown.tif", optical=fine)
    both, tags = mapped(scene, teacher, tmp_path / "both.tif", **{**students, "optical": fine})
    np.testing.assert_array_equal(both, shown)
    assert tags["FLOODLOOM_CHECKPOINT"] == "t"


def test_a_missing_band_is_named(scene, teacher, optical, tmp_path) -> None:
    image = reflectance()
    with pytest.raises(InputError, match=r"sentinel2\.tif.*nir"):
        mapped(scene, teacher, tmp_path / "p.tif", optical=optical(image[:1], names=("green",)))
    assert not (tmp_path / "p.tif").exists()


def test_an_optical_image_is_no_use_to_networks_that_see_radar_alone(
    scene, checkpoints, optical, tmp_path
) -> None:
    with pytest.raises(InputError, match="sees radar alone; leave the optical image out"):
        predict(
            scene=scene, checkpoint=checkpoints, out=tmp_path / "p.tif",
            files=PredictFiles(optical=optical(reflectance())),
        )  # fmt: skip


def test_networks_that_need_an_optical_image_say_so(scene, tmp_path) -> None:
    needy = untaught()
    path = save_checkpoint(needy, tmp_path / "needy.safetensors")
    with pytest.raises(InputError, match="hasn't learnt to do without its optical image"):
        predict(scene=scene, checkpoint=[path], out=tmp_path / "p.tif")
    two_dates = seeing_both(channels=("before_green", "green"))
    with pytest.raises(InputError, match="images of two dates"):
        optical_bands(ensemble_of([two_dates]))


def test_what_works_without_an_optical_image_has_learnt_it() -> None:
    """By images that were left out of its training, or by a branch of its own for radar alone."""
    needy = untaught()
    assert not needy.works_without_optical
    assert replace(needy, training={"sensor_drop": 0.3}).works_without_optical
    assert replace(needy, arguments={**needy.arguments, "alone": True}).works_without_optical
    blind = replace(needy, inputs="optical", training={"sensor_drop": 0.3})
    assert not blind.works_without_optical


def test_only_who_asks_gets_networks_that_see_an_optical_image(teacher, checkpoints, tmp_path):
    assert load_ensemble([teacher], fused=True).bands == ("vv", "vh", *CHANNELS)
    with pytest.raises(CheckpointError, match="takes optical channels"):
        load_ensemble([teacher])
    weights = build("unet", 3, 2, width=4).state_dict()
    arguments = {"in_channels": 3, "classes": 2, "width": 4}
    seeing_one = Checkpoint(
        "unet", arguments, ("dry", "water"), INPUTS, weights,
        inputs="optical", channels=CHANNELS, statistics=STATISTICS,
    )  # fmt: skip
    alone = save_checkpoint(seeing_one, tmp_path / "o.safetensors")
    with pytest.raises(CheckpointError, match="takes optical channels"):
        load_ensemble([alone], fused=True)
    with pytest.raises(CheckpointError, match="sees vv, vh but the others vv, vh, green"):
        load_ensemble([teacher, *checkpoints], fused=True)
    other = seeing_both(recipe=INPUTS.model_copy(update={"quantity": "sigma0"}))
    sigma = save_checkpoint(other, tmp_path / "s.safetensors")
    with pytest.raises(RecipeMismatchError, match="quantity"):
        load_ensemble([teacher, sigma], fused=True)


def seeing_optical_alone(**changes) -> Checkpoint:
    arguments = {"in_channels": len(CHANNELS), "classes": 2, "width": 4}
    torch.manual_seed(0)
    weights = build("unet", **arguments).state_dict()
    weights["head.weight"] = 20 * weights["head.weight"]
    checkpoint = Checkpoint(
        "unet", arguments, ("dry", "water"), INPUTS, weights,
        inputs="optical", channels=CHANNELS, statistics=STATISTICS,
    )  # fmt: skip
    return replace(checkpoint, **changes)


def test_networks_without_pairs_share_the_map_where_the_image_is_clear(
    scene, checkpoints, optical, tmp_path
) -> None:
    cloud = np.zeros(SHAPE, bool)
    cloud[:, :150] = True
    image = optical(reflectance(cloud))
    own = save_checkpoint(seeing_optical_alone(), tmp_path / "optical.safetensors")
    alone = predict(scene=scene, checkpoint=checkpoints[:1], out=tmp_path / "radar.tif")
    both = combine(
        scene=scene, optical=image, checkpoint=checkpoints[:1], optical_checkpoint=[own],
        out=tmp_path / "both.tif",
    )  # fmt: skip
    with rasterio.open(alone) as first, rasterio.open(both) as raster:
        radar, found, tags = first.read(1), raster.read(1), raster.tags()
    np.testing.assert_array_equal(found == 255, radar == 255)
    np.testing.assert_array_equal(found[:, :150], radar[:, :150])
    green, nir = reflectance()
    ndwi = (green - nir) / (green + nir)
    seen = np.stack([(green - 0.1) / 0.05, (nir - 0.2) / 0.1, ndwi / 0.4])
    seen[:, cloud] = np.nan
    model = ensemble_of([seeing_optical_alone()])
    padded = np.pad(seen, ((0, 0), (0, 21), (0, 21)), constant_values=np.nan)
    theirs = 100 * model.probabilities(padded[np.newaxis].astype("float32"))[0, 1, :203, :331]
    inner = np.zeros(SHAPE, bool)
    inner[: 203 - 64, 150 : 331 - 64] = True  # the borders are mirrored, not padded
    inner &= radar < 255
    expected = (radar[inner] + theirs[inner]) / 2
    assert np.abs(found[inner] - expected).max() <= 1.5
    assert np.ptp(theirs[inner]) > 5
    assert tags["FLOODLOOM_CHECKPOINT"].endswith(", optical")
    assert float(tags["FLOODLOOM_OPTICAL_CLEAR"]) == pytest.approx(181 / 331, abs=1e-3)


def test_what_can_not_be_combined_is_refused(scene, checkpoints, optical, tmp_path) -> None:
    own = save_checkpoint(seeing_optical_alone(), tmp_path / "optical.safetensors")
    given = {"scene": scene, "checkpoint": checkpoints, "out": tmp_path / "out.tif"}
    late = optical(reflectance(), "2022-05-15T10:00:00")
    with pytest.raises(InputError, match=r"days from the scene.*map the scene by `predict`"):
        combine(**given, optical=late, optical_checkpoint=[own])
    image = optical(reflectance())
    with pytest.raises(CheckpointError, match="takes radar inputs, but optical ones alone"):
        combine(**given, optical=image, optical_checkpoint=checkpoints)
    with pytest.raises(CheckpointError, match="it takes optical channels"):
        combine(**{**given, "checkpoint": [own]}, optical=image, optical_checkpoint=[own])
    assert not (tmp_path / "out.tif").exists()


def test_the_mean_is_radar_alone_where_the_other_is_unknown() -> None:
    radar = np.array([[0, 100, 50, 255, 255]], dtype=np.uint8)
    other = np.array([[100, 255, 51, 10, 255]], dtype=np.uint8)
    assert mean_percent(radar, other).tolist() == [[50, 100, 51, 255, 255]]

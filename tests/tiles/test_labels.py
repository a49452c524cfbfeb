"""A label that is no class is unknown, in training and in scoring."""

import json

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.datasets import folder, stac_overflow
from floodloom.errors import InputError
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import pixel_geobox
from floodloom.stages.evaluate import evaluate
from floodloom.tiles.labels import labels_on_grid
from floodloom.tiles.overlay import LabelledScene
from tests.raster.test_foreign import write

GRID = GeoBox((30, 40), Affine(10.0, 0, 500000.0, 0, -10.0, 5100000.0), "EPSG:32633")
HIDDEN = (slice(None), slice(0, 20))


def label() -> np.ndarray:
    """(y, x) uint8 of all three classes, the left half unknown."""
    values = np.random.default_rng(3).integers(0, 3, (30, 40)).astype("uint8")
    values[HIDDEN] = 255
    return values


def coded(fill: float, dtype: str) -> np.ndarray:
    values = label().astype(dtype)
    values[HIDDEN] = fill
    return values


WRITTEN = {
    "declared -9999": (coded(-9999, "int16"), {"nodata": -9999}),
    "declared -32768": (coded(-32768, "int16"), {"nodata": -32768}),
    "not a number": (coded(np.nan, "float32"), {"nodata": np.nan}),
    "undeclared -9999": (coded(-9999, "int32"), {}),
    "undeclared -1": (coded(-1, "int8"), {}),
    "undeclared 65535": (coded(65535, "uint16"), {}),
    "no class": (coded(99, "uint8"), {}),
    "between two classes": (coded(0.5, "float64"), {}),
    "infinite": (coded(np.inf, "float32"), {}),
    "masked": (coded(1, "uint8"), {"mask": label() != 255}),
    "255 declared as something else": (label(), {"nodata": 254}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_no_class_is_unknown(tmp_path, name: str) -> None:
    values, facts = WRITTEN[name]
    path = write(tmp_path / "label.tif", values, GRID, **facts)
    np.testing.assert_array_equal(labels_on_grid(path, GRID), label())


@pytest.mark.parametrize("name", WRITTEN)
def test_a_perfect_map_is_perfect(tmp_path, name: str) -> None:
    values, facts = WRITTEN[name]
    truth = write(tmp_path / "truth.tif", values, GRID, **facts)
    flood = np.where(label() == 255, 2, label()).astype("uint8")
    tags = {"FLOODLOOM_PRODUCT": "flood_map"}
    path = write_cog(flood, tmp_path / "flood.tif", geobox=GRID, nodata=255, tags=tags)
    scores = json.loads(
        evaluate(prediction=[path], truth=[truth], out=tmp_path / "scores.json").read_text()
    )
    assert scores["flood"]["iou"] == scores["water"]["iou"] == 1.0
    counts = scores["flood"]
    assert sum(counts[name] for name in ("tp", "fp", "fn", "tn")) == (label() != 255).sum()


def test_truth_that_knows_nothing_is_refused(tmp_path) -> None:
    truth = write(tmp_path / "truth.tif", np.full((30, 40), 255, "uint8"), GRID)
    tags = {"FLOODLOOM_PRODUCT": "flood_map"}
    path = write_cog(label(), tmp_path / "flood.tif", geobox=GRID, nodata=255, tags=tags)
    with pytest.raises(InputError, match=r"truth\.tif: has no class anywhere on .*flood\.tif"):
        evaluate(prediction=[path], truth=[truth], out=tmp_path / "scores.json")


def scored(tmp_path, prediction: np.ndarray, truth: np.ndarray, tags=None, **facts) -> dict:
    predicted = write(tmp_path / "p.tif", prediction, GRID, tags=tags or {}, **facts)
    known = write(tmp_path / "truth.tif", truth, GRID)
    return json.loads(
        evaluate(prediction=[predicted], truth=[known], out=tmp_path / "e.json").read_text()
    )


ROWS = np.arange(30)[:, np.newaxis] * np.ones((1, 40), int)
HALF = np.where(ROWS < 15, 255, ROWS % 3).astype("uint8")


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (HALF, HALF[::-1], r"p\.tif: has no data wherever .*truth\.tif has"),
        (HALF, np.where(HALF == 255, 0, 77), r"p\.tif: has no data wherever"),
        (HALF, np.full((30, 40), 255), r"truth\.tif: has no class anywhere"),
        (HALF, np.full((30, 40), 80), r"truth\.tif: no pixel is a class, .* such as 80"),
        (HALF, np.where(HALF == 1, 200, 101), r"truth\.tif: no pixel is a class"),
        (HALF, np.where(HALF == 1, 255, 0), r"truth\.tif: holds 0 and 255 alone"),
        (np.where(HALF == 1, 255, 0), HALF, r"p\.tif: holds 0 and 255 alone"),
        (np.full((30, 40), 255), HALF, r"p\.tif: has no data wherever"),
        (np.full((30, 40), 200), HALF, r"p\.tif: no pixel is a percentage"),
    ],
)
def test_what_cannot_be_scored_has_no_score(tmp_path, prediction, truth, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scored(tmp_path, prediction.astype("uint8"), truth.astype("uint8"))
    assert not (tmp_path / "e.json").exists()


@pytest.mark.parametrize("product", ["flood_likelihood", "flood_depth", "else"])
def test_other_products_are_not_scored(tmp_path, product: str) -> None:
    with pytest.raises(InputError, match=rf"p\.tif: is a '{product}'; give a flood map"):
        scored(tmp_path, HALF, HALF, {"FLOODLOOM_PRODUCT": product})


@pytest.mark.parametrize("product", ["water_probability", "flood_likelihood", "x" * 900])
def test_other_products_are_no_labels(tmp_path, product: str) -> None:
    """Of a probability, 1 and 2 percent would be permanent water and flood."""
    path = write(tmp_path / "l.tif", HALF, GRID, tags={"FLOODLOOM_PRODUCT": product})
    with pytest.raises(InputError, match=r"l\.tif: is a '.{9,40}'; give labels"):
        labels_on_grid(path, GRID)


@pytest.mark.parametrize("strange", [4, 99, 254])
def test_what_is_no_class_of_a_map_is_no_data(tmp_path, strange: int) -> None:
    """It isn't land."""
    prediction = np.where(ROWS > 20, strange, HALF).astype("uint8")
    found = scored(tmp_path, prediction, HALF, {"FLOODLOOM_PRODUCT": "flood_map"})
    assert found["flood"]["iou"] == 1.0
    assert found["undecided"]["nodata"] == pytest.approx(9 / 15, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "facts", "message"),
    [
        (np.full((30, 40), 80, "uint8"), {}, "no pixel is a class"),
        (np.full((30, 40), 0.4, "float32"), {}, "no pixel is a class"),
        (np.full((30, 40), -1, "int16"), {}, "no pixel is a class"),
        (np.where(HALF == 1, 255, 0).astype("uint8"), {}, "holds 0 and 255 alone"),
        (np.full((3, 30, 40), 1, "uint8"), {"photometric": "RGB"}, "picture of 3 bands"),
    ],
)
def test_labels_without_any_class_are_refused(tmp_path, values, facts, message: str) -> None:
    path = write(tmp_path / "label.tif", values, GRID, **facts)
    with pytest.raises(InputError, match=rf"label\.tif: .*{message}"):
        labels_on_grid(path, GRID)


def test_declared_no_data_alone_is_unknown(tmp_path) -> None:
    masked = np.where(HALF == 1, 255, 0).astype("uint8")
    path = write(tmp_path / "label.tif", masked, GRID, nodata=255)
    np.testing.assert_array_equal(labels_on_grid(path, GRID), masked)


def test_a_class_that_is_declared_as_no_data_is_refused(tmp_path) -> None:
    path = write(tmp_path / "label.tif", label(), GRID, nodata=0)
    with pytest.raises(InputError, match=r"label\.tif: declares 0, which is a class, as no data"):
        labels_on_grid(path, GRID)


def test_labels_that_lie_otherwise(tmp_path) -> None:
    south_up = GRID.affine @ Affine.translation(0, 30) @ Affine.scale(1, -1)
    turned = GeoBox((30, 40), south_up, GRID.crs)
    path = write(tmp_path / "up.tif", label()[::-1].copy(), turned, nodata=255)
    np.testing.assert_array_equal(labels_on_grid(path, GRID), label())
    beside = write(tmp_path / "part.tif", label()[:, 15:].copy(), GRID[:, 15:], nodata=255)
    expected = label()
    expected[:, :15] = 255
    np.testing.assert_array_equal(labels_on_grid(beside, GRID), expected)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_labels_without_a_place_must_be_of_the_scene_s_size(tmp_path) -> None:
    plain = write(tmp_path / "plain.tif", label(), pixel_geobox(30, 40))
    np.testing.assert_array_equal(labels_on_grid(plain, GRID), label())
    np.testing.assert_array_equal(labels_on_grid(plain, pixel_geobox(30, 40)), label())
    with pytest.raises(InputError, match=r"plain\.tif: \(30, 40\) px without a CRS"):
        labels_on_grid(plain, pixel_geobox(31, 40))


def chips(root, decibel: np.ndarray, **facts) -> LabelledScene:
    for band in ("vv", "vh"):
        write(root / band / "a.tif", decibel, GRID, **facts)
    write(root / "labels" / "a.tif", label(), GRID)
    return folder.DATASET.read(root, "a")


def test_chips_with_a_mask_are_refused_unless_their_authors_say_what_it_is(tmp_path) -> None:
    decibel = np.full((30, 40), -12, "float32")
    masked = np.where(HALF == 1, 255, 0).astype("uint8")
    for band in ("vv", "vh"):
        write(tmp_path / band / "a.tif", decibel, GRID)
        write(tmp_path / "features" / f"a_{band}.tif", decibel, GRID)
    write(tmp_path / "labels" / "a.tif", masked, GRID)
    with pytest.raises(InputError, match=r"a\.tif: holds 0 and 255 alone"):
        folder.DATASET.read(tmp_path, "a")
    published = stac_overflow.DATASET.read(tmp_path, "a")
    np.testing.assert_array_equal(published.label, masked)
    write(tmp_path / "labels" / "a.tif", masked, GRID, nodata=255)
    declared = folder.DATASET.read(tmp_path, "a")
    np.testing.assert_array_equal(declared.label, masked)


def test_chips_without_a_place_are_read(tmp_path) -> None:
    decibel = np.random.default_rng(1).normal(-12, 3, (30, 40)).astype("float32")
    nowhere = pixel_geobox(30, 40)
    for band in ("vv", "vh"):
        write(tmp_path / band / "a.tif", decibel, nowhere)
    write(tmp_path / "labels" / "a.tif", label(), nowhere)
    found = folder.DATASET.read(tmp_path, "a")
    np.testing.assert_allclose(found.scene.vv.values, 10 ** (decibel / 10), rtol=1e-5)
    np.testing.assert_array_equal(found.label, np.where(label() == 1, 2, label()))


def test_chips_of_any_coding_are_the_same(tmp_path) -> None:
    decibel = np.random.default_rng(1).normal(-12, 3, (30, 40)).round(2).astype("float32")
    decibel[HIDDEN] = np.nan
    expected = 10 ** (decibel / 10)
    for name, values, facts in (
        ("nan", decibel, {}),
        ("zero", np.nan_to_num(decibel), {}),
        ("fill", np.nan_to_num(decibel, nan=-9999).astype("float64"), {}),
        ("declared", np.nan_to_num(decibel, nan=-50), {"nodata": -50}),
        (
            "hundredths",
            np.nan_to_num(decibel * 100, nan=-32768).round().astype("int16"),
            {"scales": (0.01,), "nodata": -32768},
        ),
    ):
        found = chips(tmp_path / name, values, **facts)
        np.testing.assert_allclose(found.scene.vv.values, expected, rtol=1e-4, err_msg=name)
        np.testing.assert_array_equal(found.label, np.where(label() == 1, 2, label()))


@pytest.mark.parametrize(
    ("scale", "dtype", "message"),
    [(lambda v: 10 ** (v / 10), "float32", "linear"), (lambda v: v * 100, "int16", "can't be")],
)
def test_chips_of_another_scale_are_refused(tmp_path, scale, dtype: str, message: str) -> None:
    decibel = np.random.default_rng(1).normal(-12, 3, (30, 40))
    with pytest.raises(InputError, match=rf"a\.tif: .*{message}"):
        chips(tmp_path, scale(decibel).astype(dtype))


def test_chips_whose_label_lies_elsewhere_know_nothing(tmp_path) -> None:
    decibel = np.full((30, 40), -12, "float32")
    chips(tmp_path, decibel)
    write(tmp_path / "labels" / "a.tif", label(), GRID.translate_pix(1000, 0))
    assert (folder.DATASET.read(tmp_path, "a").label == 255).all()

"""What holds for every baseline that looks at more than one level: on scenes whose water is known.

The trivial answer, all water or none, has an IoU of .11 at most on the lake here.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from floodloom.classical.baseline import Baseline, map_water
from floodloom.classical.choices import BASELINES
from floodloom.classical.scene import BackscatterScene
from floodloom.errors import ConfigError, InputError
from tests.classical.conftest import band, disc, iou, mapped, power

SIDE = 192
LAKE = disc(90, 90, 36, SIDE)
SEGMENTS = ("compact-watershed", "felzenszwalb", "quickshift", "slic")
BY_CLASSES = ("graph-cut", "split-and-merge", "superpixel-crf", *SEGMENTS)
CLUSTERS = ("gaussian-mixture", "k-means")
FORESTS = ("random-forest", "texton-forest")
LEARNING = ("kim", "mask-contrast")
ALL = ("region-growing", *BY_CLASSES, *CLUSTERS, *FORESTS, *LEARNING)
QUICK = {
    **{name: {"block": 128, "overlap": 16} for name in BY_CLASSES},
    **{name: {"sample": 5000} for name in CLUSTERS},
    **{name: {"chips": 16, "trees": 8} for name in FORESTS},
    "kim": {"window": 48, "windows": 3, "iterations": 25},
    "mask-contrast": {"window": 48, "windows": 16, "epochs": 20, "block": 128},
}


def scene(water: np.ndarray = LAKE, chunks: tuple[int, int] | None = None) -> BackscatterScene:
    """A scene of both polarisations with a strip without data."""
    bands = {"vv": power(water, 0), "vh": power(water, 1, wet=-27.0, dry=-15.0)}
    for values in bands.values():
        values[150:160, 20:90] = np.nan
    return BackscatterScene({name: band(one, chunks) for name, one in bands.items()})


def quick(name: str, one: BackscatterScene, **arguments: object):
    return mapped(name, one, **{**QUICK.get(name, {}), **arguments})


def test_these_are_all_others() -> None:
    thresholds = {"change", "hsba", "kittler-illingworth", "otsu"}
    assert set(ALL) | thresholds == set(BASELINES.own_names)


@pytest.mark.parametrize("name", ALL)
def test_a_lake_is_found_far_better_than_by_the_trivial_answer(name: str) -> None:
    one = scene()
    percent = quick(name, one).percent
    unknown = np.isnan(one.bands["vv"].values)
    np.testing.assert_array_equal(percent == 255, unknown)
    assert percent[~unknown].max() <= 100
    assert iou(percent, LAKE & ~unknown) > LAKE.mean() + 0.7


@pytest.mark.parametrize("name", ALL)
def test_no_result_depends_on_chunks(name: str) -> None:
    whole = quick(name, scene()).percent
    np.testing.assert_array_equal(quick(name, scene(chunks=(50, 61))).percent, whole)


@pytest.mark.parametrize("name", [n for n in ALL if n not in FORESTS])
def test_a_dry_scene_has_no_water(name: str) -> None:
    found = quick(name, scene(np.zeros_like(LAKE)))
    assert (found.percent[found.percent != 255] == 0).all()
    assert found.found.startswith("no water found")


@pytest.mark.parametrize("name", ALL)
def test_high_ground_is_dry(name: str) -> None:
    low = ~disc(90, 90, 60, SIDE)
    found = quick(name, replace(scene(LAKE | disc(30, 160, 25, SIDE)), low=low)).percent
    assert (found[~low] == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_a_scene_without_data_is_no_data(name: str) -> None:
    empty = band(np.full((70, 65), np.nan, np.float32))
    assert (quick(name, BackscatterScene({"vv": empty})).percent == 255).all()


@pytest.mark.parametrize("name", [n for n in ALL if n not in FORESTS])
def test_display_values_are_mapped_by_their_deviations(name: str) -> None:
    draw = np.random.default_rng(0)
    values = np.where(LAKE, -1.5, 1.0) + draw.normal(0, 0.5, LAKE.shape)
    one = BackscatterScene({"vv": band(values.astype(np.float32))}, has_power=False)
    arguments = {"clusters": 2} if name in CLUSTERS else {}
    assert iou(quick(name, one, **arguments).percent, LAKE) > 0.85


@pytest.mark.parametrize("name", ["slic", "k-means", "hsba"])
def test_arguments_are_checked(name: str) -> None:
    with pytest.raises(ConfigError, match=f"baseline {name}: argument colour: .*arguments are: "):
        mapped(name, scene(), colour=3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("split-and-merge", {"largest": 48}),
        ("k-means", {"window": 4}),
        ("region-growing", {"seed": 3, "tolerance": 2}),
        ("slic", {"size": 0}),
        ("graph-cut", {"classes": "change"}),
    ],
)
def test_bad_values_are_refused(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"baseline {name}: argument"):
        mapped(name, scene(), **arguments)


def test_a_missing_package_is_named_with_its_extra() -> None:
    absent = Baseline(lambda scene, arguments: None, source="nobody", needs=("nowhere_at_all",))
    with pytest.raises(InputError, match=r"lost: nowhere_at_all .*'floodloom\[classical\]'"):
        map_water(scene(), "lost", absent)


def test_no_baseline_imports_what_the_extra_brings_before_it_maps() -> None:
    code = (
        "import sys\nfrom floodloom.classical.choices import BASELINES\n"
        "[BASELINES.load(name) for name in BASELINES.own_names]\n"
        "import floodloom.stages.predict\n"
        "sys.exit(bool({'skimage', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["slic", "graph-cut", "split-and-merge"])
def test_classes_can_be_those_of_another_baseline(name: str) -> None:
    thresholds = {
        classes: quick(name, scene(), classes=classes).thresholds
        for classes in ("hsba", "kittler-illingworth", "otsu")
    }
    for classes, found in thresholds.items():
        assert found == mapped(classes, scene()).thresholds
    assert thresholds["hsba"] != thresholds["otsu"]
    assert quick(name, scene()).thresholds == thresholds["hsba"]

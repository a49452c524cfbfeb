"""Which scenes are of one pass, and what they have in common."""

import logging

import numpy as np
import pytest
import xarray as xr

from floodloom.errors import InputError
from floodloom.sentinel1.footprint import (
    common_polarisations,
    group_by_pass,
    pass_difference,
    require_one_pass,
)

SLICE = {
    "platform": "S1A",
    "orbit_direction": "ascending",
    "relative_orbit": 44,
    "acquisition_time": "2023-05-14T16:58:21.500000000",
}


def at(time: str, **facts: object) -> dict[str, object]:
    return SLICE | {"acquisition_time": time} | facts


@pytest.mark.parametrize(
    "other",
    [
        SLICE,
        at("2023-05-14T16:58:46"),
        at("2023-05-14T16:40:00"),
        at("2023-05-14T17:00:00", relative_orbit=45),  # northward over the equator
        at("2023-05-14T16:57:00", relative_orbit=43),
        {},
        {"acquisition_time": "2023-05-14T16:58:46"},
        {"platform": "s1a", "orbit_direction": "ASCENDING"},
    ],
)
def test_slices_of_one_pass(other) -> None:
    assert pass_difference(SLICE, other) is None
    assert pass_difference(other, SLICE) is None


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (at("2023-05-26T16:58:21"), "acquisition time"),
        (at("2023-05-14T18:37:00"), "acquisition time"),
        (at("2023-05-14T16:58:50", relative_orbit=117), "relative orbit"),
        (at("2023-05-14T17:00:00", relative_orbit=43), "relative orbit"),
        (at("2023-05-14T17:00:00", orbit_direction="descending"), "orbit direction"),
        (at("2023-05-14T16:58:46", platform="S1C"), "platform"),
        ({"relative_orbit": 45}, "relative orbit"),
        ({"acquisition_time": "2023-05-15T16:58:21"}, "acquisition time"),
    ],
)
def test_other_passes_are_named(other, what) -> None:
    with pytest.raises(InputError, match=rf"b\.zarr: {what} .*, but a\.zarr has .* one pass"):
        require_one_pass({"a.zarr": SLICE, "c.zarr": SLICE, "b.zarr": other})
    assert pass_difference(other, SLICE) is not None


def test_two_outer_slices_tell_what_the_middle_one_hides() -> None:
    times = ("2023-05-14T16:20:00", "2023-05-14T16:50:00", "2023-05-14T17:20:00")
    with pytest.raises(InputError, match="acquisition time"):
        require_one_pass({time: at(time) for time in times})


def scene(bands: str = "vv vh", **facts: object) -> xr.Dataset:
    layers = {band: ("x", np.zeros(1)) for band in bands.split()}
    return xr.Dataset(layers, attrs=facts)


def test_companions_of_one_pass_are_one_date() -> None:
    scenes = [
        scene(**at("2023-05-02T16:58:21")),
        scene(**at("2023-04-20T16:58:21")),
        scene(**at("2023-05-02T16:58:46")),
        scene(),
        scene(),
    ]
    places = {id(scene): place for place, scene in enumerate(scenes)}
    groups = [[places[id(part)] for part in group] for group in group_by_pass(scenes)]
    assert groups == [[0, 2], [1], [3], [4]]


@pytest.mark.parametrize(
    ("bands", "common"),
    [
        (("vv vh", "vv"), ("vv",)),
        (("vv", "vh vv", "vv vh"), ("vv",)),
        (("vh vv", "vv vh"), ("vv", "vh")),
        (("hv hh", "hh"), ("hh",)),
    ],
)
def test_polarisations_in_common(bands, common, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert common_polarisations({str(i): scene(b) for i, b in enumerate(bands)}) == common
    assert ("only vv is used" in caplog.text) == (common == ("vv",))


@pytest.mark.parametrize("bands", [("vv vh", "hh hv"), ("vv", "vh"), ("vv vh", "vv", "hh")])
def test_nothing_in_common_is_one_line(bands) -> None:
    with pytest.raises(InputError, match=r"0 has vv.*: no polarisation in common"):
        common_polarisations({str(i): scene(b) for i, b in enumerate(bands)})

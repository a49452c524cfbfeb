from __future__ import annotations

import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.sentinel2.warp import band_name, chosen_bands, scaling_of


def test_bands_go_by_their_names_and_numbers():
    given = ("B03", "b3", "Green", "B8A", "B11", "swir1", "SCL", "cloud")
    expected = ["green", "green", "green", "nir_narrow", "swir", "swir", "scl", "cloud"]
    assert [band_name(name) for name in given] == expected


@pytest.mark.parametrize(
    ("tags", "number", "reflectance"),
    [
        ({}, 2500, 0.25),
        ({"PROCESSING_BASELINE": "03.01"}, 2500, 0.25),
        ({"PROCESSING_BASELINE": "04.00"}, 2500, 0.15),
        ({"processing_baseline": "N0510"}, 1200, 0.02),
        ({"PROCESSING_BASELINE": "05.09", "BOA_ADD_OFFSET": "0"}, 2500, 0.25),
        ({"QUANTIFICATION_VALUE": "20000"}, 2500, 0.125),
        ({"PROCESSING_BASELINE": "04.00"}, 400, 0.0),
    ],
)
def test_numbers_become_reflectance(tags, number, reflectance):
    scaling = scaling_of(tags, "uint16")
    found = scaling.reflectance(np.float32([number, 0]))
    np.testing.assert_allclose(found, [reflectance, np.nan], rtol=1e-6)


def test_floating_point_numbers_are_reflectance_already():
    scaling = scaling_of({"PROCESSING_BASELINE": "04.00"}, "float32")
    np.testing.assert_array_equal(
        scaling.reflectance(np.float32([0.25, 0.0, np.nan])), np.float32([0.25, 0.0, np.nan])
    )


def test_a_missing_band_is_named():
    have = ("green", "nir", "cloud", "scl")
    assert chosen_bands(have, (), "o.tif") == ("green", "nir")
    assert chosen_bands(have, ("nir",), "o.tif") == ("nir",)
    with pytest.raises(InputError, match=r"o\.tif: band swir is missing, it has green, nir;"):
        chosen_bands(have, ("green", "swir"), "o.tif")

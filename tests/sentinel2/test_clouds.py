from __future__ import annotations

import numpy as np

from floodloom.sentinel2.indices import seen_by_classes, seen_by_indices

GROUND = {"green": 0.1, "red": 0.09, "nir": 0.3}


def scene(**patches):
    """60 px of farmland with patches (slices, reflectance per band)."""
    image = {name: np.full((60, 60), value, np.float32) for name, value in GROUND.items()}
    for where, values in patches.values():
        for name, value in values.items():
            image[name][where] = value
    return image


CLOUD = (np.s_[10:30, 10:30], {"green": 0.6, "red": 0.6, "nir": 0.62})
SHADOW = (np.s_[35:45, 20:40], {"green": 0.03, "red": 0.03, "nir": 0.06})
WATER = (np.s_[48:58, 20:40], {"green": 0.08, "red": 0.06, "nir": 0.03})


def test_classes_that_hide_the_ground():
    classes = np.float32([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, np.nan, 12, 255, -1, 4.5])
    seen = [2, 4, 5, 6, 7, 11]
    assert np.flatnonzero(seen_by_classes(classes)).tolist() == seen


def test_clouds_and_their_shadows_are_hidden_but_not_water():
    seen = seen_by_indices(scene(cloud=CLOUD, shadow=SHADOW, water=WATER))
    assert not seen[10:30, 10:30].any()
    assert not seen[8, 20]  # the rim
    assert not seen[35:45, 20:40].any()
    assert seen[48:58, 20:40].all()
    assert seen[:5].all()


def test_dark_land_under_a_clear_sky_is_seen():
    assert seen_by_indices(scene(dark=SHADOW, water=WATER)).all()


def test_a_bright_coloured_field_and_a_roof_are_no_clouds():
    field = (np.s_[10:30, 10:30], {"green": 0.25, "red": 0.55, "nir": 0.6})
    roof = (np.s_[40, 40], {"green": 0.7, "red": 0.7, "nir": 0.7})
    assert seen_by_indices(scene(field=field, roof=roof)).all()


def test_missing_pixels_are_not_seen():
    image = scene()
    image["red"][0, 0] = np.nan
    seen = seen_by_indices(image)
    assert not seen[0, 0]
    assert seen.sum() == 60 * 60 - 1

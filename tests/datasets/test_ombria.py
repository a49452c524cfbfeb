"""The chips of OMBRIA."""

import numpy as np

from floodloom.datasets import ombria


def test_real_ombria(shared_data, tmp_path) -> None:
    chips = ombria.chips(shared_data / "ombria")
    splits = np.asarray(chips.splits)
    assert chips.image.shape == (694, 2, 256, 256)
    assert (splits == "test").sum() == 70
    assert 0.25 < (chips.label == 1).mean() < 0.4
    with_optical = np.isfinite(chips.optical).all(axis=(1, 2, 3))
    assert with_optical[splits != "test"].sum() == 312
    assert with_optical[splits == "test"].all()
    np.testing.assert_allclose(chips.image.mean(axis=(2, 3)), 0.0, atol=1e-3)

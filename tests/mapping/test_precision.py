from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.errors import InputError
from floodloom.learning.inference import Ensemble, ensemble_of
from floodloom.mapping import precision
from floodloom.mapping.precision import choose_precision, sample, sample_windows, water
from tests.mapping.conftest import as_inputs, fitted, flooded, untrained


@pytest.fixture
def large(monkeypatch) -> xr.DataArray:
    """A scene that counts as large, on a processor that counts as able."""
    for least in ("_WORTH_IT", "_WORTH_IT_IN_FLOAT32"):
        monkeypatch.setattr(precision, least, 1)
    monkeypatch.setattr(precision, "supports_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "supports_int8", lambda: True)
    return as_inputs(flooded(1100, 1300)[0])


def taken(asked: str, ensemble: Ensemble, inputs: xr.DataArray, backend: str = "auto"):
    """Name and share of changed classes of what is chosen."""
    windows = sample(asked, ensemble, inputs, backend)
    chosen = choose_precision(asked, ensemble, windows, backend)
    assert (chosen.ensemble is ensemble) == (chosen.name != "int8")
    return chosen.name, chosen.changed


def test_int8_is_taken_where_it_changes_hardly_any_class(large) -> None:
    name, changed = taken("auto", ensemble_of([fitted(width=8), fitted(90, width=8)]), large)
    assert name == "int8"
    assert 0 <= changed <= precision.MOST_CHANGED


def test_a_network_that_overflows_stays_as_it_is(large) -> None:
    """In 8 bits it would give numbers, though it says nothing."""
    broken = fitted(1, width=8)
    name = next(n for n, t in broken.weights.items() if t.ndim == 4)
    huge = torch.full_like(broken.weights[name], 3e38)
    huge[1::2] *= -1  # one of the two survives ReLU
    ensemble = ensemble_of([replace(broken, weights={**broken.weights, name: huge})])
    assert taken("auto", ensemble, large) == ("float32", None)
    with pytest.raises(InputError, match="precision int8: the networks overflow"):
        taken("int8", ensemble, large)


def test_bfloat16_is_taken_where_int8_cannot_be_had(large, monkeypatch) -> None:
    wide, narrow = ensemble_of([fitted(width=8)]), ensemble_of([fitted(width=4)])
    assert taken("auto", wide, large, "openvino")[0] == "bfloat16"
    name, changed = taken("auto", narrow, large)
    assert name == "bfloat16"
    assert 0 <= changed <= precision.MOST_CHANGED
    monkeypatch.setattr(precision, "supports_int8", lambda: False)
    assert taken("auto", wide, large)[0] == "bfloat16"


def test_the_next_format_is_looked_at_where_one_changes_too_much(large, monkeypatch) -> None:
    """int8 is made to see every class wrong."""

    def seen(ensemble: Ensemble, windows: list, name: str = "float32") -> list:
        return [mask ^ (name == "int8") for mask in water(ensemble, windows, name)]

    monkeypatch.setattr(precision, "water", seen)
    name, changed = taken("auto", ensemble_of([fitted(width=8)]), large)
    assert name == "bfloat16"
    assert changed <= precision.MOST_CHANGED


def test_float32_stays_where_others_would_change_classes(large) -> None:
    for width in (4, 8):
        name, changed = taken("auto", ensemble_of([untrained(width=width)]), large)
        assert (name, changed) == ("float32", None)


def test_small_scenes_and_other_processors_keep_float32(large, monkeypatch) -> None:
    ensemble = ensemble_of([fitted(width=8)])
    with monkeypatch.context() as patch:
        patch.setattr(precision, "supports_bfloat16", lambda device: False)
        patch.setattr(precision, "supports_int8", lambda: False)
        assert taken("auto", ensemble, large) == ("float32", None)
    monkeypatch.setattr(precision, "_WORTH_IT", 1e9)
    assert taken("auto", ensemble, large) == ("float32", None)


def test_smaller_scenes_are_worth_8_bits_where_nothing_else_is_fast(large, monkeypatch) -> None:
    ensemble = ensemble_of([fitted(width=8)])
    monkeypatch.setattr(precision, "_WORTH_IT", large[0].size + 1)
    monkeypatch.setattr(precision, "_WORTH_IT_IN_FLOAT32", large[0].size)
    assert taken("auto", ensemble, large) == ("float32", None)
    monkeypatch.setattr(precision, "supports_bfloat16", lambda device: False)
    assert taken("auto", ensemble, large)[0] == "int8"
    assert taken("auto", ensemble, large[:, 1:]) == ("float32", None)


def test_a_back_end_of_float32_alone_gets_it(large) -> None:
    assert taken("auto", ensemble_of([fitted()]), large, "onnxruntime") == ("float32", None)


def test_what_is_asked_for_is_taken(large) -> None:
    ensemble = ensemble_of([untrained(width=8)])
    for name in precision.PRECISIONS[1:]:
        assert taken(name, ensemble, large) == (name, None)
    with pytest.raises(InputError, match="precision 'float16': choose one of auto, float32"):
        sample("float16", ensemble, large)
    with pytest.raises(InputError, match="precision 'float16': choose one of auto, float32"):
        choose_precision("float16", ensemble, [])


@pytest.mark.parametrize(("width", "backend"), [(4, "auto"), (8, "openvino")])
def test_int8_that_cannot_be_had_is_refused(large, width, backend) -> None:
    with pytest.raises(InputError, match="int8: only PyTorch on a CPU has it"):
        sample("int8", ensemble_of([untrained(width=width)]), large, backend)


def test_sample_has_data_and_is_spread(large) -> None:
    windows = list(sample_windows(large))
    assert len({window.tobytes() for window in windows}) == len(windows) == 16
    large[:, :, :900] = np.nan
    windows = list(sample_windows(large))
    assert windows
    assert all(np.isfinite(window).all(axis=0).any() for window in windows)
    large[:] = np.nan
    assert list(sample_windows(large)) == []
    for asked in ("auto", "int8"):
        assert taken(asked, ensemble_of([untrained(width=8)]), large) == ("float32", None)


def test_sample_of_a_narrow_scene() -> None:
    narrow = as_inputs(flooded(70, 1300)[0])
    assert {window.shape for window in sample_windows(narrow)} == {(2, 64, 128)}
    assert list(sample_windows(narrow[:, :31])) == []


@pytest.mark.parametrize(("stride", "expected"), [(32, (128, 96)), (64, (128, 64))])
def test_sample_suits_a_coarser_stride(stride, expected) -> None:
    power, _ = flooded(224, 100, seed=5)
    assert {window.shape[1:] for window in sample_windows(as_inputs(power), stride)} == {expected}

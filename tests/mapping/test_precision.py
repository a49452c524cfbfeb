import numpy as np
import pytest
import xarray as xr

from floodloom.errors import InputError
from floodloom.learning.inference import ensemble_of
from floodloom.mapping import precision
from floodloom.mapping.precision import (
    Precision,
    choose_precision,
    classes_changed,
    sample_windows,
)
from tests.mapping.conftest import as_inputs, fitted, flooded, untrained


@pytest.fixture
def large(monkeypatch) -> xr.DataArray:
    """A scene that counts as large, on a processor that counts as able."""
    monkeypatch.setattr(precision, "_WORTH_IT", 1)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)
    return as_inputs(flooded(1100, 1300)[0])


def test_bfloat16_is_taken_where_it_changes_hardly_any_class(large) -> None:
    chosen = choose_precision("auto", ensemble_of([fitted()]), large)
    assert chosen.name == "bfloat16"
    assert 0 <= chosen.changed <= precision.MOST_CHANGED


def test_float32_stays_where_bfloat16_would_change_classes(large) -> None:
    chosen = choose_precision("auto", ensemble_of([untrained()]), large)
    assert chosen.name == "float32"
    assert chosen.changed > precision.MOST_CHANGED


def test_small_scenes_and_other_processors_keep_float32(large, monkeypatch) -> None:
    ensemble = ensemble_of([untrained()])
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: False)
    assert choose_precision("auto", ensemble, large) == Precision("float32")
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "_WORTH_IT", 1e9)
    assert choose_precision("auto", ensemble, large) == Precision("float32")


def test_a_back_end_without_bfloat16_gets_float32(large) -> None:
    ensemble = ensemble_of([fitted()])
    assert choose_precision("auto", ensemble, large, "onnxruntime") == Precision("float32")


def test_what_is_asked_for_is_taken(large) -> None:
    ensemble = ensemble_of([untrained()])
    for name in ("float32", "bfloat16"):
        assert choose_precision(name, ensemble, large) == Precision(name)
    with pytest.raises(InputError, match="precision 'float16': choose one of auto, float32"):
        choose_precision("float16", ensemble, large)


def test_sample_has_data_and_is_spread(large) -> None:
    windows = list(sample_windows(large))
    assert len({window.tobytes() for window in windows}) == len(windows) == 4
    large[:, :, :900] = np.nan
    windows = list(sample_windows(large))
    assert windows
    assert all(np.isfinite(window).all(axis=0).any() for window in windows)
    large[:] = np.nan
    assert list(sample_windows(large)) == []
    assert classes_changed(ensemble_of([untrained()]), []) is None
    assert choose_precision("auto", ensemble_of([untrained()]), large) == Precision("float32")

"""What a training in a round is given."""

from __future__ import annotations

import pytest
import torch

from floodloom.learning.data.samples import radar_samples
from floodloom.learning.network import untrained
from floodloom.learning.relabelling import retraining
from floodloom.learning.relabelling.retraining import RoundTiles, train_round
from floodloom.learning.training.semisupervised import MeanTeacher, PseudoLabels, UniMatch
from floodloom.learning.training.settings import TrainSettings


@pytest.fixture
def given(make_tiles, monkeypatch):
    """Return what `train_checkpoint` is called with for settings, without training."""

    def call(settings: TrainSettings, *, pseudo: bool = False, further: bool = False) -> dict:
        found = {}

        def record(start, training, validation, settings, **more):
            found.update(more, training=training, settings=settings)
            return start

        monkeypatch.setattr(retraining, "train_checkpoint", record)
        tiles = make_tiles(4)
        samples = radar_samples(tiles)
        which = torch.tensor([False, False, True, True]) if pseudo else None
        target = samples.between(2, 4) if pseudo else None
        train_round(
            untrained(tiles, settings, 0), untrained(tiles, settings, 0) if further else None,
            RoundTiles(samples, which, samples, target), settings,
        )  # fmt: skip
        return found

    return call


def test_every_augmentation_is_what_its_key_sets(given) -> None:
    keys = {"band_drop": 0.1, "cutmix": 0.2, "elastic": 0.3}
    augmentation = given(TrainSettings(width=4, **keys))["augmentation"]
    assert {name: getattr(augmentation, name) for name in keys} == keys
    assert augmentation.sensor_drop == 0


@pytest.mark.parametrize(
    ("consistency", "objective"),
    [("pseudo", PseudoLabels), ("unimatch", UniMatch), ("mean-teacher", MeanTeacher)],
)
def test_the_consistency_is_the_objective_of_a_round(given, consistency, objective) -> None:
    settings = TrainSettings(width=4, consistency=consistency, batch_statistics=0.0)
    assert isinstance(given(settings, pseudo=True)["objective"], objective)
    assert given(settings)["objective"] is None


def test_a_joint_loss_knows_no_kinds_of_tiles(given) -> None:
    """Paul and Ganju take one loss over labelled and kept tiles, which are drawn together."""
    settings = TrainSettings(width=4, consistency="joint", batch_statistics=0.0)
    found = given(settings, pseudo=True)
    assert found["objective"] is None
    assert found["training"].pseudo is None
    assert len(found["training"].tiles) == 4


@pytest.mark.parametrize(
    ("schedule", "after"), [("cosine", "cosine"), ("constant", "plain-cosine")]
)
def test_a_constant_rate_falls_after_a_round(given, schedule, after) -> None:
    settings = TrainSettings(width=4, schedule=schedule, batch_statistics=0.0, patience=3)
    assert given(settings)["settings"].schedule == schedule
    assert given(settings, pseudo=True, further=True)["settings"].schedule == after

"""The loop: it learns, repeats itself, goes on after a kill, and stops when it should."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch

from floodloom.errors import TrainingError
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.loss import Prediction
from floodloom.learning.training import loop, schedule
from floodloom.learning.training.loop import fit
from floodloom.learning.training.schedule import rate_factor
from floodloom.learning.training.semisupervised import PseudoLabels
from floodloom.learning.training.settings import Monitor, TrainingSettings
from floodloom.learning.training.state import Sidecars
from floodloom.models.registry import build

ROOT = Path(loop.__file__).parents[2]
PLAN = TrainingSettings(epochs=4, batch=4, precision="float32", learning_rate=3e-3)


@pytest.fixture
def samples(make_tiles):
    return radar_samples(make_tiles(12)), radar_samples(make_tiles(4, "validation", seed=1))


def network(width=4, seed=5):
    torch.manual_seed(seed)
    return build("unet", 2, 2, width=width, depth=2)


def fitted(samples, plan=PLAN, width=4, seed=5, **options):
    model = network(width, seed)
    training, validation = samples
    return model, fit(model, TrainingSet.of(training, 2), validation, plan, **options)


def test_it_learns_and_ends_with_the_best_epoch(samples):
    model, result = fitted(samples, PLAN.model_copy(update={"epochs": 30}))
    assert result.scores["iou"] > 0.8
    assert result.scores["iou"] == max(row["iou"] for row in result.history)
    assert all(torch.equal(result.weights[n], t) for n, t in model.state_dict().items())


def test_a_step_is_understood_from_five_files(samples, monkeypatch):
    """Beside those of the loss and of the network that were chosen."""
    files = set()

    def opened(frame, event, argument):
        if event == "call" and Path(frame.f_code.co_filename).is_relative_to(ROOT):
            files.add(Path(frame.f_code.co_filename).relative_to(ROOT).as_posix())

    step = loop._Step.__call__

    def traced(self, *given):
        sys.setprofile(opened)
        try:
            return step(self, *given)
        finally:
            sys.setprofile(None)

    monkeypatch.setattr(loop._Step, "__call__", traced)
    fitted(samples, PLAN.model_copy(update={"epochs": 1, "loss": "cross_entropy"}))
    chosen = {file for file in files if file.startswith(("models/", "learning/losses/"))}
    assert chosen
    assert files - chosen == {
        "learning/training/loop.py",
        "learning/training/distributed.py",
        "learning/data/samples.py",
        "learning/loss.py",
        "learning/network.py",
    }


def test_the_seed_decides_everything(samples):
    options = {"augmentation": Augmentation()}
    (_, first), (_, second) = fitted(samples, **options), fitted(samples, **options)
    assert all(torch.equal(first.weights[n], t) for n, t in second.weights.items())
    _, other = fitted(samples, PLAN.model_copy(update={"seed": 1}), **options)
    assert any(not torch.equal(first.weights[n], t) for n, t in other.weights.items())


def test_no_tile_is_read_that_is_neither_shown_nor_mixed_in(samples, monkeypatch):
    training, validation = samples
    read = []
    take = Samples.take

    def counted(tiles, index):
        if len(tiles) == len(training):
            read.append(len(index))
        return take(tiles, index)

    monkeypatch.setattr(Samples, "take", counted)
    plan = PLAN.model_copy(update={"epochs": 20})
    fitted((training, validation), plan, augmentation=Augmentation(cutmix=0.5))
    batches = read[-20 * 3 :]  # before them come the survey and the probe of the execution
    assert set(batches) <= set(range(PLAN.batch, 2 * PLAN.batch + 1))
    assert sum(batches) / len(batches) == pytest.approx(1.5 * PLAN.batch, rel=0.1)


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    samples, average, tmp_path, monkeypatch
):
    plan = PLAN.model_copy(update={"average": average})
    _, whole = fitted(samples, plan, augmentation=Augmentation())
    sidecars = Sidecars.of(tmp_path / "model.safetensors")
    save = loop.save_state

    def killed(path, identity, progress, state):
        save(path, identity, progress, state)
        if progress.epochs == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(samples, plan, augmentation=Augmentation(), sidecars=sidecars)
    monkeypatch.undo()
    assert sidecars.state.is_file()
    _, resumed = fitted(samples, plan, augmentation=Augmentation(), sidecars=sidecars)
    assert all(torch.equal(whole.weights[n], t) for n, t in resumed.weights.items())
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]
    assert not sidecars.state.exists()
    lines = sidecars.history.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "other",
    [
        {"plan": PLAN.model_copy(update={"learning_rate": 1.0})},
        {"augmentation": Augmentation(band_drop=0.5)},
        {"plan": PLAN.model_copy(update={"loss": "dice"})},
        {"objective": PseudoLabels()},
        {"width": 6},
        {"seed": 6},
    ],
)
def test_the_state_of_another_training_is_left_alone(samples, tmp_path, monkeypatch, other):
    sidecars = Sidecars.of(tmp_path / "model.safetensors")
    _, expected = fitted(samples)
    save = loop.save_state

    def killed(path, identity, progress, state):
        save(path, identity, progress, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(samples, **other, sidecars=sidecars)
    monkeypatch.undo()
    assert sidecars.state.is_file()
    _, found = fitted(samples, sidecars=sidecars)
    assert all(torch.equal(expected.weights[n], t) for n, t in found.weights.items())


def test_patience_ends_training(samples):
    _, result = fitted(
        samples, PLAN.model_copy(update={"epochs": 30, "learning_rate": 1e-12, "patience": 3})
    )
    assert len(result.history) < 30
    best = max(row["iou"] for row in result.history)
    first_best = next(i for i, row in enumerate(result.history) if row["iou"] == best)
    assert len(result.history) >= first_best + 3


def test_the_chosen_score_chooses_the_epoch(samples):
    for monitor in set(get_args(Monitor)) - {"epoch"}:
        _, result = fitted(
            samples,
            PLAN.model_copy(update={"epochs": 6, "monitor": monitor, "learning_rate": 0.01}),
        )
        assert result.scores[monitor] == max(row[monitor] for row in result.history)
    _, result = fitted(samples, PLAN.model_copy(update={"monitor": "epoch", "learning_rate": 0.01}))
    assert result.scores["iou"] == result.history[-1]["iou"]


class Stored:
    """Tiles that are read when they are taken, as those on a disk."""

    def __init__(self, samples):
        self.samples = samples
        self.take, self.identity = samples.take, samples.identity

    def __len__(self):
        return len(self.samples)


def test_threads_that_read_change_nothing(samples):
    _, alone = fitted(samples)
    _, ahead = fitted([Stored(part) for part in samples])
    assert all(torch.equal(alone.weights[n], t) for n, t in ahead.weights.items())


def test_the_rate_rises_then_falls(samples, monkeypatch):
    monkeypatch.setattr(schedule, "WARM_UP", 0.5)
    _, result = fitted(samples)
    rates = [row["learning_rate"] for row in result.history]
    assert rates[0] < rates[1] > rates[2] > rates[3] >= 0
    assert max(rates) == pytest.approx(PLAN.learning_rate)


def test_the_average_of_the_weights_is_kept(samples):
    model, result = fitted(samples, PLAN.model_copy(update={"average": 0.9}))
    _, plain = fitted(samples)
    assert set(result.weights) == set(network().state_dict())
    assert any(not torch.equal(plain.weights[n], t) for n, t in result.weights.items())
    assert model(torch.zeros(1, 2, 32, 32)).isfinite().all()


class Broken:
    """An objective that is no number."""

    def __call__(self, module, batch, *, loss, averaged, progress):
        return (module(batch.image) * torch.nan).sum()


def test_a_diverging_loss_is_an_error_that_says_what_to_do(samples):
    named = r"epoch 1, step 1, tiles (event_train_\d+, ){3}event_train_\d+; .*lower `learning_rate`"
    with pytest.raises(TrainingError, match=named):
        fitted(samples, objective=Broken())
    with pytest.raises(TrainingError, match="at least one"):
        fitted((samples[0].take(torch.arange(0)), samples[1]))


class Watching:
    """An objective that notes how far the training is."""

    def __init__(self):
        self.progress = []

    def __call__(self, module, batch, *, loss, averaged, progress):
        self.progress.append(progress)
        return loss(Prediction(module, batch.image), batch)

    def __repr__(self):
        return "Watching()"


def test_an_objective_knows_how_far_the_training_is(samples):
    watching = Watching()
    fitted(samples, PLAN.model_copy(update={"epochs": 2}), objective=watching)
    steps = len(watching.progress)
    assert watching.progress == [number / steps for number in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [1.0] * 8),
        ("plain-cosine", [1, 1, 0.8535534, 0.8535534, 0.5, 0.5, 0.1464466, 0.1464466]),
        ("cosine", [1.0, 1.0, 0.9504844, 0.8117449, 0.6112605, 0.3887395, 0.1882551, 0.0495156]),
    ],
)
def test_the_rate_follows_its_schedule(schedule, rates):
    found = [rate_factor(schedule, step, 8, 4) for step in range(8)]
    assert found == pytest.approx(rates, abs=1e-6)


def test_a_constant_rate_is_that_of_every_epoch(samples):
    plan = PLAN.model_copy(update={"schedule": "constant"})
    rates = [row["learning_rate"] for row in fitted(samples, plan)[1].history]
    assert rates == [PLAN.learning_rate] * PLAN.epochs

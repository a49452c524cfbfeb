"""A step in parts is the step as a whole, and memory that runs out only makes the parts smaller."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from floodloom.errors import TrainingError
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.network import Execution
from floodloom.learning.training.loop import fit, part_weights
from floodloom.learning.training.settings import TrainingSettings
from floodloom.models.registry import build

PLAN = TrainingSettings(epochs=2, batch=8, precision="float32", learning_rate=3e-3, average=0.5)


class Small(nn.Module):
    """A network in a memory that holds so many tiles at once; running out may leave traces."""

    def __init__(self, network, limit, traces=True):
        super().__init__()
        self.network, self.limit, self.traces, self.largest = network, limit, traces, 0

    def forward(self, image):
        if self.training and len(image) > self.limit:
            if self.traces:
                self.network.features(image)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        self.largest = max(self.largest, len(image) if self.training else 0)
        return self.network(image)


@pytest.fixture
def samples(make_tiles):
    return radar_samples(make_tiles(12)), radar_samples(make_tiles(4, "validation", seed=1))


def trained(samples, plan, limit=1000, norm="batch", traces=True):
    torch.manual_seed(5)
    module = Small(build("unet", 2, 2, width=4, depth=2, norm=norm), limit, traces)
    training, validation = samples
    result = fit(module, TrainingSet.of(training, 2), validation, plan)
    return module, result.weights


def test_running_out_of_memory_equals_adding_up_gradients(samples, caplog):
    caplog.set_level("WARNING")
    module, found = trained(samples, PLAN, limit=3)
    assert module.largest == 2
    assert "over 4 tiles" in caplog.text
    assert "over 2 tiles" in caplog.text
    _, expected = trained(samples, PLAN, limit=3, traces=False)
    assert all(torch.equal(expected[name], tensor) for name, tensor in found.items())


def test_parts_of_a_batch_are_the_batch(samples):
    """Without batch normalisation, for a mean over pixels, labelled as unevenly as they are."""
    training = replace(samples[0], label=samples[0].label.clone())
    training.label[::2, 8:] = 255
    both = training, samples[1]
    plan = PLAN.model_copy(update={"loss": "cross_entropy"})
    _, whole = trained(both, plan, norm="group")
    module, parts = trained(both, plan, limit=3, norm="group")
    assert module.largest == 2
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-4, atol=1e-5)


def test_parts_without_labels_count_where_there_is_a_teacher(samples):
    batch = replace(samples[0].between(0, 6), label=samples[0].label[:6].clone())
    batch.label[3:] = 255
    assert part_weights(batch.split(3)).tolist() == [1, 0]
    soft = torch.zeros(6, 2, *batch.label.shape[1:])
    assert part_weights(replace(batch, soft=soft).split(3)).tolist() == [0.5, 0.5]


def test_not_even_one_tile_is_an_error(samples):
    with pytest.raises(TrainingError, match="one tile at once; cut smaller tiles or lower `width`"):
        trained(samples, PLAN, limit=0)


def test_images_go_through_in_the_memory_format():
    execution = Execution(torch.device("cpu"), channels_last=True)
    image = execution.image(torch.zeros(2, 3, 8, 8))
    assert image.is_contiguous(memory_format=torch.channels_last)

"""One step of the optimiser, in as many parts as the memory asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from floodloom.errors import TrainingError
from floodloom.learning.data.samples import Samples
from floodloom.learning.device import Execution
from floodloom.learning.training.distributed import share_gradients, team, total
from floodloom.learning.training.objective import Objective
from floodloom.learning.training.state import Machinery
from floodloom.log import get_logger
from floodloom.raster.nodata import IGNORE

_log = get_logger(__name__)
CLIP = 1.0
"""Greatest norm of the gradient."""


@dataclass
class MicroBatch:
    """How many tiles go through the network at once; it only ever shrinks."""

    size: int

    def halve(self) -> None:
        """Go on with half as many tiles at once, after a GPU ran out of memory.

        Raises
        ------
        TrainingError
            If it can't be less, or other processes wait for parts of the same size.
        """
        if team().size > 1:
            raise TrainingError(
                f"out of GPU memory with {self.size} tiles at once; set `micro_batch` below "
                f"{self.size} (several processes can't shrink it on their own)"
            )
        if self.size == 1:
            raise TrainingError(
                "out of GPU memory with one tile at once; cut smaller tiles or lower `width`"
            )
        self.size = math.ceil(self.size / 2)
        _log.warning("out of GPU memory: gradients are now added up over %d tiles", self.size)


def optimise(
    machinery: Machinery,
    batch: Samples,
    objective: Objective,
    execution: Execution,
    micro: MicroBatch,
) -> Tensor:
    """Move the weights by one batch and return its loss, () on the device.

    Parts of the batch weigh by their labelled pixels, so that a mean over pixels is that of the
    whole batch.

    Raises
    ------
    TrainingError
        If not even one tile fits into the GPU's memory.
    """
    module = machinery.module
    buffers = [buffer.clone() for buffer in module.buffers()]
    while (value := _gradients(machinery, batch, objective, execution, micro.size)) is None:
        micro.halve()
        torch.cuda.empty_cache()
        for buffer, before in zip(module.buffers(), buffers, strict=True):
            buffer.copy_(before)
    share_gradients(module)
    nn.utils.clip_grad_norm_(module.parameters(), CLIP)
    machinery.optimizer.step()
    if isinstance(machinery.averaged, swa_utils.AveragedModel):
        machinery.averaged.update_parameters(module)
    return value


def _gradients(
    machinery: Machinery, batch: Samples, objective: Objective, execution: Execution, size: int
) -> Tensor | None:
    """Compute the gradients of a batch in parts; None if the GPU's memory is too small."""
    machinery.optimizer.zero_grad(set_to_none=True)
    parts = batch.split(size)
    value = torch.zeros((), device=execution.device)
    try:
        for part, weight in zip(parts, _weights(parts), strict=True):
            with execution.autocast():
                loss = weight * objective(machinery.module, part)
            loss.backward()
            value = value + loss.detach()
    except torch.OutOfMemoryError:
        return None
    return value


def _weights(parts: list[Samples]) -> Tensor:
    taught = parts[0].pseudo is not None or parts[0].soft is not None
    if taught:  # tiles without labels teach as well
        sizes = torch.tensor([float(len(part)) for part in parts], device=parts[0].label.device)
        return sizes / sizes.sum()
    labelled = total(torch.stack([(part.label != IGNORE).sum() for part in parts]).float())
    alike = torch.full_like(labelled, 1 / len(parts))
    return torch.where(labelled.sum() > 0, labelled / labelled.sum().clamp(min=1), alike)

"""Several processes that train one network together, as `torchrun` starts them.

Each process works on its part of every batch. What a loss sums over the batch is summed over all
processes (`sum_over_processes`), and so are the statistics of batch normalisation
(`synchronise_batchnorm`) and, at last, the gradients (`sum_gradients`). The result is that of one
process with the whole batch, but for rounding and for dropout, which each draws for itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from floodloom.errors import TrainingError

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@dataclass(frozen=True)
class Processes:
    """Which process this is, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes what only one may write."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """Return this process's part of a batch.

        Raises
        ------
        TrainingError
            If the batch can't be cut into equal parts.
        """
        if batch % self.size:
            raise TrainingError(
                f"batch {batch} can't be shared by {self.size} processes; make it a multiple"
            )
        count = batch // self.size
        return slice(self.rank * count, (self.rank + 1) * count)

    def from_first(self, value: Any) -> Any:
        """Return the first process's value of anything."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def require_same_epoch(self, epochs: int) -> None:
        """Raise TrainingError in all processes unless all go on after the same epoch."""
        if self.size == 1:
            return
        of_all = [epochs] * self.size
        distributed.all_gather_object(of_all, epochs)
        if len(set(of_all)) > 1:
            raise TrainingError(
                f"the processes would go on after epochs {sorted(set(of_all))}: not all see the "
                "state of the training; write `out` to a file system that their machines share"
            )

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes, without gradients."""
        if self.size > 1:
            tensor = tensor.detach().clone()
            distributed.all_reduce(tensor)
        return tensor


def processes() -> Processes:
    """Return the group of processes that this one is in, a group of one if it has joined none."""
    if distributed.is_available() and distributed.is_initialized():
        return Processes(distributed.get_rank(), distributed.get_world_size())
    return Processes()


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes that `torchrun` started with this one, if it did, until the block ends.

    GPUs communicate through NCCL, one to a process; CPUs through gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield processes()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield processes()
    finally:
        distributed.destroy_process_group()


@contextmanager
def without_sharing() -> Iterator[None]:
    """Let `sum_over_processes` sum over this process alone, for work not done in step."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def sum_over_processes(part: Tensor) -> Tensor:
    """Return the sum over all processes of a loss's sum over this process's tiles.

    Every process goes on to compute the same loss from it, so the gradient comes back as it is;
    `sum_gradients` then adds the processes' gradients up.
    """
    if _ALONE.get() or processes().size == 1:
        return part
    return _Total.apply(part)  # type: ignore[no-any-return,no-untyped-call]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, summed: Tensor) -> Tensor:
        everywhere = summed.detach().clone()
        distributed.all_reduce(everywhere)
        return everywhere

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _SumOfParts(torch.autograd.Function):
    """A sum over processes that each process uses for its own tiles, so gradients add up too."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        everywhere = part.detach().clone()
        distributed.all_reduce(everywhere)
        return everywhere

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        everywhere = gradient.clone()
        distributed.all_reduce(everywhere)
        return everywhere


def sum_gradients(module: nn.Module) -> None:
    """Add the gradients of all processes up, in one message."""
    if processes().size == 1:
        return
    owners = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for owner in owners:
        if owner.grad is None:
            owner.grad = torch.zeros_like(owner)
    gradients = [owner.grad for owner in owners if owner.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, summed in zip(gradients, parts, strict=True):
        gradient.copy_(summed.view_as(gradient))


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes' tiles, on CPUs as on GPUs.

    torch's own `SyncBatchNorm` runs on GPUs alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, channel, y, x)."""
        if not self.training:
            return super().forward(input)
        shape = (1, -1, 1, 1)
        values = input if input.dtype == torch.float64 else input.float()
        sums = torch.cat([values.sum((0, 2, 3)), values.new_tensor([values[:, 0].numel()])])
        sums = _SumOfParts.apply(sums)  # type: ignore[no-untyped-call]
        count = sums[-1]
        centred = values - (sums[:-1] / count).view(shape)
        spread = _SumOfParts.apply((centred**2).sum((0, 2, 3)))  # type: ignore[no-untyped-call]
        self._follow(sums[:-1] / count, spread / (count - 1).clamp(min=1))
        normalised = centred * torch.rsqrt(spread / count + self.eps).view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        result: Tensor = normalised.to(input.dtype)
        return result

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def synchronise_batchnorm(module: nn.Module) -> None:
    """Let the batch normalisations of a module use all processes' tiles; names stay."""
    if processes().size == 1:
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, SyncBatchNorm2d):
                setattr(parent, name, _synchronised(child))


def _synchronised(norm: nn.BatchNorm2d) -> SyncBatchNorm2d:
    shared = SyncBatchNorm2d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    like = next((t for t in norm.state_dict().values() if t.is_floating_point()), torch.zeros(()))
    shared = shared.to(like.device, like.dtype)
    shared.load_state_dict(norm.state_dict())
    return shared.train(norm.training)

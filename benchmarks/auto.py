"""`make bench-auto`: what `auto`, a rule, costs against what a stopwatch would choose.

Processor seconds are taken, the least of several turns, on one thread: others on the machine change
these little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.record import record
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.inference import ensemble_of
from floodloom.learning.network import Execution, choose_execution
from floodloom.mapping.backends import Request, accelerate, available, choose_backend
from floodloom.models.registry import build
from floodloom.raster.recipe import Recipe

NETWORKS: dict[str, tuple[str, int]] = {
    "unet, width 8": ("unet", 8),
    "unet, width 16": ("unet", 16),
    "linknet, width 16": ("linknet", 16),
}
BATCH = 2
TILE = 256
WINDOW = 512
PIXELS = 10**9
TURNS = 5


def main() -> None:
    """Take the figures of training and of prediction."""
    torch.set_num_threads(1)
    figures = {
        "training": {name: training(*network) for name, network in NETWORKS.items()},
        "prediction": {
            precision: {name: prediction(*network, precision) for name, network in NETWORKS.items()}
            for precision in ("float32", "bfloat16")
        },
    }
    record("auto", figures, command="make bench-auto", seeds=[0])


def training(name: str, width: int) -> dict[str, Any]:
    """Return the processor seconds of a training step in each execution, and which `auto` is."""
    cpu = torch.device("cpu")
    executions = [
        Execution(cpu),
        Execution(cpu, channels_last=True),
        Execution(cpu, bfloat16=True, channels_last=True),
    ]
    model = network(name, width)
    image = torch.randn(BATCH, 2, TILE, TILE)
    seconds = least({str(one): stepper(model, image, one) for one in executions})
    return {"auto": str(choose_execution(model, "auto")), "seconds": seconds}


def stepper(model: nn.Module, image: torch.Tensor, execution: Execution) -> Callable[[], None]:
    """Return a training step without its update."""

    def step() -> None:
        execution.place(model).train()
        with execution.autocast():
            logits = model(execution.image(image))
        logits.float().mean().backward()

    return step


def prediction(name: str, width: int, precision: str) -> dict[str, Any]:
    """Return the processor seconds of a window in each back end, and which `auto` is."""
    model = network(name, width)
    arguments = {"in_channels": 2, "classes": 2, "width": width}
    recipe = Recipe(quantity="sigma0", noise_removed=True, spacing=10.0, bands=("vv", "vh"))
    checkpoint = Checkpoint(name, arguments, ("dry", "water"), recipe, model.state_dict())
    ensemble = ensemble_of([checkpoint], torch.device("cpu"))
    image = np.random.default_rng(0).normal(size=(1, 2, WINDOW, WINDOW)).astype(np.float32)
    request = Request("auto", precision, PIXELS)

    def predictor(backend: str) -> Callable[[], None]:
        running, _ = accelerate(ensemble, replace(request, backend=backend))
        return lambda: (running.moments(image, precision=precision), None)[1]

    seconds = least({backend: predictor(backend) for backend in available(precision)})
    return {"auto": choose_backend(ensemble, request), "seconds": seconds}


def network(name: str, width: int) -> nn.Module:
    """Return a network with the weights of seed 0."""
    torch.manual_seed(0)
    return build(name, 2, 2, width=width)


def least(works: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the least processor seconds of each work, taken in turn after one that warms up."""
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(TURNS):
        for name, work in works.items():
            started = time.process_time()
            work()
            taken[name].append(time.process_time() - started)
    return {name: min(seconds) for name, seconds in taken.items()}


if __name__ == "__main__":
    main()

"""What runs a network in prediction."""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from floodloom.arrays import Floats
from floodloom.errors import InputError, kept_signal_stack
from floodloom.learning.inference import Ensemble
from floodloom.models.export import fuse_batchnorm

Shape = tuple[int, int, int, int]
Compiled = Callable[[Floats], Floats]
"""From inputs (n, band, y, x) of one shape to logits (n, class, y, x), both float32."""

_MODULES = {"onnxruntime": ("onnxruntime", "onnx", "onnxscript"), "openvino": ("openvino",)}
FLOAT32_ONLY = ("onnxruntime",)
"""Back ends that know no other number format on a CPU."""

INT8 = ("auto", "torch")
"""What runs networks of 8 bits."""

_LARGE = 300e6  # px


@dataclass(frozen=True)
class Request:
    """How an ensemble is to run.

    Attributes
    ----------
    backend
        `torch`, `onnxruntime`, `openvino`, or `auto`.
    precision
        `float32`, `bfloat16`, or `int8` for an ensemble that is in 8 bits already.
    pixels
        Pixels that will be predicted.
    threads
        CPU threads.
    """

    backend: str
    precision: str
    pixels: int
    threads: int = 1


def accelerate(ensemble: Ensemble, request: Request) -> tuple[Ensemble, str]:
    """Return the ensemble on a back end, and the back end's name.

    Parameters
    ----------
    ensemble
        As loaded.
    request
        How it is to run; for `auto` see `choose_backend`. In float32 all back ends agree within
        rounding.

    Raises
    ------
    InputError
        If the back end is unknown, isn't installed or lacks the precision.
    """
    if request.precision == "int8":
        return ensemble, "torch"
    backend = choose_backend(ensemble, request) if request.backend == "auto" else request.backend
    return _on(backend, ensemble, request), backend


def available(precision: str) -> tuple[str, ...]:
    """Return the back ends that are installed and have the precision; `torch` comes first."""
    found = [name for name in _MODULES if not _missing(name)]
    return ("torch", *(n for n in found if precision == "float32" or n not in FLOAT32_ONLY))


def _missing(backend: str) -> list[str]:
    return [name for name in _MODULES[backend] if importlib.util.find_spec(name) is None]


def choose_backend(ensemble: Ensemble, request: Request) -> str:
    """Return what `auto` is, by what is installed, the processor and the size of the scene.

    OpenVINO is faster than PyTorch on processors that multiply matrices (AMX), and slower on
    others, see benchmarks; below `_LARGE` it takes longer to compile than it saves.
    """
    on_cpu = ensemble.device.type == "cpu"
    if (
        on_cpu
        and request.pixels >= _LARGE
        and "openvino" in available(request.precision)
        and torch.cpu._is_amx_tile_supported()
    ):
        return "openvino"
    return "torch"


def _on(backend: str, ensemble: Ensemble, request: Request) -> Ensemble:
    if backend == "torch":
        return _on_torch(ensemble)
    if backend not in _MODULES:
        choices = ", ".join(("auto", "torch", *_MODULES))
        raise InputError(f"backend {backend!r}: unknown; choose one of {choices}")
    if missing := _missing(backend):
        raise InputError(
            f"backend {backend}: {', '.join(missing)} isn't installed; "
            f"run `pip install 'floodloom[{backend}]'` or choose torch"
        )
    if backend in FLOAT32_ONLY and request.precision != "float32":
        raise InputError(
            f"backend {backend}: has no {request.precision} on a CPU; choose float32, or the "
            "back end torch or openvino"
        )
    compiler = {"onnxruntime": _compile_onnxruntime, "openvino": _compile_openvino}[backend]
    cpu = torch.device("cpu")
    exported = tuple(
        Exported(copy.deepcopy(model).to(cpu), compiler, request) for model in ensemble.models
    )
    return replace(ensemble, models=exported, device=cpu)


def _on_torch(ensemble: Ensemble) -> Ensemble:
    if ensemble.device.type != "cpu":
        return ensemble
    return replace(ensemble, models=tuple(fuse_batchnorm(m) for m in ensemble.models))


class Exported(nn.Module):
    """A network that another runtime runs; compiled when a shape of input first comes.

    Parameters
    ----------
    model
        Network on the CPU.
    compile_for
        Compiles it for a shape of input.
    request
        Precision and threads.
    """

    def __init__(
        self,
        model: nn.Module,
        compile_for: Callable[[nn.Module, Shape, Request], Compiled],
        request: Request,
    ) -> None:
        super().__init__()
        self._model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self._compile_for = compile_for
        self._request = request
        self._compiled: dict[Shape, Compiled] = {}

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, class, y, x) of `image` (N, band, y, x)."""
        number, bands, height, width = image.shape
        shape = number, bands, height, width
        if shape not in self._compiled:
            self._compiled[shape] = self._compile_for(self._model, shape, self._request)
        return torch.from_numpy(self._compiled[shape](image.contiguous().numpy()))


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """Trace a network as it is, whatever modes are on, and without keeping its activations."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        warnings.simplefilter("ignore")
        yield


def _compile_onnxruntime(model: nn.Module, shape: Shape, request: Request) -> Compiled:
    import onnxruntime

    with _quiet_tracing():
        program = torch.onnx.export(
            model, (torch.zeros(shape),), dynamo=True, verbose=False, input_names=["image"]
        )
    if program is None:
        raise InputError("backend onnxruntime: the network can't be exported; choose torch")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request.threads
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(images: Floats) -> Floats:
        logits: Floats = session.run(None, {"image": images})[0]
        return logits

    return run


def _compile_openvino(model: nn.Module, shape: Shape, request: Request) -> Compiled:
    import openvino

    with _quiet_tracing():
        converted = openvino.convert_model(torch.export.export(model, (torch.zeros(shape),)))
    settings = {
        "INFERENCE_NUM_THREADS": request.threads,
        "INFERENCE_PRECISION_HINT": "bf16" if request.precision == "bfloat16" else "f32",
    }
    with kept_signal_stack():
        compiled = openvino.Core().compile_model(converted, "CPU", settings)

    def run(images: Floats) -> Floats:
        return np.array(compiled(images)[0])  # the result lies in memory that is used again

    return run

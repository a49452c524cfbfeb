"""Files of tensors, read with their shapes checked first; among them the weights of encoders."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from floodloom.errors import CheckpointError
from floodloom.models.encoder import Encoder
from floodloom.texts import brief

MOST_HEADER = 8 << 20
"""Bytes of a header; the largest network of the registry needs a twentieth of it."""

_FLOATS = ("F64", "F32", "F16", "BF16")
_WHOLE = ("I64",)
Stored = Any
"""A `safe_open` of safetensors, which has no types."""

_LENGTH = struct.Struct("<Q")


@contextmanager
def open_safetensors(path: Path, what: str, remedy: str) -> Iterator[Stored]:
    """Open a safetensors file; whatever is wrong with it is one CheckpointError.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages.
    remedy
        What to do where it is no such file, for messages.

    Yields
    ------
    Stored
        Its header is read, its tensors aren't.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: {what} not found; check the path")
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH.size)
        length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
        if not 0 < length <= MOST_HEADER:
            raise CheckpointError(f"{path}: not a safetensors file; {remedy}")
        with safe_open(path, framework="pt") as stored:
            yield stored
    except SafetensorError as error:
        line = " ".join(str(error).split())
        raise CheckpointError(f"{path}: not a safetensors file ({line}); {remedy}") from error
    except OSError as error:
        raise CheckpointError(
            f"{path}: {what} can't be read ({error.strerror or error}); check the file"
        ) from error


def require_shapes(stored: Stored, wanted: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Check that a file holds the tensors of a network, by its header alone.

    Parameters
    ----------
    stored
        The file, opened.
    wanted
        The network's state; it may lie on the meta device.
    path, name
        The file, and what to call the network, for messages.

    Raises
    ------
    CheckpointError
        Naming the first tensor that is missing, unknown, or of another shape or kind.
    """
    have = dict.fromkeys(stored.keys())
    for key in [*wanted, *have]:
        if key not in have:
            raise CheckpointError(f"{path}: weight {key} of {name} is missing; train it again")
        if key not in wanted:
            raise CheckpointError(f"{path}: weight {brief(key)} is none of {name}; train it again")
        found, expected = stored.get_slice(key), wanted[key]
        if (shape := tuple(found.get_shape())) != tuple(expected.shape):
            raise CheckpointError(
                f"{path}: size mismatch of weight {key}: {shape}, but {name} needs "
                f"{tuple(expected.shape)}; train it again"
            )
        if found.get_dtype() not in (_FLOATS if expected.is_floating_point() else _WHOLE):
            raise CheckpointError(
                f"{path}: weight {key} holds {found.get_dtype()} numbers, which {name} can't use; "
                "train it again"
            )


def read_tensors(stored: Stored) -> dict[str, Tensor]:
    """Read all tensors of a file whose shapes are known to be right."""
    return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118


def require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are numbers.

    Raises
    ------
    CheckpointError
        Naming the first that isn't finite throughout.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: weight {name} holds numbers that aren't finite, with which a network "
                "sees no water anywhere; make the file again"
            )


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return a digest (SHA-256) of names, dtypes, shapes and values of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


_CLASSIFIERS = ("fc.", "classifier.", "last_linear.")
_CONVERT = (
    "convert an official state dict once by "
    'python -c "import sys, torch, safetensors.torch as s; '
    's.save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])" in.pth out.safetensors'
)


def load_encoder(encoder: Encoder, path: str | Path) -> dict[str, Tensor]:
    """Give an encoder the weights of a file.

    Parameters
    ----------
    encoder
        Its first convolution is adapted by `for_bands`.
    path
        A .safetensors file whose names are torchvision's (Xception: pretrained-models.pytorch's).

    Returns
    -------
    dict
        The classifier's tensors, which the encoder has no use for.

    Raises
    ------
    CheckpointError
        If the file is missing, isn't a safetensors file or holds another network.
    """
    state = _read(Path(path))
    classifier = {name: state.pop(name) for name in list(state) if name.startswith(_CLASSIFIERS)}
    own = encoder.state_dict()
    if encoder.first in state:
        state[encoder.first] = for_bands(state[encoder.first], own[encoder.first].shape[1])
    # Files from before PyTorch 0.4.1 lack the counters, which only matter to a running average
    # without momentum.
    missing = {name for name in own.keys() - state.keys() if not name.endswith("batches_tracked")}
    wrong = missing | (state.keys() - own.keys())
    wrong |= {name for name in own.keys() & state.keys() if own[name].shape != state[name].shape}
    if wrong:
        kind = type(encoder).__name__
        raise CheckpointError(
            f"{path}: no weights of {kind}: {len(wrong)} tensors are missing, unknown or of "
            f"another shape, such as {min(wrong)!r}; give the file of that encoder"
        )
    encoder.load_state_dict(state, strict=False)
    return classifier


def for_bands(weight: Tensor, bands: int) -> Tensor:
    """Return the filters of a first convolution for another number of bands.

    Every band gets the mean over the colours, scaled so that an image whose bands are all alike
    meets the response that a grey one met before.

    Parameters
    ----------
    weight
        (filter, colour, y, x).
    bands
        As many as there are colours leave the filters as they are.
    """
    colours = weight.shape[1]
    if bands == colours:
        return weight
    mean = weight.mean(1, keepdim=True) * (colours / bands)
    return mean.repeat(1, bands, 1, 1)


def _read(path: Path) -> dict[str, Tensor]:
    with open_safetensors(
        path, "encoder weights", f"nothing is unpickled here; {_CONVERT}"
    ) as stored:
        state = read_tensors(stored)
    require_finite(state, path)
    return state

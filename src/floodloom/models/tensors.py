"""Safetensors files: what a header states is checked before any memory is taken for it.

Source: safetensors, format (8 bytes with the header's length, the header as JSON, the tensors).
"""

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

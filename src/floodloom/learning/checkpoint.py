"""One safetensors file per model; what it needs to be used lies in its metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from floodloom.errors import CheckpointError, FloodloomError
from floodloom.files import atomic_path
from floodloom.models.base import Segmenter
from floodloom.models.registry import build
from floodloom.raster.recipe import Recipe

FORMAT = "floodloom-checkpoint-1"
Inputs = Literal["radar", "optical", "fused"]


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Attributes
    ----------
    architecture, arguments
        What `floodloom.models.registry.build` takes.
    classes
        Names of the classes in the order of the logits.
    recipe
        Recipe of the tiles it was trained on.
    weights
        State of the model.
    inputs, channels, statistics
        Radar bands, optical channels, or both (`fused`, radar first); names of the inputs, and
        mean and standard deviation of the optical ones.
    scores
        Scores on the validation tiles, foreground classes.
    temperature
        Divisor of the logits that calibrates confidences (1 = as they are).
    training, history
        Settings, and one record per epoch.
    notes
        What else happened, such as why initial weights were kept.
    code
        Digest of the code that trained it.
    """

    architecture: str
    arguments: Mapping[str, Any]
    classes: tuple[str, ...]
    recipe: Recipe
    weights: Mapping[str, Tensor]
    inputs: Inputs = "radar"
    channels: tuple[str, ...] = ()
    statistics: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""

    def model(self) -> Segmenter:
        """Return the network with these weights, ready for inference.

        Raises
        ------
        CheckpointError
            If the weights don't fit the architecture.
        """
        try:
            model = build(self.architecture, **self.arguments)
            model.load_state_dict(dict(self.weights))
        except (FloodloomError, RuntimeError) as error:
            line = " ".join(str(error).split())
            raise CheckpointError(f"checkpoint of {self.architecture}: {line}") from error
        return model.eval()


_JSON_FIELDS = (
    "architecture", "arguments", "classes", "inputs", "channels", "statistics", "scores",
    "temperature", "training", "history", "notes", "code",
)  # fmt: skip


_TYPES: dict[str, type | tuple[type, ...]] = {
    "architecture": str, "arguments": dict, "classes": list, "inputs": str, "channels": list,
    "statistics": dict, "scores": dict, "temperature": (int, float), "training": dict,
    "history": list, "notes": dict, "code": str,
}  # fmt: skip
_SHOWN = 60


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> Path:
    """Write a checkpoint, whole or not at all."""
    metadata = {name: json.dumps(getattr(checkpoint, name)) for name in _JSON_FIELDS}
    metadata |= {
        "format": FORMAT,
        "recipe": checkpoint.recipe.model_dump_json(),
        "fingerprint": checkpoint.recipe.fingerprint,
    }
    weights = {name: tensor.cpu().contiguous() for name, tensor in checkpoint.weights.items()}
    with atomic_path(path) as temporary:
        save_file(weights, temporary, metadata)
    return Path(path)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; nothing in it is ever executed.

    Raises
    ------
    CheckpointError
        If the file is missing, isn't a safetensors file (a pickled .pt, say) or wasn't written by
        floodloom.
    """
    metadata = read_metadata(path)
    recipe = Recipe.model_validate(metadata.pop("recipe"))
    for name in ("classes", "channels"):
        metadata[name] = tuple(metadata[name])
    fields = {name: metadata[name] for name in _JSON_FIELDS}
    with safe_open(path, framework="pt") as stored:
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: weight {name} holds numbers that aren't finite, so it would see no water "
                "anywhere; train it again"
            )
    return Checkpoint(recipe=recipe, weights=weights, **fields)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint's metadata without its weights.

    Returns
    -------
    dict
        The fields of `Checkpoint` as plain values, without `weights`, with `recipe` as a dict.

    Raises
    ------
    CheckpointError
        As `load_checkpoint`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: checkpoint not found; check the path or train one")
    try:
        with safe_open(path, framework="pt") as stored:
            texts = stored.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a safetensors file; pickled checkpoints (.pt, .pth, .ckpt) are never "
            "loaded, train one with `floodloom train`"
        ) from error
    if texts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format is {texts.get('format')!r} but {FORMAT!r} is expected; "
            "give a checkpoint written by floodloom"
        )
    return _parsed(texts, path)


def _parsed(texts: Mapping[str, str], path: Path) -> dict[str, Any]:
    try:
        metadata = {name: json.loads(texts[name]) for name in (*_JSON_FIELDS, "recipe")}
        Recipe.model_validate(metadata["recipe"])
    except (KeyError, ValueError, ValidationError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise CheckpointError(f"{path}: damaged metadata ({line}); train it again") from error
    _require_types(metadata, path)
    return metadata


def _require_types(metadata: Mapping[str, Any], path: Path) -> None:
    """Refuse metadata that a broken or foreign program has written."""
    for name, kind in _TYPES.items():
        value = metadata[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CheckpointError(f"{path}: {name} is {_shortened(value)}; train it again")
    temperature = float(metadata["temperature"])
    if not (math.isfinite(temperature) and temperature > 0):
        raise CheckpointError(
            f"{path}: temperature is {temperature:g}, but it is a positive number; train it again"
        )


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"

"""One safetensors file per model; what it needs to be used lies in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from floodloom.errors import CheckpointError, ConfigError, FloodloomError
from floodloom.files import atomic_path
from floodloom.learning.metadata import FIELDS, Inputs, parsed
from floodloom.log import get_logger
from floodloom.models.base import Segmenter
from floodloom.models.registry import build, outline
from floodloom.models.tensors import (
    Stored,
    digest_of,
    open_safetensors,
    read_tensors,
    require_finite,
    require_shapes,
)
from floodloom.raster.recipe import Recipe
from floodloom.texts import brief

FORMAT = "floodloom-checkpoint-1"
_DIGEST = "digest"
_REMEDY = (
    "pickled checkpoints (.pt, .pth, .ckpt) are never loaded, train one with `floodloom train`"
)
_log = get_logger(__name__)


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

    @property
    def works_without_optical(self) -> bool:
        """Whether it sees radar and optical images, and was trained to do without the latter."""
        dropped = self.training.get("sensor_drop", 0.0) > 0
        return self.inputs == "fused" and (dropped or self.arguments.get("alone", False))

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


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> Path:
    """Write a checkpoint, whole or not at all."""
    weights = {name: tensor.cpu().contiguous() for name, tensor in checkpoint.weights.items()}
    own = (name for name in FIELDS if name != "recipe")
    metadata = {name: json.dumps(getattr(checkpoint, name)) for name in own}
    metadata |= {
        "format": FORMAT,
        "recipe": checkpoint.recipe.model_dump_json(),
        "fingerprint": checkpoint.recipe.fingerprint,
        _DIGEST: digest_of(weights),
    }
    with atomic_path(path) as temporary:
        save_file(weights, temporary, metadata)
    return Path(path)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; nothing in it is ever executed, and no other file is read.

    What the metadata states of the network must fit the file's own list of tensors before any of
    them is read. Files from before there was a digest are read, too, with a warning.

    Raises
    ------
    CheckpointError
        If the file is missing, isn't a safetensors file (but a pickled .pt), wasn't written by
        floodloom, is damaged, or can't be a network that separates water from land.
    """
    path = Path(path)
    with open_safetensors(path, "checkpoint", _REMEDY) as stored:
        metadata = _described(stored, path)
        name, arguments = metadata["architecture"], metadata["arguments"]
        try:
            wanted = outline(name, arguments, len(stored.keys()))
        except ConfigError as error:
            raise CheckpointError(f"{path}: {error}; train it again") from error
        require_shapes(stored, wanted, path, f"{name} with its arguments")
        weights = read_tensors(stored)
        _require_digest(weights, (stored.metadata() or {}).get(_DIGEST), path)
    require_finite(weights, path)
    for field_name in ("classes", "channels"):
        metadata[field_name] = tuple(metadata[field_name])
    recipe = Recipe.model_validate(metadata.pop("recipe"))
    return Checkpoint(recipe=recipe, weights=weights, **metadata)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint's metadata without its weights.

    Returns
    -------
    dict
        The fields of `Checkpoint` as plain values, without `weights`, with `recipe` as a dict.

    Raises
    ------
    CheckpointError
        As `load_checkpoint`, but for what is wrong with the weights.
    """
    path = Path(path)
    with open_safetensors(path, "checkpoint", _REMEDY) as stored:
        return _described(stored, path)


def _described(stored: Stored, path: Path) -> dict[str, Any]:
    texts = stored.metadata() or {}
    if texts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format is {brief(texts.get('format'))} but {FORMAT!r} is expected; "
            "give a checkpoint written by floodloom"
        )
    return parsed(texts, path)


def _require_digest(weights: Mapping[str, Tensor], stated: str | None, path: Path) -> None:
    if stated is None:
        _log.warning(
            "%s: has no digest, as it was written before there were any; damage can't be noticed",
            path,
        )
    elif stated != digest_of(weights):
        raise CheckpointError(
            f"{path}: its weights aren't those that were saved, by their digest; copy it again, or "
            "train it again"
        )

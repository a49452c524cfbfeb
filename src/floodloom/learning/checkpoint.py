"""Checkpoints: the weights of a network, and what it was trained on and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.torch import save_file
from torch import Tensor

from floodloom.errors import CheckpointError, ConfigError, FloodloomError
from floodloom.files import atomic_path
from floodloom.log import get_logger
from floodloom.models.base import Segmenter
from floodloom.models.registry import build, outline, require_arguments
from floodloom.models.tensors import (
    Stored,
    digest_of,
    open_safetensors,
    read_tensors,
    require_finite,
    require_shapes,
)
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.texts import brief

Inputs = Literal["radar", "optical", "fused"]

_DEEPEST = 20  # lists and mappings in one another; floodloom's own are 5 deep
_MOST_CLASSES = 254  # labels are bytes, of which 255 is unknown
_MOST_BANDS = 1000
_MOST_EPOCHS = 1_000_000


def _readable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be one line of visible signs")
    return name


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_readable)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Temperature = Annotated[float, Field(ge=1e-3, le=400, allow_inf_nan=False)]  # fits are .05 to 20
Weight = Annotated[float, Field(ge=0, le=1e3, allow_inf_nan=False)]


class _Open(BaseModel):
    """Values of which only some mean something to the program; others are for the reader."""

    model_config = ConfigDict(extra="allow", strict=True)


class Statistics(_Open):
    """Names, means and standard deviations of the optical channels."""

    channels: tuple[Name, ...] = ()
    mean: tuple[Number, ...] = ()
    deviation: tuple[Positive, ...] = ()

    @model_validator(mode="after")
    def _one_of_each(self) -> Statistics:
        if not len(self.channels) == len(self.mean) == len(self.deviation):
            raise ValueError("channels, mean and deviation need one value each per channel")
        return self


class Likelihood(_Open):
    """Weight of the local likelihood, see `floodloom.learning.relabelling.local_likelihood`."""

    weight: Weight
    temperature: Temperature


class BatchStatistics(_Open):
    """What became of the statistics of batch normalisation."""


class Notes(_Open):
    """What else happened."""

    likelihood: Likelihood | None = None
    batch_statistics: BatchStatistics | None = None
    kept: str = ""
    reason: str | None = None


class Training(_Open):
    """Settings of the training, and what a student was worth beside its teacher."""

    sensor_drop: Number = 0.0
    teacher_iou: Number | None = None
    student_iou: Number | None = None
    taught: bool | None = None

    @model_validator(mode="after")
    def _judged(self) -> Training:
        judged = self.teacher_iou, self.student_iou, self.taught
        if "teacher_iou" in self.model_fields_set and None in judged:
            raise ValueError("teacher_iou needs student_iou and taught beside it")
        return self


class Epoch(_Open):
    """What one epoch came to."""

    epoch: Annotated[int, Field(ge=0, le=_MOST_EPOCHS)]
    seconds: Number = 0.0
    iou: Number | None = None
    loss: Number | None = None


class Metadata(BaseModel):
    """The metadata of a checkpoint, see `floodloom.learning.checkpoint.Checkpoint`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    architecture: Name
    arguments: dict[Name, Any]
    classes: Annotated[tuple[Name, ...], Field(min_length=2, max_length=_MOST_CLASSES)]
    recipe: Recipe
    inputs: Inputs
    channels: Annotated[tuple[Name, ...], Field(max_length=_MOST_BANDS)]
    statistics: Statistics
    scores: dict[Name, float | None]
    temperature: Temperature
    training: Training
    history: list[Epoch]
    notes: Notes
    code: Annotated[str, Field(max_length=100)]
    accepts: Accepted | None = None

    @model_validator(mode="after")
    def _agree(self) -> Metadata:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes must differ")
        bands = () if self.inputs == "optical" else self.recipe.bands
        optical = () if self.inputs == "radar" else self.statistics.channels
        seen = () if self.inputs == "radar" else (*bands, *optical)
        if self.inputs != "radar" and not optical:
            raise ValueError(f"{self.inputs} inputs need statistics of the optical channels")
        if self.channels != seen:
            raise ValueError(f"channels must be those of its {self.inputs} inputs")
        taken = {"in_channels": len(bands) + len(optical), "classes": len(self.classes)}
        for argument, number in taken.items():
            if self.arguments.get(argument) != number:
                raise ValueError(f"{argument} must be {number}, as many as are named")
        return self


FIELDS = tuple(Metadata.model_fields)
_OPTIONAL = ("accepts",)


def parsed(texts: Mapping[str, str], path: object) -> dict[str, Any]:
    """Return the metadata of a checkpoint as plain values.

    Parameters
    ----------
    texts
        JSON by field, as the file holds it.
    path
        The file, for messages.

    Raises
    ------
    CheckpointError
        Naming the first field that is missing or can't be what it is.
    """
    try:
        stated = {name: texts[name] for name in FIELDS if name not in _OPTIONAL or name in texts}
        plain = {name: _json(text) for name, text in stated.items()}
        Metadata.model_validate_json(json.dumps(plain))
        require_arguments(plain["architecture"], plain["arguments"])
    except ValidationError as error:
        raise CheckpointError(f"{path}: {_first(error)}; train it again") from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}; train it again") from error
    except KeyError as error:
        raise CheckpointError(
            f"{path}: damaged metadata ({error.args[0]} is missing); train it again"
        ) from error
    except (ValueError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise CheckpointError(f"{path}: damaged metadata ({line}); train it again") from error
    return plain


def _json(text: str) -> Any:
    value = json.loads(text)
    if _deeper(value, _DEEPEST):
        raise ValueError(f"nested more than {_DEEPEST} deep")
    return value


def _deeper(value: Any, left: int) -> bool:
    """Whether lists and mappings lie in one another more than so many times."""
    if not isinstance(value, list | dict):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_deeper(item, left - 1) for item in inside)


def _first(error: ValidationError) -> str:
    """Return in one line what is wrong with the first field."""
    found = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in found["loc"]) or "metadata"
    why = found["msg"].removeprefix("Value error, ")
    if found["type"] == "value_error":
        return f"{where}: {why}"
    return f"{where} is {brief(found['input'])} ({why})"


FORMAT = "floodloom-checkpoint-1"
PRETRAINING = "pretraining"
"""Entry of `training` that names what was learnt without labels."""
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
    accepts
        What scenes it takes beside those of its recipe; None: no others.
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
    accepts: Accepted | None = None

    @property
    def is_pretrained(self) -> bool:
        """Whether it has learnt without labels alone, so that its classifier knows nothing."""
        return PRETRAINING in self.training

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
    own = (name for name in FIELDS if name not in ("recipe", *_OPTIONAL))
    metadata = {name: json.dumps(getattr(checkpoint, name)) for name in own}
    if checkpoint.accepts is not None:
        metadata["accepts"] = checkpoint.accepts.model_dump_json()
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
    accepts = metadata.pop("accepts", None)
    if accepts is not None:
        accepts = Accepted.model_validate(accepts)
    return Checkpoint(recipe=recipe, weights=weights, accepts=accepts, **metadata)


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

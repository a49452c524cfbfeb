"""Architectures by name, what each needs and takes."""

from __future__ import annotations

import inspect
import itertools
import json
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

from floodloom.errors import ConfigError
from floodloom.models.base import Segmenter
from floodloom.models.choices import ARCHITECTURES
from floodloom.texts import brief

_PROBED = 4  # late fusion makes a branch more than it keeps, to look at it


def names() -> tuple[str, ...]:
    """Return the names of the architectures, sorted."""
    return ARCHITECTURES.names


def build(
    name: str,
    in_channels: int,
    classes: int,
    *,
    encoder_weights: str | Path | None = None,
    **arguments: Any,
) -> Segmenter:
    """Return a network with fresh weights.

    Parameters
    ----------
    name
        One of `names()`.
    in_channels
        Bands of the input.
    classes
        Classes of the logits.
    encoder_weights
        Local .safetensors file with ImageNet weights for the network's `encoder`.
    **arguments
        Further arguments of the architecture, such as `width`.

    Raises
    ------
    ConfigError
        If the name is unknown or the arguments don't suit the architecture.
    CheckpointError
        If the encoder's weights can't be read or are another network's.
    """
    architecture = ARCHITECTURES.load(name)
    for argument in arguments:
        if argument not in arguments_of(name):
            having = [other for other in names() if argument in arguments_of(other)]
            able = f", or choose one of {', '.join(having)}" if having else ""
            raise ConfigError(f"model {name!r}: it has no choice of {argument}; leave it out{able}")
    try:
        model = architecture.make(in_channels, classes, **arguments)
        if encoder_weights is not None:
            model.load_encoder(encoder_weights)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {name!r}: {error}") from error
    return model


def outline(name: str, arguments: Mapping[str, Any], tensors: int) -> Mapping[str, Tensor]:
    """Return the state of a network without its values, which takes no memory.

    Parameters
    ----------
    name
        One of `names()`.
    arguments
        All that `build` takes.
    tensors
        How many tensors the network should have. One with many more isn't built to its end.

    Returns
    -------
    mapping
        Tensors on the meta device by name.

    Raises
    ------
    ConfigError
        As `build`, and if sizes are beyond all bounds.
    """
    made = itertools.count(1)

    def count(*_: object) -> None:
        if next(made) > _PROBED * tensors:
            raise ConfigError(f"model {name!r}: has far more than {tensors} tensors")

    watch = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            return build(name, **arguments).state_dict()
    except (RuntimeError, OverflowError, RecursionError, ZeroDivisionError) as error:
        line = " ".join(str(error).split())
        raise ConfigError(f"model {name!r}: can't be built with its arguments ({line})") from error
    finally:
        watch.remove()


def arguments_of(name: str) -> Mapping[str, inspect.Parameter]:
    """Return what a model can be built with."""
    return inspect.signature(ARCHITECTURES.load(name).make).parameters


MOST = 16_384
"""Greatest number that an argument can be; the widest network of the papers has 4096 channels."""

INPUTS = ("in_channels", "classes")
"""Arguments that the tiles decide."""

SET_ELSEWHERE = (*INPUTS, "width")
"""Those and the one that has a key of its own in a configuration."""

_FROM_NOUGHT = ("groups",)  # numbers of bands, which begin with 0
_KINDS = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def require_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Check everything that a file has a network built with.

    Only what the architecture itself is made of is allowed, so that a checkpoint can't have another
    file read: an `encoder_weights` is none of it.

    Parameters
    ----------
    name
        Name of the architecture.
    arguments
        Plain values, as JSON gives them.

    Raises
    ------
    ConfigError
        Naming the first that the architecture doesn't have, that is missing, of another type, or
        beyond all limits.
    """
    require_choices(name, arguments, set_elsewhere=())
    for argument in INPUTS:
        if argument not in arguments:
            raise ConfigError(f"model {name!r}: argument {argument} is missing")


def require_choices(
    name: str, arguments: Mapping[str, Any], *, set_elsewhere: Sequence[str] = SET_ELSEWHERE
) -> None:
    """Check some of the arguments of a network.

    Parameters
    ----------
    name
        Name of the architecture.
    arguments
        Plain values.
    set_elsewhere
        Arguments of the architecture that aren't allowed among them.

    Raises
    ------
    ConfigError
        Naming the first that the architecture doesn't have, of another type, or beyond all limits,
        and what is allowed.
    """
    allowed = [argument for argument in arguments_of(name) if argument not in set_elsewhere]
    hints = _hints(name)
    for argument, value in arguments.items():
        if argument not in allowed:
            raise ConfigError(
                f"model {name!r}: argument {brief(argument)} is none of {', '.join(allowed)}"
            )
        least = 0 if argument in _FROM_NOUGHT else 1
        if not _is(hints[argument], value) or not all(_within(n, least) for n in _numbers(value)):
            raise ConfigError(
                f"model {name!r}: argument {argument} is {brief(value)}, but "
                f"{_expected(hints[argument])} is expected, numbers up to {MOST}"
            )


def _hints(name: str) -> dict[str, Any]:
    make = ARCHITECTURES.load(name).make
    network = make.func if isinstance(make, partial) else make
    if isinstance(network, type):
        return get_type_hints(network.__init__)  # type: ignore[misc]
    return get_type_hints(network)


def _is(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def _expected(kind: Any) -> str:
    """The values of a type, as text."""
    inside = get_args(kind)
    if get_origin(kind) is Literal:
        return " or ".join(map(str, inside))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_expected(one) for one in inside)
    if inside:
        return f"a list of {_expected(inside[0])}"
    return "null" if kind is type(None) else _KINDS.get(kind, str(kind))


def _numbers(value: Any) -> Iterator[float]:
    """Give the numbers of a value, through its lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _within(number: float, least: int) -> bool:
    whole = isinstance(number, int)
    return math.isfinite(number) and (least if whole else 0) <= number <= MOST

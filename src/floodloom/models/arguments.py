"""What a network is built with, where it comes from a file: names, types and limits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from floodloom.errors import ConfigError
from floodloom.models.base import ARCHITECTURES
from floodloom.models.registry import arguments_of, names
from floodloom.texts import brief

MOST = 16_384
"""Greatest number that an argument can be; the widest network of the papers has 4096 channels."""

_NEEDED = ("in_channels", "classes")
_FROM_NOUGHT = ("groups",)  # numbers of bands, which begin with 0


def require_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Check what a file says that a network is built with.

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
    if name not in ARCHITECTURES:
        raise ConfigError(f"model {brief(name)}: unknown; choose one of {', '.join(names())}")
    allowed, hints = arguments_of(name), _hints(name)
    for argument in _NEEDED:
        if argument not in arguments:
            raise ConfigError(f"model {name!r}: argument {argument} is missing")
    for argument, value in arguments.items():
        if argument not in allowed:
            raise ConfigError(
                f"model {name!r}: argument {brief(argument)} is none of {', '.join(allowed)}"
            )
        least = 0 if argument in _FROM_NOUGHT else 1
        if not _is(hints[argument], value) or not all(_within(n, least) for n in _numbers(value)):
            kind = allowed[argument].annotation
            raise ConfigError(
                f"model {name!r}: argument {argument} is {brief(value)}, but {kind} up to {MOST} "
                "is expected"
            )


def _hints(name: str) -> dict[str, Any]:
    make = ARCHITECTURES[name].make
    network = make.func if isinstance(make, partial) else make
    return get_type_hints(network.__init__)


def _is(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


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

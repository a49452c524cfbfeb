"""What a baseline is, and the map of water that it makes of a scene."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from floodloom.arrays import Bytes
from floodloom.classical.scene import BackscatterScene
from floodloom.errors import ConfigError, InputError
from floodloom.log import get_logger
from floodloom.settings import Settings

_log = get_logger(__name__)

EXTRA = "classical"
"""Extra of the distribution that has what some baselines need."""


class NoArguments(Settings):
    """A method that has nothing to choose."""


@dataclass(frozen=True)
class WaterMap:
    """Percent of water (y, x) uint8, 255 = no data.

    Attributes
    ----------
    percent
        Percent of water.
    thresholds
        By band, of methods that have some.
    found
        What the map goes by, for the log; of a map without water the reason.
    """

    percent: Bytes
    thresholds: Mapping[str, float] = field(default_factory=dict)
    found: str = ""


@dataclass(frozen=True)
class Baseline:
    """A method that maps water without networks.

    Attributes
    ----------
    map_scene
        From a scene and the arguments to the map of water.
    source
        The paper.
    arguments
        What can be chosen.
    compares_dates
        Look at the change of backscatter since the scene before: what it finds is new water.
    sees_reference
        Look at water that is always there, where it is known.
    needs
        Modules that the extra `classical` brings.
    """

    map_scene: Callable[[BackscatterScene, Any], WaterMap]
    source: str
    arguments: type[Settings] = NoArguments
    compares_dates: bool = False
    sees_reference: bool = False
    needs: tuple[str, ...] = ()

    def read_arguments(self, name: str, given: Mapping[str, Any]) -> Settings:
        """Return the arguments, checked.

        Parameters
        ----------
        name
            Name of the baseline, for messages.
        given
            Arguments by name; the defaults stand for the others.

        Raises
        ------
        ConfigError
            If the baseline has no such argument, or not with that value.
        """
        try:
            return self.arguments.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            have = ", ".join(self.arguments.model_fields) or "none"
            raise ConfigError(
                f"baseline {name}: argument {key}: {first['msg']}; its arguments are: {have}"
            ) from error


def map_water(
    scene: BackscatterScene,
    name: str,
    baseline: Baseline,
    arguments: Mapping[str, Any] | None = None,
) -> WaterMap:
    """Map water by a baseline.

    Parameters
    ----------
    scene
        The scene, with the one before where the baseline compares dates.
    name
        Name of the baseline, for messages.
    baseline
        The method.
    arguments
        Its arguments by name; its defaults stand for the others.

    Returns
    -------
    WaterMap
        255 exactly where a band has no data, 0 on ground too high above the drainage. It doesn't
        depend on the chunks of the scene.

    Raises
    ------
    ConfigError
        If the baseline has no such argument, or not with that value.
    InputError
        If a package that the baseline needs isn't installed.
    """
    missing = [module for module in baseline.needs if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(
            f"baseline {name}: {' and '.join(missing)} isn't installed; "
            f"run pip install 'floodloom[{EXTRA}]'"
        )
    found = baseline.map_scene(scene, baseline.read_arguments(name, arguments or {}))
    _log.info("%s: %s", name, found.found)
    return found

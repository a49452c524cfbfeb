"""Where a download comes from, without its secrets in what Snakemake keeps.

Snakemake writes the parameters of every job into its records, and shows them. An address may hold
a token or a password, so that the job gets what stands for it, and looks the address up in the
scene sheet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from floodloom.config.load import load_config, load_scenes
from floodloom.errors import ConfigError
from floodloom.texts import redact


def stand_in(source: str) -> str:
    """Return what stands for a source in the parameters of a job.

    Parameters
    ----------
    source
        Path or address.

    Returns
    -------
    str
        The source itself, or, if it may hold a secret, what `redact` leaves and a digest of all
        of it, so that another address is another parameter.
    """
    bare = redact(source)
    digest = hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:16]
    return source if bare == source else f"{bare} {digest}"


def source_of(config: Mapping[str, Any], scene: str, parameter: str) -> str:
    """Look up the source of a scene in the sheet.

    Parameters
    ----------
    config
        The parsed configuration.
    scene
        Name of the scene.
    parameter
        What stands for its source.

    Raises
    ------
    ConfigError
        If the sheet now has something else than when the job was planned.
    """
    found = load_scenes(load_config(config)).get(scene)
    if found is None or stand_in(found.source) != parameter:
        raise ConfigError(f"scene {scene}: its source was changed during the run; start it again")
    return found.source

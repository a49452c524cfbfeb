"""A network with fresh weights for the tiles of a store, and the check that one suits them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import torch
import xarray as xr

from floodloom.errors import CheckpointError
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Standardisation
from floodloom.learning.metadata import Inputs
from floodloom.learning.training.settings import NetworkSettings
from floodloom.models.arguments import require_choices
from floodloom.models.registry import build
from floodloom.raster.store import recipe_of


def untrained(
    tiles: xr.Dataset,
    network: NetworkSettings,
    seed: int,
    optical: Standardisation | None = None,
    *,
    fused: bool = False,
) -> Checkpoint:
    """Return a checkpoint with fresh weights for the inputs of a tile store.

    Parameters
    ----------
    tiles
        Tile store that gives recipe and classes.
    network
        What to build.
    seed
        Of the weights.
    optical
        Given it, the inputs are these optical channels instead of the radar bands.
    fused
        The inputs are the radar bands and the optical channels; late fusion gives each sensor a
        branch, and radar decides where the optical image is blank.

    Raises
    ------
    ConfigError
        If the architecture is unknown, or has no such choice or argument.
    CheckpointError
        If the encoder's weights can't be read or are another network's.
    """
    recipe, classes = recipe_of(tiles), tuple(json.loads(tiles.attrs["classes"]))
    bands = () if optical is None else optical.channels
    bands = (*recipe.bands, *bands) if fused or optical is None else bands
    require_choices(network.model, network.arguments)
    arguments = {"in_channels": len(bands), "classes": len(classes), **_arguments(network)}
    if fused and network.model == "late_fusion":
        first = len(recipe.bands)
        groups = [list(range(first)), list(range(first, len(bands)))]
        arguments |= {"groups": groups, "alone": True}
    arguments |= network.arguments
    torch.manual_seed(seed)
    model = build(network.model, **arguments, encoder_weights=network.encoder_weights)
    fresh = Checkpoint(network.model, arguments, classes, recipe, model.state_dict())
    if optical is None:
        return fresh
    inputs: Inputs = "fused" if fused else "optical"
    return replace(fresh, inputs=inputs, channels=bands, statistics=asdict(optical))


def _arguments(network: NetworkSettings) -> dict[str, Any]:
    """Return what a checkpoint keeps of it beside the architecture's name."""
    chosen = {"encoder": network.encoder, "upsampling": network.upsampling}
    return {"width": network.width} | {k: value for k, value in chosen.items() if value}


def require_fit(checkpoint: Checkpoint, tiles: xr.Dataset, path: str) -> None:
    """Check that a checkpoint suits a tile store.

    Raises
    ------
    CheckpointError
        If it takes optical inputs or has other classes.
    RecipeMismatchError
        If its recipe differs; the message names the field.
    """
    classes = tuple(json.loads(tiles.attrs["classes"]))
    if checkpoint.inputs != "radar":
        raise CheckpointError(f"{path}: it takes optical channels; give a radar checkpoint")
    if checkpoint.classes != classes:
        raise CheckpointError(
            f"{path}: classes are {list(checkpoint.classes)} but the tiles' are {list(classes)}; "
            "cut the tiles with the same classes"
        )
    checkpoint.recipe.require_inputs(recipe_of(tiles), "tiles")

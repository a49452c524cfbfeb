"""Published flood data sets as scenes and tiles; each module is the adapter of one.

An adapter defines `DATASET`, a `SceneAdapter` or a `ChipAdapter` of `floodloom.adapters`:
what the data set is called, where it is published, and how it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodloom.registry import Registry

if TYPE_CHECKING:
    from floodloom.adapters import ChipAdapter, SceneAdapter

DATASETS: Registry[SceneAdapter | ChipAdapter] = Registry(
    "data set", __name__, "DATASET", hyphens=True
)
"""The data sets that can enter the workflow, by name."""

if TYPE_CHECKING:
    DataSetName = str
else:
    DataSetName = DATASETS.choice()

"""What a run's scenes and events are, and where what is made of each lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from floodloom.acquire.catalogues import BACKSCATTER, LAYERS
from floodloom.acquire.item import is_item
from floodloom.config.load import DATASET, SIMULATED, Scene
from floodloom.config.project import Config
from floodloom.dates import time_in_name
from floodloom.sentinel1.producers import is_backscatter
from floodloom.sentinel1.settings import FETCH
from floodloom.texts import is_address

_SIMULATED = {"dem": "dem.tif", "labels": "truth.tif", "optical": "optical.tif"}


@dataclass(frozen=True)
class ScenePlan:
    """Scenes and events, as the configuration and the scene sheet have them.

    Attributes
    ----------
    config
        The configuration.
    scenes
        Rows of the scene sheet by name, in its order.
    """

    config: Config
    scenes: Mapping[str, Scene]

    @property
    def folder(self) -> str:
        """Folder of the run's results."""
        return f"results/{self.config.run.name}"

    @property
    def names(self) -> set[str]:
        """Names of all scenes and events."""
        return {*self.scenes, *self.config.events}

    @property
    def ingested(self) -> list[str]:
        """Scenes of a published data set."""
        return [scene.name for scene in self.scenes.values() if scene.source == DATASET]

    @property
    def processed(self) -> list[str]:
        """Scenes that are geocoded."""
        return [name for name, scene in self.scenes.items() if scene.source != DATASET]

    @property
    def fetched(self) -> list[str]:
        """Scenes whose products are downloaded, or named by a STAC item on disk."""
        return [n for n, scene in self.scenes.items() if _is_fetched(scene) and not scene.assets]

    @property
    def gathered(self) -> dict[str, list[str]]:
        """Events or scenes of which the tiles of a layer, or the bands, are fetched, by layer."""
        events = self.config.events
        found = {key: [e for e in events if self.fetched_tiles(e, key)] for key in LAYERS}
        bands = [name for name, scene in self.scenes.items() if scene.assets]
        return {**found, BACKSCATTER: bands}

    @cached_property
    def of_others(self) -> frozenset[str]:
        """Scenes that others have calibrated."""
        sources = {name: self.scenes[name].source for name in self.processed}
        local = {n: s for n, s in sources.items() if s != SIMULATED and not is_address(s)}
        found = (name for name, source in local.items() if is_backscatter(Path(source)))
        return frozenset([*self.gathered[BACKSCATTER], *found])

    def backscatter(self, scene: str) -> dict[str, Any]:
        """What the configuration states of a scene that others have calibrated."""
        stated = self.config.events[self.scenes[scene].event].backscatter
        return dict(stated.model_dump(mode="json", exclude_defaults=True))

    def acquired(self, scene: str) -> str | None:
        """When a scene of others was taken by the sheet, if that states more than its name does."""
        row = self.scenes[scene]
        if scene not in self.of_others or row.date is None or row.date == time_in_name(row.source):
            return None
        return row.date.isoformat()

    def dates_before(self, event: str) -> list[str]:
        """Roles of an event's dates before the flood: `before`, `before-2`, …, or none."""
        return self._dates_before.get(event, [])

    @cached_property
    def _dates_before(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for event, role in self._passes:
            if role != "after":
                found.setdefault(event, []).append(role)
        return found

    def scene_of(self, event: str, role: str) -> str | None:
        """The scene of an event at one date, or None; `role` is `after` or one of `dates_before`.

        Of several scenes of one pass the first gives its name to their mosaic.
        """
        return next((scene.name for scene in self.pass_of(event, role)), None)

    def first_scenes(self) -> list[str]:
        """Scenes that give their names to those of their pass."""
        return [scenes[0].name for scenes in self._passes.values()]

    def pass_of(self, event: str, role: str) -> list[Scene]:
        """All scenes of an event at one date."""
        return self._passes.get((event, role), [])

    @cached_property
    def _passes(self) -> dict[tuple[str, str], list[Scene]]:
        found: dict[tuple[str, str], list[Scene]] = {}
        for scene in self.scenes.values():
            found.setdefault((scene.event, scene.role), []).append(scene)
        return found

    def product(self, name: str) -> str:
        """Where the product of a scene lies: simulated, on disk, or to be fetched."""
        scene = self.scenes[name]
        if scene.source == SIMULATED:
            return f"{self.folder}/simulated/{scene.event}/{scene.role}.SAFE"
        if scene.assets:
            return f"resources/{BACKSCATTER}/{name}"
        return f"resources/{name}.zip" if _is_fetched(scene) else scene.source

    def fetched_orbit(self, scene: str) -> str | None:
        """Where the orbit file of a product lies that is to be fetched, or None."""
        return f"resources/orbits/{scene}" if self.config.calibrate.orbit == FETCH else None

    def calibrated(self, event: str, role: str) -> list[str]:
        """Calibrated stores of one pass, or backscatter of others."""
        return [
            self.product(scene.name)
            if scene.name in self.of_others
            else f"{self.folder}/calibrated/{scene.name}.zarr"
            for scene in self.pass_of(event, role)
        ]

    def geocoded(self, event: str, role: str) -> str | None:
        """The scene store of an event at one date, or None."""
        scene = self.scene_of(event, role)
        return scene and f"{self.folder}/geocoded/{scene}.zarr"

    def fetched_tiles(self, name: str, layer: str) -> tuple[str, ...]:
        """STAC items of a layer of an event, or of a scene's bands, which are to be fetched."""
        if layer == BACKSCATTER:
            return (self.scenes[name].source,)
        given = getattr(self.config.events[name], layer)
        return given if isinstance(given, tuple) else ()

    def fetched_assets(self, name: str, layer: str) -> tuple[str, ...]:
        """Assets of these items."""
        return self.scenes[name].assets if layer == BACKSCATTER else LAYERS[layer].assets

    def event_file(self, event: str, key: str) -> str | None:
        """A raster of an event: what the configuration names or asks for, or is simulated."""
        given: str | tuple[str, ...] | None = getattr(self.config.events[event], key)
        if isinstance(given, tuple):
            return f"resources/{key}/{event}"
        if given is not None:
            return given
        if self._is_simulated(event) and key in _SIMULATED:
            return f"{self.folder}/simulated/{event}/{_SIMULATED[key]}"
        scene = self.scene_of(event, "after")
        ingested = scene is not None and self.scenes[scene].source == DATASET
        from_dataset = key in ("labels", "reference_water") and ingested
        if from_dataset and self.config.events[event].split != "target":
            return f"{self.folder}/labels/{scene}.tif"
        return None

    def _is_simulated(self, event: str) -> bool:
        scenes = [*self.pass_of(event, "before"), *self.pass_of(event, "after")]
        return any(scene.source == SIMULATED for scene in scenes)

    def of_split(self, *splits: str) -> list[str]:
        """Events on these sides of the split."""
        return [name for name, event in self.config.events.items() if event.split in splits]


def _is_fetched(scene: Scene) -> bool:
    return is_address(scene.source) or is_item(scene.source)

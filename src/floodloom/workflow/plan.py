"""What a run makes of its scenes and events: networks, maps and targets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from floodloom.classical.choices import BASELINES
from floodloom.config.project import LABELLED
from floodloom.learning.training.settings import OF_PRETRAINING
from floodloom.models.choices import DEFAULT, DEFAULT_CHECKPOINT
from floodloom.sentinel1.bands import TERRAIN
from floodloom.sentinel1.settings import FETCH
from floodloom.sentinel2.settings import PairingSettings
from floodloom.settings import Settings, of_jobs
from floodloom.workflow.scene_plan import ScenePlan

_SECTION = {"pretrain": "train"}
"""Sections of stages that have none of their own."""
_PAIRING = set(PairingSettings.model_fields)


@dataclass(frozen=True)
class Plan(ScenePlan):
    """What the configuration and the scene sheet ask for."""

    @property
    def rounds(self) -> int:
        """Rounds of relabelling."""
        stated = self.config.run.rounds
        if self.baseline is not None:
            return 0
        if stated is None:
            return 0 if self.checkpoint else 1
        return stated

    @property
    def baseline(self) -> str | None:
        """The method without learning that maps instead of networks, or None."""
        return self.config.predict.baseline

    @property
    def distills(self) -> bool:
        """Whether a teacher is trained and distilled."""
        return self.config.distill is not None and self.baseline is None

    @property
    def sees_reference(self) -> bool:
        """Whether what maps looks at water that is always there."""
        return self.baseline is not None and BASELINES.load(self.baseline).sees_reference

    @property
    def pretrains(self) -> bool:
        """Whether networks learn without labels before they are trained."""
        trained = self.baseline is None and self.checkpoint is None
        return trained and self.config.train.pretraining is not None

    @property
    def compares_dates(self) -> bool:
        """Whether what maps looks at the scene before the flood itself."""
        if self.baseline is not None:
            return BASELINES.load(self.baseline).compares_dates
        return self.needs_before()

    @cached_property
    def checkpoint(self) -> str | None:
        """The checkpoint that the run begins with instead of training one, or None.

        Where no event gives labels nothing can be trained.
        """
        if self.baseline is not None:
            return None
        given = self.config.run.checkpoint
        if given is None and self.config.gives_no_labels and DEFAULT_CHECKPOINT.is_file():
            given = DEFAULT
        return str(DEFAULT_CHECKPOINT) if given == DEFAULT else given

    @property
    def is_scored(self) -> bool:
        """Whether there is anything to score."""
        return bool(self.scored_events() or self.test_tiles())

    def section(self, stage: str) -> Settings | None:
        """The section of a stage, with what it shares with others; None of one that isn't run."""
        section = getattr(self.config, _SECTION.get(stage, stage), None)
        if not isinstance(section, Settings):
            return None
        return section.model_copy(update=self.config.shared_with(section))

    def keys(self, stage: str, known: Collection[str]) -> set[str]:
        """Those of the known settings of a section that its stage goes by: nearly always all."""
        if stage == "pretrain":
            return set(known) & OF_PRETRAINING
        unseen = stage == "predict" and not self.sees_reference
        return set(known) - ({"reference_minimum"} if unseen else set())

    def settings(self, stage: str) -> dict[str, Any]:
        """Keyword arguments of a stage, from its section of the configuration."""
        section = self.section(stage)
        if section is None:
            return {}
        left_out = of_jobs(type(section)) - section.shared.keys()
        found = dict(section.model_dump(mode="json", exclude=left_out))
        if found.get("orbit") == FETCH:  # which is an input then
            del found["orbit"]
        kept = self.keys(stage, found)
        found = {key: value for key, value in found.items() if key in kept}
        if stage == "predict" and self.config.run.optical:
            # An optical image is brought onto a scene that is mapped with it as onto tiles.
            found |= self.config.tile.model_dump(mode="json", include=_PAIRING)
        return found

    def needs_before(self) -> bool:
        """Whether the network itself sees the scene before the flood."""
        return any(band.startswith("before_") for band in self.config.tile.bands)

    def seen_before(self, event: str, role: str) -> str | None:
        """The scene before the flood that the network may see beside that of a date, or None.

        A given checkpoint is offered it for the date of the flood, whether it looks at it or not.
        """
        seen = self.needs_before() or (self.checkpoint is not None and role == "after")
        return self.geocoded(event, "before") if seen else None

    def seen_dem(self, event: str) -> str | None:
        """The elevations that the network may see, or None.

        A checkpoint of others is offered those of the event, whether it looks at them or not.
        """
        of_others = self.config.run.checkpoint not in (None, DEFAULT)
        seen = of_others or not set(TERRAIN).isdisjoint(self.config.tile.bands)
        return self.event_file(event, "dem") if seen else None

    def mapped_events(self) -> list[str]:
        """Events that are predicted and mapped."""
        return [
            name
            for name, event in self.config.events.items()
            if (event.split == "target" or event.mapped) and self.scene_of(name, "after")
        ]

    def scored_events(self) -> list[str]:
        """Mapped events whose truth is known and that gave no labels."""
        held_out = ("target", "test")
        mapped = [e for e in self.mapped_events() if self.config.events[e].split in held_out]
        return [event for event in mapped if self.event_file(event, "labels")]

    def transductive_events(self) -> list[str]:
        """Events whose scenes, without their labels, take part in any training."""
        if self.rounds or self.pretrains:
            return self.of_split("target")
        return self.unlabelled_pairs()

    def unlabelled_pairs(self) -> list[str]:
        """Events without labels whose optical images teach."""
        if not self.distills or self.config.distill is None or not self.config.distill.unlabelled:
            return []
        return [e for e in self.of_split("target") if self.event_file(e, "optical")]

    def mosaic(self, event: str, role: str) -> str | None:
        """The probability of water of an event at one date."""
        has = self.geocoded(event, role)
        return has and f"{self.folder}/mosaics/{event}/{role}.probability.tif"

    def sees_before(self, event: str) -> bool:
        """Whether water before the flood is predicted apart, not compared by what maps itself."""
        return not self.compares_dates and self.mosaic(event, "before") is not None

    def map_products(self, event: str) -> list[str]:
        """All that `delineate` makes of an event."""
        names = [*(f"flood.{kind}" for kind in ("tif", "gpkg", "fgb", "json"))]
        names += ["likelihood.tif", "areas.csv"]
        names += ["depth.tif"] if self.config.run.depth else []
        return [f"{self.folder}/maps/{event}/{name}" for name in names]

    def tiles(self, *splits: str) -> list[str]:
        """Tile stores of the events on these sides of the split."""
        return [f"{self.folder}/tiles/{event}.zarr" for event in self.of_split(*splits)]

    def labelled_tiles(self) -> list[str]:
        """Tile stores that may hold labels."""
        return self.tiles(*LABELLED)

    def distilled_tiles(self) -> list[str]:
        """What students learn from: labels, and pairs of radar and optical image without labels."""
        pairs = [f"{self.folder}/tiles/{event}.zarr" for event in self.unlabelled_pairs()]
        return [*self.labelled_tiles(), *pairs]

    def pretrained(self, model: str, seed: int | str) -> str:
        """The checkpoint of a network that has learnt without labels."""
        return f"{self.folder}/models/pretrained/{model}-{seed}.safetensors"

    def example_tiles(self) -> list[str]:
        """Tile stores of which the report shows some: scored ones, or those trained on."""
        trained = self.rounds > 0 or (self.checkpoint is None and self.baseline is None)
        return self.test_tiles() or (self.labelled_tiles() if trained else [])

    def target_tiles(self) -> list[str]:
        """Tile stores that relabelling labels."""
        return self.tiles("target") or self.tiles("blocks")

    def test_tiles(self) -> list[str]:
        """Stores with a test split of their own, which networks are scored on."""
        return [] if self.baseline else self.tiles("test", "blocks")

    @property
    def teacher(self) -> str:
        """The teacher's checkpoint."""
        return f"{self.folder}/models/teacher.safetensors"

    def weights(self, number: int, model: str, seed: int | str) -> str:
        """The checkpoint of a member of the ensemble after a round; round 0 may be distilled."""
        if number == 0 and self.checkpoint is not None:
            return self.checkpoint
        distilled = number == 0 and self.config.distill is not None
        kind = "distilled" if distilled else f"round-{number}"
        return f"{self.folder}/models/{kind}/{model}-{seed}.safetensors"

    def ensemble(self, number: int) -> list[str]:
        """The checkpoints of a round; none where a baseline maps."""
        run = self.config.run
        if self.baseline is not None:
            return []
        chosen = [one for one in run.models if one in run.fine_tuned] if number else []
        models = chosen or run.models
        members = (self.weights(number, model, seed) for model in models for seed in run.seeds)
        return list(dict.fromkeys(members))

    def trained(self, number: int) -> list[str]:
        """The checkpoints of a round that the run trains: all but a given one."""
        return [path for path in self.ensemble(number) if path != self.checkpoint]

    def members(self, number: int) -> list[str]:
        """What predicts after a round: its own models, and the first ones where those stay."""
        first = self.ensemble(0) if self.config.run.fine_tuned else []
        return list(dict.fromkeys([*first, *self.ensemble(number)]))

    def pseudo_tiles(self, number: int) -> str:
        """The tiles that a round has labelled."""
        return f"{self.folder}/tiles/pseudo-{number}.zarr"

    def audit(self, number: int) -> str:
        """What a round of relabelling found."""
        return f"{self.folder}/relabel/round-{number}.json"


def targets(plan: Plan) -> dict[str, list[str]]:
    """Return what each target asks for, by its name: one for every stage that others wait for."""
    run, models, seeds = plan.folder, plan.config.run.models, plan.config.run.seeds
    mapped = plan.mapped_events()
    return {
        "calibrated": [
            f"{run}/calibrated/{scene}.zarr"
            for scene in plan.processed
            if scene not in plan.of_others
        ],
        "geocoded": [f"{run}/geocoded/{scene}.zarr" for scene in plan.first_scenes()],
        "tiled": [f"{run}/tiles/{event}.zarr" for event in plan.config.events],
        "taught": [plan.teacher] if plan.distills else [],
        "distilled": plan.ensemble(0) if plan.distills else [],
        "pretrained": [plan.pretrained(*one) for one in product(models, seeds) if plan.pretrains],
        "trained": plan.ensemble(0),
        "relabelled": plan.ensemble(plan.rounds),
        "predicted": [path for event in mapped if (path := plan.mosaic(event, "after"))],
        "delineated": [path for event in mapped for path in plan.map_products(event)],
        "evaluated": [f"{run}/evaluation/summary.json"] if plan.is_scored else [],
    }

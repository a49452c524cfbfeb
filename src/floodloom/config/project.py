"""The configuration of a run: the settings of all stages, and what a method presets of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    NonNegativeInt,
    PrivateAttr,
    model_validator,
)

from floodloom.datasets import DataSetName
from floodloom.learning.distillation.presets import PRESETS as DISTILLATIONS
from floodloom.learning.distillation.settings import DistillSettings, TeachSettings
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.learning.training.settings import (
    AugmentationSettings,
    TrainingSettings,
    TrainSettings,
)
from floodloom.mapping.settings import DelineateSettings, EvaluateSettings, PredictSettings
from floodloom.models.choices import ModelName
from floodloom.names import LONGEST
from floodloom.report.settings import ReportSettings
from floodloom.sentinel1.settings import (
    BackscatterSettings,
    CalibrateSettings,
    GeocodeSettings,
)
from floodloom.settings import Settings, of_jobs
from floodloom.simulate.settings import SimulateSettings
from floodloom.tiles.settings import Split, TileSettings

_OF_SECTION = {"distill": (DISTILLATIONS, "logits"), "relabel": (PRESETS, "pixel-gate")}
"""Presets by the section that names them, and the default. Of two with a key the first counts."""
_HOW_TRAINED = {*TrainingSettings.model_fields, *AugmentationSettings.model_fields}


def with_presets(content: Any) -> Any:
    """Return a configuration's content with its presets' values where it sets none itself.

    Parameters
    ----------
    content
        The parsed YAML; what isn't a mapping, or names no known preset, is returned as it is, for
        validation to judge.
    """
    if not isinstance(content, Mapping):
        return content
    filled = dict(content)
    for section, key, value in _preset_values(content):
        filled[section] = {**(filled.get(section) or {}), key: value}
    return filled


def _preset_values(content: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Return section, key and value of what presets set and the configuration doesn't."""
    found: dict[tuple[str, str], Any] = {}
    for naming, (registry, default) in _OF_SECTION.items():
        section = content.get(naming)
        name = section.get("preset", default) if isinstance(section, Mapping) else default
        if not isinstance(name, str) or name not in registry.names:
            continue
        for key, values in registry.load(name).items():
            own = content.get(key)
            if own is None or isinstance(own, Mapping):
                fresh = values.keys() - (own or {}).keys()
                found = {**{(key, one): values[one] for one in values if one in fresh}, **found}
    return [(*place, value) for place, value in found.items()]


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class RunSettings(Settings):
    """What is run: the name of the results folder, the ensemble, the rounds."""

    name: str = Field(
        pattern=_NAME,
        max_length=LONGEST,
        description="Name of the run; everything lies under results/<name>/",
    )
    models: tuple[ModelName, ...] = Field(
        default=("unet",), min_length=1, description="Architectures of the ensemble"
    )
    seeds: tuple[NonNegativeInt, ...] = Field(
        default=(0,), min_length=1, description="Seeds; every architecture is trained with each"
    )
    checkpoint: str | None = Field(
        default=None,
        description="Checkpoint to map with as it is, or to begin the rounds with: a file, or "
        "`default`, the model that an installation brings (`make default-model`), which is taken "
        "by itself where no event gives labels; null: train",
    )
    rounds: int | None = Field(
        default=None,
        ge=0,
        le=9,
        description="Rounds of relabelling; 0 does none; when not given 1, or 0 with a checkpoint",
    )
    fine_tuned: tuple[ModelName, ...] = Field(
        default=(),
        description="Architectures that rounds of relabelling train, whose last models then join "
        "all those from before the rounds; none: rounds train all, and replace those before",
    )
    depth: bool = Field(
        default=False, description="Map the flood depth, too; every mapped event needs a dem"
    )
    optical: bool = Field(
        default=False,
        description="Map events that have an optical image by the teacher, which sees it beside "
        "radar, instead of by the students; needs `distill` and `teach.radar`",
    )


class DaskSettings(Settings):
    """Who computes the raster stages; no result depends on it."""

    scheduler: str = Field(
        default="threads",
        pattern=r"^(threads|processes|synchronous|(tcp|tls|ucx)://.+)$",
        description="threads, processes or synchronous on the job's machine, or the address of a "
        "dask.distributed scheduler",
    )


LABELLED = ("train", "validation", "blocks")
"""Sides of the split whose labels are trained or validated on."""

Tiles = Annotated[tuple[str, ...], Field(min_length=1)]
"""STAC items of tiles."""


class EventSettings(Settings):
    """One flood event."""

    split: Split = Field(
        description="Side of the split; `blocks` splits the event's own ground from west to east "
        "(60 % training, 20 % validation, 20 % test), or a data set as it is published, `target` "
        "events give no labels and are mapped"
    )
    mapped: bool = Field(default=False, description="Predict and map this event too")
    seed: int | None = Field(default=None, description="Seed of a simulated event")
    backscatter: BackscatterSettings = Field(
        default_factory=BackscatterSettings,
        description="What backscatter of others among its scenes is, see docs/inputs.md",
    )
    dem: str | Tiles | None = Field(
        default=None,
        description="Elevation raster, or a folder of its tiles; or a list of STAC items of tiles, "
        "which are fetched; all rasters are GeoTIFFs",
    )
    labels: str | None = Field(
        default=None,
        description="Label raster: 0 dry, 1 permanent water, 2 flood; all else is unknown. Or "
        "points, lines and polygons with a column `class`, or a folder of a file for each class; "
        "all beside them is unknown",
    )
    optical: str | Tiles | None = Field(
        default=None,
        description="Optical raster: reflectance bands and a cloud mask. Or a list of STAC items "
        "of Sentinel-2 L2A of one pass, as for `dem`",
    )
    reference_water: str | Tiles | None = Field(
        default=None,
        description="Raster of permanent water: 1 water, 0 land, or its occurrence; see "
        "delineate.reference_minimum. Or a list of STAC items of its tiles, as for `dem`",
    )
    land_cover: str | Tiles | None = Field(
        default=None,
        description="Land cover raster; see delineate.urban and delineate.vegetation. Or a list of "
        "STAC items of its tiles, as for `dem`",
    )
    zones: str | None = Field(
        default=None,
        description="Polygons whose areas are listed, named by their column `name`: GeoPackage, "
        "FlatGeobuf, GeoJSON or shapefile",
    )


class Config(Settings):
    """Everything that decides a run."""

    run: RunSettings = Field(description="What is run")
    dask: DaskSettings = Field(
        default_factory=DaskSettings, description="Who computes the raster stages"
    )
    dataset: DataSetName | None = Field(
        default=None, description="Published data set that the scenes or chips come from"
    )
    data_root: str | None = Field(default=None, description="Folder of that data set")
    scenes: str | None = Field(
        default=None,
        description="Scene sheet (tab-separated): scene, event, role, source",
    )
    events: dict[str, EventSettings] = Field(default_factory=dict, description="The events by name")
    simulate: SimulateSettings = Field(
        default_factory=SimulateSettings, description="Simulated scenes"
    )
    calibrate: CalibrateSettings = Field(
        default_factory=CalibrateSettings, description="Radiometric calibration"
    )
    geocode: GeocodeSettings = Field(
        default_factory=GeocodeSettings, description="Terrain correction"
    )
    tile: TileSettings = Field(default_factory=TileSettings, description="Cutting of tiles")
    teach: TeachSettings | None = Field(
        default=None, description="Training of the optical teacher; used with `distill` only"
    )
    distill: DistillSettings | None = Field(
        default=None, description="Distillation of the teacher into the radar model; null: none"
    )
    train: TrainSettings = Field(default_factory=TrainSettings, description="Training")
    relabel: RelabelSettings = Field(
        default_factory=RelabelSettings, description="Semi-supervised relabelling"
    )
    predict: PredictSettings = Field(
        default_factory=PredictSettings, description="Mosaic-level prediction"
    )
    delineate: DelineateSettings = Field(
        default_factory=DelineateSettings, description="From water to flood"
    )
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings, description="Scores")
    report: ReportSettings = Field(default_factory=ReportSettings, description="Report and map")
    _of_presets: frozenset[tuple[str, str]] = PrivateAttr(default=frozenset())

    @property
    def gives_no_labels(self) -> bool:
        """Whether there are events, but none to be trained or validated on."""
        splits = {event.split for event in self.events.values()}
        return bool(splits) and splits.isdisjoint(LABELLED)

    @model_validator(mode="wrap")
    @classmethod
    def _fill_in(cls, content: Any, handler: ModelWrapValidatorHandler[Config]) -> Config:
        config = handler(with_presets(content))
        if isinstance(content, Mapping):
            config._of_presets = frozenset((s, key) for s, key, _ in _preset_values(content))
        return config

    def shared_with(self, section: Settings) -> dict[str, Any]:
        """Return what a section shares with others.

        How a preset of relabelling trains is no matter of teachers and students, which have
        defaults of their own; what it builds is.
        """
        return {
            key: getattr(getattr(self, name), key)
            for key, name in section.shared.items()
            if name != "train" or key not in _HOW_TRAINED or (name, key) not in self._of_presets
        }

    @model_validator(mode="after")
    def _check_inputs(self) -> Config:
        if self.dataset is not None and self.data_root is None:
            raise ValueError(f"data_root: not set; set it to the folder of {self.dataset}")
        if self.scenes is None and self.dataset is None:
            raise ValueError("scenes: not set; give a scene sheet, or a dataset")
        if self.gives_no_labels and self.run.rounds and self.predict.baseline is None:
            raise ValueError(
                "run.rounds: without labels nothing shows whether relabelling helps; add an event "
                "with labels (`split: train`), or take rounds out"
            )
        return self

    @model_validator(mode="after")
    def _check_teacher(self) -> Config:
        if self.distill is not None and self.teach is None:
            raise ValueError("teach: not set, but `distill` needs a teacher; add `teach: {}`")
        if self.run.optical and (self.distill is None or self.teach is None):
            raise ValueError("run.optical: needs a teacher; add `teach: {}` and `distill: {}`")
        if self.run.optical and self.teach is not None and not self.teach.radar:
            raise ValueError("run.optical: the teacher sees no radar; set teach.radar to true")
        return self

    @model_validator(mode="after")
    def _check_weights(self) -> Config:
        if self.run.checkpoint is not None and self.distill is not None:
            raise ValueError("run.checkpoint: nothing is distilled then; take `distill` out")
        others = {"distill": self.distill, "run.checkpoint": self.run.checkpoint}
        for other, given in others.items():
            if self.train.pretraining is not None and given is not None:
                raise ValueError(
                    f"train.encoder_weights: {self.train.pretraining} is learnt for weights "
                    f"that nothing begins with, as {other} brings them; take one of both out"
                )
        for key in ("checkpoint", "optical"):
            if self.predict.baseline is not None and getattr(self.run, key):
                raise ValueError(
                    f"run.{key}: predict.baseline maps without networks; take one of both out"
                )
        return self

    @model_validator(mode="after")
    def _check_keys_of_jobs(self) -> Config:
        for name, section in self:
            if not isinstance(section, Settings):
                continue
            for key in sorted(of_jobs(type(section)) & section.model_fields_set):
                if key in section.shared:
                    other = f"{section.shared[key]}.{key}"
                    raise ValueError(f"{name}.{key}: set {other}, which holds here, too")
                raise ValueError(f"{name}.{key}: the workflow sets it for each job; take it out")
        return self

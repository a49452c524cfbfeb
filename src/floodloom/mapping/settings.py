"""Settings of the stages `predict`, `delineate` and `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from floodloom.classical.choices import BaselineName
from floodloom.outputs import Files, Paths
from floodloom.settings import Settings, of_job


class PredictSettings(Settings):
    """Mosaic-level prediction."""

    shared: ClassVar[Mapping[str, str]] = {
        "mixed_orbits": "delineate",
        "reference_minimum": "delineate",
        "calibrate": "relabel",
    }

    baseline: BaselineName | None = Field(
        default=None,
        description="Method without learning that maps instead of networks; a run with one trains "
        "nothing; null: networks",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the baseline by name, such as size or classes, see "
        "`docs/baselines.md`",
    )
    tile: Annotated[int | None, Field(ge=64, multiple_of=32)] = of_job(
        default=None,
        description="Largest side of a window, px; when not given, 1024 in float32, 1408 in "
        "bfloat16 and int8",
    )
    tta: bool = Field(default=False, description="Average over the eight symmetries of the square")
    calibrate: bool = Field(
        default=True,
        description="Average calibrated probabilities; else the networks' own logits",
    )
    backend: Literal["auto", "torch", "onnxruntime", "openvino"] = Field(
        default="auto",
        description="What runs the network; auto: PyTorch, or OpenVINO where it is installed, for "
        "very large scenes on a processor that multiplies matrices (AMX)",
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        default="auto",
        description="Number format; auto: for large scenes int8, or else bfloat16, where the "
        "processor has instructions for it and it changes hardly any class of a sample of the "
        "scene; int8 is for the usual U-Net",
    )
    mixed_orbits: bool = Field(
        default=False, description="Accept a pre-event scene of the other orbit direction"
    )
    reference_minimum: int | None = Field(
        default=None, description="Value of the reference water of a baseline, as for `delineate`"
    )
    event: str = of_job(default="", description="Name of the event, for the file's tags")


class DelineateSettings(Settings):
    """From water to flood."""

    threshold: int = Field(
        default=50, ge=1, le=100, description="Percent from which a pixel is water"
    )
    before_threshold: int = Field(
        default=20,
        ge=1,
        le=100,
        description="Percent from which a pixel may have been water before the flood; from there "
        "to the threshold water is excluded. Of several dates, their mean, and the percent of them "
        "with water",
    )
    shore_buffer: int = Field(
        default=1,
        ge=0,
        description="Pixels around what was or may have been water that are taken for the same, "
        "where no flood goes on beyond them",
    )
    refine: Literal["none", "majority", "crf", "paul-ganju"] = Field(
        default="none",
        description="Cleaning before the sieve; majority is that of 3 x 3 px, crf follows edges in "
        "the backscatter, paul-ganju is the dense CRF of Paul and Ganju (2021)",
    )
    minimum_mapping_unit: float = Field(
        default=0.3,
        ge=0,
        description="Smallest patch, ha on the ground; without a CRS a pixel is taken for 100 m²",
    )
    reference_minimum: int | None = Field(
        default=None,
        description="Value of the reference water from which a pixel is permanent water, such as "
        "50 for JRC occurrence; when not given, 1 is water, or 50 where numbers can only be "
        "percentages",
    )
    minimum_change: float | None = Field(
        default=None,
        ge=0,
        description="Flood whose backscatter has changed by less since before is excluded, dB",
    )
    minimum_z_score: float | None = Field(
        default=None,
        ge=0,
        description="Flood whose backscatter differs by fewer standard deviations from the mean of "
        "the dates before is excluded; of one date it excludes nothing",
    )
    maximum_slope: float | None = Field(
        default=None, ge=0, description="Steeper ground is excluded, degrees"
    )
    maximum_height: float | None = Field(
        default=None,
        ge=0,
        description="Ground higher above the nearest drainage is excluded, m",
    )
    urban: tuple[int, ...] = Field(
        default=(50,), description="Values of the land cover that are built-up (ESA WorldCover)"
    )
    vegetation: tuple[int, ...] = Field(
        default=(10, 95),
        description="Values of the land cover that are dense vegetation (ESA WorldCover)",
    )
    mixed_orbits: bool = Field(
        default=False,
        description="Accept scenes before the flood of the other orbit direction; holds for "
        "prediction, too",
    )
    event: str = of_job(
        default="",
        description="Name of the event; that of the probability mosaic, or the item's folder, when "
        "not given",
    )
    collection: str = of_job(
        default="",
        description="STAC collection (.json) that `report` writes of the maps, to which the item "
        "links",
    )


class EvaluateSettings(Settings):
    """Scores."""

    beta: float = Field(
        default=2.0,
        gt=0,
        le=100,
        description="β of Fβ and of weighted Fβ: recall counts β times as much as precision; "
        "published weighted Fβ have 1",
    )
    event: tuple[str, ...] = of_job(
        default=(),
        description="Names of the predictions' events; their file's folder when not given",
    )
    transductive: tuple[str, ...] = of_job(
        default=(),
        description="Events whose scenes were used in training, without their labels",
    )


_HOMES = ("/home", "/Users")


def event_of(path: str | Path) -> str:
    """Return the name of a file's folder, or the file's own if that would name a person.

    Parameters
    ----------
    path
        A product of the event.
    """
    folder = Path(path).resolve().parent
    if not folder.name or folder == _home() or str(folder.parent) in _HOMES:
        return Path(path).stem
    return folder.name


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the machine has none
        return None


class PredictFiles(Files):
    """What a scene may be mapped with, beside itself and the ensemble."""

    before: Path | None = Field(
        default=None,
        description="Scene store before the event, for models with bands that begin with before_ "
        "and for the baseline `change`; others don't look at it",
    )
    optical: Path | None = Field(
        default=None,
        description="Optical raster of the same days, for networks that see one; without it, under "
        "clouds, and if it is refused (with a warning), they go by radar alone, if they have "
        "learnt that",
    )
    dem: Path | None = Field(
        default=None,
        description="Elevation raster, or a folder of its tiles, for models with bands that come "
        "from one, and for baselines: ground that lies high above the drainage is dry to them; "
        "other models don't look at it",
    )
    reference_water: Path | None = Field(
        default=None,
        description="Raster of permanent water, for the baselines `kim` and `mask-contrast`, which "
        "learn from it how dark water is; others don't take it",
    )
    radar_checkpoint: Paths = Field(
        default=(),
        description="Checkpoints of networks that see radar alone, such as the students of "
        "distill, which map the scene instead if the optical image is refused",
    )

"""What a scene store states of its pixels: the recipe of their values, and flags of doubt."""

from __future__ import annotations

import hashlib
import math
from enum import IntFlag
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from floodloom.errors import RecipeMismatchError


class Flag(IntFlag):
    """Bits of the `flags` layer of a scene store (uint8)."""

    NODATA = 1
    BORDER = 2
    BELOW_NOISE = 4
    LAYOVER = 8
    SHADOW = 16
    LOW_ANGLE = 32
    NO_ELEVATION = 64


FLAG_ATTRS: dict[str, object] = {
    "long_name": "quality flags",
    "flag_masks": [int(flag) for flag in Flag],
    "flag_meanings": " ".join(str(flag.name).lower() for flag in Flag),
}
"""CF attributes of the `flags` variable."""

Quantity = Literal["beta0", "sigma0", "gamma0", "dn", "display"]
Normalisation = Literal["fixed", "scene"]

Spacing = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_DEGREES = 1000.0  # no two scenes are so unlike; a degree is some 100 times more
_MOST_BANDS = 100
_PRODUCT_FIELDS = ("quantity", "noise_removed", "flattened", "speckle_filter", "spacing")
_LIKE = 2.0  # times as large


class Accepted(BaseModel):
    """What scenes a network takes beside those of its own recipe, because it was trained on such.

    Whether noise is removed, terrain flattened and speckle filtered makes no difference to it. Of
    display values nothing else is known, so nothing else is asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantities: tuple[Quantity, ...] = Field(
        min_length=1, max_length=5, description="Backscatter coefficients"
    )
    spacing: tuple[Spacing, Spacing] = Field(description="Least and greatest pixel spacing, m")
    absent: tuple[str, ...] = Field(
        default=(), max_length=_MOST_BANDS, description="Bands that a scene may lack"
    )

    def admits(self, field: str, found: object) -> bool:
        """Return whether a value of a field of a scene's recipe is accepted."""
        if field == "quantity":
            return found in self.quantities
        if field == "spacing":
            low, high = self.spacing
            return isinstance(found, float) and low <= found <= high
        return field in _PRODUCT_FIELDS

    def described(self, field: str) -> str:
        """Return in words which values of a field are accepted."""
        if field == "quantity":
            return " or ".join(self.quantities)
        return "{:g} to {:g} m".format(*self.spacing)


class Recipe(BaseModel):
    """Everything that decides what a number in an input band means.

    A scene store carries the product part (quantity to spacing); a tile store and a checkpoint
    carry the input part too (bands to normalisation).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantity: Quantity = Field(description="Backscatter coefficient, or display-stretched values")
    noise_removed: bool = Field(default=False, description="Thermal noise subtracted")
    flattened: bool = Field(default=False, description="Terrain-flattened by area projection")
    speckle_filter: str = Field(
        default="none", max_length=100, description="Speckle filter and its window"
    )
    spacing: Spacing | None = Field(
        default=None,
        description="Pixel spacing, m; of a grid in degrees that from north to south",
    )
    bands: tuple[str, ...] = Field(
        default=(), max_length=_MOST_BANDS, description="Input bands in order"
    )
    db_range: tuple[float, float] = Field(
        default=(-30.0, 5.0), description="Decibel range mapped to -1..1 by fixed normalisation"
    )
    normalisation: Normalisation = Field(
        default="fixed", description="Fixed constants, or the statistics of the whole scene"
    )

    @field_validator("bands")
    @classmethod
    def _different(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(bands)) < len(bands):
            raise ValueError("bands must differ")
        return bands

    @field_validator("db_range")
    @classmethod
    def _ascending(cls, limits: tuple[float, float]) -> tuple[float, float]:
        low, high = limits
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError("must be finite and ascending")
        return limits

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change when any field does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def for_inputs(
        self,
        bands: tuple[str, ...],
        db_range: tuple[float, float] = (-30.0, 5.0),
        normalisation: Normalisation = "fixed",
    ) -> Recipe:
        """Return this product recipe completed by the inputs made from it."""
        return self.model_copy(
            update={"bands": bands, "db_range": db_range, "normalisation": normalisation}
        )

    def require_scene(self, scene: Recipe, name: str, accepted: Accepted | None = None) -> None:
        """Check that a scene was made the way this recipe's data were.

        Parameters
        ----------
        scene, name
            The recipe of the scene, and its name for messages.
        accepted
            What else is taken.

        Raises
        ------
        RecipeMismatchError
            Naming the scene and the first field that differs.
        """
        self._require(scene, name, _PRODUCT_FIELDS, accepted)

    def require_alike(self, scene: Recipe, name: str) -> None:
        """Check that a scene may stand beside one of this recipe, on one grid.

        As `require_scene`, but the pixels of one may be up to twice as large as those of the other,
        as they are where one lies in degrees and the other in metres.
        """
        sizes = [size for size in (self.spacing, scene.spacing) if size is not None]
        alike = len(sizes) > 1 and max(sizes) <= _LIKE * min(sizes)
        fields = _PRODUCT_FIELDS[:-1] if alike else _PRODUCT_FIELDS
        self._require(scene, name, fields, None)

    def require_inputs(self, other: Recipe, name: str, accepted: Accepted | None = None) -> None:
        """Check that two sets of inputs agree in every field.

        Parameters
        ----------
        other, name
            The recipe of the other set, and its name for messages.
        accepted
            What else is taken of the scenes that it was made of.

        Raises
        ------
        RecipeMismatchError
            Naming the other artefact and the first field that differs.
        """
        self._require(other, name, tuple(Recipe.model_fields), accepted)

    def _require(
        self, other: Recipe, name: str, fields: tuple[str, ...], accepted: Accepted | None
    ) -> None:
        is_display = other.quantity == "display"
        if accepted is not None and is_display and "display" in accepted.quantities:
            fields = tuple(field for field in fields if field not in _PRODUCT_FIELDS)
        for field in fields:
            expected, found = getattr(self, field), getattr(other, field)
            if expected == found or (accepted is not None and accepted.admits(field, found)):
                continue
            wanted = repr(expected)
            if accepted is not None and field in _PRODUCT_FIELDS:
                wanted = accepted.described(field)
            raise RecipeMismatchError(
                f"{name}: {field} is {found!r} but {wanted} is expected"
                f"{_hint(field, found, expected)}; "
                "process it with the same settings or use a model trained on such data"
            )


def _hint(field: str, found: object, expected: object) -> str:
    """Say what may be behind it: spacings in other units, or tiles cut for other networks."""
    if field == "bands":
        return " (`floodloom tile --checkpoint` cuts tiles in the bands of a checkpoint)"
    if field != "spacing" or not (isinstance(found, float) and isinstance(expected, float)):
        return ""
    fine, coarse = sorted((found, expected))
    return ": one is in degrees, the other in metres" if fine * _DEGREES < coarse else ""

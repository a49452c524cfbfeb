"""What every settings model shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings of one stage: its keyword arguments, without the paths."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

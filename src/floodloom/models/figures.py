"""What is known of the architectures without building any, as `floodloom models` lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from floodloom.models.choices import ARCHITECTURES

if TYPE_CHECKING:
    from rich.table import Table

FILE = Path(__file__).parent / "figures.json"
"""Figures of floodloom's own architectures, which `make docs` measures."""

LARGEST_FIELD = 1024
"""Widest receptive field that is measured, px; what reaches further reports this."""


@dataclass(frozen=True)
class ModelFigures:
    """Figures of an architecture with its default arguments.

    Attributes
    ----------
    name
        What `build` takes.
    parameters
        Trained values.
    receptive_field
        Columns of the input that can change one of the output, px, at most `LARGEST_FIELD`.
    multiply_adds_per_mpx
        Multiply-adds of convolutions and matrix products, in billions, on an image of one megapixel
        (2²⁰ pixels); normalisation, activation, pooling and interpolation are not counted.
    source
        Paper.
    """

    name: str
    parameters: int
    receptive_field: int
    multiply_adds_per_mpx: float
    source: str


def known_figures() -> dict[str, ModelFigures]:
    """Return the figures of floodloom's own architectures with their default arguments."""
    return {row["name"]: ModelFigures(**row) for row in json.loads(FILE.read_text("utf-8"))}


def describe() -> list[ModelFigures]:
    """Return the figures of all architectures by name; of those without any, measured."""
    known = known_figures()
    return [known[name] if name in known else _measure(name) for name in ARCHITECTURES.names]


def _measure(name: str) -> ModelFigures:
    from floodloom.models.measure import measure

    return measure(name)


def models_table() -> Table:
    """Return the figures as a table."""
    from rich.table import Table

    table = Table(title="Architectures")
    columns = ("name", "parameters", "receptive field, px", "10⁹ multiply-adds / Mpx", "source")
    for column in columns:
        table.add_column(column, justify="left" if column in ("name", "source") else "right")
    for row in describe():
        field = f"{row.receptive_field:,}"
        table.add_row(
            row.name,
            f"{row.parameters:,}",
            f"≥ {field}" if row.receptive_field == LARGEST_FIELD else field,
            f"{row.multiply_adds_per_mpx:.1f}",
            row.source,
        )
    return table

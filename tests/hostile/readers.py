"""All readers of files that users give, by their names."""

from __future__ import annotations

from . import readers_files, readers_products, readers_texts
from .reader import READERS

__all__ = ["READERS", "readers_files", "readers_products", "readers_texts"]

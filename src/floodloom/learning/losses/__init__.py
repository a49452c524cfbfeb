"""Losses by name, each in a module of its own that defines it as `loss`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodloom.registry import Registry

if TYPE_CHECKING:
    from floodloom.learning.loss import Loss

LOSSES: Registry[Loss] = Registry("loss", __name__, "loss")
"""Other distributions add theirs as entry points of the group `floodloom.learning.losses`."""

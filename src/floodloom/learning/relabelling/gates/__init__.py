"""Gates by name: which predictions become pseudo labels. Each is a module here, see `gate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodloom.registry import Registry

if TYPE_CHECKING:
    from floodloom.learning.relabelling.gate import Gate

GATES: Registry[Gate] = Registry("gate", __name__, "gate", hyphens=True)

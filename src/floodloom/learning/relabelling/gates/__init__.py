"""Gates by name: which predictions become pseudo labels. Each is a module here, see `gate`."""

from __future__ import annotations

from floodloom.learning.relabelling.gate import Gate
from floodloom.registry import Registry

GATES: Registry[Gate] = Registry("gate", __name__, "gate", hyphens=True)

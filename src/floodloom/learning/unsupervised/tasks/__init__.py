"""Tasks of pretraining by name, each in a module of its own that defines it as `TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodloom.registry import Registry

if TYPE_CHECKING:
    from floodloom.learning.unsupervised.task import Task

TASKS: Registry[type[Task]] = Registry("pretraining", __name__, "TASK", hyphens=True)
"""Other distributions add theirs as entry points of the group
`floodloom.learning.unsupervised.tasks`."""

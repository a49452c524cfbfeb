"""Things of one kind by name, each of which is added in one file.

A loss, a gate, a preset, an architecture or an adapter of a data set is a module of its kind's
package: the module's name is the thing's, and what it defines under the kind's attribute is the
thing. Nothing is imported before it is asked for, so the names cost nothing, and a job depends on
the code of what it uses alone. Other distributions add theirs by entry points, whose group is the
package's name.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from floodloom.errors import ConfigError
from floodloom.texts import brief

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """Things of one kind by name.

    Parameters
    ----------
    kind
        What they are, for messages: `loss`.
    package
        Package whose modules they are; modules that begin with an underscore are none.
    attribute
        Name under which each module defines its thing.
    hyphens
        Whether the names have hyphens where the modules' names have underscores.
    """

    def __init__(self, kind: str, package: str, attribute: str, *, hyphens: bool = False) -> None:
        self.kind = kind
        self.package = package
        self.attribute = attribute
        self.hyphens = hyphens

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all, sorted."""
        return tuple(sorted({*self._own, *self._others}))

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of those that floodloom brings, sorted."""
        return tuple(sorted(self._own))

    def choice(self) -> Any:
        """Return the type of a field whose values are the names."""
        return Annotated[Literal[self.names], self]

    def module(self, name: str) -> str:
        """Return the name of the module that defines a thing."""
        self._require(name)
        if name in self._own:
            return f"{self.package}.{self._own[name]}"
        return self._others[name].module

    def load(self, name: str) -> Thing:
        """Import and return a thing.

        Raises
        ------
        ConfigError
            If none has that name.
        """
        self._require(name)
        if name in self._own:
            thing: Thing = getattr(import_module(self.module(name)), self.attribute)
            return thing
        loaded: Thing = self._others[name].load()
        return loaded

    def _require(self, name: str) -> None:
        if name not in self._own and name not in self._others:
            raise ConfigError(
                f"{self.kind} {brief(name)}: unknown; choose one of {', '.join(self.names)}"
            )

    @cached_property
    def _own(self) -> dict[str, str]:
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec is not None else None
        files = [file for folder in folders or () for file in Path(folder).glob("[!_]*.py")]
        return {self._name(file.stem): file.stem for file in files}

    @cached_property
    def _others(self) -> dict[str, EntryPoint]:
        return {found.name: found for found in entry_points(group=self.package)}

    def _name(self, module: str) -> str:
        return module.replace("_", "-") if self.hyphens else module

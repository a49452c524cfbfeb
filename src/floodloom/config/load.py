"""Reading the configuration and the scene sheet, with errors that a person can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from floodloom.acquire.item import is_item
from floodloom.classical.choices import BASELINES
from floodloom.config.paths import require_item, require_path, require_web
from floodloom.config.project import Config
from floodloom.config.text import kind_of, read_table
from floodloom.datasets import DATASETS
from floodloom.dates import group_by_pass, read_date, time_in_name
from floodloom.errors import ConfigError
from floodloom.models.choices import DEFAULT, DEFAULT_CHECKPOINT, NO_DEFAULT
from floodloom.names import require_name, require_sha256
from floodloom.sentinel1.producers import is_backscatter
from floodloom.sentinel1.settings import FETCH
from floodloom.settings import of_jobs
from floodloom.texts import brief, is_address, redact, shorten

_COLUMNS = ("scene", "event", "role", "source")
_OPTIONAL = ("sha256", "date", "assets")
_ROLES = ("before", "after")
_MOST_SCENES = 10_000
_SOME = 20  # names that a message lists
_ASSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SIMULATED = "simulated"
DATASET = "dataset"


@dataclass(frozen=True)
class Scene:
    """One row of the scene sheet.

    `role` is `after`, or that of its date before the flood: `before`, `before-2`, `before-3`, …;
    `date` is when it was taken, a time or a day, None where neither sheet nor name states it.
    `assets` are those of a STAC item that are its bands, where others have corrected it for the
    terrain.
    """

    name: str
    event: str
    role: str
    source: str
    sha256: str | None = None
    date: date | None = None
    assets: tuple[str, ...] = ()


def load_config(content: Mapping[str, Any], origin: str = "config") -> Config:
    """Validate a configuration.

    Parameters
    ----------
    content
        The parsed YAML.
    origin
        Name of the file, for messages.

    Returns
    -------
    Config
        Frozen, with defaults filled in.

    Raises
    ------
    ConfigError
        One line that names the first wrong key, its value and what is expected.
    """
    if not isinstance(content, Mapping) or not content:
        raise ConfigError(f"{origin}: no keys at the top level; see config/README.md")
    try:
        _check_names(content, f"{origin}: ")
        config = Config.model_validate(dict(content))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(error)}") from None
    except RecursionError:
        raise ConfigError(f"{origin}: nested too deep; see config/README.md") from None
    _check_events(config, origin)
    _check_arguments(config, origin)
    _check_baseline(config, origin)
    _check_default(config, origin)
    return config


def _check_names(
    content: Mapping[Any, Any], where: str, seen: dict[int, bool] | None = None
) -> None:
    """Refuse keys that YAML took for something else; what aliases repeat is looked at once."""
    seen = {} if seen is None else seen
    seen[id(content)] = False
    for key, value in content.items():
        if not isinstance(key, str):
            kind = kind_of(key) or type(key).__name__
            raise ConfigError(f"{where}{key}: read as {kind}; quote it: '{key}'")
        if isinstance(value, Mapping) and not seen.get(id(value), True):
            raise ConfigError(f"{where}{key}: nested too deep: it is a part of itself")
        if isinstance(value, Mapping) and id(value) not in seen:
            _check_names(value, f"{where}{key}.", seen)
    seen[id(content)] = True


def _check_events(config: Config, origin: str) -> None:
    """Refuse events whose names make no folders, or those of others."""
    for name in config.events:
        require_name(name, f"{origin}: event", ConfigError)


def _check_arguments(config: Config, origin: str) -> None:
    """Refuse arguments that an architecture of the run doesn't have."""
    if not config.train.arguments:
        return
    from floodloom.models.registry import require_choices  # needs torch, and seldom is

    teacher = (config.teach.model,) if config.teach is not None else ()
    for name in dict.fromkeys((*config.run.models, *teacher)):
        try:
            require_choices(name, config.train.arguments)
        except ConfigError as error:
            raise ConfigError(f"{origin}: train.arguments: {error}") from error


def _check_baseline(config: Config, origin: str) -> None:
    """Refuse arguments that the baseline of the run doesn't have."""
    name, given = config.predict.baseline, config.predict.arguments
    if not given:
        return
    if name is None:
        raise ConfigError(
            f"{origin}: predict.arguments: they are those of a baseline; set predict.baseline"
        )
    try:
        BASELINES.load(name).read_arguments(name, given)
    except ConfigError as error:
        raise ConfigError(f"{origin}: predict.arguments: {error}") from error


def _check_default(config: Config, origin: str) -> None:
    """Refuse the model that floodloom brings where this installation brings none."""
    if config.run.checkpoint == DEFAULT and not DEFAULT_CHECKPOINT.is_file():
        raise ConfigError(f"{origin}: run.checkpoint: {NO_DEFAULT}")


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(shorten(str(part)) for part in first["loc"])
    given = brief(first["input"])
    if first["type"] == "string_type" and (kind := kind_of(first["input"])):
        return f"{key}: read as {kind} ({given}); quote it"
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key{_suggestion(first['loc'])}; see config/README.md"
    if first["type"] == "missing":
        return f"{key}: missing key; see config/README.md"
    if first["type"] == "value_error" and not key:
        return str(first["ctx"]["error"])
    message = shorten(first["msg"][0].lower() + first["msg"][1:], 300)
    return f"{key}: {message}, got {given}"


def _suggestion(location: tuple[int | str, ...]) -> str:
    model: Any = Config
    for part in location[:-1]:
        model = _inner_model(model, str(part))
        if model is None:
            return ""
    key = str(location[-1])
    arguments = model.model_fields.get("arguments")
    if arguments is not None and key in re.findall(r"\w+", arguments.description or ""):
        return f", did you mean `arguments: {{{key}: …}}`?"
    others = [name for name in Config.model_fields if key in _keys_of(name)]
    if len(others) == 1:
        return f", did you mean `{others[0]}.{key}`?"
    close = difflib.get_close_matches(key, list(model.model_fields), n=1)
    return f", did you mean `{close[0]}`?" if close else ": take it out"


def _keys_of(section: str) -> set[str]:
    """Return the keys of a section, none of a key that isn't one."""
    model = _inner_model(Config, section)
    return set() if model is None else model.model_fields.keys() - of_jobs(model)


def _inner_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    if name not in model.model_fields:
        return None
    annotation: Any = model.model_fields[name].annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def load_scenes(config: Config, folder: Path | None = None) -> dict[str, Scene]:
    """Read and check the scene sheet.

    Parameters
    ----------
    config
        The configuration that names it.
    folder
        Folder that relative paths start from; the working directory by default.

    Returns
    -------
    dict
        Scene by name; empty when the configuration names no sheet.

    Raises
    ------
    ConfigError
        One line that names the row and column.
    """
    if config.scenes is None:
        return {}
    folder = folder or Path()
    sheet = folder / config.scenes
    if not sheet.is_file():
        raise ConfigError(f"scenes: {config.scenes} not found; check the path of the scene sheet")
    scenes: dict[str, Scene] = {}
    for number, row in read_table(sheet, config.scenes, _COLUMNS):
        if len(scenes) >= _MOST_SCENES:
            raise ConfigError(
                f"{config.scenes}: row {number}: more than {_MOST_SCENES:,} scenes; part them into "
                "several runs"
            )
        scene = _scene(row, config, f"{config.scenes}: row {number}", folder)
        if scene.name in scenes:
            raise ConfigError(
                f"{config.scenes}: row {number}: scene {scene.name!r} is there twice; "
                "give every scene its own name"
            )
        scenes[scene.name] = scene
    _check_pairs(scenes, config.scenes)
    _check_statements(scenes, config, folder)
    return {scene.name: scene for scene in _with_roles(scenes.values(), config.scenes)}


def _with_roles(scenes: Iterable[Scene], sheet: str) -> list[Scene]:
    """Give each date before the flood a role of its own, in the order of the sheet."""
    listed = list(scenes)
    earlier: dict[str, list[int]] = {}
    for number, scene in enumerate(listed):
        if scene.role == "before":
            earlier.setdefault(scene.event, []).append(number)
    for event, numbers in earlier.items():
        try:
            passes = group_by_pass([listed[number].date for number in numbers])
        except LookupError as error:
            unknown = listed[numbers[error.args[0]]]
            raise ConfigError(
                f"{sheet}: scene {unknown.name!r}: its name doesn't state when it was taken, and "
                f"event {event!r} has several dates before the flood; state it in a column "
                "`date`, such as 2023-05-14"
            ) from None
        for count, members in enumerate(passes[1:], start=2):
            for member in members:
                number = numbers[member]
                listed[number] = replace(listed[number], role=f"before-{count}")
    return listed


def _scene(row: Mapping[str, str], config: Config, where: str, folder: Path) -> Scene:
    values = {column: row.get(column, "") for column in (*_COLUMNS, *_OPTIONAL)}
    empty = [column for column in _COLUMNS if not values[column]]
    if empty:
        raise ConfigError(f"{where}: {empty[0]} is empty")
    require_name(values["scene"], f"{where}: scene", ConfigError)
    if values["event"] not in config.events:
        have = ", ".join(list(config.events)[:_SOME]) or "none"
        have += ", …" if len(config.events) > _SOME else ""
        raise ConfigError(
            f"{where}: event {brief(values['event'])} is not among `events` ({have}); add it there"
        )
    if values["role"] not in _ROLES:
        raise ConfigError(f"{where}: role {brief(values['role'])} must be `before` or `after`")
    source = values["source"]
    if is_address(source):
        require_web(source, f"{where}: source")
    elif source not in (SIMULATED, DATASET):
        require_path(source, folder, f"{where}: source")
    if source == DATASET and config.dataset is None:
        raise ConfigError(f"{where}: source is `dataset`, but the key `dataset` is not set")
    if values["sha256"]:
        require_sha256(values["sha256"], f"{where}: sha256", ConfigError)
    taken = _date(values["date"], where) if values["date"] else time_in_name(source)
    digest = values["sha256"] or None
    assets = _assets(values["assets"], source, folder, where)
    return Scene(values["scene"], values["event"], values["role"], source, digest, taken, assets)


def _assets(text: str, source: str, folder: Path, where: str) -> tuple[str, ...]:
    """Return the assets of a STAC item that a row names."""
    if not text:
        return ()
    named = tuple(part.strip() for part in text.split(","))
    if not all(map(_ASSET.fullmatch, named)) or len(set(named)) < len(named):
        raise ConfigError(f"{where}: assets {brief(text)} must be names with commas, like vv,vh")
    if not is_item(source):
        raise ConfigError(f"{where}: assets: {redact(source)} isn't a STAC item; leave them out")
    require_item(source, folder, f"{where}: source")
    return named


def _date(text: str, where: str) -> date:
    try:
        return read_date(text)
    except ValueError:
        raise ConfigError(
            f"{where}: date {brief(text)} must be like 2023-05-14 or 2023-05-14T16:58:21"
        ) from None


def _check_pairs(scenes: Mapping[str, Scene], sheet: str) -> None:
    """Several products of one pass are mosaicked; simulated and published scenes can't be."""
    seen: dict[tuple[str, str], str] = {}
    for scene in scenes.values():
        if scene.source not in (SIMULATED, DATASET):
            continue
        other = seen.setdefault((scene.event, scene.role), scene.name)
        if other != scene.name:
            raise ConfigError(
                f"{sheet}: scenes {other!r} and {scene.name!r} are both `{scene.role}` of event "
                f"{scene.event!r}; keep one of them"
            )


def _check_statements(scenes: Mapping[str, Scene], config: Config, folder: Path) -> None:
    """Refuse statements of backscatter of others where there is none."""
    for name, event in config.events.items():
        sources = [scene.source for scene in scenes.values() if scene.event == name]
        local = (folder / source for source in sources if not is_address(source))
        fetched = any(scene.assets for scene in scenes.values() if scene.event == name)
        stated = event.backscatter.model_fields_set and not fetched
        if stated and not any(map(is_backscatter, local)):
            raise ConfigError(
                f"events.{name}.backscatter: no scene of {name} is backscatter of others, which "
                "floodloom doesn't calibrate; take it out"
            )


def check_paths(config: Config, folder: Path | None = None) -> None:
    """Check that the files that the events name exist.

    Raises
    ------
    ConfigError
        One line that names the key.
    """
    folder = folder or Path()
    for name, event in config.events.items():
        for key in ("dem", "labels", "optical", "reference_water", "land_cover", "zones"):
            given = getattr(event, key)
            if isinstance(given, str):
                require_path(given, folder, f"events.{name}.{key}:")
            for item in given if isinstance(given, tuple) else ():
                require_item(item, folder, f"events.{name}.{key}:")
    if config.calibrate.orbit not in (None, FETCH):
        require_path(str(config.calibrate.orbit), folder, "calibrate.orbit:")
    if config.data_root is not None and not (folder / config.data_root).is_dir():
        raise ConfigError(f"data_root: {config.data_root} not found; {_remedy(config.dataset)}")


def _remedy(dataset: str | None) -> str:
    if dataset is None:
        return "take the key out, or set `dataset` to what lies there"
    published = DATASETS.load(dataset).published
    return f"{dataset} is published at {published}: fetch it and set `data_root` to its folder"

"""The pages made from the configuration models: config/README.md and the JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from floodloom.config.project import Config, EventSettings, RunSettings
from floodloom.learning.distillation.presets import PRESETS as DISTILLATIONS
from floodloom.learning.relabelling.presets import PRESETS, Preset
from floodloom.registry import Registry
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.settings import of_jobs

REFERENCE = Path("config/README.md")
SCHEMA = Path("src/floodloom/workflow/schemas/config.schema.json")

_HEAD = """# Configuration

Every key of a configuration file, its type, default and meaning. This page and
`src/floodloom/workflow/schemas/config.schema.json` are made by `make docs` from the settings, which
lie beside the code that they configure; edit these, not the page. `floodloom init` writes a
configuration for files of your own.

One file describes one run: `snakemake --cores 2 --configfile config/etci2021.yaml`. Without
`--configfile`, `config/config.yaml` (a simulated event) is used. Unknown keys are refused.

| file | run |
|---|---|
| `config.yaml`, `scenes.tsv` | `make demo`: a simulated flood, mapped by floodloom's own model |
| `train.yaml`, `train.tsv` | `make demo-train`: the whole learning chain on simulated events |
| `etci2021.yaml`, `etci2021.tsv` | ETCI 2021: labels of one scene, another without any |
| `ombria.yaml` | OMBRIA: chips before and after, with optical images for some |
| `sen1floods11.yaml`, `kuro-siwo.yaml`, `stac-overflow.yaml`, `etci2021-published.yaml`, \
`folder.yaml` | other [labelled data sets](../docs/datasets.md), and chips of your own |

## The scene sheet

A tab-separated file with one row per scene:

| column | meaning |
|---|---|
| `scene` | name of the scene, see [docs/security.md](../docs/security.md); no two alike |
| `event` | the event it shows, one of the keys of `events` |
| `role` | `before` or `after` the flood; of before there may be \
[several dates](../docs/inputs.md#several-dates-before-the-flood) |
| `source` | path of a SAFE folder, zip, STAC item or [backscatter of others](../docs/inputs.md), \
URL of a zip or item, `simulated`, `dataset` |
| `sha256` | optional: digest of the file behind a URL |
| `assets` | optional: assets of a STAC item that are the bands of a \
terrain-corrected scene (RTC), such as `vv,vh` |
| `date` | optional: when the scene was taken, `2023-05-14` or `2023-05-14T16:58:21`, where the \
name of its source doesn't state it |

Configuration and sheet are texts in UTF-8. YAML takes `2023-05-14`, `2023`, `no` and `on` for a
date, a number, and true or false: quote them where they are names (`'2023-05-14':`). Paths may hold
any letter, but Snakemake takes a name in braces (`{a}`) for a wildcard. Tokens in URLs are shown
nowhere; the sheet holds them, so keep it out of what you share.
"""


_PRESETS = """## Presets of `{section}.preset`

What each method sets instead of the defaults above. A key that the configuration sets itself wins.
"""


def reference() -> str:
    """Return the text of config/README.md."""
    parts = [_HEAD, "## Top level\n", _table(Config)]
    for name, model in sections().items():
        note = "\n".join((model.__doc__ or "").strip().splitlines()[:1])
        parts += [f"## `{name}`\n", f"{note}\n", _table(model)]
    for section, presets in (("relabel", PRESETS), ("distill", DISTILLATIONS)):
        parts += [_PRESETS.format(section=section), _preset_table(presets)]
    return "\n".join(parts)


def _preset_table(presets: Registry[Preset]) -> str:
    rows = ["| preset | key | value |", "|---|---|---|"]
    for preset in presets.names:
        sections = presets.load(preset)
        keys = [f"{name}.{key}" for name, values in sections.items() for key in values]
        values = [value for values in sections.values() for value in values.values()]
        for key, value in zip(keys or ["(all defaults)"], values or [None], strict=True):
            shown = "" if value is None and not keys else f"`{json.dumps(value)}`"
            rows.append(f"| `{preset}` | {key if not keys else f'`{key}`'} | {shown} |")
    return "\n".join(rows) + "\n"


def schema() -> str:
    """Return the JSON Schema of a configuration file."""
    found = Config.model_json_schema()
    for model in sections().values():
        properties = found["$defs"][model.__name__]["properties"]
        for name in of_jobs(model):
            del properties[name]
    return json.dumps(found, indent=2) + "\n"


def sections() -> dict[str, type[BaseModel]]:
    """Return the model of every section by its key."""
    found: dict[str, type[BaseModel]] = {
        "run": RunSettings,
        "events.<name>": EventSettings,
        "events.<name>.backscatter": BackscatterSettings,
    }
    for name, field in Config.model_fields.items():
        model = _model_of(field)
        if model is not None:
            found.setdefault(name, model)
    return found


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation: Any = field.annotation
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate if candidate is not EventSettings else None
    return None


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        if name in of_jobs(model):
            continue
        default = "required" if field.is_required() else _default(field)
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `{name}` | {_type(properties[name])} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel) or value == {}:
        return "see below"
    return f"`{json.dumps(value)}`"


def _type(part: dict[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "anyOf" in part:
        return " or ".join(_type(option) for option in part["anyOf"])
    if "$ref" in part:
        return "section"
    if part.get("type") == "array":
        return f"list of {_type(part['items'])}" if "items" in part else "list"
    if part.get("type") == "object":
        return "mapping"
    return str(part.get("type", "any"))


def main() -> None:
    """Write the generated pages."""
    REFERENCE.write_text(reference(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The tables of benchmarks/README.md and of the project's README, made from benchmarks/results.

`make docs` writes them; a test keeps them in step.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.auto_tables import auto_tables
from benchmarks.baselines_tables import baselines_tables
from benchmarks.choices_tables import choices_tables
from benchmarks.default_model_tables import default_model_tables
from benchmarks.delineate_tables import delineate_tables
from benchmarks.distill_tables import distill_tables
from benchmarks.label_shift_tables import label_shift_tables
from benchmarks.labels_tables import labels_tables
from benchmarks.maps_tables import maps_tables
from benchmarks.pair_tables import pair_tables
from benchmarks.predict_default_tables import predict_default_tables
from benchmarks.predict_tables import predict_tables
from benchmarks.record import RESULTS
from benchmarks.relabel_tables import relabel_tables
from benchmarks.scale_tables import scale_tables
from benchmarks.seasonal_tables import seasonal_tables
from benchmarks.sentinel1_tables import sentinel1_tables
from benchmarks.simulator_tables import simulator_tables
from benchmarks.start import start_table
from benchmarks.train_tables import train_tables
from benchmarks.vegetation_tables import vegetation_tables
from benchmarks.zoo_tables import zoo_tables
from floodloom.files import read_json

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "benchmarks" / "README.md"
README = REPOSITORY / "README.md"
MODEL_CARD = REPOSITORY / "docs" / "model-card.md"
BEGIN, END = "<!-- scores: made by `make docs` -->", "<!-- end of scores -->"

_HEAD = """# Benchmarks

Each table is one command, `make bench-<name>`, which writes `benchmarks/results/<name>.json` with
the figures, the hardware, the commit, the command and the seeds. `make docs` makes this page from
those files; nothing in it is typed by hand.

## Results before and after a change

`python -m benchmarks.compare BEFORE AFTER` compares all rasters, stores and weights of two runs bit
for bit. `precision: auto` may choose another arithmetic on another processor: fix it in both runs,
of which each has its own copy of the project.

```sh
printf '%s: {precision: float32}\\n' teach distill train predict > float32.yaml
snakemake --cores 2 --configfile config/train.yaml float32.yaml
python -m benchmarks.compare before/results/demo-train after/results/demo-train
```

For a configuration without a teacher, such as `config/etci2021.yaml`, leave `teach` and `distill`
out of the first line.
"""

_SCORED = {
    "demo": "simulated event, mapped by the model that floodloom brings, flood map",
    "demo-train": "simulated event that gave no label, flood map",
    "etci2021": "ETCI 2021, held-out eastern ground of North Alabama, water",
    "ombria": "OMBRIA, the 70 test chips, flood",
}


def page() -> str:
    """Return the text of benchmarks/README.md: a section for every benchmark that was taken."""
    sections = [_HEAD]
    for name, tables in TABLES.items():
        for path in (RESULTS / f"{name}.json", *sorted(RESULTS.glob(f"{name}-*.json"))):
            if path.exists():
                result = read_json(path)
                sections += [f"## {path.stem}\n", _facts(result), *tables(result)]
    return "\n".join(sections)


def scores_table() -> str:
    """Return the scores of the finished runs as a table."""
    rows = [
        "| run | scored on | IoU | F1 | precision | recall | mean of chips, IoU | command |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in _runs()["runs"].items():
        scores = run["scores"]["flood"]
        chips = run["scores"].get("tiles", {}).get("mean_of_chip_iou")
        cells = [f"{scores[key]:.3f}" for key in ("iou", "f1", "precision", "recall")]
        mean = "" if chips is None else f"{chips:.3f}"
        rows.append(
            f"| {name} | {_SCORED[name]} | {' | '.join(cells)} | {mean} | `{run['command']}` |"
        )
    return "\n".join(rows) + "\n"


def runtime_table() -> str:
    """Return the seconds that each stage took as a table."""
    runs = _runs()["runs"]
    stages = list(dict.fromkeys(s for run in runs.values() for s in run["seconds_by_stage"]))
    rows = [
        "| seconds, all jobs of a stage | " + " | ".join(runs) + " |",
        "|---|" + "---|" * len(runs),
    ]
    for stage in stages:
        cells = [run["seconds_by_stage"].get(stage) for run in runs.values()]
        rows.append(
            f"| {stage} | " + " | ".join("" if c is None else f"{c:.0f}" for c in cells) + " |"
        )
    commits = [run.get("commit", "") for run in runs.values()]
    peaks = [f"{run['peak_memory_mib']:.0f}" for run in runs.values()]
    rows.append("| peak memory of a job, MiB | " + " | ".join(peaks) + " |")
    rows.append("| taken at commit | " + " | ".join(commits) + " |")
    return "\n".join(rows) + "\n"


def readme() -> str:
    """Return the project's README with its scores brought up to date."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{scores_table()}{END}{after}"


def model_card() -> str:
    """Return the model card with its scores brought up to date."""
    text = MODEL_CARD.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(default_model_tables(read_json(RESULTS / "default_model.json")))
    return f"{before}{BEGIN}\n{tables}{END}{after}"


def dry_run_table(result: dict[str, Any]) -> str:
    """Return what dry runs cost as a table."""
    rows = [
        "A dry run from nothing, each scene with a product and an elevation raster of its own.",
        "",
        "| scenes | jobs | processor seconds | the first time |",
        "|---|---|---|---|",
    ]
    for run in result["runs"].values():
        rows.append(
            f"| {run['scenes']:,} | {run['jobs']:,} | {run['median_cpu_seconds']:.1f} | "
            f"{run['first_cpu_seconds']:.1f} |"
        )
    return "\n".join(rows) + "\n"


def _runs() -> dict[str, Any]:
    runs: dict[str, Any] = read_json(RESULTS / "runs.json")
    return runs


def _facts(result: dict[str, Any]) -> str:
    seeds = f", seeds {', '.join(map(str, result['seeds']))}" if result.get("seeds") else ""
    return (
        f"`{result['command']}`, {result['date']}, commit {result['commit']}, "
        f"{result['hardware']}{seeds}\n"
    )


TABLES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "runs": lambda _: [scores_table(), runtime_table()],
    "sentinel1": sentinel1_tables,
    "pair": pair_tables,
    "default_model": default_model_tables,
    "simulator": simulator_tables,
    "seasonal": seasonal_tables,
    "vegetation": vegetation_tables,
    "maps": maps_tables,
    "train": train_tables,
    "auto": auto_tables,
    "zoo": zoo_tables,
    "choices": choices_tables,
    "predict": predict_tables,
    "predict_default": predict_default_tables,
    "delineate": delineate_tables,
    "baselines": baselines_tables,
    "relabel": relabel_tables,
    "label_shift": label_shift_tables,
    "labels": labels_tables,
    "distill": distill_tables,
    "workflow": lambda result: [dry_run_table(result)],
    "scale": scale_tables,
    "start": lambda result: [start_table(result)],
}
"""The tables of each benchmark, in the order of the page."""


def main() -> None:
    """Write all pages."""
    PAGE.write_text(page())
    README.write_text(readme())
    MODEL_CARD.write_text(model_card())


if __name__ == "__main__":
    main()

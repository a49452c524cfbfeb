"""The tables of `make bench-relabel`."""

from __future__ import annotations

from statistics import mean
from typing import Any


def relabel_tables(result: dict[str, Any]) -> list[str]:
    """Return a table for each protocol, and the ablation where it was taken."""
    tables = [
        "Pooled IoU on tiles that nothing was trained on, neither with labels nor without "
        f"(inductive), and on the unlabelled ones (transductive); **{result['default']}** is the "
        "default. ECE is the expected calibration error on the former, and on the held-out "
        "labelled tiles that the temperature was found on.\n"
    ]
    for name, protocol in result["protocols"].items():
        tables.append(_scores(name, protocol))
        if "hard" in protocol:
            tables.append(_hard_cases(name, protocol))
        if "ablation" in protocol:
            tables.append(_ablation(name, protocol, result["default"]))
    return tables


def _scores(name: str, protocol: dict[str, Any]) -> str:
    seeds, more = protocol["seeds"], protocol["seeds_more"]
    methods = list(dict.fromkeys(method for scores in seeds.values() for method in scores))
    rows = [
        f"| {name} | " + " | ".join(f"inductive, seed {seed}" for seed in seeds)
        + " | mean | transductive, mean | ECE, mean | on held-out labels |",
        "|---|" + "---|" * (len(seeds) + 4),
    ]  # fmt: skip
    for method in methods:
        found = [scores.get(method) for scores in seeds.values()]
        taken = [seen[method] for seen in more.values() if method in seen]
        cells = ["" if score is None else f"{score:.3f}" for score in found]
        cells.append(f"{mean(row['inductive'] for row in taken):.3f}")
        for key in ("transductive", "expected_calibration_error", "held_out_ece"):
            known = [row[key] for row in taken if row.get(key) is not None]
            cells.append(f"{mean(known):.3f}" if known else "")
        rows.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _hard_cases(name: str, protocol: dict[str, Any]) -> str:
    """Return what becomes of the default under conditions that collapse pseudo labelling."""
    conditions = {
        "bad-start": "its first network takes land for water",
        "dry": "no unlabelled tile has water",
    }
    rows = [
        f"| {name}, seed | condition | first network | default | supervised |",
        "|---|---|---|---|---|",
    ]
    for seed, found in protocol["hard_more"].items():
        supervised = protocol["seeds"][seed]["supervised"]
        for condition, scores in found.items():
            rows.append(
                f"| {seed} | {conditions[condition]} | {scores['began']:.3f} "
                f"| {scores['inductive']:.3f} | {supervised:.3f} |"
            )
    return "\n".join(rows) + "\n"


def _ablation(name: str, protocol: dict[str, Any], default: str) -> str:
    """Return the default beside itself with one part of it changed at a time."""
    changed, seeds = protocol["ablation_more"], list(protocol["ablation_more"])
    whole = {seed: protocol["seeds_more"][seed][default] for seed in seeds}
    rows = [
        f"| {name}, {default} | " + " | ".join(f"inductive, seed {seed}" for seed in seeds)
        + " | mean | transductive, mean | ECE, mean |",
        "|---|" + "---|" * (len(seeds) + 3),
        _ablation_row("as it is", whole),
    ]  # fmt: skip
    for part in dict.fromkeys(part for found in changed.values() for part in found):
        taken = {seed: found[part] for seed, found in changed.items() if part in found}
        members = next(iter(taken.values())).get("members", 1)
        title = f"ensemble of {members}" if part == "ensemble" else f"without {part}"
        rows.append(_ablation_row(title, {seed: taken.get(seed, {}) for seed in seeds}))
    return "\n".join(rows) + "\n"


def _ablation_row(title: str, found: dict[str, dict[str, float]]) -> str:
    taken = [row for row in found.values() if row]
    cells = [f"{row['inductive']:.3f}" if row else "" for row in found.values()]
    keys = ("inductive", "transductive", "expected_calibration_error")
    cells += [f"{mean(row[key] for row in taken):.3f}" for key in keys]
    return f"| {title} | {' | '.join(cells)} |"

"""The table of `make bench-label_shift`."""

from __future__ import annotations

from typing import Any

PROTOCOLS = {
    "ombria-few": "OMBRIA, events of less than 15 % flood without labels, the others with",
    "ombria-much": "OMBRIA, the reverse",
    "simulator-02": "simulator, labels with 25 % of the land flooded, 2 % without",
    "simulator-10": "simulator, the same, 10 %",
    "simulator-25": "simulator, the same, 25 %",
    "simulator-50": "simulator, the same, 50 %",
}
METHODS = {
    "before": "first network",
    "no-round": "no round",
    "earlier": "round without `relabel.priors`",
    "default": "round, default",
}
_KINDS = {"transductive": "the target itself", "inductive": "unseen"}


def label_shift_tables(result: dict[str, Any]) -> list[str]:
    """Return pooled IoU, and the share of water called and true, of each method."""
    rows = [
        "Pooled IoU on the unlabelled target and on unseen events of its kind, and behind the "
        "stroke the share that is called water. *No round* goes on from the first network with "
        "labels alone, by as many steps as a round has; of a *refused* one the first network is "
        "kept, with the local likelihood.\n",
        f"| protocol | seed | scored on | true share | {' | '.join(METHODS.values())} |",
        "|---|---|---|---|" + "---|" * len(METHODS),
    ]
    for protocol, title in PROTOCOLS.items():
        seeds = result["protocols"].get(protocol, {})
        if not any(seeds.values()):
            rows.append(f"| {title} |  |  |  |" + " not measured |" * len(METHODS))
        for seed, found in seeds.items():
            for kind, scored_on in _KINDS.items():
                cells = [_cell(found.get(method), kind) for method in METHODS]
                true = next((f"{one[kind]['true']:.3f}" for one in found.values()), "")
                rows.append(f"| {title} | {seed} | {scored_on} | {true} | {' | '.join(cells)} |")
    return ["\n".join(rows) + "\n", *_pixel_tables(result.get("pixels", {}))]


_SPLITS = {
    "few": "events of less than 15 %, labels of the others",
    "much": "the reverse",
    "half": "half of all events, drawn at random",
}
_ESTIMATES = {
    "count": "counted",
    "confusion": "confusion",
    "bias-corrected-em": "bias-corrected EM",
    "em": "EM",
}


def _pixel_tables(pixels: dict[str, Any]) -> list[str]:
    """Return what estimates and likelihoods are worth to a classifier of pixels."""
    if not pixels:
        return []
    columns = list(_ESTIMATES.values())
    shares = [
        "A classifier of pixels on OMBRIA's events, chips of a quarter of the size: the target's "
        "share of flood by each estimate, and behind the stroke the IoU where log-odds are moved "
        "until their probabilities have it on average (the true share last).\n",
        f"| target | seed | true share | labelled | IoU | {' | '.join(columns)} | true |",
        "|---|---|---|---|---|" + "---|" * (len(columns) + 1),
    ]
    for split, seeds in pixels.items():
        for seed, found in seeds.items():
            cells = [_estimate(found, name) for name in _ESTIMATES]
            shares.append(
                f"| {_SPLITS[split]} | {seed} | {found['true']:.3f} | {found['labelled']:.3f} | "
                f"{found['uncorrected_iou']:.3f} | {' | '.join(cells)} | "
                f"{found['corrected_iou']['true']:.3f} |"
            )
    return ["\n".join(shares) + "\n", _likelihood_table(pixels)]


def _estimate(found: dict[str, Any], name: str) -> str:
    if name not in found["shares"]:
        return "none"
    return f"{found['shares'][name]:.3f} / {found['corrected_iou'][name]:.3f}"


def _likelihood_table(pixels: dict[str, Any]) -> str:
    first = next(iter(next(iter(pixels.values())).values()))
    weights = list(first["likelihood"])
    rows = [
        "The same classifier with the local likelihood by its weight, everywhere or where the tile "
        "holds two classes (the default): IoU, and behind the stroke the share called.\n",
        f"| target | seed | true share | {' | '.join(weights)} |",
        "|---|---|---|" + "---|" * len(weights),
    ]
    for split, seeds in pixels.items():
        for seed, found in seeds.items():
            scores = [found["likelihood"][weight] for weight in weights]
            cells = " | ".join(f"{one['iou']:.3f} / {one['called']:.3f}" for one in scores)
            rows.append(f"| {_SPLITS[split]} | {seed} | {found['true']:.3f} | {cells} |")
    return "\n".join(rows) + "\n"


def _cell(found: dict[str, Any] | None, kind: str) -> str:
    if found is None:
        return "not measured"
    refused = ", refused" if found.get("refused") else ""
    return f"{found[kind]['iou']:.3f} / {found[kind]['called']:.3f}{refused}"

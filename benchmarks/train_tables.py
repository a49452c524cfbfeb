"""The tables of `make bench-train`."""

from __future__ import annotations

from typing import Any


def train_tables(result: dict[str, Any]) -> list[str]:
    """Return what the loop loses to feeding, what each execution brings, and peak memory."""
    where = result["gpu"] or f"{result['threads']} threads"
    feeding, formats = result["feeding"], result["formats"]
    steps = {name: rate for name, rate in formats.items() if name != "auto over float32"}
    rows = [
        "| execution | steps/s | times float32 |",
        "|---|---|---|",
        *(f"| {n} | {rate:.2f} | {rate / steps['float32']:.2f} |" for n, rate in steps.items()),
    ]
    memory = ["| model | peak memory of two steps, MiB |", "|---|---|"]
    memory += [f"| {name} | {peak:.0f} |" for name, peak in result["memory"].items()]
    return [
        f"{result['model']} of the default width, batches of {result['batch']} tiles of 256 px, "
        f"{where}. On augmented tiles from disk the loop takes {feeding['real']:.2f} steps/s, on "
        f"one random batch at hand {feeding['preloaded']:.2f}: {feeding['ratio']:.3f} of it "
        "(median of turns).\n",
        "\n".join(rows) + "\n",
        f"`auto` chose what is {formats['auto over float32']:.2f} times as fast as float32.\n",
        "\n".join(memory) + "\n",
    ]

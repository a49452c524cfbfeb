"""A loss that another distribution adds, from the configuration to the checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from floodloom.learning.checkpoint import read_metadata

LOSS = """
from floodloom.learning.loss import Loss
from floodloom.learning.losses.cross_entropy import cross_entropy

def squared(logits, label):
    return cross_entropy(logits, label) ** 2

loss = Loss(squared)
"""

TRAIN = """
import sys
from pathlib import Path
from floodloom.config.load import load_config
from floodloom.stages.train import train

config = load_config({
    "run": {"name": "other"}, "dataset": "ombria", "data_root": ".",
    "train": {"loss": "squared", "width": 4, "epochs": 1, "precision": "float32"},
})
train(tiles=[Path(sys.argv[1]), Path(sys.argv[2])], out=Path(sys.argv[3]), settings=config.train)
"""


def test_a_loss_of_another_distribution_is_trained_with(stores, tmp_path) -> None:
    (tmp_path / "other_loss.py").write_text(LOSS)
    entry = tmp_path / "other_loss-1.0.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: other-loss\nVersion: 1.0\n")
    (entry / "entry_points.txt").write_text(
        "[floodloom.learning.losses]\nsquared = other_loss:loss\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    out = Path(tmp_path / "model.safetensors")
    command = [sys.executable, "-c", TRAIN, stores["train"], stores["validation"], out]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
    assert read_metadata(out)["training"]["loss"] == "squared"

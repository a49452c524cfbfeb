"""A scene, an optical image, and a network of each that never saw a pair → the probability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.mapping.combine import optical_inputs, write_combined
from floodloom.mapping.scene_inputs import scene_inputs
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.sentinel2.settings import PairingSettings


@writes("out")
def combine(
    *,
    scene: Path,
    optical: Path,
    checkpoint: Sequence[Path],
    optical_checkpoint: Sequence[Path],
    out: Path,
    settings: PredictSettings = PredictSettings(),
    pairing: PairingSettings = PairingSettings(),
    threads: int = 1,
) -> Path:
    """Map a scene by a network of radar and one of an optical image, trained without pairs.

    Each predicts by itself; the probability is their mean where the optical image is clear, and
    radar's alone elsewhere.

    Parameters
    ----------
    scene
        Scene store.
    optical
        Optical raster of the same days.
    checkpoint
        Checkpoints that see radar alone.
    optical_checkpoint
        Checkpoints that see optical images alone, such as `teach` gives with `radar` off.
    out
        Cloud-optimised GeoTIFF to write, as `predict` gives it, of one band.
    settings
        How to predict.
    pairing
        What makes an optical image the scene's companion, as for `tile`.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CheckpointError
        If a checkpoint sees other inputs.
    InputError
        If the optical image is no companion of the scene, or as for `predict`.
    """
    require_events(settings.event)
    radar = scene_inputs(scene, checkpoint, PredictFiles(), settings, pairing, threads)
    seen = optical_inputs(scene, optical, optical_checkpoint, pairing, threads)
    return write_combined(radar, seen, Path(out), settings, threads)

"""A scene and an ensemble → the probability of water."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.errors import InputError
from floodloom.mapping.baseline import write_baseline
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.models.choices import DEFAULT_CHECKPOINT, NO_DEFAULT
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.sentinel2.settings import PairingSettings


@writes("out")
def predict(
    *,
    scene: Path,
    out: Path,
    checkpoint: Sequence[Path] = (),
    files: PredictFiles = PredictFiles(),
    settings: PredictSettings = PredictSettings(),
    pairing: PairingSettings = PairingSettings(),
    threads: int = 1,
) -> Path:
    """Predict the probability of water on a whole scene.

    Parameters
    ----------
    scene
        Scene store.
    out
        Cloud-optimised GeoTIFF to write: percent, 255 = no data. Band 1 is the mean of the
        members' calibrated probabilities; band 2, where there are several members or views, their
        standard deviation.
    checkpoint
        Checkpoints of the ensemble; of networks that see an optical image beside radar, too, such
        as the teacher of `teach`. By default the model that floodloom
        brings, if it brings one. None with `settings.baseline`, which maps without learning.
    files
        What else the scene may be mapped with.
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
    RecipeMismatchError
        If the scene was not made the way the model's data were; the message names the field.
    InputError
        If windows, overlap and rim don't fit together, a band is missing, the scenes' orbits
        differ, the back end isn't installed, the network can't be had in int8, or an optical image
        is given to networks that see none, or none that serves to such as need one; if a baseline
        is given with checkpoints, or without the scenes that it needs; if `event` is
        no name.
    """
    require_events(settings.event)
    if settings.baseline is not None:
        if checkpoint:
            raise InputError(
                f"predict: baseline {settings.baseline} takes no checkpoint; leave one of them out"
            )
        return write_baseline(scene, Path(out), files, settings, threads)
    if settings.arguments:
        raise InputError("predict: arguments: they are those of a baseline; choose one too")
    if not checkpoint and not DEFAULT_CHECKPOINT.is_file():
        raise InputError(f"predict: {NO_DEFAULT}")
    from floodloom.mapping.mosaic import write_probability  # both of which need torch
    from floodloom.mapping.scene_inputs import scene_inputs

    networks = checkpoint or (DEFAULT_CHECKPOINT,)
    seen = scene_inputs(scene, networks, files, settings, pairing, threads)
    return write_probability(seen, Path(out), settings, threads)

"""ImageNet weights from a local file, for any number of bands."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from floodloom.errors import CheckpointError
from floodloom.models.encoder import Encoder
from floodloom.models.tensors import open_safetensors, read_tensors, require_finite

_CLASSIFIERS = ("fc.", "classifier.", "last_linear.")
_CONVERT = (
    "convert an official state dict once by "
    'python -c "import sys, torch, safetensors.torch as s; '
    's.save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])" in.pth out.safetensors'
)


def load_encoder(encoder: Encoder, path: str | Path) -> dict[str, Tensor]:
    """Give an encoder the weights of a file.

    Parameters
    ----------
    encoder
        Its first convolution is adapted by `for_bands`.
    path
        A .safetensors file whose names are torchvision's (Xception: pretrained-models.pytorch's).

    Returns
    -------
    dict
        The classifier's tensors, which the encoder has no use for.

    Raises
    ------
    CheckpointError
        If the file is missing, isn't a safetensors file or holds another network.
    """
    state = _read(Path(path))
    classifier = {name: state.pop(name) for name in list(state) if name.startswith(_CLASSIFIERS)}
    own = encoder.state_dict()
    if encoder.first in state:
        state[encoder.first] = for_bands(state[encoder.first], own[encoder.first].shape[1])
    # Files from before PyTorch 0.4.1 lack the counters, which only matter to a running average
    # without momentum.
    missing = {name for name in own.keys() - state.keys() if not name.endswith("batches_tracked")}
    wrong = missing | (state.keys() - own.keys())
    wrong |= {name for name in own.keys() & state.keys() if own[name].shape != state[name].shape}
    if wrong:
        kind = type(encoder).__name__
        raise CheckpointError(
            f"{path}: no weights of {kind}: {len(wrong)} tensors are missing, unknown or of "
            f"another shape, such as {min(wrong)!r}; give the file of that encoder"
        )
    encoder.load_state_dict(state, strict=False)
    return classifier


def for_bands(weight: Tensor, bands: int) -> Tensor:
    """Return the filters of a first convolution for another number of bands.

    Every band gets the mean over the colours, scaled so that an image whose bands are all alike
    meets the response that a grey one met before.

    Parameters
    ----------
    weight
        (filter, colour, y, x).
    bands
        As many as there are colours leave the filters as they are.
    """
    colours = weight.shape[1]
    if bands == colours:
        return weight
    mean = weight.mean(1, keepdim=True) * (colours / bands)
    return mean.repeat(1, bands, 1, 1)


def _read(path: Path) -> dict[str, Tensor]:
    with open_safetensors(
        path, "encoder weights", f"nothing is unpickled here; {_CONVERT}"
    ) as stored:
        state = read_tensors(stored)
    require_finite(state, path)
    return state

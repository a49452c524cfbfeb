"""Beginning with the weights of a network that saw another sensor."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from floodloom.learning.checkpoint import Checkpoint


def warm_started(student: Checkpoint, teacher: Checkpoint) -> Checkpoint:
    """Return the student with the teacher's weights wherever their shapes agree.

    Of a first convolution that takes other inputs, a fused teacher gives the radar bands' part;
    that of an optical one is averaged over its channels, so that the response to an input that is
    alike in all of them stays. What has no counterpart keeps the student's fresh weights.
    """
    bands = len(student.recipe.bands)
    first = next((name for name, ours in student.weights.items() if ours.ndim == 4), "")
    weights = {
        name: _fitting(
            ours,
            teacher.weights.get(name),
            bands,
            fused=teacher.inputs == "fused",
            at_input=name == first and teacher.inputs != "radar",
        )
        for name, ours in student.weights.items()
    }
    return replace(student, weights=weights)


def _fitting(
    ours: Tensor, theirs: Tensor | None, bands: int, *, fused: bool, at_input: bool
) -> Tensor:
    """Return the teacher's weights for ours; those that see the inputs mean other things."""
    if theirs is None:
        return ours
    if theirs.shape == ours.shape and not at_input:
        return theirs.clone()
    takes_inputs = ours.ndim == 4 and ours.shape[1] == bands
    if not takes_inputs or theirs.ndim != 4 or theirs[:, 0].shape != ours[:, 0].shape:
        return ours
    if fused:
        return theirs[:, :bands].clone()
    return theirs.sum(dim=1, keepdim=True).expand_as(ours).clone() / bands

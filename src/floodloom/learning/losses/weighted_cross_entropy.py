"""Cross-entropy in which rare classes weigh more."""

from __future__ import annotations

from floodloom.learning.loss import Loss
from floodloom.learning.losses.cross_entropy import cross_entropy

loss = Loss(cross_entropy, class_weighted=True)

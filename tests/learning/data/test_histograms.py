"""Histogram matching on tiles whose histograms are known."""

from __future__ import annotations

from dataclasses import replace

import torch

from floodloom.learning.data.histograms import WithMatched, histogram_matching
from floodloom.learning.data.samples import Samples, radar_samples


def test_matching_undoes_a_monotone_change(make_tiles):
    tiles = radar_samples(make_tiles(8, seed=4))
    other = Samples(torch.where(tiles.image != 0, 0.5 * tiles.image - 0.2, 0.0), tiles.label)
    matched = histogram_matching(tiles, other)(tiles.image)
    torch.testing.assert_close(matched, other.image, rtol=0, atol=0.01)
    assert (matched[tiles.image == 0] == 0).all()


def test_matched_tiles_stand_behind_the_others(make_tiles):
    tiles = radar_samples(make_tiles(6, seed=4))
    matching = histogram_matching(tiles, replace(tiles, image=0.5 * tiles.image))
    both = WithMatched(tiles, 4, matching)
    assert len(both) == 10
    taken = both.take(torch.tensor([1, 7, 9]))
    torch.testing.assert_close(taken.image[0], tiles.image[1])
    torch.testing.assert_close(taken.image[1:], matching(tiles.image[[1, 3]]))
    assert torch.equal(taken.label, tiles.label[[1, 1, 3]])
    assert both.identity() != tiles.identity()

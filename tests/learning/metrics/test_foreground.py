"""Scores of foreground maps, objects and outlines against known truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn import metrics as oracle
from torchmetrics.functional import classification

from floodloom.learning.metrics.foreground import ForegroundScores, score_foreground
from floodloom.learning.metrics.objects import Outlines, object_counts, outline_counts
from floodloom.learning.metrics.pixels import (
    Counts,
    confusion_matrix,
    count,
    counts_of,
    mean_iou,
    pixel_accuracy,
    split_scores,
)
from floodloom.learning.metrics.saliency import (
    alignment,
    mean_absolute_error,
    structure_measure,
)
from floodloom.learning.metrics.weighted import weighted_f_beta


def alignment_measure(probability, label):
    return alignment(count(probability >= 0.5, label == 1, label != 255))


def settings(**changed):
    return {"beta": 2.0, "object_iou": 0.5, **changed}


@pytest.fixture
def chips():
    """Probabilities that are mostly right, and their truths with some ignored pixels."""
    draw = np.random.default_rng(3)
    field = ndimage.gaussian_filter(draw.normal(size=(5, 40, 40)), (0, 3, 3))
    noise = ndimage.gaussian_filter(draw.normal(size=(5, 40, 40)), (0, 2, 2))
    probability = 1 / (1 + np.exp(-60 * (field + 0.3 * noise)))
    label = (field > 0).astype(np.uint8)
    label[:, :4] = 255
    return probability, label


def flat(chips):
    probability, label = chips
    return probability[label != 255], label[label != 255]


def test_accuracy_iou_and_f_beta_are_those_of_the_oracles(chips):
    probability, label = chips
    matrix = confusion_matrix((probability >= 0.5).astype(int), label, 2)
    p, t = flat(chips)
    guess = p >= 0.5
    assert pixel_accuracy(matrix) == pytest.approx(oracle.accuracy_score(t, guess))
    assert mean_iou(matrix) == pytest.approx(oracle.jaccard_score(t, guess, average="macro"))
    for beta in (0.5, 1.0, 2.0):
        found = counts_of(matrix, 1).f_beta(beta)
        assert found == pytest.approx(oracle.fbeta_score(t, guess, beta=beta))
        ours, theirs = torch.from_numpy(guess.astype(int)), torch.from_numpy(t.astype(int))
        expected = classification.binary_fbeta_score(ours, theirs, beta)
        assert found == pytest.approx(float(expected), abs=1e-6)


def test_mean_iou_is_that_of_torchmetrics_and_leaves_absent_classes_out():
    draw = np.random.default_rng(0)
    guess, truth = draw.integers(0, 3, (2, 30, 30))
    found = mean_iou(confusion_matrix(guess, truth, 5))
    expected = classification.multiclass_jaccard_index(
        torch.from_numpy(guess), torch.from_numpy(truth), 3, average="macro"
    )
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_pooled_and_mean_of_chip_are_told_apart(chips):
    probability, label = chips
    guess = (probability >= 0.5).astype(int)
    each = [confusion_matrix(g, t, 2) for g, t in zip(guess, label, strict=True)]
    scores = split_scores(np.stack(each))
    by_chip = [
        oracle.jaccard_score(t[t != 255], g[t != 255]) for g, t in zip(guess, label, strict=True)
    ]
    assert scores["mean_of_chip_iou"] == pytest.approx(np.mean(by_chip))
    p, t = flat(chips)
    assert scores["miou"] == pytest.approx(oracle.jaccard_score(t, p >= 0.5, average="macro"))
    dry = np.array([[100, 0], [0, 0]])
    with_dry = split_scores(np.stack([*each, dry]))
    assert with_dry["mean_of_chip_iou"] == scores["mean_of_chip_iou"]


def test_mean_absolute_error_is_that_of_scikit_learn(chips):
    probability, label = chips
    p, t = flat(chips)
    found = mean_absolute_error(np.vstack(probability), np.vstack(label))
    assert found == pytest.approx(oracle.mean_absolute_error(t, p))


@pytest.mark.parametrize("measure", [weighted_f_beta, structure_measure, alignment_measure])
def test_the_truth_scores_one_and_its_opposite_less(measure, chips):
    _, label = chips
    truth = label[0]
    right = np.where(truth == 1, 1.0, 0.0)
    assert measure(right, truth) == pytest.approx(1)
    assert measure(1 - right, truth) < 0.3
    noisy = np.where(np.random.default_rng(0).random(truth.shape) < 0.2, 1 - right, right)
    assert measure(1 - right, truth) < measure(noisy, truth) < 0.97


@pytest.mark.parametrize(
    "measure", [mean_absolute_error, weighted_f_beta, structure_measure, alignment_measure]
)
def test_ignored_pixels_change_nothing(measure, chips):
    probability, label = (stack[0] for stack in chips)
    changed = np.where(label == 255, 1 - probability, probability)
    assert measure(changed, label) == measure(probability, label)


def test_weighted_f_beta_by_hand():
    """One pixel of foreground in a row, missed by half, and a false alarm 5 px away."""
    label = np.zeros((1, 9), np.uint8)
    label[0, 1] = 1
    probability = np.zeros((1, 9))
    probability[0, 1], probability[0, 6] = 0.5, 0.4
    # The error at 1 is softened only if its window's mean is smaller; all nearest errors are .5.
    axis = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    window = np.outer(axis, axis) / np.outer(axis, axis).sum()
    softened = 0.5 * window[3, 2:].sum()
    missed, false = softened, 0.4 * (2 - math.exp(math.log(0.5) / 5 * 5))
    recall, precision = 1 - missed, (1 - missed) / (1 - missed + false)
    expected = 2 * recall * precision / (recall + precision)
    assert weighted_f_beta(probability, label) == pytest.approx(expected)


def test_structure_measure_by_hand():
    """A quarter of foreground, centred so that the four parts are known."""
    label = np.zeros((4, 4), np.uint8)
    label[:2, :2] = 1
    probability = np.where(label == 1, 0.8, 0.2)
    inside = 2 * 0.8 / (0.8**2 + 1)
    outside = inside  # 1 - p is .8 everywhere outside

    # The centre (0.5, 0.5) is rounded to even, 0: parts of 1, 3, 3 and 9 px.
    def ssim(x, y):
        covariance = ((x - x.mean()) * (y - y.mean())).sum() / max(x.size - 1, 1)
        variances = (((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()) / max(x.size - 1, 1)
        above = 4 * x.mean() * y.mean() * covariance
        below = (x.mean() ** 2 + y.mean() ** 2) * variances
        return above / below if above else float(below == 0)

    parts = [
        (slice(0, 1), slice(0, 1)),
        (slice(0, 1), slice(1, 4)),
        (slice(1, 4), slice(0, 1)),
        (slice(1, 4), slice(1, 4)),
    ]
    region = sum(
        probability[part].size / 16 * ssim(probability[part], label[part]) for part in parts
    )
    expected = 0.5 * (0.25 * inside + 0.75 * outside) + 0.5 * region
    assert structure_measure(probability, label) == pytest.approx(expected)
    assert structure_measure(np.full((4, 4), 0.3), np.zeros((4, 4), int)) == pytest.approx(0.7)
    assert structure_measure(np.full((4, 4), 0.3), np.ones((4, 4), int)) == pytest.approx(0.3)


def test_alignment_measure_by_hand():
    """Truth 1000, found 1100: means 1/4 and 1/2."""
    label, found = np.array([[1, 0, 0, 0]]), np.array([[0.9, 0.6, 0.1, 0.2]])
    pairs = [(0.5, 0.75), (0.5, -0.25), (-0.5, -0.25), (-0.5, -0.25)]
    values = [((2 * x * y / (x**2 + y**2) + 1) ** 2) / 4 for x, y in pairs]
    assert alignment_measure(found, label) == pytest.approx(np.mean(values))
    assert alignment_measure(found, np.zeros((1, 4), int)) == 0.5


def test_objects_are_paired_by_overlap():
    label = np.zeros((10, 20), np.uint8)
    label[1:5, 1:5] = label[1:5, 8:12] = label[7:9, 15:18] = 1
    prediction = np.zeros_like(label)
    prediction[1:5, 1:5] = 1  # found
    prediction[1:5, 11:15] = 1  # overlaps the second by 4 of 28 px
    counts = object_counts(prediction, label)
    assert counts == Counts(1, 1, 2)
    assert object_counts(prediction, label, 0.1) == Counts(2, 0, 1)
    assert object_counts(label, label) == Counts(3, 0, 0)
    label[:6, 6:] = 255
    assert object_counts(prediction, label) == Counts(1, 0, 1)


def test_an_object_is_in_one_pair_at_most():
    label = np.array([[1, 1, 1, 1, 1, 1]])
    prediction = np.array([[1, 1, 1, 0, 1, 1]])
    assert object_counts(prediction, label, 0.2) == Counts(1, 1, 0)


def test_a_pair_of_objects_exceeds_the_threshold():
    label, prediction = np.zeros((2, 3, 8), np.uint8)
    label[1, 1:5] = 1
    prediction[1, 1:3] = 1  # IoU is exactly 2 / 4
    assert object_counts(prediction, label, 0.5) == Counts(0, 1, 1)
    assert object_counts(prediction, label, 0.499) == Counts(1, 0, 0)


def blobs(seed: int, size: int = 90) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (ndimage.gaussian_filter(draw.normal(size=(size, size)), 1.5) > 0.05).astype(np.uint8)


def objects_of_the_whole(prediction, label, threshold):
    """By numbering all at once, and a matrix of all overlaps."""
    known = label != 255
    ours, n = ndimage.label((prediction == 1) & known, np.ones((3, 3)))
    theirs, m = ndimage.label(label == 1, np.ones((3, 3)))
    overlap = np.zeros((n + 1, m + 1))
    np.add.at(overlap, (ours.ravel(), theirs.ravel()), 1)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    pairs = int(((overlap / np.maximum(union, 1))[1:, 1:] > threshold).sum())
    return Counts(pairs, n - pairs, m - pairs)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [1, 7, 89, 90, 500])
def test_strips_change_neither_objects_nor_outlines(seed, rows):
    label, prediction = blobs(seed), blobs(seed)
    prediction[::9] ^= blobs(seed + 10)[::9]
    label[20:30, 40:60] = 255
    expected = objects_of_the_whole(prediction, label, 0.5)
    assert expected.tp > 5
    assert object_counts(prediction, label, rows=rows) == expected
    for tolerance in (0.0, 1.5, 2.0, 4.0):
        whole = outline_counts(prediction, label, tolerance, rows=10**6)
        assert outline_counts(prediction, label, tolerance, rows=rows) == whole


def test_outlines_agree_within_the_tolerance():
    label = np.zeros((30, 30), np.uint8)
    label[8:20, 8:20] = 1
    moved = np.roll(label, 2, axis=1)
    assert outline_counts(moved, label, 2.0).f1 == 1.0
    strict = outline_counts(moved, label, 0.0)
    # Outlines are 44 px; moved by 2 they share the rows' inner 10 px, twice.
    assert strict == Outlines(found=20, predicted=44, met=20, true=44)
    assert strict.f1 == pytest.approx(20 / 44)
    assert outline_counts(np.zeros_like(label), label).f1 == 0.0
    label[:, 19:] = 255
    assert outline_counts(label == 1, label, 0.0).true == 20 + 10  # rows and left side


def tall(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Percent and label of more rows than are read around a strip, with errors far from water."""
    draw = np.random.default_rng(seed)
    label = np.zeros((733, 61), np.uint8)
    label[30:60, 40:58] = label[10:20, 3:30] = label[301:304] = 1
    label[:, 33:36] = 255
    noise = ndimage.gaussian_filter(draw.normal(size=label.shape), 3)
    percent = np.rint(100 * np.clip(0.8 * (label == 1) + 3 * noise, 0, 1)).astype(np.uint8)
    percent[700:, 5:9] = 90
    return percent, label


@pytest.mark.parametrize("rows", [1, 97, 256, 512])
def test_strips_change_no_score_of_percent(rows):
    percent, label = tall()
    whole = score_foreground(percent, label, scale=100, rows=10**6, **settings())
    assert 0.05 < whole.weighted.total < 0.95
    assert 0.05 < whole.structure.total < 0.95
    for threads in (1, 2):
        found = score_foreground(
            percent, label, scale=100, rows=rows, threads=threads, **settings()
        )
        assert found == whole


def weighted_f_beta_of_the_whole(probability, label, beta=1.0):
    """Margolin et al. (2014) as SciPy has distances, the nearest foreground, and smoothing."""
    truth = label == 1
    error = np.where(label == 255, 0, np.abs(probability - truth))
    distance, nearest = ndimage.distance_transform_edt(~truth, return_indices=True)
    line = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    smooth = ndimage.correlate(
        np.where(truth, error, error[tuple(nearest)]),
        np.outer(line, line) / line.sum() ** 2,
        mode="constant",
    )
    missed = np.minimum(smooth, error)[truth].sum()
    false = (error * (2 - np.exp(math.log(0.5) / 5 * distance)))[~truth].sum()
    recall, hit = 1 - missed / truth.sum(), truth.sum() - missed
    precision = hit / (hit + false)
    return (1 + beta**2) * recall * precision / (beta**2 * precision + recall)


@pytest.mark.parametrize("seed", range(4))
def test_weighted_f_beta_is_that_of_scipy(seed, chips):
    probability, label = (stack[seed] for stack in chips)
    expected = weighted_f_beta_of_the_whole(probability, label)
    assert weighted_f_beta(probability, label) == pytest.approx(expected, rel=1e-12)
    percent, label = tall(seed)
    expected = weighted_f_beta_of_the_whole(percent / 100, label, 2.0)
    assert weighted_f_beta(percent / 100, label, 2.0, rows=97) == pytest.approx(expected, rel=1e-12)


def test_percent_is_scored_as_a_probability(chips):
    probability, label = (stack[0] for stack in chips)
    percent = np.round(100 * probability).astype(np.uint8)
    percent[label == 255] = 255
    found = score_foreground(percent, label, scale=100, **settings()).as_dict(2.0)
    expected = score_foreground(percent / 100, label, **settings()).as_dict(2.0)
    assert found["pooled"] == pytest.approx(expected["pooled"])
    assert found["mean_of_images"] == pytest.approx(expected["mean_of_images"])
    assert found["objects"] == expected["objects"]


def test_everything_is_reported_and_named(chips):
    probability, label = chips
    p, t = flat(chips)
    pairs = list(zip(probability, label, strict=True))
    scored = [score_foreground(*chip, **settings()) for chip in pairs]
    found = sum(scored, ForegroundScores()).as_dict(2.0)
    pooled = found["pooled"]
    assert found["images"] == len(label)
    assert pooled["accuracy"] == pytest.approx(oracle.accuracy_score(t, p >= 0.5))
    assert pooled["miou"] == pytest.approx(oracle.jaccard_score(t, p >= 0.5, average="macro"))
    assert pooled["f_beta"] == pytest.approx(oracle.fbeta_score(t, p >= 0.5, beta=2))
    assert pooled["mean_absolute_error"] == pytest.approx(oracle.mean_absolute_error(t, p))
    expected = oracle.recall_score(t, p >= 0.5, pos_label=0)
    assert found["background"]["recall"] == pytest.approx(expected)
    by_chip = [structure_measure(*chip) for chip in pairs]
    assert found["mean_of_images"]["structure_measure"] == pytest.approx(np.mean(by_chip))
    assert found["objects"]["tp"] + found["objects"]["fn"] == sum(
        ndimage.label(chip == 1, np.ones((3, 3)))[1] for chip in label
    )
    missing = np.where(label == 255, np.nan, probability)
    again = [score_foreground(*chip, **settings()) for chip in zip(missing, label, strict=True)]
    assert sum(again, ForegroundScores()) == sum(scored, ForegroundScores())


def test_a_perfect_map_scores_one_and_nothing_scores_nothing(chips):
    label = chips[1][0]
    perfect = score_foreground(label == 1, label, **settings()).as_dict(2.0)
    assert perfect["pooled"] == pytest.approx(
        {"accuracy": 1, "miou": 1, "f_beta": 1, "mean_absolute_error": 0, "boundary_f1": 1}
    )
    assert perfect["mean_of_images"] == pytest.approx(dict.fromkeys(perfect["mean_of_images"], 1))
    empty = score_foreground(label == 1, np.full_like(label, 255), **settings()).as_dict(2.0)
    assert set(empty["pooled"].values()) == set(empty["mean_of_images"].values()) == {None}
    assert empty["images"] == 0

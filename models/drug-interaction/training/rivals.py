"""Selects the settings of the kernel by cross-validation, and compares the kernel with other kinds of model.

This file uses only the training pairs and the training drugs of the two splits.
"""

import warnings
from dataclasses import replace
from itertools import product

import lightgbm
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier

from data import SEED, target_matrix
from features import NUMBERS, StructureKernel
from kernel import Settings, fit_curve, left_out_drugs, logistic, scores_of, structure_similarities

FOLDS = 5


def similarities_with(settings, vectors):
    drawn = vectors.any(axis=1)
    kernel = StructureKernel(vectors[drawn], settings.number_share, settings.number_width)
    return structure_similarities(kernel, vectors)


def left_out(pairs, index, labels, score):
    """Scores [len(index)] of the training pairs, each from the folds without the pair."""
    scores = np.zeros(len(index))
    for kept, left in KFold(FOLDS, shuffle=True, random_state=SEED).split(index):
        scores[left] = score(target_matrix(pairs, index[kept], labels), pairs[index[kept]], pairs[index[left]])
    return scores


def judge(scores, truth):
    """{roc_auc, log_loss}: the log loss is computed after a logistic curve, so that scores of any scale compare."""
    return {
        'roc_auc': round(float(roc_auc_score(truth, scores)), 4),
        'log_loss': round(float(log_loss(truth, logistic(fit_curve(scores, truth), scores))), 4),
    }


def by_kernel(structures, settings):
    return lambda target, _, left: scores_of(target, structures, settings)[tuple(left.T)]


def choose(pairs, index, labels, vectors, seen=None):
    """Settings from the training pairs of a split. `seen`: the mask of the drugs of these pairs; None: all drugs."""
    where = np.arange(len(labels)) if seen is None else np.flatnonzero(seen)
    target = target_matrix(pairs, index, labels)[np.ix_(where, where)]
    settings = choose_pair_settings(pairs, index, labels, vectors, Settings())
    return choose_neighbour_settings(target, vectors[where], settings)


def choose_pair_settings(pairs, index, labels, vectors, settings):
    """Settings with the lowest log loss on left-out training pairs."""
    truth = labels[tuple(pairs[index].T)]
    structures = similarities_with(settings, vectors)
    tried = []
    for width, share, ridge in product((1.0, 2.0, 4.0), (0.1, 0.3, 0.5), (0.05, 0.1, 0.2)):
        candidate = replace(settings, profile_width=width, structure_share=share, ridge=ridge)

        scores = left_out(pairs, index, labels, by_kernel(structures, candidate))
        tried.append((judge(scores, truth)['log_loss'], candidate))
    return min(tried, key=lambda entry: entry[0])[1]


def choose_neighbour_settings(target, vectors, settings):
    """Settings with the highest ROC-AUC on pairs of a left-out training drug with the other drugs."""
    tried = []
    for share, width, ridge in product((0.2, 0.3, 0.4), (0.2, 0.4), (0.05, 0.1, 0.2)):
        candidate = replace(settings, number_share=share, number_width=width, neighbour_ridge=ridge)
        (scores, truth), _ = left_out_drugs(target, vectors, candidate)
        tried.append((-roc_auc_score(truth, scores), candidate))
    return min(tried, key=lambda entry: entry[0])[1]


class PairFeatures:
    """The features of a pair for the boosted trees and the network. Neither profile contains the label of the pair."""

    def __init__(self, vectors, structures):
        drawn = vectors.any(axis=1)
        numbers = vectors[:, :NUMBERS].astype(float)
        numbers = (numbers - numbers[drawn].mean(axis=0)) / np.maximum(numbers[drawn].std(axis=0), 1e-6)
        self.numbers = np.where(drawn[:, None], numbers, 0.0)
        self.structures = structures

    def _votes(self, target, own, other):
        """The interactions of drugs similar to `own` with `other` (twice by profile, once by structure), and the rate
        of `own`."""
        known = (target != 0).astype(float)
        rows = np.arange(len(own))
        label, seen = target[own, other], known[own, other]
        agreement = (target @ target.T)[own] - label[:, None] * target[:, other].T
        alike = agreement / np.maximum((known @ known.T)[own] - seen[:, None] * known[:, other].T, 1.0)
        found = []
        for weight in (np.exp(4 * (alike - 1)), np.exp(12 * (alike - 1)), self.structures[own] ** 3):
            weight[rows, own] = weight[rows, other] = 0.0
            votes = (weight * target[:, other].T).sum(axis=1)
            found.append(votes / np.maximum((weight * known[:, other].T).sum(axis=1), 1e-9))
        found.append((target[own].sum(axis=1) - label) / np.maximum(known[own].sum(axis=1) - seen, 1.0))
        return found

    def for_trees(self, target, pairs):
        first, second = pairs.T
        columns = []
        for one, other in zip(self._votes(target, first, second), self._votes(target, second, first)):
            columns += [one + other, np.abs(one - other), one * other]
        columns.append(self.structures[first, second])
        for number in self.numbers.T:
            columns += [number[first] + number[second], np.abs(number[first] - number[second])]
        return np.stack(columns, axis=1)

    def for_network(self, target, pairs):
        sides = []
        for own, other in (pairs.T, pairs.T[::-1]):
            profile = target[own]
            profile[np.arange(len(own)), other] = 0.0
            sides.append(np.concatenate([profile, 2 * self.structures[own]], axis=1))
        return np.concatenate(sides, axis=1)


def boosted_trees(features, labels):
    def score(target, kept, left):
        model = lightgbm.LGBMClassifier(
            n_estimators=600,
            num_leaves=31,
            learning_rate=0.04,
            min_child_samples=20,
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.5,
            random_state=SEED,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbose=-1,
        )
        model.fit(features.for_trees(target, kept), labels[tuple(kept.T)])
        return model.booster_.predict(features.for_trees(target, left), raw_score=True)

    return score


def network(features, labels):
    """Two hidden layers. Training uses both orders of a pair, and the score is the mean of both orders."""

    def score(target, kept, left):
        both = np.concatenate([features.for_network(target, kept), features.for_network(target, kept[:, ::-1])])
        truth = np.tile(labels[tuple(kept.T)], 2)
        model = MLPClassifier((128, 32), alpha=0.01, batch_size=256, max_iter=12, random_state=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ConvergenceWarning)  # twelve passes are best for the left-out pairs
            model.fit(both, truth)
        orders = [model.predict_proba(features.for_network(target, side))[:, 1] for side in (left, left[:, ::-1])]
        mean = np.clip(np.mean(orders, axis=0), 1e-6, 1 - 1e-6)
        return np.log(mean / (1 - mean))

    return score


def compare(pairs, index, labels, vectors, settings):
    """{kind: {roc_auc, log_loss}} on left-out training pairs."""
    truth = labels[tuple(pairs[index].T)]
    structures = similarities_with(settings, vectors)

    def kernel_with(**changes):
        return by_kernel(structures, replace(settings, **changes))

    features = PairFeatures(vectors, structures)
    kinds = {
        'kernel, structure alone': kernel_with(structure_share=1.0, fill_rounds=0),
        'kernel, profile alone': kernel_with(structure_share=0.0),
        'kernel, holes left open': kernel_with(fill_rounds=0),
        'kernel': kernel_with(),
        'boosted trees': boosted_trees(features, labels),
        'small network': network(features, labels),
    }
    return {kind: judge(left_out(pairs, index, labels, score), truth) for kind, score in kinds.items()}

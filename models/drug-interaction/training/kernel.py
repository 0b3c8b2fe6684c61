"""The model: kernel ridge regression over pairs of drugs, with every drug reduced to an embedding.

Two drugs are alike when they are known to interact with the same others (profile) and when they look alike (structure).
With K[a,c] for how alike a and c are, the score of a pair is `sum over known pairs (c,d) of alpha[c,d] * (K[a,c] K[b,d] +
K[a,d] K[b,c])`: symmetric by construction. Over n drugs the scores are one symmetric matrix `F = K A K`, and its leading
eigenvectors give each drug a vector `e` with `F[a,b] = sum of sign * e[a] * e[b]`. A new drug has no profile: its vector is
estimated from those of its structural neighbours by ridge regression.

Scores become probabilities by one logistic curve for pairs of known drugs, one for pairs with a new drug and one for
pairs of new drugs, each fitted to scores of pairs (or drugs) left out.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from data import SEED, target_matrix
from features import StructureKernel


@dataclass(frozen=True)
class Settings:
    profile_width: float = 2.0
    structure_share: float = 0.3
    ridge: float = 0.1
    neighbour_ridge: float = 0.3
    dimensions: int = 64


def profile_kernel(target, width):
    """How alike the known interactions of two drugs are, over the others for which both are known."""
    known = (target != 0).astype(float)
    agreement = (target @ target.T) / np.maximum(known @ known.T, 1.0)
    return np.exp(width * (agreement - 1.0))


def solve_pairs(kernel, first, second, values, ridge):
    """Coefficients A [n,n], symmetric, of the ridge regression over the pairs, by conjugate gradients."""
    count = len(kernel)

    def spread(coefficients):
        matrix = np.zeros((count, count))
        matrix[first, second] = coefficients
        matrix[second, first] = coefficients
        return matrix

    solution = np.zeros(len(values))
    residual = values.copy()
    direction = residual.copy()
    norm = residual @ residual
    for _ in range(500):
        image = (kernel @ spread(direction) @ kernel)[first, second] + ridge * direction
        step = norm / (direction @ image)
        solution += step * direction
        residual -= step * image
        previous, norm = norm, residual @ residual
        if norm < 1e-10 * len(values):
            break
        direction = residual + norm / previous * direction
    return spread(solution)


def similarity_of(target, structures, settings):
    """K [n,n] over the drugs, made positive definite."""
    kernel = (1 - settings.structure_share) * profile_kernel(target, settings.profile_width)
    kernel = kernel + settings.structure_share * structures
    lowest = np.linalg.eigvalsh(kernel)[0]
    return kernel + max(0.0, 1e-6 - lowest) * np.eye(len(kernel))


def scores_of(target, structures, settings):
    """F [n,n]: the score of every pair of the drugs, from the pairs whose target is not 0."""
    first, second = np.nonzero(np.triu(target, 1))
    kernel = similarity_of(target, structures, settings)
    return kernel @ solve_pairs(kernel, first, second, target[first, second], settings.ridge) @ kernel


def fit_curve(scores, labels):
    """(slope, offset) of the logistic curve."""
    curve = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000).fit(scores.reshape(-1, 1), labels)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


class Embedding:
    """Drug vectors for the drugs seen in training, and the way to one for a drug that was not."""

    def __init__(self, target, vectors, settings):
        """`target` [n,n] of the n seen drugs; `vectors` [n, WIDTH] their structures (zeros: none)."""
        self.has_structure = vectors.any(axis=1)
        self.structures = StructureKernel(vectors[self.has_structure])
        among = np.zeros((len(target), len(target)))
        inside = self.structures(vectors[self.has_structure])
        among[np.ix_(self.has_structure, self.has_structure)] = inside
        np.fill_diagonal(among, 1.0)
        self.scores = scores_of(target, among, settings)
        values, axes = np.linalg.eigh((self.scores + self.scores.T) / 2)
        order = np.argsort(-np.abs(values), kind='stable')[: settings.dimensions]
        axes = axes[:, order]
        # An eigenvector's sign is arbitrary; fixing it keeps the files the same from run to run.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        self.signs = np.sign(values[order])
        self.known = axes * np.sqrt(np.abs(values[order]))
        self.middle = self.known.mean(axis=0)
        weights = np.linalg.inv(inside + settings.neighbour_ridge * np.eye(len(inside)))
        self.from_neighbours = weights @ (self.known[self.has_structure] - self.middle)

    def of_structures(self, vectors):
        """[m, WIDTH] -> [m, dimensions], for drugs without a profile."""
        return self.structures(vectors) @ self.from_neighbours + self.middle

    def score(self, first, second):
        """Scores of embeddings [m, d] with embeddings [m, d]."""
        return (first * second) @ self.signs


class Model:
    """`fit` on pairs of seen drugs; `probability` for pairs of seen and unseen ones."""

    def __init__(self, settings):
        self.settings = settings

    def fit(self, pairs, index, labels, vectors, seen=None):
        """`index`: the training pairs. `seen`: mask of the drugs they come from, all when None."""
        count = len(labels)
        self.seen = np.ones(count, bool) if seen is None else seen
        where = np.flatnonzero(self.seen)
        target = target_matrix(pairs, index, labels)[np.ix_(where, where)]
        self.embedding = Embedding(target, vectors[where], self.settings)
        self.curves = [
            fit_curve(*left_out_pairs(target, vectors[where], self.settings)),
            *[fit_curve(*entry) for entry in left_out_drugs(target, vectors[where], self.settings)],
        ]
        self.vectors = self.embedding.of_structures(vectors)
        self.vectors[where] = self.embedding.known
        return self

    def probability(self, pairs):
        """P(interacts) [m] for pairs [m,2] of drug indices."""
        score = self.embedding.score(self.vectors[pairs[:, 0]], self.vectors[pairs[:, 1]])
        new = (~self.seen[pairs]).sum(axis=1)
        slope, offset = np.array(self.curves)[new].T
        return 1.0 / (1.0 + np.exp(-(slope * score + offset)))


def left_out_pairs(target, vectors, settings, folds=5):
    """(scores, labels) of the known pairs, each scored by a model that was not given it."""
    first, second = np.nonzero(np.triu(target, 1))
    scores = np.zeros(len(first))
    for kept, left in KFold(folds, shuffle=True, random_state=SEED).split(first):
        partial = np.zeros_like(target)
        partial[first[kept], second[kept]] = target[first[kept], second[kept]]
        embedding = Embedding(partial + partial.T, vectors, settings)
        scores[left] = embedding.score(embedding.known[first[left]], embedding.known[second[left]])
    return scores, (target[first, second] > 0).astype(int)


def left_out_drugs(target, vectors, settings, folds=5):
    """[(scores, labels) of pairs with one drug left out, the same of pairs with both left out]."""
    one, both = [], []
    for kept, left in KFold(folds, shuffle=True, random_state=SEED).split(np.arange(len(target))):
        embedding = Embedding(target[np.ix_(kept, kept)], vectors[kept], settings)
        estimated = embedding.of_structures(vectors[left])
        a, b = np.nonzero(target[np.ix_(left, kept)])
        one.append((embedding.score(estimated[a], embedding.known[b]), target[left[a], kept[b]]))
        a, b = np.nonzero(np.triu(target[np.ix_(left, left)], 1))
        both.append((embedding.score(estimated[a], estimated[b]), target[left[a], left[b]]))
    return [(np.concatenate([s for s, _ in part]), np.concatenate([(t > 0).astype(int) for _, t in part])) for part in (one, both)]

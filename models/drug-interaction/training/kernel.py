"""The model: kernel ridge regression over pairs of drugs, with every drug reduced to an embedding.

Two drugs are similar if their known interactions are similar (profile) and if their structures are similar
(structure). K[a,c] is the similarity of a and c. The score of a pair is the sum over known pairs (c,d) of
alpha[c,d] * (K[a,c] K[b,d] + K[a,d] K[b,c]), which is symmetric by construction. Over n drugs the scores are one
symmetric matrix F = K A K. Its leading eigenvectors give each drug a vector e with F[a,b] = sum of sign * e[a] * e[b]. A new
drug has no profile: ridge regression estimates its vector from the vectors of its structural neighbours.

A profile has holes, because some pairs are unknown. The code compares profiles twice: first over the pairs that both
drugs have, then with the holes filled by the scores of the first comparison.

Three logistic curves convert scores to probabilities: for pairs of known drugs, for pairs with one new drug, and for
pairs of new drugs. Each curve is fitted to the scores of left-out pairs or left-out drugs.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from data import SEED, target_matrix
from features import StructureKernel


@dataclass(frozen=True)
class Settings:
    """Widths of the Gaussians, shares of the mixtures, and strengths of the two ridge regressions."""

    profile_width: float = 2.0
    structure_share: float = 0.3
    ridge: float = 0.1
    fill_rounds: int = 1
    number_share: float = 0.3
    number_width: float = 0.2
    neighbour_ridge: float = 0.1
    dimensions: int = 64


def profile_kernel(target, width):
    """The similarity of the known interactions of two drugs, over the drugs for which both interactions are known."""
    known = (target != 0).astype(float)
    agreement = (target @ target.T) / np.maximum(known @ known.T, 1.0)
    return np.exp(width * (agreement - 1.0))


def filled_kernel(target, scores, width):
    """The profile kernel with the holes of the profiles filled by scores."""
    filled = np.where(target != 0, target, np.clip(scores, -1.0, 1.0))
    np.fill_diagonal(filled, 0.0)
    agreement = filled @ filled.T
    lengths = np.sqrt(np.maximum(agreement.diagonal(), 1e-12))
    return np.exp(width * (agreement / np.outer(lengths, lengths) - 1.0))


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
        if norm < 1e-8 * len(values):
            break
        direction = residual + norm / previous * direction
    return spread(solution)


def pair_scores(profiles, structures, target, settings):
    """F [n,n] from the similarities of the profiles and the structures of n drugs."""
    kernel = (1 - settings.structure_share) * profiles + settings.structure_share * structures
    kernel = kernel + max(0.0, 1e-6 - np.linalg.eigvalsh(kernel)[0]) * np.eye(len(kernel))
    first, second = np.nonzero(np.triu(target, 1))
    scores = kernel @ solve_pairs(kernel, first, second, target[first, second], settings.ridge) @ kernel
    return (scores + scores.T) / 2


def scores_of(target, structures, settings):
    """F [n,n]: the score of every pair of the drugs, from the pairs whose target is not 0."""
    scores = pair_scores(profile_kernel(target, settings.profile_width), structures, target, settings)
    for _ in range(settings.fill_rounds):
        scores = pair_scores(filled_kernel(target, scores, settings.profile_width), structures, target, settings)
    return scores


def structure_similarities(kernel, vectors):
    """[n,n] among the reference drugs; a drug without a structure is similar only to itself."""
    drawn = vectors.any(axis=1)
    among = np.eye(len(vectors))
    among[np.ix_(drawn, drawn)] = kernel(vectors[drawn])
    np.fill_diagonal(among, 1.0)
    return among


def fit_curve(scores, labels):
    """(slope, offset) of the logistic curve."""
    curve = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000).fit(scores.reshape(-1, 1), labels)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


def logistic(curve, scores):
    slope, offset = curve
    return 1.0 / (1.0 + np.exp(-(slope * scores + offset)))


class Embedding:
    """The vectors of the drugs seen in training, and an estimate of the vector of every other drug."""

    def __init__(self, target, vectors, settings):
        """`target` [n,n] of the n seen drugs; `vectors` [n, WIDTH] their structures (zeros: none)."""
        drawn = vectors.any(axis=1)
        self.structures = StructureKernel(vectors[drawn], settings.number_share, settings.number_width)
        among = structure_similarities(self.structures, vectors)
        values, axes = np.linalg.eigh(scores_of(target, among, settings))
        order = np.argsort(-np.abs(values), kind='stable')[: settings.dimensions]
        axes = axes[:, order]
        # An eigenvector's sign is arbitrary; a fixed sign gives the same files in every run.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        self.signs = np.sign(values[order])
        self.known = axes * np.sqrt(np.abs(values[order]))
        self.middle = self.known.mean(axis=0)
        inside = among[np.ix_(drawn, drawn)]
        weights = np.linalg.inv(inside + settings.neighbour_ridge * np.eye(len(inside)))
        self.from_neighbours = weights @ (self.known[drawn] - self.middle)

    def of_structures(self, vectors):
        """[m, WIDTH] -> [m, dimensions], for drugs without a profile."""
        return self.structures(vectors) @ self.from_neighbours + self.middle

    def score(self, first, second):
        """Scores of embeddings [m, d] with embeddings [m, d]."""
        return (first * second) @ self.signs


class Model:
    """`fit` takes pairs of seen drugs; `probability` takes pairs of seen and unseen drugs."""

    def __init__(self, settings):
        self.settings = settings

    def fit(self, pairs, index, labels, vectors, seen=None):
        """`index`: the training pairs. `seen`: the mask of the drugs of these pairs; None means all drugs."""
        self.seen = np.ones(len(labels), bool) if seen is None else seen
        where = np.flatnonzero(self.seen)
        target = target_matrix(pairs, index, labels)[np.ix_(where, where)]
        self.embedding = Embedding(target, vectors[where], self.settings)
        one, both = left_out_drugs(target, vectors[where], self.settings)
        self.curves = [
            fit_curve(*left_out_pairs(target, vectors[where], self.settings)),
            fit_curve(*one),
            fit_curve(*both),
        ]
        self.vectors = self.embedding.of_structures(vectors)
        self.vectors[where] = self.embedding.known
        return self

    def probability(self, pairs):
        """P(interacts) [m] for pairs [m,2] of drug indices."""
        return self.of_vectors(self.vectors[pairs[:, 0]], self.vectors[pairs[:, 1]], (~self.seen[pairs]).sum(axis=1))

    def of_vectors(self, first, second, new):
        """P(interacts) [m] for embeddings [m,d] and the number of new drugs in each pair [m]."""
        slope, offset = np.array(self.curves)[new].T
        return logistic((slope, offset), self.embedding.score(first, second))


def left_out_pairs(target, vectors, settings, folds=5):
    """(scores, labels) of the known pairs. The model that scores a pair was fitted without the pair."""
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
    scored = [(np.concatenate([s for s, _ in part]), np.concatenate([t for _, t in part])) for part in (one, both)]
    return [(scores, (targets > 0).astype(int)) for scores, targets in scored]

"""The label and similarity matrices, the pairs, and the two splits."""

import os

import numpy as np
from sklearn.model_selection import train_test_split

SEED = 42
SIMILARITIES = ['MACCS', 'RWsim', 'feat_sim', 'fingerprint_sim', 'smiles_sim']


def read_matrix(path):
    with open(path, encoding='utf-8') as lines:
        return np.array(
            [[float(cell) for cell in line.strip().rstrip(',').split(',')] for line in lines if line.strip()]
        )


def read(directory):
    """{names, labels [n,n] of 0 and 1, similarities [pairs,5], disagreeing: pairs labelled differently per direction}.

    The labels are symmetric except for Butamben, whose row is empty and whose column is not: 61 pairs have an
    interaction in one direction only. -1 means "not known to interact", and an interaction in either direction counts.
    """
    with open(os.path.join(directory, 'top196drugs.csv'), encoding='utf-8') as lines:
        names = [line.strip() for line in lines if line.strip()]
    raw = read_matrix(os.path.join(directory, 'truelabel_196.csv')) > 0
    count = len(names)
    assert raw.shape == (count, count) and not raw.diagonal().any()
    labels = (raw | raw.T).astype(np.int64)
    first, second = np.triu_indices(count, 1)
    # The cells above the diagonal, as in the DDI-MLops pipeline. Only RWsim has other values below the diagonal.
    similarities = np.stack(
        [read_matrix(os.path.join(directory, f'{name}_196.csv'))[first, second] for name in SIMILARITIES], axis=1
    )
    return {
        'names': names,
        'labels': labels,
        'similarities': similarities,
        'disagreeing': int((raw[first, second] != raw[second, first]).sum()),
    }


def pairs_of(count):
    """All unordered pairs [pairs,2], row by row above the diagonal. The split's seed depends on this order."""
    return np.stack(np.triu_indices(count, 1), axis=1)


def split_pairs(pairs):
    """(train, test): indices of pairs, 80/20."""
    return train_test_split(np.arange(len(pairs)), test_size=0.2, random_state=SEED)


def split_drugs(pairs, count):
    """(train, test, unseen): pairs of seen drugs, pairs with a held-out drug (20 %), the mask of the held-out drugs."""
    _, held = train_test_split(np.arange(count), test_size=0.2, random_state=SEED)
    unseen = np.zeros(count, bool)
    unseen[held] = True
    touched = unseen[pairs].any(axis=1)
    return np.flatnonzero(~touched), np.flatnonzero(touched), unseen


def target_matrix(pairs, index, labels):
    """[n,n] of +1 and -1 for the pairs of the index, and 0 for all other pairs."""
    target = np.zeros(labels.shape)
    first, second = pairs[index].T
    target[first, second] = 2.0 * labels[first, second] - 1.0
    target[second, first] = target[first, second]
    return target

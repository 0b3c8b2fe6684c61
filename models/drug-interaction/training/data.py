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

    The labels are symmetric except that the row of Butamben is empty while its column is not: 61 pairs that one
    direction knows and the other does not. -1 means "not known to interact", so what either direction knows counts.
    """
    with open(os.path.join(directory, 'top196drugs.csv'), encoding='utf-8') as lines:
        names = [line.strip() for line in lines if line.strip()]
    raw = read_matrix(os.path.join(directory, 'truelabel_196.csv')) > 0
    count = len(names)
    assert raw.shape == (count, count) and not raw.diagonal().any()
    labels = (raw | raw.T).astype(np.int64)
    first, second = np.triu_indices(count, 1)
    # Above the diagonal, as the DDI-MLops pipeline takes them; RWsim alone differs below it.
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
    """All unordered pairs [pairs,2], row by row above the diagonal: the order that the split's seed goes with."""
    return np.stack(np.triu_indices(count, 1), axis=1)


def split_pairs(pairs):
    """(train, test): indices of pairs, 80/20."""
    return train_test_split(np.arange(len(pairs)), test_size=0.2, random_state=SEED)


def split_drugs(pairs, count):
    """(train, test, unseen): pairs of seen drugs alone; pairs with one or two of the 20 % of drugs held out."""
    _, held = train_test_split(np.arange(count), test_size=0.2, random_state=SEED)
    unseen = np.zeros(count, bool)
    unseen[held] = True
    touched = unseen[pairs].any(axis=1)
    return np.flatnonzero(~touched), np.flatnonzero(touched), unseen


def target_matrix(pairs, index, labels):
    """[n,n] of +1, -1 and, for pairs that are not in the index, 0."""
    target = np.zeros(labels.shape)
    first, second = pairs[index].T
    target[first, second] = 2.0 * labels[first, second] - 1.0
    target[second, first] = target[first, second]
    return target

"""Figures, pictures and the parity fixture."""

import base64
import json
import re

import matplotlib
import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score, roc_curve

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

BINS = 10
BLUE, GREY = '#2364aa', '#8a8d91'


def bins_of(truth, probability):
    """[(mean probability, share of positives, share of all)] of ten equal bins, without the empty bins."""
    which = np.minimum((probability * BINS).astype(int), BINS - 1)
    return [
        (probability[which == k].mean(), truth[which == k].mean(), (which == k).mean())
        for k in range(BINS)
        if (which == k).any()
    ]


def figures(truth, probability):
    """roc_auc, pr_auc (average precision), accuracy at 0.5 and ece, the mean gap of the bins weighted by their size."""
    return {
        'roc_auc': round(float(roc_auc_score(truth, probability)), 4),
        'pr_auc': round(float(average_precision_score(truth, probability)), 4),
        'accuracy': round(float(accuracy_score(truth, probability >= 0.5)), 4),
        'ece': round(
            float(sum(share * abs(mean - positive) for mean, positive, share in bins_of(truth, probability))), 4
        ),
    }


def write_json(value, path):
    """Writes JSON in the format of the repository's formatter, which writes small numbers as 1e-6, not 1e-06."""
    text = re.sub(r'(\de-)0', r'\1', json.dumps(value, indent=2))
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'{text}\n')


def save(figure, path):
    # The file has no software version and no time, so that the same figures give the same bytes.
    figure.savefig(path, dpi=110, metadata={'Software': None})
    plt.close(figure)


def plot_roc(curves, path):
    """`curves`: {title: {label: (truth, probability)}}, one panel for each title."""
    figure, panels = plt.subplots(1, len(curves), figsize=(5 * len(curves), 4.6), layout='constrained')
    for panel, (title, lines) in zip(np.atleast_1d(panels), curves.items()):
        for (label, (truth, probability)), colour in zip(lines.items(), (BLUE, GREY)):
            wrong, right, _ = roc_curve(truth, probability)
            panel.plot(wrong, right, color=colour, label=f'{label}: {roc_auc_score(truth, probability):.3f}')
        panel.plot([0, 1], [0, 1], color='#d0d2d4', linewidth=1)
        panel.set(title=title, xlabel='false positive rate', ylabel='true positive rate', aspect='equal')
        panel.legend(loc='lower right', title='ROC-AUC', frameon=False)
    save(figure, path)


def plot_calibration(cases, path):
    """`cases`: {title: (truth, probability)}, one panel each: the share of interacting pairs in each bin, and the size
    of the bin."""
    figure, panels = plt.subplots(1, len(cases), figsize=(5 * len(cases), 4.6), layout='constrained')
    for panel, (title, (truth, probability)) in zip(np.atleast_1d(panels), cases.items()):
        found = np.array(bins_of(truth, probability))
        panel.bar(
            (np.arange(BINS) + 0.5) / BINS,
            np.histogram(probability, BINS, (0, 1))[0] / len(truth),
            width=0.09,
            color='#dfe8f1',
            label='share of pairs',
        )
        panel.plot([0, 1], [0, 1], color='#d0d2d4', linewidth=1)
        panel.plot(found[:, 0], found[:, 1], 'o-', color=BLUE, label='known to interact')
        ece = figures(truth, probability)['ece']
        panel.set(
            title=f'{title} (error {ece:.3f})',
            xlabel='predicted probability',
            ylabel='share',
            aspect='equal',
            xlim=(0, 1),
            ylim=(0, 1),
        )
        panel.legend(loc='upper left', frameon=False)
    save(figure, path)


def encoded(vector):
    return base64.b64encode(vector.astype('<f4').tobytes()).decode()

"""The model of the DDI-MLops pipeline: a random forest on five similarities.

The grid, the folds, the seeds and the split equal the pipeline's training script. Three things differ. Pairs of a
drug with itself are excluded, because all such labels are "no" and the similarity is 1. The first line of every
matrix is data, whereas the pipeline reads the line as column names, which shifts all rows by one. The columns have a
fixed order, whereas the pipeline takes the columns from a Python set.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

from data import SEED, SIMILARITIES

GRID = {'n_estimators': [50, 100], 'max_depth': [5, 10, None]}


def fit(similarities, labels):
    """(forest, {parameters, accuracy by setting}) by three-fold cross-validation."""
    search = GridSearchCV(RandomForestClassifier(random_state=SEED), GRID, scoring='accuracy', cv=3)
    search.fit(similarities, labels)
    scores = [
        {**parameters, 'cv_accuracy': round(float(score), 4)}
        for parameters, score in zip(search.cv_results_['params'], search.cv_results_['mean_test_score'])
    ]
    return search.best_estimator_, scores


def fit_with(parameters, similarities, labels):
    return RandomForestClassifier(random_state=SEED, **parameters).fit(similarities, labels)


def probability(forest, similarities):
    return forest.predict_proba(similarities)[:, 1]


def to_onnx(forest, description):
    """The forest as one TreeEnsemble node (ai.onnx.ml 5): `similarities` [batch,5] -> `probability` [batch].

    The code writes the node directly, because the converters write a name for the comparison of every tree node,
    which triples the size of the file.
    """
    splits, features, true_ids, true_leaf, false_ids, false_leaf, weights, roots = [], [], [], [], [], [], [], []

    def leaf(tree, node):
        weights.append(tree.value[node, 0, 1] / len(forest.estimators_))
        return len(weights) - 1

    for estimator in forest.estimators_:
        tree = estimator.tree_
        place = {}
        for node in range(tree.node_count):
            if tree.children_left[node] >= 0:
                place[node] = len(splits) + len(place)
        roots.append(place[0])
        for node in sorted(place):
            splits.append(tree.threshold[node])
            features.append(int(tree.feature[node]))
            for child, ids, is_leaf in (
                (tree.children_left[node], true_ids, true_leaf),
                (tree.children_right[node], false_ids, false_leaf),
            ):
                is_leaf.append(int(child not in place))
                ids.append(place[child] if child in place else leaf(tree, child))

    count = len(splits)
    node = helper.make_node(
        'TreeEnsemble',
        ['similarities'],
        ['votes'],
        name='forest',
        domain='ai.onnx.ml',
        n_targets=1,
        aggregate_function=1,
        post_transform=0,
        tree_roots=roots,
        nodes_featureids=features,
        nodes_splits=numpy_helper.from_array(round_down(splits), 'splits'),
        nodes_modes=numpy_helper.from_array(np.zeros(count, np.uint8), 'modes'),  # 0: value <= split goes to true
        nodes_truenodeids=true_ids,
        nodes_trueleafs=true_leaf,
        nodes_falsenodeids=false_ids,
        nodes_falseleafs=false_leaf,
        leaf_targetids=[0] * len(weights),
        leaf_weights=numpy_helper.from_array(np.array(weights, np.float32), 'weights'),
    )
    axis = numpy_helper.from_array(np.array([1], np.int64), 'axis')
    squeeze = helper.make_node('Squeeze', ['votes', 'axis'], ['probability'], name='squeeze')
    graph = helper.make_graph(
        [node, squeeze],
        'drug_interaction_similarity',
        [helper.make_tensor_value_info('similarities', TensorProto.FLOAT, ['batch', len(SIMILARITIES)])],
        [helper.make_tensor_value_info('probability', TensorProto.FLOAT, ['batch'])],
        [axis],
    )
    opsets = [helper.make_opsetid('', 18), helper.make_opsetid('ai.onnx.ml', 5)]
    made = helper.make_model(
        graph, opset_imports=opsets, producer_name='millrace', ir_version=9, doc_string=description
    )
    onnx.checker.check_model(made)
    return made


def round_down(thresholds):
    """float64 -> float32, never upwards: a value above a threshold stays above the rounded threshold."""
    exact = np.array(thresholds, np.float64)
    near = exact.astype(np.float32)
    return np.where(near.astype(np.float64) > exact, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)

"""Trains and measures both drug-interaction models, and writes all result files.

    python models/drug-interaction/training/train.py --data PATH

PATH is the folder with the CSV files of DDI-MLops (`ddi/`). Two runs on the same machine write the same bytes.
"""

import os

# Set before NumPy is loaded. One thread, and the same matrix kernel on every processor, give the same sums.
for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[variable] = '1'
os.environ.setdefault('OPENBLAS_CORETYPE', 'Haswell')

import argparse  # noqa: E402
import csv  # noqa: E402
import hashlib  # noqa: E402

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from rdkit import Chem  # noqa: E402
from sklearn.model_selection import KFold  # noqa: E402

import baseline  # noqa: E402
import data  # noqa: E402
import features  # noqa: E402
import graph  # noqa: E402
import report  # noqa: E402
import rivals  # noqa: E402
import structures  # noqa: E402
from kernel import Model  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.dirname(os.path.dirname(HERE))


def say(text):
    print(text, flush=True)


def measure(case, pairs, index, unseen, model, forest):
    """The figures of one split, and the data of the pictures."""
    truth = case['labels'][tuple(pairs[index].T)]
    ours = model.probability(pairs[index])
    theirs = baseline.probability(forest, case['similarities'][index])
    found = {**report.figures(truth, ours), 'baseline': report.figures(truth, theirs)}
    if unseen is not None:
        for name, count in (('one_unseen', 1), ('both_unseen', 2)):
            part = unseen[pairs[index]].sum(axis=1) == count
            found[name] = {
                **report.figures(truth[part], ours[part]),
                'baseline': report.figures(truth[part], theirs[part]),
            }
    return found, truth, ours, theirs


def repeat(case, pairs, settings, parameters, vectors):
    """{split: {figure: {mean, deviation}}} over five folds of pairs and of drugs, with one set of settings."""
    labels, truth = case['labels'], case['labels'][tuple(pairs.T)]
    rounds = {'pairs': [], 'unseen_drugs': []}
    folds = KFold(5, shuffle=True, random_state=data.SEED)
    for train, test in folds.split(pairs):
        rounds['pairs'].append((train, test, None))
    for _, held in folds.split(labels):
        unseen = np.isin(np.arange(len(labels)), held)
        touched = unseen[pairs].any(axis=1)
        rounds['unseen_drugs'].append((np.flatnonzero(~touched), np.flatnonzero(touched), unseen))
    found = {}
    for name, splits in rounds.items():
        results = []
        for train, test, unseen in splits:
            forest = baseline.fit_with(parameters, case['similarities'][train], truth[train])
            model = Model(settings).fit(pairs, train, labels, vectors, None if unseen is None else ~unseen)
            figures, *_ = measure(case, pairs, test, unseen, model, forest)
            flat = {key: figures[key] for key in ('roc_auc', 'ece')}
            flat['baseline_roc_auc'] = figures['baseline']['roc_auc']
            if unseen is not None:
                flat['both_unseen_roc_auc'] = figures['both_unseen']['roc_auc']
                flat['both_unseen_baseline_roc_auc'] = figures['both_unseen']['baseline']['roc_auc']
            results.append(flat)
        found[name] = {}
        for key in results[0]:
            values = [result[key] for result in results]
            found[name][key] = {'mean': round(float(np.mean(values)), 4), 'deviation': round(float(np.std(values)), 4)}
    return found


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])


def save_model(made, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(made.SerializeToString(deterministic=True))


def write_entities(records, vectors, path):
    """Writes the rows of the drug entity. InChIKeys are aliases, so that the handler finds the drug of a SMILES."""
    flat = {}
    for record in records:
        if record['smiles']:
            plain = Chem.MolToSmiles(Chem.MolFromSmiles(record['smiles']), isomericSmiles=False)
            record['flat'] = Chem.MolToInchiKey(Chem.MolFromSmiles(plain))
            flat.setdefault(record['flat'], []).append(record['key'])
    full = {record['inchikey'] for record in records}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['key', 'name', 'aliases', 'smiles', 'inchikey', 'formula', 'structure_source', 'vector'])
        for record, vector in zip(records, vectors):
            keys = [record['inchikey']] if record['inchikey'] else []
            if record['smiles'] and record['flat'] not in full and len(flat[record['flat']]) == 1:
                keys.append(record['flat'])
            writer.writerow(
                [
                    record['key'],
                    record['name'],
                    '|'.join(record['aliases'] + keys),
                    record['smiles'],
                    record['inchikey'],
                    record['formula'],
                    record['source'],
                    report.encoded(vector),
                ]
            )


def strangers(records, count):
    """[{smiles, features}] of compounds that are not in the list. The SMILES are not canonical, like the input of a
    caller."""
    ours = {record['inchikey'][:14] for record in records if record['inchikey']}
    path = structures.package_file('chemicals', 'Identifiers', 'chemical identifiers pubchem small.tsv')
    with open(path, encoding='utf-8') as lines:
        found = [line.split('\t')[4] for line in lines]
    chosen, seen = [], set()
    for position in np.random.default_rng(data.SEED).permutation(len(found)):
        molecule = Chem.MolFromSmiles(found[position])
        usable = molecule is not None and '.' not in found[position] and 10 <= molecule.GetNumHeavyAtoms() <= 60
        if not usable or not {atom.GetSymbol() for atom in molecule.GetAtoms()} <= set('C N O S F Cl Br P I'.split()):
            continue
        key = Chem.MolToInchiKey(molecule)[:14]
        if key in ours or key in seen:
            continue
        seen.add(key)
        chosen.append({'smiles': found[position], 'vector': features.structure_vector(Chem.MolToSmiles(molecule))})
        if len(chosen) == count:
            return chosen
    raise ValueError(f'only {len(chosen)} compounds')


def reference_pairs(model, pairs, known, others, dimensions):
    """1,000 pairs that compare ONNX with the training library: 700 of known drugs, 200 with one new drug, 100 of new
    drugs.

    Returns (rows for the fixture, vectors a, vectors b, reference probabilities).
    """
    random = np.random.default_rng(data.SEED)
    new_vectors = graph.new_vectors(np.stack([entry['vector'] for entry in others]), dimensions)
    estimated = model.embedding.of_structures(np.stack([entry['vector'] for entry in others]))
    rows = [('known', first, second) for first, second in pairs[np.sort(random.choice(len(pairs), 700, replace=False))]]
    rows += [('one', random.integers(len(known)), random.integers(len(others))) for _ in range(200)]
    while len(rows) < 1000:
        first, second = random.integers(len(others), size=2)
        if first != second:
            rows.append(('both', first, second))
    vectors = {'known': (known, known), 'one': (known, new_vectors), 'both': (new_vectors, new_vectors)}
    embeddings = {
        'known': (model.vectors, model.vectors),
        'one': (model.vectors, estimated),
        'both': (estimated, estimated),
    }
    new = np.array([['known', 'one', 'both'].index(kind) for kind, _, _ in rows])
    a, b = (np.stack([vectors[row[0]][side][row[1 + side]] for row in rows]) for side in (0, 1))
    first, second = (np.stack([embeddings[row[0]][side][row[1 + side]] for row in rows]) for side in (0, 1))
    return rows, a, b, model.of_vectors(first, second, new)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', required=True, help='folder with the CSV files of DDI-MLops')
    parser.add_argument('--out', default=MODELS, help='parent folder of both models (default: this repository)')
    options = parser.parse_args()
    ours = os.path.join(options.out, 'drug-interaction')
    theirs = os.path.join(options.out, 'drug-interaction-similarity')
    for directory in (f'{ours}/training', f'{ours}/fixtures', f'{ours}/figures', f'{theirs}/fixtures'):
        os.makedirs(directory, exist_ok=True)

    case = data.read(options.data)
    labels, count = case['labels'], len(case['names'])
    pairs = data.pairs_of(count)
    truth = labels[tuple(pairs.T)]
    say(f'{count} drugs, {len(pairs)} pairs, {truth.mean():.4f} positive, {case["disagreeing"]} labelled one way only')

    records = structures.collect(case['names'])
    structures.write_table(records, os.path.join(ours, 'training', 'structures.csv'))
    vectors = np.stack([features.structure_vector(record['smiles']) for record in records])
    missing = {record['name']: record['reason'] for record in records if not record['smiles']}
    say(f'{count - len(missing)} structures; without: {missing}')

    pair_train, pair_test = data.split_pairs(pairs)
    drug_train, drug_test, unseen = data.split_drugs(pairs, count)
    # Each split selects its settings from its training pairs, so that no test pair influences a selection.
    settings = rivals.choose(pairs, pair_train, labels, vectors)
    settings_unseen = rivals.choose(pairs, drug_train, labels, vectors, ~unseen)
    say(f'chosen: {settings}\n  for unseen drugs: {settings_unseen}')
    selection = rivals.compare(pairs, pair_train, labels, vectors, settings)
    for kind, score in selection.items():
        say(f'  {kind}: {score}')

    splits, curves, calibration = {}, {}, {}
    for name, title, train, test, mask, own in (
        ('pairs', 'pairs held out', pair_train, pair_test, None, settings),
        ('unseen_drugs', 'drugs never seen', drug_train, drug_test, unseen, settings_unseen),
    ):
        forest, grid = baseline.fit(case['similarities'][train], truth[train])
        model = Model(own).fit(pairs, train, labels, vectors, None if mask is None else ~mask)
        splits[name], held, probability, other = measure(case, pairs, test, mask, model, forest)
        splits[name]['train'], splits[name]['test'] = len(train), len(test)
        curves[title] = {'drug-interaction': (held, probability), 'similarity forest': (held, other)}
        calibration[title] = (held, probability)
        say(f'{name}: {splits[name]}')
        if mask is None:
            baseline_grid, baseline_forest = grid, forest
    parameters = {name: baseline_forest.get_params()[name] for name in baseline.GRID}
    five_folds = repeat(case, pairs, settings, parameters, vectors)
    say(f'five folds, mean and deviation: {five_folds}')

    # The shipped model is fitted to all pairs. The figures above are of the same recipe without a fifth of the pairs.
    final = Model(settings).fit(pairs, np.arange(len(pairs)), labels, vectors)
    path = os.path.join(ours, '1', 'model.onnx')
    save_model(graph.to_onnx(final, 'Probability that two drugs are known to interact. No medical advice.'), path)
    known = graph.known_vectors(final, vectors)
    write_entities(records, known, os.path.join(ours, 'entities', 'drug.csv'))
    others = strangers(records, 60)
    rows, a, b, reference = reference_pairs(final, pairs, known, others, settings.dimensions)
    session = session_of(path)
    output = session.run(None, {'a': a, 'b': b})[0]
    difference = float(np.abs(output - reference).max())

    forest_path = os.path.join(theirs, '1', 'model.onnx')
    save_model(baseline.to_onnx(baseline_forest, 'The DDI-MLops random forest on five drug similarities.'), forest_path)
    sample = np.sort(np.random.default_rng(data.SEED).choice(len(pairs), 1000, replace=False))
    inputs = case['similarities'][sample].astype(np.float32)
    forest_reference = baseline.probability(baseline_forest, case['similarities'][sample])
    forest_output = session_of(forest_path).run(None, {'similarities': inputs})[0]
    say(f'ONNX differs by {difference:.2e}, the forest by {np.abs(forest_output - forest_reference).max():.2e}')

    def side(kind, which, position):
        is_new = kind == 'both' or (kind == 'one' and which == 1)
        return {'smiles': others[position]['smiles']} if is_new else records[position]['name']

    report.write_json(
        {
            'model_sha256': hashlib.sha256(open(path, 'rb').read()).hexdigest(),
            'tolerance': 1e-5,
            'structures': [
                {'smiles': entry['smiles'], 'structure': report.encoded(entry['vector'])} for entry in others
            ],
            'pairs': [
                {'drug_a': side(kind, 0, first), 'drug_b': side(kind, 1, second), 'probability': round(float(value), 9)}
                for (kind, first, second), value in zip(rows, reference)
            ],
        },
        os.path.join(ours, 'fixtures', 'parity.json'),
    )
    report.write_json(
        {
            'model_sha256': hashlib.sha256(open(forest_path, 'rb').read()).hexdigest(),
            'tolerance': 1e-5,
            'rows': [
                {'similarities': [round(float(value), 3) for value in row], 'probability': round(float(value), 9)}
                for row, value in zip(case['similarities'][sample[:200]], forest_reference)
            ],
        },
        os.path.join(theirs, 'fixtures', 'parity.json'),
    )
    report.plot_roc(curves, os.path.join(ours, 'figures', 'roc.png'))
    report.plot_calibration(calibration, os.path.join(ours, 'figures', 'calibration.png'))
    report.write_json(
        {
            'splits': splits,
            'onnx': {'max_abs_diff': float(f'{difference:.2e}'), 'bytes': os.path.getsize(path)},
            'selection': {
                'settings': {'pairs': vars(settings), 'unseen_drugs': vars(settings_unseen)},
                'left_out_training_pairs': selection,
                'baseline_grid': baseline_grid,
            },
            'five_folds': five_folds,
            'similarity_onnx': {
                'max_abs_diff': float(f'{np.abs(forest_output - forest_reference).max():.2e}'),
                'bytes': os.path.getsize(forest_path),
            },
            'data': {
                'drugs': count,
                'pairs': len(pairs),
                'positive': round(float(truth.mean()), 4),
                'labelled_one_way_only': case['disagreeing'],
                'without_structure': missing,
            },
        },
        os.path.join(ours, 'metrics.json'),
    )


if __name__ == '__main__':
    main()

"""Writes the model as an ONNX graph, and the rows of the drug entity, which are the inputs of the graph.

One float32 vector describes a drug: [1 for a known and 0 for a new drug, the embedding (zeros for a new drug), 12
descriptors, 6 counts, 128 packed fingerprint words]. Inputs `a` and `b` are [batch, width]; output `probability` is
[batch].

The graph combines both inputs in a product of embeddings and in a count, so both orders have the same result, to the
bit. One branch of an `If` estimates new drugs, and a batch without a new drug skips this branch. The graph stores the
fingerprints of the reference drugs as bytes, and counts common bits in integers.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from features import BITS, BITS_PER_FLOAT, NUMBERS, PACKED, WIDTH


class Builder:
    """Collects nodes and constants, and names each node after its output."""

    def __init__(self, prefix=''):
        self.prefix, self.nodes, self.constants = prefix, [], []

    def constant(self, name, value, dtype=np.float32):
        name = f'{self.prefix}{name}'
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        name = f'{self.prefix}{name}'
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def slice_columns(build, tensor, start, end, name):
    bounds = [
        build.constant(f'{name}_{part}', [value], np.int64)
        for part, value in (('start', start), ('end', end), ('axis', 1))
    ]
    return build.node('Slice', [tensor, *bounds], name)


def estimate_branch(embedding, drugs, dimensions):
    """The subgraph [2n, width] -> [2n, dimensions] that estimates the embeddings of new drugs from similar drugs."""
    build = Builder('new/')
    kernel = embedding.structures
    start = 1 + dimensions
    numbers = slice_columns(build, drugs, start, start + NUMBERS, 'numbers')
    packed = slice_columns(build, drugs, start + NUMBERS, start + WIDTH, 'packed')

    # Words -> bytes -> bits, the lowest bit first, with a table of all bytes.
    axis = build.constant('last', [2], np.int64)
    byte_size = build.constant('byte_size', 256.0)
    high = build.node('Floor', [build.node('Div', [packed, byte_size], 'shifted')], 'high')
    low = build.node('Sub', [packed, build.node('Mul', [high, byte_size], 'above')], 'low')
    sides = [build.node('Unsqueeze', [side, axis], f'{name}_column') for name, side in (('low', low), ('high', high))]
    bytes_ = build.node('Concat', sides, 'bytes', axis=2)
    indices = build.node('Cast', [bytes_], 'indices', to=TensorProto.INT32)
    table = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder='little')
    spread = build.node('Gather', [build.constant('bits_of_byte', table, np.uint8), indices], 'spread', axis=0)
    shape = build.constant('bits_shape', [-1, PACKED * BITS_PER_FLOAT], np.int64)
    bits = build.node('Reshape', [spread, shape], 'bits')

    total = None
    for index, name in enumerate(('pairs', 'paths')):
        reference = kernel.reference[1 + index]
        own = slice_columns(build, bits, index * BITS, (index + 1) * BITS, name)
        # The last column is all ones: the same product then also counts the bits of the drug.
        columns = np.concatenate([reference.T, np.ones((BITS, 1))], axis=1)
        counts_int = build.node(
            'MatMulInteger', [own, build.constant(f'{name}_reference', columns, np.uint8)], f'{name}_counts_int'
        )
        counts = build.node('Cast', [counts_int], f'{name}_counts', to=TensorProto.FLOAT)
        common = slice_columns(build, counts, 0, len(reference), f'{name}_common')
        count = slice_columns(build, counts, len(reference), len(reference) + 1, f'{name}_count')
        sizes = build.constant(f'{name}_sizes', reference.sum(axis=1)[None, :])
        either = build.node('Sub', [build.node('Add', [count, sizes], f'{name}_sum'), common], f'{name}_either')
        safe = build.node('Max', [either, build.constant(f'{name}_one', 1.0)], f'{name}_safe')
        tanimoto = build.node('Div', [common, safe], f'{name}_tanimoto')
        total = tanimoto if total is None else build.node('Add', [total, tanimoto], 'total')
        if index == 0:
            present = build.node('Min', [count, build.constant('present_one', 1.0)], 'present')

    # The squared distance is x^2 + r^2 - 2xr, which needs only one matrix product.
    centred = build.node('Sub', [numbers, build.constant('mean', kernel.mean)], 'centred')
    scaled = build.node('Div', [centred, build.constant('scale', kernel.scale)], 'scaled')
    clipped = build.node(
        'Clip', [scaled, build.constant('low_bound', -3.0), build.constant('high_bound', 3.0)], 'clipped'
    )
    squares = build.node('Mul', [clipped, clipped], 'squares')
    own_square = build.node(
        'ReduceSum', [squares, build.constant('square_axes', [1], np.int64)], 'own_square', keepdims=1
    )
    reference = kernel.reference[0]
    crossed = build.node('MatMul', [clipped, build.constant('reference', -2.0 * reference.T)], 'crossed')
    far = build.node(
        'Add', [own_square, build.constant('reference_square', (reference**2).sum(axis=1)[None, :])], 'far'
    )
    apart = build.node('Add', [far, crossed], 'apart')
    exponent = build.node('Mul', [apart, build.constant('width', -kernel.number_width / NUMBERS)], 'exponent')
    gaussian = build.node('Exp', [exponent], 'gaussian')

    share = kernel.number_share
    left = build.node('Mul', [total, build.constant('print_share', (1 - share) / 2)], 'left')
    right = build.node('Mul', [gaussian, build.constant('number_share', share)], 'right')
    blended = build.node('Add', [left, right], 'blended')
    alike = build.node('Mul', [blended, present], 'alike')
    moved = build.node('MatMul', [alike, build.constant('from_neighbours', embedding.from_neighbours)], 'moved')
    estimated = build.node('Add', [moved, build.constant('middle', embedding.middle)], 'estimated')

    known = slice_columns(build, drugs, 0, 1, 'known')
    is_known = build.node('Greater', [known, build.constant('half', 0.5)], 'is_known')
    own = slice_columns(build, drugs, 1, start, 'own')
    result = build.node('Where', [is_known, own, estimated], 'result')
    out = helper.make_tensor_value_info(result, TensorProto.FLOAT, [None, dimensions])
    return helper.make_graph(build.nodes, 'estimate', [], [out], build.constants)


def known_branch(drugs, dimensions):
    build = Builder('known/')
    result = slice_columns(build, drugs, 1, 1 + dimensions, 'result')
    out = helper.make_tensor_value_info(result, TensorProto.FLOAT, [None, dimensions])
    return helper.make_graph(build.nodes, 'known', [], [out], build.constants)


def to_onnx(model, description):
    """The graph of a fitted kernel.Model."""
    embedding = model.embedding
    dimensions = embedding.known.shape[1]
    width = 1 + dimensions + WIDTH
    build = Builder()
    drugs = build.node('Concat', ['a', 'b'], 'drugs', axis=0)
    known = slice_columns(build, drugs, 0, 1, 'known')
    least = build.node('ReduceMin', [known], 'least', keepdims=0)
    any_new = build.node('Less', [least, build.constant('half', 0.5)], 'any_new')
    vectors = build.node(
        'If',
        [any_new],
        'vectors',
        then_branch=estimate_branch(embedding, drugs, dimensions),
        else_branch=known_branch(drugs, dimensions),
    )
    # Both halves have the same size: the first n rows belong to a, the others to b.
    build.nodes.append(
        helper.make_node('Split', [vectors], ['vector_a', 'vector_b'], name='split', axis=0, num_outputs=2)
    )
    build.nodes.append(
        helper.make_node('Split', [known], ['known_a', 'known_b'], name='split_known', axis=0, num_outputs=2)
    )
    product = build.node('Mul', ['vector_a', 'vector_b'], 'product')
    score = build.node('MatMul', [product, build.constant('signs', embedding.signs[:, None])], 'score')

    # Which curve: 2 known, 1 known or 0 known.
    both = build.node('Add', ['known_a', 'known_b'], 'both')
    rounded = build.node('Round', [both], 'rounded')
    which = build.node('Cast', [rounded], 'which', to=TensorProto.INT64)
    curves = np.array(model.curves)[::-1]
    slope = build.node('Gather', [build.constant('slopes', curves[:, 0]), which], 'slope', axis=0)
    offset = build.node('Gather', [build.constant('offsets', curves[:, 1]), which], 'offset', axis=0)
    scaled = build.node('Mul', [score, slope], 'scaled')
    logit = build.node('Add', [scaled, offset], 'logit')
    column = build.node('Sigmoid', [logit], 'column')
    squeeze_axis = build.constant('squeeze_axis', [1], np.int64)
    build.nodes.append(helper.make_node('Squeeze', [column, squeeze_axis], ['probability'], name='probability'))

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', width]) for name in ('a', 'b')]
    outputs = [helper.make_tensor_value_info('probability', TensorProto.FLOAT, ['batch'])]
    graph = helper.make_graph(build.nodes, 'drug_interaction', inputs, outputs, build.constants)
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid('', 18)],
        producer_name='millrace',
        ir_version=9,
        doc_string=description,
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def known_vectors(model, structures):
    """float32 [n, width]: the vectors of the entity rows."""
    ones = np.ones((len(structures), 1), np.float32)
    return np.concatenate([ones, model.embedding.known.astype(np.float32), structures], axis=1)


def new_vectors(structures, dimensions):
    """float32 [n, width]: the same drugs as new drugs, without a profile."""
    return np.concatenate([np.zeros((len(structures), 1 + dimensions), np.float32), structures], axis=1)

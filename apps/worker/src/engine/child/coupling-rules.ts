/** By operator, whether it lets the rows of a batch influence each other. */
import type { Place } from './row-flow.ts';

/** Reason of a coupling, in words; undefined where the operator is none. */
type Rule = (place: Place, axis: number | undefined) => boolean;

const attribute = (place: Place, name: string): number | undefined => place.node.attributes.get(name)?.int;

/** Whether an axis, as the file gives it, is that of the rows. Where either is not known, only axis 0 is taken to be. */
function isRows(axis: number, place: Place, rows: number | undefined): boolean {
  const rank = place.flows.find((flow) => flow !== undefined)?.rank;
  const known = axis < 0 && rank !== undefined ? axis + rank : axis;
  return known === (rows ?? 0);
}

/** Over one axis, which an attribute gives. */
const along =
  (name: string, otherwise: number): Rule =>
  (place, rows) =>
    isRows(attribute(place, name) ?? otherwise, place, rows);

/** Over an axis and all axes behind it. */
const from =
  (name: string, otherwise: number): Rule =>
  (place, rows) => {
    const axis = attribute(place, name) ?? otherwise;
    const rank = place.flows.find((flow) => flow !== undefined)?.rank;
    const first = axis < 0 ? (rank === undefined ? Number.POSITIVE_INFINITY : axis + rank) : axis;
    return first <= (rows ?? 0);
  };

/** Over one axis since operator set 13, and over all behind it before. */
const softmax: Rule = (place, rows) =>
  place.opset >= 13 ? along('axis', -1)(place, rows) : from('axis', 1)(place, rows);

const reduce: Rule = (place, rows) => {
  const given = place.node.attributes.get('axes')?.ints ?? place.constants[1]?.values;
  const hasInput = (place.node.inputs[1] ?? '') !== '';
  // Axes that the run decides are not known.
  if (given === undefined && hasInput) return true;
  if (given === undefined || given.length === 0) return attribute(place, 'noop_with_empty_axes') !== 1;
  return given.some((axis) => isRows(axis, place, rows));
};

const always: Rule = () => true;
const dependsOn =
  (input: number): Rule =>
  ({ flows }) =>
    flows[input] !== undefined;

/** Rows as the sequence of a recurrent cell. */
const recurrent: Rule = (place, rows) =>
  place.flows[0] !== undefined && rows === (attribute(place, 'layout') === 1 ? 1 : 0);

const scan: Rule = (place, rows) => {
  const states = place.node.inputs.length - (attribute(place, 'num_scan_inputs') ?? 0);
  const axes = place.node.attributes.get('scan_input_axes')?.ints ?? [];
  return place.flows.some(
    (flow, at) => flow !== undefined && at >= states && (axes[at - states] ?? 0) === (flow.axis ?? rows ?? 0),
  );
};

const RULES: Readonly<Record<string, Rule>> = {
  // One range of values, and so one rounding, for the whole tensor.
  DynamicQuantizeLinear: always,
  'com.microsoft.DynamicQuantizeMatMul': always,
  'com.microsoft.DynamicQuantizeLSTM': always,
  // One list over all rows.
  NonMaxSuppression: always,
  NonZero: always,
  StringNormalizer: always,
  Unique: (place, rows) => (attribute(place, 'axis') === undefined ? true : along('axis', 0)(place, rows)),
  Compress: (place, rows) => (attribute(place, 'axis') === undefined ? true : along('axis', 0)(place, rows)),
  // Rows that name other rows.
  RoiAlign: dependsOn(2),
  MaxRoiPool: dependsOn(1),
  // Statistics of the batch.
  BatchNormalization: (place) => attribute(place, 'training_mode') === 1,
  MeanVarianceNormalization: (place, rows) =>
    (place.node.attributes.get('axes')?.ints ?? [0, 2, 3]).some((axis) => isRows(axis, place, rows)),
  LayerNormalization: from('axis', -1),
  SimplifiedLayerNormalization: from('axis', -1),
  RMSNormalization: from('axis', -1),
  LpNormalization: along('axis', -1),
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  ArgMax: along('axis', 0),
  ArgMin: along('axis', 0),
  TopK: along('axis', -1),
  CumSum: (place, rows) => {
    const axis = place.constants[1]?.values?.[0];
    return axis === undefined || isRows(axis, place, rows);
  },
  ReverseSequence: along('time_axis', 0),
  SoftmaxCrossEntropyLoss: always,
  NegativeLogLikelihoodLoss: always,
  RNN: recurrent,
  LSTM: recurrent,
  GRU: recurrent,
  Scan: scan,
  // Values of all rows decide what is computed, or how large it is.
  If: dependsOn(0),
  Loop: ({ flows }) => flows[0] !== undefined || flows[1] !== undefined,
  Range: always,
  ConstantOfShape: always,
  Reshape: dependsOn(1),
  Expand: dependsOn(1),
  Tile: dependsOn(1),
  Pad: dependsOn(1),
  OneHot: dependsOn(1),
};

/** Why the rows of a node's inputs influence each other there. */
export function coupling(place: Place): string | undefined {
  const { op } = place.node;
  const rule = RULES[op] ?? (op.startsWith('Reduce') ? reduce : undefined);
  const rows = place.flows.find((flow) => flow !== undefined)?.axis;
  return rule?.(place, rows) ? `its operator ${op} works on all rows of a batch together` : undefined;
}

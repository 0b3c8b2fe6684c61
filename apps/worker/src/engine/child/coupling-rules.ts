/** Rules by operator: whether the operator lets the rows of a batch influence each other. */
import type { Place } from './row-flow.ts';

/** The reason of a coupling, in words. Undefined for an operator without coupling. */
type Rule = (place: Place, axis: number | undefined) => boolean;

const attribute = (place: Place, name: string): number | undefined => place.node.attributes.get(name)?.int;

/** Whether an axis of the file is the axis of the rows. When the axis of the rows or the rank is unknown, only axis 0 counts as such. */
function isRows(axis: number, place: Place, rows: number | undefined): boolean {
  const rank = place.flows.find((flow) => flow !== undefined)?.rank;
  const known = axis < 0 && rank !== undefined ? axis + rank : axis;
  return known === (rows ?? 0);
}

/** An operator over one axis, which an attribute names. */
const along =
  (name: string, otherwise: number): Rule =>
  (place, rows) =>
    isRows(attribute(place, name) ?? otherwise, place, rows);

/** An operator over an axis and all later axes. */
const from =
  (name: string, otherwise: number): Rule =>
  (place, rows) => {
    const axis = attribute(place, name) ?? otherwise;
    const rank = place.flows.find((flow) => flow !== undefined)?.rank;
    const first = axis < 0 ? (rank === undefined ? Number.POSITIVE_INFINITY : axis + rank) : axis;
    return first <= (rows ?? 0);
  };

/** An operator over one axis since operator set 13, and over the axis and all later axes before. */
const softmax: Rule = (place, rows) =>
  place.opset >= 13 ? along('axis', -1)(place, rows) : from('axis', 1)(place, rows);

const reduce: Rule = (place, rows) => {
  const given = place.node.attributes.get('axes')?.ints ?? place.constants[1]?.values;
  const hasInput = (place.node.inputs[1] ?? '') !== '';
  // Axes from a computed input are unknown.
  if (given === undefined && hasInput) return true;
  if (given === undefined || given.length === 0) return attribute(place, 'noop_with_empty_axes') !== 1;
  return given.some((axis) => isRows(axis, place, rows));
};

const always: Rule = () => true;
const dependsOn =
  (input: number): Rule =>
  ({ flows }) =>
    flows[input] !== undefined;

/** A recurrent cell whose sequence is the rows. */
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
  // One range of values for the whole tensor determines the rounding of all rows.
  DynamicQuantizeLinear: always,
  'com.microsoft.DynamicQuantizeMatMul': always,
  'com.microsoft.DynamicQuantizeLSTM': always,
  // The output is one list over all rows.
  NonMaxSuppression: always,
  NonZero: always,
  StringNormalizer: always,
  Unique: (place, rows) => (attribute(place, 'axis') === undefined ? true : along('axis', 0)(place, rows)),
  Compress: (place, rows) => (attribute(place, 'axis') === undefined ? true : along('axis', 0)(place, rows)),
  // The values of a row select other rows.
  RoiAlign: dependsOn(2),
  MaxRoiPool: dependsOn(1),
  // The operator computes statistics of the batch.
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
  // The values of all rows decide the computation or the size of its output.
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

/** Returns the reason why a node makes the rows of its inputs influence each other. */
export function coupling(place: Place): string | undefined {
  const { op } = place.node;
  const rule = RULES[op] ?? (op.startsWith('Reduce') ? reduce : undefined);
  const rows = place.flows.find((flow) => flow !== undefined)?.axis;
  return rule?.(place, rows) ? `its operator ${op} works on all rows of a batch together` : undefined;
}

/** How the rows of a batch pass through the nodes of a graph. */
import type { Constant, GraphNode } from './onnx-graph.ts';

/** Where the rows are in a tensor that depends on them. */
export interface Flow {
  /** The axis along which the rows lie; undefined where that is not known. */
  axis: number | undefined;
  rank: number | undefined;
  /** The graph input whose elements these are. */
  source: string | undefined;
}

/** A node as the rules see it. */
export interface Place {
  node: GraphNode;
  flows: readonly (Flow | undefined)[];
  constants: readonly (Constant | undefined)[];
  opset: number;
}

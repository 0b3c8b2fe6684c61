/** How the rows of a batch pass through the nodes of a graph. */
import type { Constant, GraphNode } from './onnx-graph.ts';

/** The position of the rows in a tensor that depends on the rows. */
export interface Flow {
  /** The axis of the rows. Undefined when unknown. */
  axis: number | undefined;
  rank: number | undefined;
  /** The graph input that has the same elements. */
  source: string | undefined;
}

/** A node with the positions of the rows in its inputs. */
export interface Place {
  node: GraphNode;
  flows: readonly (Flow | undefined)[];
  constants: readonly (Constant | undefined)[];
  opset: number;
}

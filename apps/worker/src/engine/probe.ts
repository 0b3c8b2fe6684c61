/** Placeholder until the models part fills it in. */
import type { InferenceSession } from 'onnxruntime-node';

export async function probe(_session: InferenceSession, _body: Buffer): Promise<unknown> {
  return {};
}

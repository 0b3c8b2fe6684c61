/** Beside an output about two drugs: the five similarities of the pair. */
import type { Prediction } from '../../core/types.ts';
import type { Markup } from '../../ui/html.ts';

export function pairInsight(_prediction: Prediction): Markup | null {
  return null;
}

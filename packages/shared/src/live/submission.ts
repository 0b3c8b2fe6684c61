/** The parts of a submission, each of a size that one script may write, and the outcome of each prediction. */
import type { Status } from '../predictions/prediction.ts';
import type { Finished } from './ended-state.ts';
import type { NewPrediction } from './new-state.ts';
import { listOf } from './script-replies.ts';
import { statusOf } from './state-layout.ts';

export type Submitted =
  | { outcome: 'lead'; number: number }
  | { outcome: 'follow'; leader: string; leaderPriority: number; leaderJob: string }
  /** An equal prediction succeeded a moment ago, or the output was cached. The new prediction is terminal. */
  | { outcome: 'done' }
  /** The state exists: an earlier submission succeeded. */
  | { outcome: 'exists'; status: Status };

/**
 * A longer text uses the connection for large texts, so that no small command waits behind the text. A longer result never passes
 * through a script: see large-ends.ts.
 */
const LARGE_CHARACTERS = 131_072;
/** Characters of tasks and cached outputs that one run of submit.lua writes. */
const SUBMIT_CHARACTERS = 1_048_576;

/** Whether no script carries the result. */
export const isLongEnd = ({ status, result }: Finished): boolean =>
  status === 'succeeded' && result.length > LARGE_CHARACTERS;

export const isKnownLong = ({ known }: NewPrediction): boolean => known !== null && known.length > LARGE_CHARACTERS;

const lengthOf = ({ task, known }: NewPrediction): number => task.length + (known?.length ?? 0);

export const charactersOf = (items: readonly NewPrediction[]): number =>
  items.reduce((sum, item) => sum + lengthOf(item), 0);

export const isLong = (items: readonly NewPrediction[]): boolean => charactersOf(items) > LARGE_CHARACTERS;

/**
 * Characters of tasks that are on their way to Redis. Each task has two more copies until the reply: its state, and the copy of the
 * client of Redis.
 */
export const IN_TRANSIT_CHARACTERS = 8 * 1_048_576;

/** Splits items, in order, into parts of at most SUBMIT_CHARACTERS or of one item. */
export function partsOf(items: readonly NewPrediction[]): (readonly NewPrediction[])[] {
  const parts: NewPrediction[][] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const item of items) {
    characters += lengthOf(item);
    if (characters <= SUBMIT_CHARACTERS) parts.at(-1)?.push(item);
    else {
      characters = lengthOf(item);
      parts.push([item]);
    }
  }
  return parts;
}

/** `reply` is the number of a leader, or another outcome with its details. */
export function submitted(reply: unknown): Submitted {
  if (typeof reply === 'number') return { outcome: 'lead', number: reply };
  const [outcome, a, b, c] = listOf(reply);
  if (outcome === 'follow') return { outcome, leader: String(a), leaderPriority: Number(b), leaderJob: String(c) };
  if (outcome === 'exists') return { outcome, status: statusOf(String(a)) };
  return { outcome: 'done' };
}

/** The members `input` and `inputs` of a prediction, from its stored task. */
import { type InputRow, readWholeTask, type StoredTask } from '@millrace/shared/predictions/task';
import type { TensorMap } from '@millrace/shared/tensors/tensor';
import { tensorsOfBytes } from '@millrace/shared/tensors/tensor-bytes';
import { bytesOf } from '@millrace/shared/tensors/tensor-data';
import { joinRows, type TensorRow, tensorsOfRow } from '@millrace/shared/tensors/tensor-rows';

/** JSON texts. */
export interface InputMembers {
  input: string;
  inputs: string;
}

const NONE: InputMembers = { input: 'null', inputs: 'null' };

/**
 * The canonical form of the input, or of the inputs of a request with a list. Both members are null for a prediction without a task:
 * Millrace deletes the task of a prediction that has succeeded, and the slot of a large row soon after another end.
 */
export function inputsOfTask(stored: StoredTask | null | undefined): InputMembers {
  const task = stored ? readWholeTask(stored) : undefined;
  if (task === undefined) return NONE;
  const { shape, rows } = task;
  if (shape === 'tensors') return { ...NONE, input: tensorsText(joinRows(rows.map(tensorsOf))) };
  if (shape === 'list') return { ...NONE, inputs: `[${rows.map(textOf).join(',')}]` };
  return { ...NONE, input: rows[0] === undefined ? 'null' : textOf(rows[0]) };
}

/** The text of a row of tensors (tensors/tensor-rows.ts). Every other text is JSON in the form of a handler. */
const TENSORS = /^\{"(?:[^"\\]|\\.)*":\{"dtype":"\w+","dims":\[/;

const textOf = (row: InputRow): string =>
  typeof row === 'string' && !TENSORS.test(row) ? row : tensorsText(tensorsOf(row));

function tensorsOf(row: InputRow): TensorMap {
  if (typeof row !== 'string') return tensorsOfBytes(row);
  const tensors: TensorRow = JSON.parse(row);
  return tensorsOfRow(tensors);
}

/** Tensors in the form of an input. Base64 needs much less time than numbers. */
function tensorsText(tensors: TensorMap): string {
  const members = Object.entries(tensors).map(([name, { dtype, dims, data }]) => {
    const elements = Array.isArray(data)
      ? `"data":${JSON.stringify(data)}`
      : `"base64":"${bytesOf(data).toString('base64')}"`;
    return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${dims.join(',')}],${elements}}`;
  });
  return `{${members.join(',')}}`;
}

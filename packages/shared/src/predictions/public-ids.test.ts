import { expect, test } from 'vitest';
import { newPredictionId } from './ids.ts';
import { otherKind, PREDICTION_ID_LENGTH, publicId, uuidOf } from './public-ids.ts';

test('an id has the digits of its UUID behind the prefix, and a UUID of 0.1.0 stays valid', () => {
  const uuid = newPredictionId(3, Date.now());
  const id = publicId('pred', uuid);
  expect(id).toMatch(/^pred_[0-9a-f]{32}$/);
  expect(id).toHaveLength(PREDICTION_ID_LENGTH);
  expect([uuidOf('pred', id), uuidOf('pred', uuid)]).toEqual([uuid, uuid]);
  // Ids sort by time in both forms.
  const later = newPredictionId(0, Date.now() + 1);
  expect(publicId('pred', later) > id).toBe(true);
});

test('one UUID has an id of each kind', () => {
  const uuid = newPredictionId(3, Date.now());
  const ids = (['pred', 'evt', 'pred'] as const).map((prefix) => publicId(prefix, uuid));
  const digits = uuid.replaceAll('-', '');
  expect(ids).toEqual([`pred_${digits}`, `evt_${digits}`, `pred_${digits}`]);
});

test.each([
  '',
  'pred_',
  `pred_${'0'.repeat(31)}`,
  `pred_${'0'.repeat(33)}`,
  `pred_${'A'.repeat(32)}`,
  `PRED_${'0'.repeat(32)}`,
  `we_${'0'.repeat(32)}`,
  '0'.repeat(32),
  'pred_01234567-0123-7000-8000-000000000000',
  `pred_${'0'.repeat(32)}\n`,
])('%j is no id of a prediction', (id) => {
  expect(uuidOf('pred', id)).toBeUndefined();
});

test('an id of another kind is described', () => {
  expect(otherKind('pred', `we_${'0'.repeat(32)}`)).toBe('a webhook endpoint');
  expect([otherKind('pred', `pred_${'0'.repeat(32)}`), otherKind('pred', 'other_1')]).toEqual([undefined, undefined]);
});

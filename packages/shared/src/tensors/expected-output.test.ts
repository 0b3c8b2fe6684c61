import { expect, test } from 'vitest';
import { expectedOutputBytes, UNKNOWN_OUTPUT_BYTES } from './expected-output.ts';

test.each([
  ['a fixed shape', [{ name: 'y', dtype: 'float32', shape: ['N', 180_000] }], false, 2_160_000],
  [
    'the sum of all outputs',
    [
      { name: 'y', dtype: 'float32', shape: [1, 10] },
      { name: 'z', dtype: 'bool', shape: ['', 10] },
    ],
    false,
    180,
  ],
  ['a scalar', [{ name: 'y', dtype: 'int64', shape: [] }], false, 9],
  ['a free dimension', [{ name: 'y', dtype: 'float32', shape: ['N', 'T'] }], false, UNKNOWN_OUTPUT_BYTES],
  ['a free dimension beside large ones', [{ name: 'y', dtype: 'float32', shape: ['N', 'T', 1_000] }], false, 12_000],
  ['a handler', [{ name: 'y', dtype: 'float32', shape: ['N', 180_000] }], true, UNKNOWN_OUTPUT_BYTES],
  ['nothing', [], false, UNKNOWN_OUTPUT_BYTES],
] as const)('an output of %s', (_, outputs, isHandled, bytes) => {
  expect(expectedOutputBytes(outputs, isHandled)).toBe(bytes);
});

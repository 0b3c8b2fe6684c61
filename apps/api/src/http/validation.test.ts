import { nearNames } from '@millrace/shared/text/near-names';
import { Type } from 'typebox';
import { beforeEach, expect, test, vi } from 'vitest';
import { checkerOf } from './validation.ts';

// The real function, with counted calls.
vi.mock(import('@millrace/shared/text/near-names'), { spy: true });
beforeEach(() => void vi.mocked(nearNames).mockClear());

function faultsOf(schema: Parameters<typeof checkerOf>[0], value: unknown): readonly { pointer: string }[] {
  try {
    checkerOf(schema)(value);
  } catch (error) {
    return (error as { faults: readonly { pointer: string }[] }).faults;
  }
  throw new Error('it was taken');
}

test('near names are searched only for the reported faults', () => {
  const schema = Type.Object({ input: Type.Unknown() }, { additionalProperties: false });
  const value = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`inputt${at}`, 1]));
  expect(faultsOf(schema, { input: 1, ...value })).toHaveLength(20);
  expect(vi.mocked(nearNames)).toHaveBeenCalledTimes(20);
  const many = Type.Array(schema);
  expect(
    faultsOf(
      many,
      Array.from({ length: 150 }, () => ({ input: 1, ...value })),
    ),
  ).toHaveLength(20);
  expect(vi.mocked(nearNames).mock.calls.length).toBeLessThanOrEqual(40);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BytePieces } from './byte-pieces.ts';

test('bytes in pieces are the bytes of one Buffer', () => {
  const pieceLists = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 6 });
  fc.assert(
    fc.property(pieceLists, fc.nat(30), fc.nat(30), fc.nat(255), (lists, a, b, byte) => {
      const bytes = new BytePieces(lists.map((list) => Buffer.from(list)));
      const whole = Buffer.concat(lists);
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      expect(bytes.length).toBe(whole.length);
      expect(bytes.joined().equals(whole)).toBe(true);
      expect(bytes.slice(from, to).joined().equals(whole.subarray(from, to))).toBe(true);
      expect(bytes.slice(from).length).toBe(whole.subarray(from).length);
      expect(bytes.indexOf(byte, from)).toBe(whole.indexOf(byte, from));
    }),
  );
});

test('bytes whose memory is released cannot be read, also through a part', () => {
  const bytes = new BytePieces([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]);
  const part = bytes.slice(150_000);
  bytes.release(({ buffer }) => void (buffer as ArrayBuffer).transfer(0));
  const message = 'These bytes were read after the release of their memory.';
  for (const read of [() => bytes.joined(), () => bytes.slice(0), () => bytes.indexOf(1), () => part.joined()])
    expect(read).toThrow(message);
  expect(() => bytes.release(() => {})).not.toThrow();
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesFrame, FrameReader, HEADER_BYTES, textFrame, textsFrame } from './frames.ts';

test('frames come out as they went in, however the stream is cut', () => {
  const frame = fc.record({ type: fc.nat(255), id: fc.nat(2 ** 31), body: fc.uint8Array({ maxLength: 50 }) });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(({ type, id, body }) => bytesFrame(type, id, body)));
        const reader = new FrameReader();
        const out: unknown[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const end = at + cuts[cut % cuts.length]!;
          out.push(
            ...reader
              .push(stream.subarray(at, end))
              .map(({ type, id, body }) => ({ type, id, body: Uint8Array.from(body) })),
          );
          at = end;
        }
        expect(out).toEqual(frames);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('text goes as UTF-8 behind the room that the caller fills', () => {
  const frame = textFrame({ type: 7, id: 9 }, '{"é":"日本"}\nnext', 4);
  frame.writeUInt32LE(42, HEADER_BYTES);
  const [only] = new FrameReader().push(frame);
  expect(only).toMatchObject({ type: 7, id: 9 });
  expect(only!.body.readUInt32LE(0)).toBe(42);
  expect(only!.body.toString('utf8', 4)).toBe('{"é":"日本"}\nnext');
});

const HEAD = { type: 1, id: 2 };

test('texts of any characters are whole, whatever room they need', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '日', '😀', '\n'), maxLength: 20 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 12 }), (texts) => {
      const [frame] = new FrameReader().push(
        textsFrame(HEAD, texts, { prefixBytes: 8, before: '[', between: ',', after: ']' }),
      );
      expect(frame!.body.toString('utf8', 8)).toBe(`[${texts.join(',')}]`);
      const [bare] = new FrameReader().push(
        textsFrame(HEAD, texts, { prefixBytes: 0, before: '', between: '|', after: '' }),
      );
      expect(bare!.body.toString('utf8')).toBe(texts.join('|'));
    }),
    { numRuns: 2_000 },
  );
});

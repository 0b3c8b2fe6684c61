import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { SlotWriter } from './slot-writer.ts';
import { readSlot, slotFolder } from './slots.ts';

const log = pino({ enabled: false });
const opened: SlotWriter[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const writer of opened.splice(0)) writer.close();
});

function open(limitBytes: number): SlotWriter {
  const writer = new SlotWriter({ limitBytes, log });
  opened.push(writer);
  return writer;
}

test('rows are written within the limit, and a released slot makes room', () => {
  const writer = open(200);
  const [first, second] = [writer.write(Buffer.alloc(100, 1)), writer.write(Buffer.alloc(100, 2))];
  expect(first && readSlot(first)).toEqual(Buffer.alloc(100, 1));
  expect([writer.bytes, writer.write(Buffer.alloc(1))]).toEqual([200, undefined]);
  if (first) writer.release(first, 0);
  if (first) writer.release(first, 0);
  expect([writer.bytes, existsSync(first?.slot ?? '')]).toEqual([100, false]);
  const third = writer.write(Buffer.alloc(100, 3));
  expect(new Set([first?.slot, second?.slot, third?.slot]).size).toBe(3);
});

const filesBeside = (slot: string): string[] => readdirSync(path.dirname(slot));

test('the memory of a released slot is written again under another name, and its old name is gone', () => {
  const writer = open(10_000);
  const first = writer.write(Buffer.alloc(1_000, 1));
  if (first === undefined) throw new Error('the slot was not written');
  const { ino } = statSync(first.slot);
  writer.release(first, 0);
  expect([existsSync(first.slot), filesBeside(first.slot).length]).toEqual([false, 1]);
  for (const bytes of [1_000, 600]) {
    const next = writer.write(Buffer.alloc(bytes, 2));
    if (next === undefined) throw new Error('the slot was not written');
    expect([statSync(next.slot).ino, readSlot(next)]).toEqual([ino, Buffer.alloc(bytes, 2)]);
    writer.release(next, 0);
  }
  // Much shorter, and longer, than the kept file.
  for (const bytes of [200, 601]) {
    const other = writer.write(Buffer.alloc(bytes, 3));
    expect(other && [statSync(other.slot).ino === ino, readSlot(other)]).toEqual([false, Buffer.alloc(bytes, 3)]);
  }
});

test('kept memory makes room for slots, and is free some seconds after its last use', () => {
  vi.useFakeTimers();
  const writer = open(1_000);
  const [first, second] = [writer.write(Buffer.alloc(500, 1)), writer.write(Buffer.alloc(500, 2))];
  if (first === undefined || second === undefined) throw new Error('the slots were not written');
  writer.release(first, 0);
  expect(filesBeside(first.slot)).toHaveLength(2);
  const third = writer.write(Buffer.alloc(10, 3));
  expect(filesBeside(first.slot).toSorted()).toEqual(
    [second.slot, third?.slot].map((slot) => path.basename(slot ?? '')).toSorted(),
  );
  writer.release(second, 0);
  expect(filesBeside(first.slot)).toHaveLength(2);
  vi.advanceTimersByTime(20_000);
  expect(filesBeside(first.slot)).toEqual([path.basename(third?.slot ?? '')]);
});

test('the process reads its own slot until the release, also when the name is gone', () => {
  const writer = open(1_000);
  const slot = writer.write(Buffer.alloc(100, 4));
  if (slot === undefined) throw new Error('the slot was not written');
  rmSync(slot.slot);
  expect(writer.read(slot)).toEqual(Buffer.alloc(100, 4));
  writer.release(slot, 0);
  expect(() => writer.read(slot)).toThrow('release');
  expect(writer.bytes).toBe(0);
});

test('a slot can be released later', () => {
  vi.useFakeTimers();
  const writer = open(1_000);
  const slot = writer.write(Buffer.alloc(10));
  if (slot) writer.release(slot, 5_000);
  vi.advanceTimersByTime(4_999);
  expect(writer.bytes).toBe(10);
  vi.advanceTimersByTime(1);
  expect([writer.bytes, existsSync(slot?.slot ?? '')]).toEqual([0, false]);
});

test('without a limit nothing is written', () => {
  expect(open(0).write(Buffer.alloc(1))).toBeUndefined();
});

test('a closed writer leaves no slot that was released, and the next writer removes the folder of a killed process', () => {
  const writer = open(100);
  const [slot, kept] = [writer.write(Buffer.alloc(10)), open(100).write(Buffer.alloc(10))];
  if (slot) writer.release(slot, 0);
  writer.close();
  expect(existsSync(path.dirname(slot?.slot ?? ''))).toBe(false);
  opened.pop()?.close();
  // A worker can still read the slot of a prediction that has not ended.
  expect(kept && readSlot(kept)).toEqual(Buffer.alloc(10));
  rmSync(path.dirname(kept?.slot ?? ''), { recursive: true });
  const dead = path.join(slotFolder() ?? '', '00000000-0000-4000-8000-000000000000');
  mkdirSync(dead, { recursive: true });
  utimesSync(dead, 1_000, 1_000);
  open(100);
  expect(existsSync(dead)).toBe(false);
});

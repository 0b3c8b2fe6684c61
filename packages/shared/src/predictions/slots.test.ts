import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { tensorRowBytes } from '../tensors/tensor-bytes.ts';
import { hasSlot, machineName, parseSlot, readSlot, slotFolder, slotText } from './slots.ts';
import { readTask, type SlotRow, storedTask, type Task, taskText, textOfTask } from './task.ts';

const folder = path.join(slotFolder() ?? '', randomUUID());
mkdirSync(folder);
afterAll(() => rmSync(folder, { recursive: true }));

const row = tensorRowBytes({ x: { dtype: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } });
const slotOf = (name: number): SlotRow => ({ slot: path.join(folder, String(name)), bytes: row.length });

test('a slot is read while its file has the length of the row', () => {
  const slot = slotOf(1);
  expect(hasSlot(slot)).toBe(false);
  expect(() => readSlot(slot)).toThrow();
  writeFileSync(slot.slot, row);
  expect([hasSlot(slot), readSlot(slot)]).toEqual([true, row]);
  const longer = { ...slot, bytes: row.length + 1 };
  expect(hasSlot(longer)).toBe(false);
  expect(() => readSlot(longer)).toThrow('length');
});

test.each(['/etc/passwd', '/dev/shm/../etc/passwd', `${folder}/../1/1`, `${folder}/a`, ''])(
  '%s is not a slot',
  (slot) => {
    expect(hasSlot({ slot, bytes: 1 })).toBe(false);
    expect(() => readSlot({ slot, bytes: 1 })).toThrow('not valid');
    expect(parseSlot(`1 ${slot}`)).toBeUndefined();
  },
);

test('processes of one machine have one name', () => {
  expect(machineName()).toMatch(/^[0-9a-f-]{36}$/);
  expect(machineName()).toBe(machineName());
});

test('a task with a slot is read back, and has the text of the row while the slot exists', () => {
  const slot = slotOf(2);
  expect(parseSlot(slotText(slot))).toEqual(slot);
  const task: Task = {
    shape: 'list',
    rows: [slot, row],
    keys: ['a'.repeat(64), null],
    digest: '0'.repeat(64),
    epoch: 1,
  };
  const stored = storedTask(task, true);
  expect(readTask(stored)).toEqual(task);
  expect(textOfTask(stored)).toBe('');
  writeFileSync(slot.slot, row);
  expect(textOfTask(stored)).toBe(taskText({ ...task, rows: [row, row] }));
});

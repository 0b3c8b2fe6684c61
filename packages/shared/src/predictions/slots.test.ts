import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { tensorRowBytes } from '../tensors/tensor-bytes.ts';
import { hasSlot, machineName, OpenSlot, parseSlot, readSlot, slotFolder, slotText } from './slots.ts';
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

test('a slot that is released while it is read is refused', () => {
  const slot = slotOf(5);
  writeFileSync(slot.slot, row);
  // The slot is open, and not yet read.
  const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation((size) => {
    renameSync(slot.slot, slotOf(6).slot);
    return Buffer.alloc(size);
  });
  try {
    expect(() => readSlot(slot)).toThrow('released');
  } finally {
    allocate.mockRestore();
  }
});

test('a reader that is late refuses the bytes of another prediction', () => {
  const slot = slotOf(3);
  writeFileSync(slot.slot, row);
  const late = new OpenSlot(slot);
  const read = Buffer.alloc(row.length);
  late.read(read, 0);
  late.check();
  expect([read, late.bytes]).toEqual([row, row.length]);
  // As the API uses the memory again.
  renameSync(slot.slot, slotOf(4).slot);
  writeFileSync(slotOf(4).slot, Buffer.alloc(row.length, 7));
  late.read(read, 0);
  expect(read).not.toEqual(row);
  expect(() => late.check()).toThrow('released');
  late.close();
});

test.each(['/etc/passwd', '/dev/shm/../etc/passwd', `${folder}/../1/1`, `${folder}/a`, ''])(
  '%s is not a slot',
  (slot) => {
    expect(hasSlot({ slot, bytes: 1 })).toBe(false);
    expect(() => readSlot({ slot, bytes: 1 })).toThrow('not valid');
    expect(parseSlot(`1 ${slot}`)).toBeUndefined();
  },
);

test('a file outside of the slots is not a slot, although it has the length of the row', () => {
  expect(hasSlot({ slot: '/proc/self/../../etc/passwd', bytes: statSync('/etc/passwd').size })).toBe(false);
});

test('a slot that was read is closed', () => {
  const slot = slotOf(3);
  writeFileSync(slot.slot, row);
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let n = 0; n < 50; n += 1) readSlot(slot);
  for (let n = 0; n < 50; n += 1) expect(() => readSlot({ ...slot, bytes: 1 })).toThrow('length');
  expect(open()).toBeLessThan(before + 50);
});

describe('a folder for slots', () => {
  afterEach(() => void vi.restoreAllMocks());

  test('of another user is not used', () => {
    const other = 2_000_000_000 + process.pid;
    const strange = `/dev/shm/millrace-${other}`;
    vi.spyOn(process as { getuid(): number }, 'getuid').mockReturnValue(other);
    try {
      expect(slotFolder()).toBeUndefined();
      expect(existsSync(strange)).toBe(true);
      expect(machineName()).toBeUndefined();
      rmSync(strange, { recursive: true });
      symlinkSync(path.dirname(folder), strange);
      expect(slotFolder()).toBeUndefined();
    } finally {
      rmSync(strange, { recursive: true, force: true });
    }
  });

  test('needs users: without users, such as on Windows, there is none', () => {
    vi.spyOn(process as { getuid(): number | undefined }, 'getuid').mockReturnValue(undefined);
    expect([slotFolder(), machineName()]).toEqual([undefined, undefined]);
  });
});

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

import { describe, expect, test } from 'vitest';
import { bytesInLedger, LEDGER_TASK_BYTES, ledgerTask, promisedTask } from './ledger-task.ts';
import { readTask, textOfTask } from './task.ts';
import { isTaskBytes, namesSlots } from './task-bytes.ts';

describe('the name of a task in the ledger', () => {
  test('has the bytes of the text, and is no text and no task', () => {
    for (const bytes of [LEDGER_TASK_BYTES, 4_194_304, 999_999_999_999]) {
      const name = ledgerTask(bytes);
      expect(bytesInLedger(name)).toBe(bytes);
      expect(isTaskBytes(name)).toBe(true);
      expect(namesSlots(name)).toBe(false);
      expect(readTask(name)).toBeUndefined();
      expect(textOfTask(name)).toBe('');
    }
  });

  test('replaces a long text, counted in bytes of UTF-8, where every process reads names', () => {
    const long = 'é'.repeat(LEDGER_TASK_BYTES);
    expect(bytesInLedger(promisedTask(long, true))).toBe(2 * LEDGER_TASK_BYTES);
    expect(promisedTask(long, false)).toBe(long);
    expect(promisedTask(long.slice(1), true)).toBe(long.slice(1));
  });

  test('other tasks name no ledger', () => {
    const others = [
      '',
      '{}',
      '\u000312',
      Buffer.alloc(0),
      Buffer.from('\u0003'),
      Buffer.from('\u00031x'),
      Buffer.from('\u000312\n'),
    ];
    for (const task of [...others, Buffer.from(`\u0003${'1'.repeat(13)}`), Buffer.alloc(60, 1), Buffer.from('12')])
      expect(bytesInLedger(task)).toBeUndefined();
  });
});

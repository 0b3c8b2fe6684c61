/** Reads the memory of processes from /proc. */
import { readFileSync } from 'node:fs';
import { familyOf } from '@millrace/local/process/family';

export interface ProcessMemory {
  name: string;
  /** A page that several processes share counts in equal parts. */
  pssMib: number;
  /** The part of no file: heaps, stacks. */
  anonMib: number;
}

const NAME_MAX = 70;

/** The memory of a process and its descendants, the largest first. */
export function memoryOf(pid: number): ProcessMemory[] {
  return familyOf(pid)
    .flatMap((member) => readOne(member) ?? [])
    .sort((a, b) => b.pssMib - a.pssMib);
}

function readOne(pid: number): ProcessMemory | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    return {
      name: command.replaceAll(/\s+/g, ' ').slice(-NAME_MAX),
      pssMib: mibOf(text, 'Pss'),
      anonMib: mibOf(text, 'Pss_Anon'),
    };
  } catch {
    // The process has ended.
    return undefined;
  }
}

const mibOf = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1_024;

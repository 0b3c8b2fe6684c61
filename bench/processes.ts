/** Reads the resource use of processes from /proc. Returns nothing on systems without /proc. */
import { readFileSync } from 'node:fs';
import { familyOf } from '@millrace/local/process/family';

// USER_HZ, the unit of processor time in /proc: 100 on every Linux that Node runs on.
const ticksPerSecond = 100;

/**
 * Processor time of a process and its descendants, in milliseconds. Ended descendants count if their parent waited for
 * them.
 */
export function cpuMs(pid: number): number | undefined {
  if (ownCpuMs(pid) === undefined) return undefined;
  return familyOf(pid).reduce((sum, member) => sum + (ownCpuMs(member) ?? 0), 0);
}

/** Processor time of each of these processes and their descendants, in milliseconds, by process id. */
export function cpuByProcess(pids: readonly number[]): Map<number, number> {
  return new Map(pids.flatMap(familyOf).map((pid) => [pid, ownCpuMs(pid) ?? 0]));
}

/** The processor time of the process that used the most between two calls of `cpuByProcess`, in milliseconds. */
export function busiestMs(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  return Math.max(0, ...[...after].map(([pid, ms]) => ms - (before.get(pid) ?? 0)));
}

/** The peak memory of a process since its start, in MiB. */
export function peakMemoryMib(pid: number): number | undefined {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1_024;
  } catch {
    return undefined;
  }
}

/** Processor time of one process, and of the ended children for which the process has waited, in milliseconds. */
export function ownCpuMs(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before ')' can contain any character. The state is the first field after the name.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return (ticks * 1_000) / ticksPerSecond;
  } catch {
    return undefined;
  }
}

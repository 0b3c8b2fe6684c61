/** Reads the resource use of processes from /proc. Returns nothing on systems without /proc. */
import { readdirSync, readFileSync } from 'node:fs';

// USER_HZ, the unit of processor time in /proc: 100 on every Linux that Node runs on.
const ticksPerSecond = 100;

/**
 * Processor time of a process and its descendants, in milliseconds. Ended descendants count if their parent waited for
 * them.
 */
export function cpuMs(pid: number): number | undefined {
  const own = stat(pid);
  if (!own) return undefined;
  return familyOf(pid).reduce((sum, member) => sum + (stat(member)?.cpuMs ?? 0), 0);
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

interface Stat {
  parent: number;
  cpuMs: number;
}

function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before ')' can contain any character. The state is the first field after the name.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { parent: Number(fields[1]), cpuMs: (ticks * 1_000) / ticksPerSecond };
  } catch {
    return undefined;
  }
}

function familyOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const member = Number(name);
    const parent = Number.isInteger(member) ? stat(member)?.parent : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), member]);
  }
  const family = [pid];
  for (const member of family) family.push(...(children.get(member) ?? []));
  return family;
}

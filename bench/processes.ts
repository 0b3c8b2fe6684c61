/** What processes have used, from /proc; nothing elsewhere. */
import { readdirSync, readFileSync } from 'node:fs';

// USER_HZ: what /proc counts processor time in, 100 on every Linux that Node runs on.
const ticksPerSecond = 100;

/** Processor time of a process and all it started, in milliseconds; of those that ended, if it has waited for them. */
export function cpuMs(pid: number): number | undefined {
  const own = stat(pid);
  if (!own) return undefined;
  return familyOf(pid).reduce((sum, member) => sum + (stat(member)?.cpuMs ?? 0), 0);
}

/** The most memory that a process has had at once since it started, in MiB. */
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
    // The name before ')' may hold anything; the state is the first field after it.
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

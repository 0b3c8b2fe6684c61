/** Lists a process and its descendants, for measurements of all of them. */
import { readdirSync, readFileSync } from 'node:fs';

/** The ids of a process and its descendants, from /proc: Postgres runs a process for each connection, and a worker its engines. */
export function familyOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The program name before ')' can contain any character. The parent is the second field after the name.
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // The process ended during the scan.
    }
  }
  const family = [pid];
  for (const member of family) family.push(...(children.get(member) ?? []));
  return family;
}

/** Chooses the memory limits of the private Redis servers: a share of the memory of this machine or container. */

import { totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';
import { StartError } from './process/start-error.ts';

export interface RedisMemory {
  /** Bytes of the queue: live states and jobs. While Redis rewrites its file, Redis uses up to half as much again. */
  queue: number;
  /** Bytes of the cache. */
  cache: number;
}

const MIB = 1_048_576;
const LIMITS = {
  queue: { share: 8, least: 64 * MIB, most: 2_048 * MIB },
  cache: { share: 16, least: 32 * MIB, most: 1_024 * MIB },
};
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, kb: 1_024, m: 1e6, mb: MIB, g: 1e9, gb: 1_024 * MIB };
/** Redis itself needs more than a megabyte. */
const LEAST = 8 * MIB;

/** Bytes that this process can use: the limit of its container, where that limit is below the memory of the machine. */
export function machineMemory(): number {
  const limit = constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/**
 * An eighth of the machine's memory for the queue and a sixteenth for the cache, within limits. QUEUE_MEMORY and
 * CACHE_MEMORY override the sizes and are written as in a Redis configuration: `512mb`, `2gb`.
 */
export function redisMemory(env: NodeJS.ProcessEnv, machineBytes: number): RedisMemory {
  const part = ({ share, least, most }: (typeof LIMITS)['queue']) =>
    Math.min(Math.max(Math.floor(machineBytes / share), least), most);
  return {
    queue: sizeOf('QUEUE_MEMORY', env.QUEUE_MEMORY) ?? part(LIMITS.queue),
    cache: sizeOf('CACHE_MEMORY', env.CACHE_MEMORY) ?? part(LIMITS.cache),
  };
}

function sizeOf(name: string, text: string | undefined): number | undefined {
  if (!text) return undefined;
  const [, digits, unit = ''] = /^(\d{1,12})([kmg]b?)?$/i.exec(text.trim()) ?? [];
  const bytes = Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN);
  if (!(bytes >= LEAST))
    throw new StartError(`${name} is '${text}', and must be a size of at least 8mb, such as 512mb or 2gb.`);
  return bytes;
}

/** Whole megabytes, for messages. */
export const inMegabytes = (bytes: number): string => `${Math.round(bytes / MIB)} MB`;

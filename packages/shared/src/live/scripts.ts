/** The scripts of the live states as commands of a connection. */
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';

export type Argument = string | number | Buffer;
type Script = (numberOfKeys: number, ...args: Argument[]) => Promise<unknown>;
export type Scripted = (Redis | Cluster) & { mrTakeBuffer: Script } & Record<
    | 'mrSubmit'
    | 'mrTake'
    | 'mrFinish'
    | 'mrEnd'
    | 'mrRetry'
    | 'mrAdopt'
    | 'mrShorten'
    | 'mrDrop'
    | 'mrFollowers'
    | 'mrDiscard'
    | 'mrPlace'
    | 'mrPassed'
    | 'mrWrite',
    Script
  >;

const source = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
const LIB = source('lib');
const SCRIPTS = {
  mrSubmit: source('submit'),
  mrTake: source('take'),
  mrFinish: source('finish'),
  mrEnd: source('end'),
  mrRetry: source('retry'),
  mrAdopt: source('adopt'),
  mrShorten: source('shorten'),
  mrDiscard: source('discard'),
  mrDrop: source('drop'),
  mrFollowers: source('followers'),
  mrPlace: source('place'),
  mrPassed: source('passed'),
  mrWrite: source('write'),
} as const;

const hasScripts = (redis: Redis | Cluster): redis is Scripted => Object.keys(SCRIPTS).every((name) => name in redis);

/**
 * Scripts that run while Redis has no memory left. These scripts end a prediction or free memory, and add a few bytes at most. A
 * canceled prediction does not wait in a full Redis, and a script that frees memory does not wait for memory.
 */
const RUNS_WHEN_FULL: ReadonlySet<string> = new Set([
  'mrEnd',
  'mrShorten',
  'mrDrop',
  'mrDiscard',
  'mrRetry',
  'mrPlace',
  'mrPassed',
]);

/** Defines the scripts on a connection, and returns the connection. */
export function withScripts(redis: Redis | Cluster): Scripted {
  for (const [name, lua] of Object.entries(SCRIPTS)) {
    const flags = RUNS_WHEN_FULL.has(name) ? '#!lua flags=allow-oom\n' : '';
    redis.defineCommand(name, { lua: `${flags}${LIB}\n${lua}` });
  }
  if (hasScripts(redis)) return redis;
  throw new TypeError('The connection to Redis has no scripts.');
}

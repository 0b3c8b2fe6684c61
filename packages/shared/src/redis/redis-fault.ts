/** Explains an error reply of Redis to an operator: the failure, the expected state and the next step. */

export type RedisSetting = 'REDIS_URL' | 'CACHE_REDIS_URL';

/** Names the Redis that an error came from. */
export interface RedisIdentity {
  /** The setting that leads to the server. */
  setting: RedisSetting;
  /** The ACL user of the connections. */
  user: string;
}

export const NAME_OF: Readonly<Record<RedisSetting, string>> = {
  REDIS_URL: 'The queue Redis (REDIS_URL)',
  CACHE_REDIS_URL: 'The cache Redis (CACHE_REDIS_URL)',
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The reply of Redis 7.0, without NOPERM and without the command, when a script runs a command that the user may not run. */
const SCRIPT_NOPERM = /^ERR The user executing the script can't /;

/** Returns the upper-case word at the start of an error reply, such as READONLY; '' for other errors. */
export function codeOf(error: unknown): string {
  const text = messageOf(error);
  return SCRIPT_NOPERM.test(text) ? 'NOPERM' : (/^([A-Z]{3,})\b/.exec(text)?.[1] ?? '');
}

const WRONG_SERVER: ReadonlySet<string> = new Set(['READONLY', 'MASTERDOWN', 'LOADING', 'UNBLOCKED']);

/**
 * Whether the reply shows that the connection leads to a server that is not, or no longer, the primary. Such a server wrote
 * nothing. LOADING is in the list, because a connection is used only after Redis has loaded its data: a server that loads again is
 * a demoted primary that copies the data of the new primary.
 */
export const isWrongServer = (error: unknown): boolean => WRONG_SERVER.has(codeOf(error));

const REFUSALS: ReadonlySet<string> = new Set([
  ...WRONG_SERVER,
  'MISCONF',
  'NOREPLICAS',
  'NOPERM',
  'CLUSTERDOWN',
  'OOM',
]);

/** Whether Redis replied and refused the command. Every other error is a failed connection or a missing reply. */
export const isRefusal = (error: unknown): boolean => REFUSALS.has(codeOf(error));

/** Returns a sentence for a caller of the API, without names of settings, users or keys; undefined without a refusal. */
export function refusalForCallers(error: unknown): string | undefined {
  const code = codeOf(error);
  if (!REFUSALS.has(code)) return undefined;
  if (code === 'NOPERM') return 'Redis refuses a command that Millrace needs (NOPERM)';
  if (code === 'OOM') return 'Redis has no memory left (OOM)';
  return `Redis takes no writes now (${code})`;
}

/** Returns a sentence for /readyz and the log. `refusedCommand` is the name of the refused command in lower case, if known. */
export function explainRedisFault(error: unknown, { setting, user }: RedisIdentity, refusedCommand?: string): string {
  const name = NAME_OF[setting];
  const text = messageOf(error);
  switch (codeOf(error)) {
    case 'READONLY':
      return `${name} is a read-only replica. Expected the primary. Let the address lead to the primary, or promote this server with REPLICAOF NO ONE.`;
    case 'MASTERDOWN':
      return `${name} is a replica that has lost its primary. Expected the primary. Promote a replica, and let the address lead to the promoted server.`;
    case 'LOADING':
      return `${name} is loading its data and takes no commands. Expected a primary that has loaded. Wait, or look at its log if the load does not end.`;
    case 'UNBLOCKED':
      return `${name} was demoted to a replica. Expected the primary. Let the address lead to the primary.`;
    case 'MISCONF':
      return `${name} cannot write to its disk and takes no writes (MISCONF). Expected a server that persists. Make room on its disk, and look at its log.`;
    case 'NOREPLICAS':
      return `${name} has fewer replicas than min-replicas-to-write requires and takes no writes (NOREPLICAS). Start the replicas, or lower the setting.`;
    case 'CLUSTERDOWN':
      return `${name} is a cluster that does not serve this key (CLUSTERDOWN). Expected all slots to be served. Start the master that is down, or promote its replica.`;
    case 'OOM':
      return `${name} has used all of its maxmemory and takes no writes (OOM). Raise maxmemory${setting === 'CACHE_REDIS_URL' ? ', or set maxmemory-policy allkeys-lfu' : ''}.`;
    case 'NOAUTH':
    case 'WRONGPASS':
      return `${name} refuses the user or the password (${codeOf(error)}). Expected the credentials of a user of that server. Correct ${setting}.`;
    case 'NOPERM':
      return `${name} refuses ${refused(text, refusedCommand)} to its user '${user}' (NOPERM). Expected a user with all commands of docs/operations.md. Grant them with ACL SETUSER ${user}, or name another user in ${setting}.`;
    default:
      return `${name} cannot be used: ${text}`;
  }
}

function refused(text: string, refusedCommand: string | undefined): string {
  const ofCommand = refusedCommand ? `of the command '${refusedCommand}'` : undefined;
  if (/access.*key/i.test(text)) return ofCommand ? `the key ${ofCommand}` : 'a key';
  if (/access.*channel/i.test(text)) return ofCommand ? `the channel ${ofCommand}` : 'a channel';
  const command = /run the '([^']+)' command/i.exec(text)?.[1] ?? refusedCommand;
  return command ? `the command '${command}'` : 'a command';
}

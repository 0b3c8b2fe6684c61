// The usage of commands without arguments. Plain JavaScript, because the launcher checks the command line on Node 20 before
// anything is installed.

const settings = 'Settings are environment variables (docs/configuration.md)';

/** The usage text of each entry that takes no arguments. */
const usages = {
  'scripts/start.ts': `usage: npm start [-- --watch]
  Starts Redis, Postgres, an API and a worker on this machine, and makes a first prediction. Ctrl-C ends all of them.
  --watch serves an edited handler at once, as a version of its own (docs/models.md).
  ${settings}. The most useful settings are PORT, REDIS_URL,
  DATABASE_URL and MILLRACE_DIR (docs/getting-started.md). Example: PORT=8081 npm start`,
  'apps/api/src/main.ts': `usage: npm run start:api
  Starts an API process that uses the servers of REDIS_URL and DATABASE_URL. ${settings}.`,
  'apps/worker/src/main.ts': `usage: npm run start:worker
  Starts a worker process that uses the servers of REDIS_URL and DATABASE_URL. ${settings}.`,
  'scripts/migrate.ts': `usage: npm run migrate
  Applies the missing migrations to the database of DATABASE_URL. Several runs at once are safe. ${settings}.`,
  'scripts/docs.ts': `usage: npm run docs
  Writes the generated tables of docs/ and .env.example.`,
};

/** The flags of an entry that takes no other arguments. */
const flags = { 'scripts/start.ts': ['--watch'] };

/**
 * Returns the text to print, the stream and the exit code when `args` request help or are invalid. Returns undefined when
 * the entry can run.
 */
export function usageFor(entry, args) {
  const usage = usages[entry];
  if (usage === undefined || args.every((arg) => flags[entry]?.includes(arg))) return undefined;
  if (args.some((arg) => arg === '--help' || arg === '-h')) return { text: usage, isError: false, code: 0 };
  const command = usage.slice('usage: '.length, usage.indexOf('\n')).replace(/ \[.*$/, '');
  return {
    text: `${command} takes ${flags[entry]?.join(', ') ?? 'no arguments'}, got '${args.join(' ')}'.\n${usage}`,
    isError: true,
    code: 2,
  };
}

/** Prints the usage and exits when `args` request help or are invalid. */
export function exitOnUsage(entry, args) {
  const usage = usageFor(entry, args);
  if (usage === undefined) return;
  (usage.isError ? console.error : console.log)(usage.text);
  process.exit(usage.code);
}

// Runs on Node 20 with nothing installed, so it is plain JavaScript. Asked before anything is installed or started.

const settings = 'Settings are environment variables (docs/configuration.md)';

/** What is run without arguments, by its entry, and what to say of it. */
const usages = {
  'scripts/start.ts': `usage: npm start
  Starts everything on this machine, makes a first prediction, and ends all of it at Ctrl-C.
  ${settings}; those of most use here are PORT, REDIS_URL,
  DATABASE_URL and MILLRACE_DIR (docs/getting-started.md), as in: PORT=8081 npm start`,
  'apps/api/src/main.ts': `usage: npm run start:api
  Starts one API process on the servers of REDIS_URL and DATABASE_URL. ${settings}.`,
  'apps/worker/src/main.ts': `usage: npm run start:worker
  Starts one worker process on the servers of REDIS_URL and DATABASE_URL. ${settings}.`,
  'scripts/migrate.ts': `usage: npm run migrate
  Brings the database of DATABASE_URL to this version's schema. Any number may run at once. ${settings}.`,
  'scripts/docs.ts': `usage: npm run docs
  Writes the generated tables of docs/ and .env.example.`,
};

/**
 * What to print, where, and with which code to end, instead of running `entry` with these arguments; undefined when it is
 * to run.
 */
export function answerInstead(entry, args) {
  const usage = usages[entry];
  if (usage === undefined || args.length === 0) return undefined;
  if (args.some((arg) => arg === '--help' || arg === '-h')) return { text: usage, isError: false, code: 0 };
  const command = usage.slice('usage: '.length, usage.indexOf('\n'));
  return { text: `${command} takes no arguments, got '${args.join(' ')}'.\n${usage}`, isError: true, code: 2 };
}

/** Ends the process where that is the answer. */
export function endIfAsked(entry, args) {
  const answer = answerInstead(entry, args);
  if (answer === undefined) return;
  (answer.isError ? console.error : console.log)(answer.text);
  process.exit(answer.code);
}

type StopRequest = 'signal' | 'parent gone';

// A terminal's Ctrl-C reaches us twice when a wrapper passes it on as well; a person's second one comes later.
const repeatAfterMs = 1_000;

/**
 * Aborts the returned signal at the first SIGINT, SIGTERM or SIGHUP, or when the process that waits for us is gone. A
 * second signal, from someone who will not wait, ends the process at once; the guard then ends the parts.
 */
export function stopRequests(env: NodeJS.ProcessEnv): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const request = (reason: StopRequest) => {
    firstAt ??= performance.now();
    controller.abort(reason);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (firstAt !== undefined && performance.now() - firstAt > repeatAfterMs) process.exit(130);
      request('signal');
    });
  }
  // npm, or our own wrapper on an older Node, waits for us. Killed, it could not tell us; left alone with a terminal
  // that closes (nohup), we go on.
  if (env.MILLRACE_WRAPPED || env.npm_lifecycle_event) {
    const parent = process.ppid;
    setInterval(() => process.ppid === parent || request('parent gone'), 250).unref();
  }
  return controller.signal;
}

/** Turns signals, and the end of the parent process, into a request to stop. */
type StopRequest = 'signal' | 'parent gone';

// One Ctrl-C can arrive twice: from the terminal and from a wrapper that forwards the signal. A second Ctrl-C of a person comes later.
const repeatAfterMs = 1_000;

/**
 * Aborts the returned signal at the first SIGINT, SIGTERM or SIGHUP, or when the parent that waits for this process is gone.
 * A second signal ends the process at once; the guard then ends the parts.
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
  // The parent is npm, or the launcher on an older Node. A killed parent sends no signal, so a timer checks the parent. Without
  // such a parent (nohup) the process continues when the terminal closes.
  if (env.MILLRACE_WRAPPED || env.npm_lifecycle_event) {
    const parent = process.ppid;
    setInterval(() => process.ppid === parent || request('parent gone'), 250).unref();
  }
  return controller.signal;
}

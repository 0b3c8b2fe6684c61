/** Data of a view: loaded when its key changes, kept on the screen while a newer state loads, and repeated where the view is live. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiProblem } from './api.ts';

/** How long after a failure the view tries again. */
const RETRY_MS = 5_000;

export interface Data<T> {
  /** Undefined until the first response. */
  data: T | undefined;
  /** The failure of the last attempt; undefined after a success. */
  problem: ApiProblem | undefined;
  /** When the data arrived, as Unix ms. */
  since: number | undefined;
  reload(): void;
}

interface State<T> {
  key: string;
  data: T | undefined;
  problem: ApiProblem | undefined;
  since: number | undefined;
}

export interface DataOptions {
  /** Repeats the load while the page is visible. */
  everyMs?: number | null;
}

/**
 * `key` names the request: a new key starts a new load. Data of a key stay while they are loaded again. Data of another key are dropped,
 * so that a page never shows a result under the wrong filter.
 */
export function useData<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
  { everyMs = null }: DataOptions = {},
): Data<T> {
  const [state, setState] = useState<State<T>>({ key: '', data: undefined, problem: undefined, since: undefined });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (ms: number) => {
      timer = setTimeout(() => (document.hidden ? again(ms) : run()), ms);
    };
    const run = async () => {
      try {
        const data = await latest.current(stop.signal);
        if (stop.signal.aborted) return;
        setState({ key, data, problem: undefined, since: Date.now() });
        if (everyMs !== null) again(everyMs);
      } catch (error) {
        if (stop.signal.aborted) return;
        const problem = asProblem(error);
        setState((now) =>
          now.key === key ? { ...now, problem } : { key, data: undefined, problem, since: undefined },
        );
        if (mayPass(problem)) again(RETRY_MS);
      }
    };
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, round]);

  const reload = useCallback(() => setRound((now) => now + 1), []);
  const fresh = state.key === key;
  return {
    data: fresh ? state.data : undefined,
    problem: fresh ? state.problem : undefined,
    since: fresh ? state.since : undefined,
    reload,
  };
}

export const asProblem = (error: unknown): ApiProblem =>
  error instanceof ApiProblem ? error : new ApiProblem({ title: 'The console failed', detail: String(error) });

const mayPass = ({ code, status }: ApiProblem): boolean => code === 'unreachable' || status === 429 || status >= 500;

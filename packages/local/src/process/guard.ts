/** Ends the started servers when the launcher dies, even if the launcher is killed with SIGKILL. */
import { spawn } from 'node:child_process';

/** A separate process that ends the guarded processes after the end of this process. After a SIGKILL this process cannot clean up. */
export interface Guard {
  add(pid: number, signal: NodeJS.Signals): void;
  remove(pid: number): void;
  /** Ends the guard and the processes that it still guards. */
  close(): Promise<void>;
  /** Settles when the guard has ended, by close() or otherwise. */
  readonly ended: Promise<void>;
}

/**
 * The program of a shell that reads commands from this process through a pipe. When this process dies, the kernel closes the pipe
 * and `read` fails. The shell then ends the guarded processes, the newest first: each leader of a process group gets its signal, and
 * its group gets SIGKILL when the leader has ended, or after ten seconds. The alternative, a signal of prctl for the death of a
 * parent, exists only on Linux.
 */
const script = `
trap '' INT TERM HUP
parts=
while read -r verb pid signal; do
  case $verb in
    add) parts="$pid:$signal $parts" ;;
    remove)
      rest=
      for part in $parts; do [ "\${part%%:*}" = "$pid" ] || rest="$rest $part"; done
      parts=$rest ;;
  esac
done
runs() {
  kill -s 0 "$1" 2>/dev/null || return 1
  # In a container nobody may be there to collect a dead orphan, and a zombie still takes signals.
  if [ -r "/proc/$1/stat" ]; then read -r stat <"/proc/$1/stat"; case $stat in *') Z '*) return 1 ;; esac; fi
}
for part in $parts; do
  pid=\${part%%:*}
  kill -s "\${part#*:}" "$pid" 2>/dev/null
  tries=0
  while [ $tries -lt 100 ] && runs "$pid"; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -s KILL -- "-$pid" 2>/dev/null
done
`;

/** Starts a guard. A guarded process must lead its own process group (`detached`). */
export function startGuard(): Guard {
  // Windows has no POSIX shell and no Redis. Windows users bring their own servers.
  if (process.platform === 'win32') return withoutShell();
  const shell = spawn('/bin/sh', ['-c', script, 'millrace-guard'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve());
    shell.once('error', () => resolve());
  });
  // A write to an ended guard fails. `ended` has reported the end already.
  shell.stdin.on('error', () => {});
  return {
    add: (pid, signal) => void shell.stdin.write(`add ${pid} ${signal.slice('SIG'.length)}\n`),
    remove: (pid) => void shell.stdin.write(`remove ${pid}\n`),
    close: () => {
      shell.stdin.end();
      return ended;
    },
    ended,
  };
}

function withoutShell(): Guard {
  const never = new Promise<void>(() => {});
  return { add() {}, remove() {}, close: async () => {}, ended: never };
}

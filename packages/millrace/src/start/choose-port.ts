/** Selects the port of the API before any part starts. */
import { freePort, isPortFree } from '@millrace/local/process/ports';
import { StartError } from '@millrace/local/process/start-error';

interface PortParams {
  host: string;
  port: number;
  /** The command that starts Millrace, for the message. */
  start: string;
}

/** Returns the port, or a free port for 0. Rejects when another program listens on the port. */
export async function choosePort({ host, port, start }: PortParams): Promise<number> {
  if (port === 0) return freePort(host);
  if (await isPortFree(host, port)) return port;
  throw new StartError(
    `Port ${port} of ${host} is taken by another program: stop it, or choose one with PORT=8081 ${start}.`,
  );
}

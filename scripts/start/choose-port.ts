import { freePort, isPortFree } from '@millrace/local/process/ports';
import { StartError } from '@millrace/local/process/start-error';

/** Returns the port, or a free port for 0. Rejects when another program listens on the port. */
export async function choosePort(host: string, port: number): Promise<number> {
  if (port === 0) return freePort(host);
  if (await isPortFree(host, port)) return port;
  throw new StartError(
    `Port ${port} of ${host} is taken by another program: stop it, or choose one with PORT=8081 npm start.`,
  );
}

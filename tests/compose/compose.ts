/** Runs docker compose, v1 or v2, on a separate project. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MINUTES = 60_000;

export interface Compose {
  (...args: string[]): Promise<string>;
  docker(...args: string[]): Promise<string>;
  /** Runs a shell script of the repository, which finds the project and the command of compose in its environment. */
  script(file: string): Promise<string>;
  /** Ids of the running containers of a service. */
  containers(service: string): Promise<string[]>;
}

async function composeCommand(): Promise<string[]> {
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...args] = command;
    if (
      await run(program, [...args, 'version']).then(
        () => true,
        () => false,
      )
    )
      return command;
  }
  throw new Error('neither docker compose nor docker-compose is installed');
}

/** `port` is the gateway's port on this machine. */
export async function createCompose(root: string, port: number): Promise<Compose> {
  const [program = '', ...first] = await composeCommand();
  const project = `millrace-${randomBytes(3).toString('hex')}`;
  const password = () => randomBytes(12).toString('hex');
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    DOCKER_HOST: process.env.DOCKER_HOST,
    POSTGRES_PASSWORD: password(),
    REDIS_PASSWORD: password(),
    PORT: String(port),
  };
  const call = async (command: string, args: string[]) =>
    (await run(command, args, { cwd: root, env, timeout: 10 * MINUTES, maxBuffer: 1e8 })).stdout;
  const compose = (...args: string[]) => call(program, [...first, '-p', project, ...args]);
  return Object.assign(compose, {
    docker: (...args: string[]) => call('docker', args),
    script: async (file: string) => {
      const scriptEnv = { ...env, COMPOSE_PROJECT_NAME: project, COMPOSE: [program, ...first].join(' ') };
      return (await run('sh', [file], { cwd: root, env: scriptEnv, timeout: 10 * MINUTES })).stdout;
    },
    containers: async (service: string) => (await compose('ps', '-q', service)).split('\n').filter(Boolean),
  });
}

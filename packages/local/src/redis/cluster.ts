/** A private Redis Cluster on this machine: real servers that form a cluster without redis-cli. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from '../process/guard.ts';
import type { Part } from '../process/part.ts';
import { withFreePorts } from '../process/ports.ts';
import { StartError } from '../process/start-error.ts';
import type { RedisProgram } from './program.ts';
import { startRedis } from './server.ts';

export interface RedisClusterOptions {
  program: RedisProgram;
  /** Each node has its own folder in this folder. */
  dir: string;
  password: string;
  guard: Guard;
  masters: number;
  /** Adds one replica for each master. The replica takes over the slots when its master dies. */
  replicas?: boolean;
  /** Milliseconds of silence after which the other nodes consider a node dead. */
  nodeTimeoutMs?: number;
  /** Runs one command on a node. This package has no Redis client. */
  command(url: string, ...words: string[]): Promise<unknown>;
}

export interface ClusterNode {
  readonly url: string;
  readonly port: number;
  /** Kills the node with SIGKILL and resolves when the process has ended. */
  kill(): Promise<void>;
  /** Starts the node again on its data. The node finds the other nodes by itself. */
  start(): Promise<void>;
  /** Resolves when this node serves slots as a master. */
  becomesMaster(): Promise<void>;
}

export interface LocalRedisCluster {
  /** Masters first. Replica n follows master n. */
  nodes: readonly ClusterNode[];
  /** Resolves when every running node reports that all slots are served. */
  whole(): Promise<void>;
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const FORM_TIMEOUT_MS = 30_000;
const LOOK_MS = 25;

interface Node extends ClusterNode {
  part: Part | undefined;
  busPort: number;
}

/** Resolves when the cluster serves all slots. When a node cannot start, all started nodes are stopped. */
export async function startRedisCluster(options: RedisClusterOptions): Promise<LocalRedisCluster> {
  const { masters, replicas = false, command } = options;
  const nodes: Node[] = [];
  const running = () => nodes.filter(({ part }) => part !== undefined);
  const stop = async () => {
    await Promise.all(running().map(({ part }) => part?.stop()));
  };
  const whole = () =>
    until('every node serves the cluster', async () => {
      const infos = await Promise.all(running().map(({ url }) => command(url, 'CLUSTER', 'INFO')));
      return infos.every((info) => String(info).includes('cluster_state:ok'));
    });
  try {
    for (let n = 0; n < masters * (replicas ? 2 : 1); n += 1) nodes.push(await startNode(options, n));
    await Promise.all(nodes.slice(0, masters).map((node, n) => ownSlots(options, node, n)));
    await meet(options, nodes);
    if (replicas) await Promise.all(nodes.slice(masters).map((node, n) => follow(options, node, nodes[n] as Node)));
    await whole();
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, whole, stop };
}

async function startNode(options: RedisClusterOptions, n: number): Promise<Node> {
  const { program, dir, password, guard, nodeTimeoutMs = 2_000, command } = options;
  const settingsOf = (busPort: number) => [
    'cluster-enabled yes',
    'cluster-config-file nodes.conf',
    // The default bus port is 10,000 above the port, which may exceed the largest port number.
    `cluster-port ${busPort}`,
    `cluster-node-timeout ${nodeTimeoutMs}`,
    `masterauth ${password}`,
    // While one master is away, the other masters still serve their slots.
    'cluster-require-full-coverage no',
    'repl-diskless-sync-delay 0',
  ];
  const dataDir = path.join(dir, `node-${n}`);
  const logFile = path.join(dir, `node-${n}.log`);
  const bootOn = (port: number, busPort: number) =>
    startRedis({ program, dataDir, logFile, password, guard, port, settings: settingsOf(busPort) });
  const { first, port, busPort } = await withFreePorts(2, async ([port = 0, busPort = 0]) => ({
    first: await bootOn(port, busPort),
    port,
    busPort,
  }));
  const node: Node = {
    url: first.url,
    port,
    busPort,
    part: first.part,
    async kill() {
      const { part } = node;
      node.part = undefined;
      if (part) process.kill(part.pid, 'SIGKILL');
      await part?.exited;
    },
    async start() {
      node.part ??= (await bootOn(port, busPort)).part;
    },
    becomesMaster: () =>
      until('a replica takes over', async () => {
        const [self] = String(await command(node.url, 'CLUSTER', 'NODES')).match(/^.*myself.*$/m) ?? [''];
        return /myself,master .* \d+-\d+/.test(self);
      }),
  };
  return node;
}

async function ownSlots({ command, masters }: RedisClusterOptions, { url }: Node, n: number): Promise<void> {
  const [from, to] = [n, n + 1].map((at) => Math.floor((at * SLOTS) / masters));
  await command(url, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String((to as number) - 1));
  // Nodes with equal epochs would first have to agree which node is newer.
  await command(url, 'CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1));
}

async function meet({ command }: RedisClusterOptions, nodes: readonly Node[]): Promise<void> {
  const [first, ...others] = nodes as [Node, ...Node[]];
  for (const { port, busPort } of others)
    await command(first.url, 'CLUSTER', 'MEET', '127.0.0.1', String(port), String(busPort));
  await until('the nodes know one another', async () => {
    const lists = await Promise.all(nodes.map(({ url }) => command(url, 'CLUSTER', 'NODES')));
    return lists.every((list) => {
      const lines = String(list).trim().split('\n');
      return lines.length === nodes.length && !/handshake|noaddr| disconnected/.test(String(list));
    });
  });
}

async function follow({ command }: RedisClusterOptions, replica: Node, master: Node): Promise<void> {
  const id = String(await command(master.url, 'CLUSTER', 'MYID'));
  await command(replica.url, 'CLUSTER', 'REPLICATE', id);
  await until('a replica follows its master', async () =>
    String(await command(replica.url, 'INFO', 'replication')).includes('master_link_status:up'),
  );
}

/** Polls a condition, because Redis sends no event when the nodes have informed each other. */
async function until(goal: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + FORM_TIMEOUT_MS;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new StartError(`Redis Cluster: not reached within 30 seconds: ${goal}.`);
    await delay(LOOK_MS);
  }
}

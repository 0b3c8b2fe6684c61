/** A Redis and a Postgres that a test run may change freely. */
export interface TestServers {
  redisUrl: string;
  /** Whether the URL is a node of a cluster. */
  redisCluster?: boolean;
  /** A database from which other databases can be created and dropped. */
  databaseUrl: string;
  stop(): Promise<void>;
}

/** Servers that the environment provides and that need no start. */
export interface GivenServers {
  redisUrl?: string;
  databaseUrl?: string;
}

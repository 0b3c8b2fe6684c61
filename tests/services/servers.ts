/** A Redis and a Postgres that a test run may do with as it likes. */
export interface TestServers {
  redisUrl: string;
  /** Whether that is a node of a cluster. */
  redisCluster?: boolean;
  /** Of a database from which others can be made and dropped. */
  databaseUrl: string;
  stop(): Promise<void>;
}

/** What the environment brings already, and need not be started. */
export interface GivenServers {
  redisUrl?: string;
  databaseUrl?: string;
}

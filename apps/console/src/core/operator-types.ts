/** The responses that the pages of operators read. /openapi.json has all members. */

export interface StepValues {
  accepted: number;
  succeeded: number;
  failed: number;
  canceled: number;
  expired: number;
  hits: number;
  misses: number;
  refused: number;
  rate: number;
  waiting: number | null;
  oldest_waiting_s: number | null;
  wait_p50_ms: number | null;
  wait_p95_ms: number | null;
  run_p50_ms: number | null;
  run_p95_ms: number | null;
  total_p50_ms: number | null;
  total_p95_ms: number | null;
  hit_share: number | null;
  error_share: number | null;
}

export interface Step {
  start_at: string;
  values: StepValues;
}

/** A model with its values over a range, and its requests in each step of the range. */
export interface ModelStats {
  model: string;
  values: StepValues;
  /** The beginning of the first step of `requests`. */
  start_at: string;
  step_s: number;
  requests: number[];
}

export interface Engine {
  model: string | null;
  version: string | null;
  provider: string;
  status: string;
  memory_bytes: number | null;
}

export interface Worker {
  id: string;
  status: string;
  roles: string[];
  models: { name: string; version: string }[];
  engines: Engine[];
  providers: string[];
  memory_bytes: number;
  held: number;
  rows_per_s: number;
  release: string;
  host: string;
  started_at: string;
  seen_at: string;
}

export interface Endpoint {
  id: string;
  url: string;
  description: string;
  events: string[];
  models: string[];
  unknown_models: string[];
  status: string;
  reason: string | null;
  detail: string | null;
  failing_since_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface Rotated {
  secret: string;
  previous_signs_until_at: string;
}

export interface SecretState {
  configured: boolean;
  previous_signs_until_at: string | null;
}

export interface BulkStep {
  matched: number;
  done: number;
  next: string | null;
}

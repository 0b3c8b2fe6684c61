/** The responses of the API that the console reads. /openapi.json has all members. */

export interface List<T> {
  data: T[];
  next: string | null;
  has_more: boolean;
}

export interface Session {
  keys_required: boolean;
  tenant: string | null;
  key_prefix: string | null;
  expires_at: string | null;
  /** The URL of a trace with `{trace_id}`. A server of an older version sends none. */
  trace_url?: string | null;
}

export interface Model {
  name: string;
  description: string;
  default_version: string | null;
  aliases: Record<string, string>;
  problem: string | null;
  version_counts: Record<string, number>;
}

export interface Tensor {
  name: string;
  dtype: string;
  shape: (number | string)[];
}

export interface Version {
  model: string;
  version: string;
  status: string;
  reason: string | null;
  digest: string;
  description: string;
  created_at: string;
  inputs: Tensor[];
  outputs: Tensor[];
  input_schema: Schema | null;
  output_schema: Schema | null;
  examples: unknown[];
  max_run_rows: number;
  row_independent: boolean;
  row_independent_reason: string | null;
  deterministic: boolean | null;
  deterministic_reason: string | null;
  timeout_ms: number;
  priority: string;
  cache: { enabled: boolean; ttl_s: number; scope: string };
}

export interface Card {
  readme: string | null;
  /** The images of the README: path to data URI. */
  images: Record<string, string>;
  figures: unknown;
}

/** The members of JSON Schema that the form reads. */
export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  format?: string;
  contentEncoding?: string;
  contentMediaType?: string;
}

export interface PredictionError {
  code: string;
  title: string;
  detail: string;
  errors?: { pointer?: string; message: string }[];
}

export interface TimelineStep {
  at: string;
  type: string;
  attempt: number | null;
  worker_id: string | null;
  rows: number | null;
  shared: boolean | null;
}

export interface Prediction {
  id: string;
  model: string;
  version: string;
  digest: string;
  status: string;
  rows: number | null;
  input?: unknown;
  inputs?: unknown[] | null;
  output?: unknown;
  outputs?: unknown[] | null;
  row_errors?: { row: number; error: PredictionError }[] | null;
  error: PredictionError | null;
  cache: string | null;
  priority: string;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  expires_at: string | null;
  attempt: number;
  metadata: Record<string, unknown> | null;
  metrics: { wait_ms: number | null; run_ms: number | null; total_ms: number | null; run_rows: number | null };
  queue: { position: number; estimated_start_at: string; estimated_completion_at: string } | null;
  webhook: { url: string; events: string[] | null } | null;
  urls: { cancel: string | null; retry: string | null };
  timeline?: TimelineStep[] | null;
  trace_id?: string | null;
}

export interface Attempt {
  number: number;
  started_at: string;
  latency_ms: number | null;
  http_status: number | null;
  error: { code: string } | null;
  reply: string | null;
}

export interface Delivery {
  id: string;
  event: { id: string; type: string };
  endpoint_id: string | null;
  url: string;
  prediction_id: string | null;
  status: string;
  next_attempt_at: string | null;
  created_at: string;
  completed_at: string | null;
  attempts: Attempt[];
}

export interface Entity {
  key: string;
  name: string;
  aliases: string[];
  attributes: Record<string, unknown>;
}

/** The messages by which the API processes of a machine read each other's metrics. The primary process passes the messages on. */

/** A process requests the metrics of all processes from the primary. */
export interface MetricsRequest {
  kind: 'all-metrics';
  /** The number of the request within the process. */
  request: number;
}

/** The primary requests the own metrics of a process. */
export interface OwnMetricsRequest {
  kind: 'own-metrics';
  request: number;
}

/** A process sends its own metrics in Prometheus' text format. */
export interface OwnMetrics {
  kind: 'own-metrics-text';
  request: number;
  text: string;
}

/** The primary sends the metrics of all processes. */
export interface AllMetrics {
  kind: 'all-metrics-text';
  request: number;
  text: string;
}

export type ToPrimary = MetricsRequest | OwnMetrics;
export type ToProcess = OwnMetricsRequest | AllMetrics;

const KINDS = ['all-metrics', 'own-metrics', 'own-metrics-text', 'all-metrics-text'];

/** Whether a message of the channel is one of these messages. Node and libraries send messages of their own. */
export function isMetricsMessage(message: unknown): message is ToPrimary | ToProcess {
  return typeof message === 'object' && message !== null && 'kind' in message && KINDS.includes(String(message.kind));
}

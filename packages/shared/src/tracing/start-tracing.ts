/**
 * Starts the traces of a process if a standard setting of OpenTelemetry demands traces. Without such a setting no code of
 * OpenTelemetry is loaded.
 */
import { protocolOf, type TracingParams, wantsTraces } from './settings.ts';
import type { Tracing } from './tracing.ts';

/** Undefined without a setting that demands traces. Rejects with TracingError for an invalid setting. */
export async function startTracing(params: TracingParams): Promise<Tracing | undefined> {
  const { env } = params;
  if (!wantsTraces(env)) return undefined;
  const protocol = protocolOf(env);
  const { openTelemetry } = await import('./open-telemetry.ts');
  return openTelemetry(params, protocol);
}

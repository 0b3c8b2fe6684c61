/** The client of Millrace. */
export {
  AbortError,
  ApiError,
  ConnectionError,
  type ErrorCode,
  MillraceError,
  PredictionError,
  type Problem,
  WebhookError,
} from './errors.ts';
export { Millrace, type MillraceOptions } from './millrace.ts';
export type { components, operations, paths } from './openapi.ts';
export type { Page, PagedList } from './pages.ts';
export type { PredictionHandle } from './prediction-handle.ts';
export type {
  CallOptions,
  GetOptions,
  ListedPrediction,
  ListOptions,
  ModelType,
  ModelTypes,
  Prediction,
  RunManyOptions,
  RunOptions,
  SubmitManyOptions,
  SubmitOptions,
  WaitOptions,
} from './types.ts';
export type { WebhookEvent, WebhookEventOf, WebhookEventType } from './webhook-events.ts';
export { type VerifyOptions, verifyWebhook, type WebhookRequest } from './webhooks.ts';

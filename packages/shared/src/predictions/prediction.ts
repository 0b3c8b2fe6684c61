/** The record and the statuses of a prediction, and the only code that writes a prediction as JSON. */
import { joinTexts, type LongText, type Text } from './long-text.ts';
import { publicId } from './public-ids.ts';
import { membersOf } from './row-errors.ts';

/** Every status, in the order of the life of a prediction. */
export const STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'] as const;
export type Status = (typeof STATUSES)[number];
export type TerminalStatus = 'succeeded' | 'failed' | 'canceled' | 'expired';
export type Priority = 'low' | 'normal' | 'high';

/** The priority numbers of BullMQ: lower numbers run first. Every job has a number, because BullMQ runs jobs without one first. */
export const BULL_PRIORITY: Readonly<Record<Priority, number>> = { high: 1, normal: 5, low: 9 };

export const isTerminal = (status: string): status is TerminalStatus => status !== 'queued' && status !== 'running';

/** The values of a prediction that change with its status, and its names. Times are Unix milliseconds. */
export interface PredictionRecord {
  id: string;
  model: string;
  version: string;
  status: Status;
  /**
   * JSON text of the output, or of the error (a problem); '' before the prediction has ended. Responses contain the text
   * unparsed.
   */
  result: Text;
  createdAt: number;
  startedAt: number | null;
  completedAt: number | null;
  expiresAt: number | null;
  attempts: number;
  /** 0, and one more for each retry: an end belongs to one opening. The JSON of a prediction does not contain the opening. */
  opening: number;
  /** JSON text; '' for none. */
  metadata: string;
  inferenceMs: number | null;
  batchSize: number | null;
}

/** How a prediction used the cache: `collapsed` if another prediction computed its result. */
export const CACHE_USES = ['hit', 'miss', 'partial', 'collapsed', 'bypass'] as const;
export type CacheUse = (typeof CACHE_USES)[number];

/** The webhook of one prediction, as in its request. */
export interface PredictionWebhook {
  url: string;
  /** Types such as `prediction.failed`. Every terminal type when the list is absent or empty. */
  events?: string[];
}

/** All values in the JSON of a prediction. */
export interface Prediction extends PredictionRecord {
  digest: string;
  priority: Priority;
  webhook: PredictionWebhook | null;
  /** Whether the request has `inputs`. The result is then in `outputs`. */
  list: boolean;
  /** Null where a process of 0.1.0 wrote the row of the ledger. */
  rows: number | null;
  cache: CacheUse | null;
}

export interface QueueEstimate {
  position: number;
  estimatedStartAt: number;
  estimatedCompletionAt: number;
}

// Predictions of a batch have the same times, and formatting a time costs more than finding its text in the map.
const isoTexts = new Map<number, string>();
const ISO_KEPT = 1_000;

function iso(ms: number | null): string {
  if (ms === null) return 'null';
  let text = isoTexts.get(ms);
  if (text === undefined) {
    text = `"${new Date(ms).toISOString()}"`;
    if (isoTexts.size >= ISO_KEPT) isoTexts.clear();
    isoTexts.set(ms, text);
  }
  return text;
}

/** The prefix of links: the public URL without a final slash, or '' for links that are paths. */
export const baseOf = (publicUrl: string | undefined): string => publicUrl?.replace(/\/+$/, '') ?? '';

const round = (ms: number | null): string => (ms === null ? 'null' : String(Math.round(ms * 1000) / 1000));

/** All values except the opening, which is not in the JSON. */
type Rendered = Omit<Prediction, 'opening'>;

/**
 * Returns the JSON text of a prediction, with its `result` unchanged. The text of a long result is a LongText. `base` is the
 * public URL of the API without a final slash; '' for links that are paths.
 */
export function renderPrediction(
  prediction: Rendered & { result: string },
  base: string,
  queue?: QueueEstimate,
): string;
export function renderPrediction(prediction: Rendered, base: string, queue?: QueueEstimate): Text;
export function renderPrediction(prediction: Rendered, base: string, queue?: QueueEstimate): Text {
  const { status, result, list } = prediction;
  if (status !== 'succeeded') return render(prediction, `"output":null,${OUTPUTS}null,${NO_ERRORS}`, { base, queue });
  const members = list ? (membersOf(result) ?? result) : result;
  if (typeof members !== 'string') return renderLong(prediction, members, base);
  if (!list) return render(prediction, `${OUTPUT}${members},${OUTPUTS}null,${NO_ERRORS}`, { base });
  const outputs = members === result ? `${OUTPUTS}${members},${NO_ERRORS}` : `${members},`;
  return render(prediction, `"output":null,${outputs}`, { base });
}

const NO_ERRORS = '"row_errors":null,';

const OUTPUT = '"output":';
const OUTPUTS = '"outputs":';

/** `members` is the output, or the members of a result with errors of rows. */
function renderLong(prediction: Rendered, members: LongText, base: string): LongText {
  const { list, result } = prediction;
  const name = list ? OUTPUTS : OUTPUT;
  const names = list ? `"output":null,${OUTPUTS},` : `${OUTPUT},${OUTPUTS}null,`;
  const hasErrors = members !== result;
  const json = render({ ...prediction, result: '' }, hasErrors ? names : names + NO_ERRORS, { base });
  // No text before the output contains the name of the member unescaped.
  const at = json.indexOf(name);
  return joinTexts([json.slice(0, hasErrors ? at : at + name.length), members, json.slice(at + name.length)]);
}

/** Returns the same text as `renderPrediction`, without the members `output`, `outputs` and `row_errors`. */
export const renderWithoutOutput = (prediction: Rendered, base: string): string => render(prediction, '', { base });

/**
 * Milliseconds between two times of a prediction. A prediction can share a run that started before the prediction was created, and two
 * processes note the times: the result is 0 and never negative.
 */
const elapsedMs = (from: number, to: number): number => Math.max(0, to - from);

interface RenderOptions {
  base: string;
  queue?: QueueEstimate | undefined;
}

function render(prediction: Rendered, output: string, { base, queue }: RenderOptions): string {
  const { status, result, createdAt, startedAt, completedAt, metadata, webhook } = prediction;
  const id = publicId('pred', prediction.id);
  const error = status === 'succeeded' || result === '' ? 'null' : result;
  const waitMs = startedAt === null ? null : elapsedMs(createdAt, startedAt);
  const totalMs = completedAt === null ? null : elapsedMs(createdAt, completedAt);
  // V8 keeps an object for each piece of a template until the text is sent, so pieces that are nearly always the same are one piece.
  const ofCaller =
    metadata === '' && webhook === null
      ? NOTHING_OF_CALLER
      : `"metadata":${metadata || 'null'},"webhook":${webhook === null ? 'null' : webhookText(webhook)},`;
  const { head, middle } = usualOf(prediction);
  return (
    `{"id":"${id}${head}${output}"error":${error}${middle}${iso(createdAt)},` +
    `"started_at":${iso(startedAt)},"completed_at":${iso(completedAt)},"expires_at":${iso(prediction.expiresAt)},` +
    `"attempt":${prediction.attempts},${ofCaller}"metrics":{"wait_ms":${round(waitMs)},` +
    `"run_ms":${round(prediction.inferenceMs)},"total_ms":${round(totalMs)},"run_rows":${prediction.batchSize ?? 'null'}},` +
    `${linksOf(id, status, base)}${queue === undefined ? NO_QUEUE : `,"queue":${queueText(queue)}}`}`
  );
}

const NOTHING_OF_CALLER = '"metadata":null,"webhook":null,';
const NO_QUEUE = ',"queue":null}';

const queueText = ({ position, estimatedStartAt, estimatedCompletionAt }: QueueEstimate): string =>
  `{"position":${position},"estimated_start_at":${iso(estimatedStartAt)},"estimated_completion_at":${iso(estimatedCompletionAt)}}`;

// Predictions of the same version follow each other.
const named = { model: '', version: '', digest: '', text: '' };

function namesOf({ model, version, digest }: Pick<Rendered, 'model' | 'version' | 'digest'>): string {
  if (named.digest !== digest || named.model !== model || named.version !== version) {
    named.text = `"model":${JSON.stringify(model)},"version":${JSON.stringify(version)},"digest":"${digest}"`;
    named.model = model;
    named.version = version;
    named.digest = digest;
  }
  return named.text;
}

const usual = { names: '', status: '', rows: -1, cache: '', priority: '', head: '', middle: '' };

/** The texts behind the id and behind the error, which are the same in predictions that follow each other. */
function usualOf(prediction: Rendered): Readonly<typeof usual> {
  const { status, priority } = prediction;
  const names = namesOf(prediction);
  const rows = prediction.rows ?? -1;
  const cache = prediction.cache ?? '';
  const isSame = usual.names === names && usual.status === status && usual.rows === rows;
  if (isSame && usual.cache === cache && usual.priority === priority) return usual;
  const head = `",${names},"status":"${status}","rows":${rows === -1 ? 'null' : rows},`;
  const middle = `,"cache":${cache === '' ? 'null' : `"${cache}"`},"priority":"${priority}","created_at":`;
  return Object.assign(usual, { names, status, rows, cache, priority, head, middle });
}

/**
 * Whether `renderPrediction` returns text of ASCII only: the text can then be sent as latin1, and has as many bytes as characters. Also
 * false for the rare prediction with a webhook.
 */
export const rendersAscii = (prediction: Rendered, base: string): boolean =>
  prediction.webhook === null &&
  typeof prediction.result === 'string' &&
  isAscii(prediction.result) &&
  isAscii(prediction.metadata) &&
  isAscii(base) &&
  isAscii(namesOf(prediction));

const isAscii = (text: string): boolean => text === '' || Buffer.byteLength(text) === text.length;

const webhookText = ({ url, events }: PredictionWebhook): string => JSON.stringify({ url, events: events ?? null });

/** The links of a prediction. The link of an action is null while the action is impossible. `id` is the public id. */
function linksOf(id: string, status: Status, base: string): string {
  const self = `${base}/v1/predictions/${id}`;
  const links = `"urls":{"self":"${self}","events":"${self}/events","cancel":`;
  if (status === 'succeeded') return `${links}null,"retry":null}`;
  return isTerminal(status) ? `${links}null,"retry":"${self}/retry"}` : `${links}"${self}/cancel","retry":null}`;
}

/**
 * The last members of the JSON of a succeeded prediction with a public id. The JSON of an earlier version, and of a process with another
 * public URL, has another end. Change the order of the last members when another member changes its name.
 */
export const endOfSucceeded = (id: string, base: string): string => `${linksOf(id, 'succeeded', base)}${NO_QUEUE}`;

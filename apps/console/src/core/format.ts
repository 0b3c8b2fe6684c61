/** Numbers, durations, sizes and times as people read them. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
const hundredth = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 });

/** No value. */
export const NONE = '–';

export const count = (value: number): string => whole.format(value);

/** `1 row`, `2 rows`. */
export const counted = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

/** A number of three significant digits or so: 0.042, 1.23, 45.6, 7,890. */
export function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return whole.format(value);
  if (size >= 10) return tenth.format(value);
  if (size >= 1) return hundredth.format(value);
  return String(Number(value.toPrecision(3)));
}

/** Milliseconds without a unit, for a column whose header has the unit. */
export const millis = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : value >= 10 ? whole.format(value) : tenth.format(value);

/** `0.7 ms`, `4.22 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE;
  if (ms < 1_000) return `${millis(ms)} ms`;
  if (ms < 60_000) return `${hundredth.format(ms / 1_000)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return parts([Math.floor(seconds / 60), 'min'], [seconds % 60, 's']);
  const minutes = Math.round(seconds / 60);
  if (minutes < 2_880) return parts([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min']);
  const hours = Math.round(minutes / 60);
  return parts([Math.floor(hours / 24), 'd'], [hours % 24, 'h']);
}

const parts = (...values: [number, string][]): string =>
  values
    .filter(([value], index) => index === 0 || value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');

/** `99.3`, of a share from 0 to 1. */
export const percent = (share: number): string => tenth.format(share * 100);

/** A rate with one decimal: `2.4`, `186`, and `0.042` where less is known. */
export const rate = (value: number): string => (value >= 0.1 && value < 100 ? value.toFixed(1) : number(value));

/** Megabytes without a unit, for a column whose header has the unit. */
export const megabytes = (bytes: number): string => whole.format(bytes / 1e6);

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });

/** The exact time in the reader's zone; with the day where the day is not today. */
export function exactTime(at: Date, now = new Date()): string {
  const time = clock.format(at);
  return at.toDateString() === now.toDateString() ? time : `${day.format(at)}, ${time}`;
}

/** The time in the reader's zone and in UTC. */
export const fullTime = (at: Date): string => `${full.format(at)}, ${at.toISOString()}`;

/** `now`, `12 s ago`, `41 min ago`, `2 d ago`, and `in 5 min`. */
export function relativeTime(at: Date, now = Date.now()): string {
  const seconds = Math.round((now - at.getTime()) / 1_000);
  const size = Math.abs(seconds);
  if (size < 1) return 'now';
  const text = relativeSize(size);
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

function relativeSize(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The beginning of an id, enough to distinguish the ids of a page: `pred_01a21c4608b1` has its time and its shard. */
export const shortId = (id: string): string => {
  const [prefix, digits] = id.split('_');
  return digits === undefined ? id.slice(0, 13) : `${prefix}_${digits.slice(0, 12)}`;
};

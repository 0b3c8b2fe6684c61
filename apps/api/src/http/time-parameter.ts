/** Times in parameters and bodies. */
const LAST_MS = 0xffff_ffff_ffff;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

/** Converts an RFC 3339 time to Unix milliseconds. Returns undefined for any other text. */
export function msOfTime(text: string): number | undefined {
  const ms = RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  return ms >= 0 && ms <= LAST_MS ? ms : undefined;
}

/** The JSON of a prediction without the members that only `GET /v1/predictions/{id}` has. */

const OWN_MEMBERS = /,"trace_id":(?:null|"[0-9a-f]{32}"),"timeline":\[[^\]]*\]\}$/;

export const textWithoutTimeline = (text: string): string => text.replace(OWN_MEMBERS, '}');

export function withoutTimeline<T extends Record<string, unknown>>(body: T): Omit<T, 'trace_id' | 'timeline'> {
  const { trace_id: _id, timeline: _timeline, ...others } = body;
  return others;
}

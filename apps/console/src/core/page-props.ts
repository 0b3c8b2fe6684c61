/** The properties that each page of the console receives. */
import type { Session } from './types.ts';

/** The properties of every page. */
export interface PageProps {
  /** The parts of the path that the page's pattern names. */
  params: Record<string, string>;
  query: URLSearchParams;
  session: Session;
}

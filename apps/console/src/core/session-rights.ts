/** The rights of a session beside the data of its tenant. */
import type { Session } from './types.ts';

/** The tenant of the operators sees the workers and the queue. Without API keys every session is of this tenant. */
export const isOperator = ({ tenant }: Session): boolean => tenant === 'default';

import type { Fault } from '../fault.ts';

export const crowdFaults: Fault[] = [];

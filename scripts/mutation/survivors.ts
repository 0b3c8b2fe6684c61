/**
 * The changes that no test notices, by module, each with the reason that no test can or needs to notice the change. A change that costs
 * time or memory, or that moves a limit that is not exact, is not equivalent: such a change counts as not noticed.
 */
import { APPS } from './survivors/apps.ts';
import { LIVE } from './survivors/live.ts';
import { SHARED } from './survivors/shared.ts';
import type { Survivors } from './survivors/survivor.ts';

export const SURVIVORS: Survivors = { ...APPS, ...SHARED, ...LIVE };

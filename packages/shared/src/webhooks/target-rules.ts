/** Builds the rules for webhook URLs from the settings. */
import { addressRule } from './address.ts';
import type { TargetRules } from './target.ts';

export interface TargetSettings {
  webhookHttp: boolean;
  webhookNetworks: readonly string[];
}

export const targetRules = (config: TargetSettings): TargetRules => ({
  allowHttp: config.webhookHttp,
  mayReach: addressRule(config.webhookNetworks),
});

/** The tenant of every caller when API keys are not required, and the owner of the models in the models folder. */
export const DEFAULT_TENANT = 'default';

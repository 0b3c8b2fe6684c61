/** The tenant of every caller where API keys are not required, and the owner of the models of the models folder. */
export const DEFAULT_TENANT = 'default';

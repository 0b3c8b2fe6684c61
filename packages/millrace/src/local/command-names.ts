/** The commands as a user types them: messages name the command that this user has. */
export interface CommandNames {
  start: string;
  models: string;
  keys: string;
}

/** In a clone of the repository. */
export const NPM_COMMANDS: CommandNames = { start: 'npm start', models: 'npm run models --', keys: 'npm run keys --' };

/** Where the package `millrace` is installed. */
export const NPX_COMMANDS: CommandNames = {
  start: 'npx millrace serve',
  models: 'npx millrace models',
  keys: 'npx millrace keys',
};

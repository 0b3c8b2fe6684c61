/** Prints a result as text or as JSON. */
export type Print = (text: string, json: unknown) => void;

export const printer =
  (json: boolean): Print =>
  (text, value) =>
    void process.stdout.write(`${json ? JSON.stringify(value) : text}\n`);

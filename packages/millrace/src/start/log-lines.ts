/** Formats log lines for the terminal. pino's numbers: a line below `info` is written only to the log file. */
const info = 30;
const levels: Record<number, string> = { 30: '', 40: 'warning ', 50: 'error ', 60: 'fatal ' };

// Fields that do not help a person at the terminal.
const hidden = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg', 'v', 'service', 'reqId']);

/**
 * Turns a line of a part's log into a short line for the terminal. Returns undefined for a line that the terminal does not
 * show. A line that is not pino's JSON stays unchanged, because a crash prints its stack in such lines.
 */
export function terminalLine(part: string, line: string): string | undefined {
  const record = parseRecord(line);
  if (!record) return line.trim() ? `${part.padEnd(6)} │ ${line}` : undefined;
  if (record.level < info) return undefined;
  const fields = Object.entries(record).flatMap(([name, value]) => {
    const text = hidden.has(name) ? undefined : fieldText(name, value);
    return text === undefined ? [] : [text];
  });
  const message = `${levels[record.level] ?? ''}${record.msg ?? ''}`;
  return [part.padEnd(6), '│', message, ...fields].join(' ');
}

export interface LogRecord {
  level: number;
  msg?: string;
  [field: string]: unknown;
}

/** Parses a line of pino's log. Returns undefined for any other line. */
export function parseRecord(line: string): LogRecord | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: LogRecord = JSON.parse(line);
    return typeof value.level === 'number' ? value : undefined;
  } catch {
    return undefined;
  }
}

function fieldText(name: string, value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (name === 'responseTime' && typeof value === 'number') return `${value.toFixed(1)} ms`;
  if (typeof value !== 'object') return `${name}=${value}`;
  const { method, url, statusCode, message } = value as Record<string, unknown>;
  if (name === 'req') return `${method} ${url}`;
  if (name === 'res') return String(statusCode);
  return typeof message === 'string' ? message : `${name}=${JSON.stringify(value)}`;
}

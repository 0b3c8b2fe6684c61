/** pino's numbers: what is below `info` goes to the log file alone. */
const info = 30;
const levels: Record<number, string> = { 30: '', 40: 'warning ', 50: 'error ', 60: 'fatal ' };

// Of no use to someone who watches one machine for a minute.
const unsaid = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg', 'v', 'service', 'reqId']);

/**
 * One short line for a terminal from a line of a part's log, or undefined for what the terminal is spared. What is not
 * pino's JSON is shown as it is: a crash prints its stack so.
 */
export function terminalLine(part: string, line: string): string | undefined {
  const record = parseRecord(line);
  if (!record) return line.trim() ? `${part.padEnd(6)} │ ${line}` : undefined;
  if (record.level < info) return undefined;
  const fields = Object.entries(record).flatMap(([name, value]) => {
    const text = unsaid.has(name) ? undefined : fieldText(name, value);
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

/** A line of pino's as its fields; undefined for what is none. */
export function parseRecord(line: string): LogRecord | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as LogRecord;
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

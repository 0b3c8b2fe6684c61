import { randomBytes } from 'node:crypto';

/** A prefix for Redis keys that no other test has, this run or another. */
export function testPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

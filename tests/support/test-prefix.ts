import { randomBytes } from 'node:crypto';

/** A prefix for Redis keys that no other test of any run uses. */
export function testPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

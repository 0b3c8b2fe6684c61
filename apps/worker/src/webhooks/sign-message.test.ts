import { newSecret, rotated, secretKey, signingSecrets } from '@millrace/shared/webhooks/secret';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { signatureHeaders } from './sign-message.ts';

const secrets = fc
  .uint8Array({ minLength: 24, maxLength: 64 })
  .map((bytes) => `whsec_${Buffer.from(bytes).toString('base64')}`);
const ids = fc.stringMatching(/^evt_[A-Za-z0-9_-]{1,40}$/);
// The verifier rejects a timestamp more than five minutes away from its own clock.
const now = () => Date.now();

describe('signatures', () => {
  test('are accepted by the independent verifier, whatever the secret, id and body', () => {
    fc.assert(
      fc.property(secrets, ids, fc.string({ unit: 'binary' }), (secret, id, body) => {
        const headers = signatureHeaders({ id, atMs: now(), body, secrets: [secret] });
        new Webhook(secret).verify(body, headers, { jsonParse: false });
        expect(headers['webhook-signature']).toBe(
          new Webhook(secret).sign(id, new Date(Number(headers['webhook-timestamp']) * 1000), body),
        );
      }),
    );
  });

  test('are rejected when the id, timestamp, body or secret differs', () => {
    fc.assert(
      fc.property(secrets, secrets, ids, fc.string(), fc.string(), (secret, other, id, body, otherBody) => {
        fc.pre(secret !== other && body !== otherBody);
        const headers = signatureHeaders({ id, atMs: now(), body, secrets: [secret] });
        const verify = (key: string, text: string, changed: Record<string, string> = {}) =>
          new Webhook(key).verify(text, { ...headers, ...changed }, { jsonParse: false });
        const later = String(Number(headers['webhook-timestamp']) + 1);
        expect(() => verify(other, body)).toThrow();
        expect(() => verify(secret, otherBody)).toThrow();
        expect(() => verify(secret, body, { 'webhook-id': `${id}x` })).toThrow();
        expect(() => verify(secret, body, { 'webhook-timestamp': later })).toThrow();
      }),
    );
  });

  test('are valid for the old and the new secret during a rotation, and only for the new secret afterwards', () => {
    fc.assert(
      fc.property(secrets, secrets, fc.integer({ min: 0, max: 200_000 }), (old, next, sinceMs) => {
        fc.pre(old !== next);
        const overlapMs = 100_000;
        const at = now();
        const stored = rotated([{ secret: old, until: null }], { next, nowMs: at - sinceMs, overlapMs });
        const headers = signatureHeaders({ id: 'evt_1', atMs: at, body: '{}', secrets: signingSecrets(stored, at) });
        new Webhook(next).verify('{}', headers);
        if (sinceMs < overlapMs) new Webhook(old).verify('{}', headers);
        else expect(() => new Webhook(old).verify('{}', headers)).toThrow();
      }),
    );
  });

  test('require an id without the separator', () => {
    expect(() => signatureHeaders({ id: 'a.b', atMs: 0, body: '', secrets: [newSecret()] })).toThrow('full stop');
  });
});

describe('secrets', () => {
  test('are whsec_ and base64 of 32 random bytes', () => {
    const secret = newSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(secretKey(secret)).toHaveLength(32);
    expect(newSecret()).not.toBe(secret);
  });

  test.each([
    '',
    'whsec_',
    `whsec_${'A'.repeat(28)}`,
    `whsec_${'A'.repeat(100)}`,
    `whsec_${'*'.repeat(44)}`,
    'A'.repeat(44),
  ])('are rejected when malformed, with a message that does not repeat the secret: %s', (text) => {
    const refused = () => secretKey(text);
    expect(refused).toThrow('24 to 64 bytes');
    if (text.length > 6) expect(refused).not.toThrow(text);
  });
});

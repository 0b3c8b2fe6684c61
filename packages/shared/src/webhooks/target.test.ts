import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { internalSpellings } from '../../../../tests/support/internal-spellings.ts';
import { addressRule } from './address.ts';
import { checkTarget, readNewTarget, readTarget, type TargetProblem } from './target.ts';

const strict = { allowHttp: true, mayReach: addressRule([]) };
const refusal = (result: URL | TargetProblem) => (result instanceof URL ? undefined : result.code);
const unresolved = () => Promise.reject(new Error('ENOTFOUND'));

describe('a target', () => {
  test.each(internalSpellings)('with an internal address is rejected: %s', (host) => {
    for (const scheme of ['http', 'https']) {
      // Some spellings are not URLs and are rejected for their form.
      expect(refusal(readTarget(`${scheme}://${host}/hook`, strict))).toMatch(/^(address|form)$/);
      expect(refusal(readTarget(`${scheme}://${host}:8080/hook`, strict))).toMatch(/^(address|form)$/);
      expect(refusal(readNewTarget(`${scheme}://${host}/hook`, strict))).toMatch(/^(address|form)$/);
    }
  });

  test.each(['https://8.8.8.8/hook', 'https://[2606:4700::1111]:8443/', 'https://receiver.example/?a=1'])(
    'with a public address is accepted: %s',
    (text) => {
      expect(readTarget(text, strict)).toBeInstanceOf(URL);
    },
  );

  test('must be https unless the operator allows http', () => {
    expect(readTarget('http://8.8.8.8/', { ...strict, allowHttp: false })).toMatchObject({ code: 'form' });
    expect(readTarget('https://8.8.8.8/', { ...strict, allowHttp: false })).toBeInstanceOf(URL);
  });

  test.each([
    'ftp://8.8.8.8/',
    'file:///etc/passwd',
    'https://user:pass@8.8.8.8/',
    'https://user@8.8.8.8/',
    'https://:pass@8.8.8.8/',
    'https://8.8.8.8:0/',
    'https://',
    'hook',
    '',
    `https://a/${'x'.repeat(3_000)}`,
  ])('is rejected for its form: %s', (text) => {
    expect(readTarget(text, strict)).toMatchObject({ code: 'form' });
  });

  test.each([
    'https://receiver.example/\r\nhook',
    'https://receiver.example/ho\tok',
    'https://receiver.example/hook\n',
    ' https://receiver.example/hook',
    'https://receiver.example/ho ok',
    'https://receiver.example/\u0000',
    'https://receiver.example/\u007f',
    'https://rec\u00adeiver.example/',
    'https://rec\u200beiver.example/',
    'https://rec%C2%ADeiver.example/',
    'https://receiver.example\\hook',
    'https:\\\\receiver.example/',
    'https:/receiver.example/',
    'https:receiver.example/',
    'https:///receiver.example/',
    'https://receiver%2eexample/',
    'https://receiver。example/',
    'https://bücher.example/',
    'https://@receiver.example/',
    'https://receiver.example:/',
    'https://receiver.example:0443/',
    'https://receiver.example./',
    'https://vm./',
    'https://localhost./',
    'https://localhost.:8443/',
    'https://8.8.8.8./',
    'https://8.8.2056/',
  ])('is rejected for a form that the URL parser would correct: %j', (text) => {
    expect(readNewTarget(text, strict)).toMatchObject({ code: 'form' });
  });

  test.each([
    'https://Receiver.Example/Hook',
    'HTTPS://receiver.example:443/?a=%20b',
    'http://receiver.example:80/',
    'https://receiver.example:8443',
    'https://xn--bcher-kva.example/b%C3%BCcher',
    'https://[2606:4700:0:0:0:0:0:1111]/',
    'https://receiver.example?a=1#b',
  ])('is accepted as written: %s', (text) => {
    expect(readNewTarget(text, strict)).toBeInstanceOf(URL);
  });

  test.each(['vm', 'localhost', 'a.localhost', 'db.internal', 'printer.local', 'router.home.arpa', 'x.lan'])(
    'with an internal name that does not resolve is rejected: %s',
    async (host) => {
      expect(refusal(await checkTarget(`https://${host}/`, strict, unresolved))).toBe('address');
      const rules = { allowHttp: false, mayReach: addressRule(['10.0.0.0/8']) };
      expect(await checkTarget(`https://${host}/`, rules, async () => ['10.1.2.3'])).toBeInstanceOf(URL);
    },
  );

  test('with a name that resolves to internal addresses is rejected; a name that does not resolve yet is accepted', async () => {
    const check = (resolve: () => Promise<string[]>) => checkTarget('https://name.example/', strict, resolve);
    expect(refusal(await check(async () => ['127.0.0.1', '::1']))).toBe('address');
    expect(refusal(await check(async () => ['8.8.8.8']))).toBeUndefined();
    expect(refusal(await check(unresolved))).toBeUndefined();
  });

  test('is checked for its form first, and an address in its host is not resolved', async () => {
    expect(refusal(await checkTarget('hook', strict, async () => ['8.8.8.8']))).toBe('form');
    expect(await checkTarget('https://8.8.8.8/', strict, async () => ['127.0.0.1'])).toBeInstanceOf(URL);
  });

  test('with a name of which one address is public is accepted: an attempt uses this address', async () => {
    expect(
      refusal(await checkTarget('https://name.example/', strict, async () => ['10.0.0.1', '8.8.8.8'])),
    ).toBeUndefined();
  });

  test('is called without its fragment', () => {
    expect(String(readTarget('https://receiver.example/?a=1#b', strict))).toBe('https://receiver.example/?a=1');
  });

  test('within a network of the operator is accepted', () => {
    const rules = { allowHttp: true, mayReach: addressRule(['127.0.0.0/8', 'fd12::/16']) };
    expect(readTarget('http://127.0.0.1:9/', rules)).toBeInstanceOf(URL);
    expect(readTarget('http://[fd12::1]/', rules)).toBeInstanceOf(URL);
    expect(readTarget('http://10.0.0.1/', rules)).toMatchObject({ code: 'address' });
    expect(() => addressRule(['10.0.0.0/33'])).toThrow("'10.0.0.0/33'");
    expect(() => addressRule(['example.com'])).toThrow('networks such as');
  });
});

describe('addresses', () => {
  const mayReach = addressRule([]);

  test('of private networks are never allowed, neither in IPv4 nor mapped, translated or embedded in IPv6', () => {
    const octet = fc.nat(255);
    const internal = fc.oneof(
      fc.tuple(fc.constant(10), octet, octet, octet),
      fc.tuple(fc.constant(127), octet, octet, octet),
      fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), octet, octet),
      fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
      fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
      fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), octet, octet),
    );
    fc.assert(
      fc.property(internal, (octets) => {
        const dotted = octets.join('.');
        const hex = Buffer.from(octets).toString('hex');
        const groups = `${hex.slice(0, 4)}:${hex.slice(4)}`;
        for (const address of [
          dotted,
          `::ffff:${dotted}`,
          `::ffff:${groups}`,
          `::${dotted}`,
          `64:ff9b::${groups}`,
          `64:ff9b:1::${groups}`,
          `2002:${groups}::1`,
          `::ffff:0:${groups}`,
        ])
          expect(mayReach(address), address).toBe(false);
      }),
    );
  });

  test('that are not addresses are never allowed', () => {
    fc.assert(fc.property(fc.string(), (text) => !mayReach(text)));
  });
});

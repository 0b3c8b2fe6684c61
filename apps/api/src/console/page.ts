/** The HTML page of the console. One page serves every address below /console: the scripts show the state of the address. */
import { createHash } from 'node:crypto';
import type { ConsoleAssets } from './assets.ts';

export interface ConsolePage {
  html: string;
  /** The value of `Content-Security-Policy`. */
  policy: string;
}

/** `base` is the path of the public URL without a final slash, or ''. */
export function consolePage({ build, libraries, shared }: ConsoleAssets, base: string): ConsolePage {
  const at = (file: string) => `${base}/console/assets/${build}/${file}`;
  const imports = Object.fromEntries(Object.entries(libraries).map(([name, file]) => [name, at(file)]));
  // A browser reads an import map only from the page itself. The policy permits exactly this text by its hash.
  const map = JSON.stringify({ imports });
  const hash = createHash('sha256').update(map).digest('base64');
  const html = `<!doctype html>
<html lang="en" data-base="${base}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Millrace</title>
<link rel="icon" href="${at('mark.svg')}">
<link rel="stylesheet" href="${at('styles/tokens.css')}">
<link rel="stylesheet" href="${at('styles/components.css')}">
<script type="importmap">${map}</script>
${shared.map((file) => `<link rel="modulepreload" href="${at(file)}">`).join('\n')}
<script type="module" src="${at('main.ts')}"></script>
</head>
<body>
<div id="root"><noscript><p>The console needs JavaScript. <a href="${base}/docs">The documentation of the API</a> works without scripts.</p></noscript></div>
</body>
</html>
`;
  return { html, policy: policyOf(hash) };
}

const policyOf = (hash: string): string =>
  [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

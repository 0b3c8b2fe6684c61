/** Starts the console in the browser. */
import { render } from 'preact';
import { followLinks } from './core/address.ts';
import { App } from './shell/app.ts';
import { h } from './ui/html.ts';

const root = document.getElementById('root');
if (root === null) throw new Error('The page has no element #root.');
followLinks();
root.replaceChildren();
render(h(App, {}), root);

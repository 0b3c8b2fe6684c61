/** Markup as a template: `html` returns Preact nodes. Components with state are added with `h`, whose properties have types. */
import htm from 'htm';
import { type ComponentChildren, h, type VNode } from 'preact';

export { h };
export type Markup = ComponentChildren;

type Template = (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

/** The package declares its default export for CommonJS. A browser gets the function itself. */
const library = htm as unknown as { bind(create: typeof h): Template };

export const html: Template = library.bind(h);

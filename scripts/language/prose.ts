/** Extracts the prose of a file: the text of a Markdown document, or the comments of a source file. */
import path from 'node:path';

/** Strings stand before comments in each pattern, so that a comment sign inside a string is not taken for a comment. */
const STRINGS = String.raw`'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"`;
const TEMPLATES = String.raw`\`(?:\\.|[^\`\\])*\``;
const REGEXES = String.raw`[=(,:!&|?]\s*\/(?![*\/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^\/\\\n\[])+\/`;
const JAVASCRIPT = new RegExp(String.raw`${STRINGS}|${TEMPLATES}|${REGEXES}|(\/\/[^\n]*|\/\*.*?\*\/)`, 'gs');
const PYTHON = new RegExp(
  String.raw`(?<=\n)[ \t]*(""".*?"""|'''.*?''')|""".*?"""|'''.*?'''|${STRINGS}|(#[^\n]*)`,
  'gs',
);

/** By the extension of a file; the first group that matches is the comment. */
const COMMENTS: Readonly<Record<string, RegExp>> = {
  '.ts': JAVASCRIPT,
  '.js': JAVASCRIPT,
  '.mjs': JAVASCRIPT,
  '.py': PYTHON,
  '.lua': new RegExp(String.raw`${STRINGS}|(--\[\[.*?\]\]|--[^\n]*)`, 'gs'),
  '.sql': /'[^']*'|(--[^\n]*|\/\*.*?\*\/)/gs,
};

/** Whether `proseOf` reads files with this name. */
export function hasProse(file: string): boolean {
  const extension = path.extname(file);
  return extension === '.md' || extension in COMMENTS;
}

/**
 * Returns the prose of a file. Code blocks, front matter, HTML tags and link addresses are left out. A code span becomes the
 * word `Code`. Consecutive line comments become one paragraph; a table cell, a heading and a list item become paragraphs.
 */
export function proseOf(file: string, source: string): string {
  const extension = path.extname(file);
  const comments = COMMENTS[extension];
  const raw = `\n${source}`;
  return withoutMarkup(withoutBlocks(comments ? commentsOf(raw, comments) : raw), extension === '.md');
}

function commentsOf(source: string, pattern: RegExp): string {
  let text = '';
  let end = 0;
  for (const match of source.matchAll(pattern)) {
    const comment = match.slice(1).find(Boolean);
    if (comment === undefined || comment.startsWith('#!')) continue;
    text += /^[ \t]*\n?[ \t]*$/.test(source.slice(end, match.index)) ? '\n' : '\n\n';
    text += comment.replace(/^[ \t]*(\/\/+|\/?\*+\/?|--(\[\[)?|#)|\*\/|"""/gm, '');
    end = match.index + match[0].length;
  }
  return text.replace(/^\s*@\w+/gm, '\n\n');
}

function withoutBlocks(text: string): string {
  return text.replace(/(?<![\s\S])\s*---\n.*?\n---\n|<!--.*?-->|^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$/gms, '\n');
}

function withoutMarkup(text: string, markdown: boolean): string {
  let plain = text;
  if (markdown) plain = plain.replace(/(?<=\n\n)(?: {4}|\t)(?![-*+\d]).*(?:\n(?: {4}|\t).*)*/g, '\n');
  plain = plain.replace(/(`+)(?:(?!\n\n).)+?\1/gs, ' Code ');
  if (markdown) plain = plain.replace(/^[-:| ]+$|(?<!\\)\|/gm, '\n\n');
  return plain
    .replace(/!?\[([^\]]*)\]\([^)]*\)|<[a-zA-Z/][^>\n]*>|https?:\/\/\S+/g, (_, label?: string) => label ?? '')
    .replace(/\bone\s+(by\s+one|at\s+a\s+time|another|after\s+(the\s+other|another))\b/gi, 'singly')
    .replace(/^[ \t>]*(?:[-*+]|\d+\.|#+)\s/gm, '\n\n')
    .replaceAll('*', '');
}

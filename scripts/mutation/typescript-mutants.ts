/** The changes of a TypeScript module: operators, conditions, literals, calls, statements and bodies. Types and texts stay. */
import { parseAst } from 'rolldown/parseAst';
import type { Mutant } from './mutant.ts';

interface Node {
  type: string;
  start: number;
  end: number;
  [field: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'start' in value;

/** What each operator becomes. The words of a comparison of texts need no order. */
const OPERATORS: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '&': ['|'],
  '|': ['&'],
  '<<': ['>>'],
  '>>': ['<<'],
  '>>>': ['<<'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
  '+=': ['-='],
  '-=': ['+='],
  '||=': ['&&='],
  '??=': ['&&='],
};

/** A map, because an object also has methods of its own, such as `toString`. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ['some', 'every'],
  ['every', 'some'],
  ['startsWith', 'endsWith'],
  ['endsWith', 'startsWith'],
  ['min', 'max'],
  ['max', 'min'],
  ['push', 'unshift'],
  ['shift', 'pop'],
  ['floor', 'ceil'],
  ['ceil', 'floor'],
]);
/** Calls that return a list or a text like their object. */
const REMOVED = new Set(['filter', 'sort', 'reverse', 'slice', 'trim', 'toLowerCase', 'toUpperCase']);

/** Nodes whose contents do not exist in the running program. */
const TYPES = /^TS(?!AsExpression|NonNullExpression|SatisfiesExpression|ParameterProperty)/;

/** Returns the changes in the order of the text. */
export function mutantsOfTypeScript(source: string, file: string): Mutant[] {
  const mutants: Mutant[] = [];
  const program = parseAst(source, { lang: 'ts' }, file);
  if (isNode(program)) visit(program, { source, add: (mutant) => mutants.push(mutant) });
  return mutants.sort((a, b) => a.start - b.start || a.end - b.end);
}

interface Visit {
  source: string;
  add(mutant: Mutant): void;
}

function visit(node: Node, context: Visit): void {
  if (TYPES.test(node.type) || node.type === 'ImportDeclaration') return;
  RULES[node.type]?.(node, context);
  for (const [field, value] of Object.entries(node)) {
    if (field === 'typeAnnotation' || field === 'typeArguments' || field === 'returnType') continue;
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, context);
  }
}

type Rule = (node: Node, context: Visit) => void;

/** The operator is the text between both sides. */
const changeOperator: Rule = ({ left, right, operator }, { source, add }) => {
  if (!isNode(left) || !isNode(right) || typeof operator !== 'string') return;
  const start = source.indexOf(operator, left.end);
  if (start < 0 || start > right.start) return;
  // `+` and `-` of texts have no other meaning.
  if (operator === '+' && [left, right].some(isText)) return;
  for (const replacement of OPERATORS[operator] ?? []) add({ start, end: start + operator.length, replacement });
};

const isText = (node: Node): boolean =>
  node.type === 'TemplateLiteral' ||
  (node.type === 'Literal' && typeof node.value === 'string') ||
  (node.type === 'BinaryExpression' &&
    node.operator === '+' &&
    [node.left, node.right].some((one) => isNode(one) && isText(one)));

const changeCondition: Rule = ({ test, type }, { add }) => {
  if (!isNode(test)) return;
  add({ start: test.start, end: test.end, replacement: 'false' });
  // A loop without an end says only that the test waits.
  if (type === 'IfStatement' || type === 'ConditionalExpression')
    add({ start: test.start, end: test.end, replacement: 'true' });
};

const emptyBody: Rule = ({ start, end, body }, { add }) => {
  if (Array.isArray(body) && body.length > 0) add({ start, end, replacement: '{}' });
};

const replaceWith =
  (replacement: string): Rule =>
  ({ start, end }, { add }) =>
    add({ start, end, replacement });

const RULES: Readonly<Record<string, Rule>> = {
  BinaryExpression: changeOperator,
  LogicalExpression: changeOperator,
  AssignmentExpression: changeOperator,
  IfStatement: changeCondition,
  ConditionalExpression: changeCondition,
  WhileStatement: changeCondition,
  ForStatement: changeCondition,
  BlockStatement: emptyBody,
  UnaryExpression({ start, end, operator, argument }, { source, add }) {
    if (!isNode(argument)) return;
    if (operator === '!') add({ start, end, replacement: source.slice(argument.start, argument.end) });
    if (operator === '-') add({ start, end: start + 1, replacement: '+' });
  },
  UpdateExpression({ start, end, operator }, { source, add }) {
    add({
      start,
      end,
      replacement: source.slice(start, end).replace(String(operator), operator === '++' ? '--' : '++'),
    });
  },
  Literal({ start, end, value }, { add }) {
    if (typeof value === 'boolean') add({ start, end, replacement: String(!value) });
  },
  ArrayExpression({ start, end, elements }, { add }) {
    if (Array.isArray(elements) && elements.length > 0) add({ start, end, replacement: '[]' });
  },
  ArrowFunctionExpression({ body, expression }, { add }) {
    if (expression === true && isNode(body))
      add({ start: body.start, end: body.end, replacement: '(undefined as never)' });
  },
  ExpressionStatement: ({ start, end, expression }, { add }) => {
    if (isNode(expression) && /^(Call|Assignment|Await|Update)Expression$/.test(expression.type))
      add({ start, end, replacement: ';' });
  },
  ReturnStatement({ start, end, argument }, { add }) {
    if (isNode(argument) && argument.type === 'CallExpression')
      add({ start, end, replacement: 'return undefined as never;' });
  },
  BreakStatement: replaceWith(';'),
  ContinueStatement: replaceWith(';'),
  MemberExpression({ object, optional, start }, { source, add }) {
    if (optional !== true || !isNode(object)) return;
    const at = source.indexOf('?.', object.end);
    if (at >= start && source[at + 2] !== '[') add({ start: at, end: at + 2, replacement: '.' });
  },
  CallExpression({ callee, end }, { add }) {
    if (!isNode(callee) || callee.type !== 'MemberExpression') return;
    const { object, property } = callee;
    if (!isNode(object) || !isNode(property) || property.type !== 'Identifier') return;
    const name = String(property.name);
    const other = METHODS.get(name);
    if (other !== undefined) add({ start: property.start, end: property.end, replacement: other });
    if (REMOVED.has(name)) add({ start: object.end, end, replacement: '' });
  },
};

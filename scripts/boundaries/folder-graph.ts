/** Finds the imports between the folders of a tree, and compares them with the plan in folder-plan.ts. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, type TreePlan } from './folder-plan.ts';
import { importsOf } from './import-graph.ts';

export interface TreeReport {
  root: string;
  files: number;
  folders: number;
  /** Pairs of folders, `from -> to`, each with the imports between files that make the pair. */
  edges: Map<string, string[]>;
  folderCycles: string[][];
  fileCycles: string[][];
  /** Pairs that the plan does not allow, upward imports included. */
  barred: string[];
  /** Folders that the plan does not name. */
  unplanned: string[];
  /** Tolerated pairs that no longer exist, which the plan must drop. */
  outdated: string[];
}

const folderOf = (file: string): string => (path.posix.dirname(file) === '.' ? ROOT : path.posix.dirname(file));

/** Reads the sources of a tree (without tests) and compares their imports with the plan. Type imports count. */
export function reportTree(repository: string, plan: TreePlan): TreeReport {
  const src = path.join(repository, plan.root);
  const files = globSync('**/*.ts', { cwd: src }).filter((file) => !file.endsWith('.test.ts'));
  const imports = new Map(files.map((file) => [file, localImports(src, file)]));
  const edges = new Map<string, string[]>();
  const folders = new Map<string, Set<string>>(files.map((file) => [folderOf(file), new Set()]));
  for (const [file, targets] of imports) {
    for (const target of targets) {
      const [from, to] = [folderOf(file), folderOf(target)];
      if (from === to) continue;
      folders.get(from)?.add(to);
      const pair = `${from} -> ${to}`;
      edges.set(pair, [...(edges.get(pair) ?? []), `${file} -> ${target}`]);
    }
  }
  const allowed = new Set(Object.entries(plan.folders).flatMap(([from, all]) => all.map((to) => `${from} -> ${to}`)));
  return {
    root: plan.root,
    files: files.length,
    folders: folders.size,
    edges,
    folderCycles: cyclesOf(folders),
    fileCycles: cyclesOf(imports),
    barred: [...edges.keys()].filter((pair) => !allowed.has(pair) && !plan.tolerated.includes(pair)).sort(),
    unplanned: [...folders.keys()].filter((folder) => !(folder in plan.folders)).sort(),
    outdated: plan.tolerated.filter((pair) => !edges.has(pair)),
  };
}

/** Returns a sentence for each broken rule of the plan; an empty list when the tree follows the plan. */
export function faultsOf(report: TreeReport, plan: TreePlan): string[] {
  const { edges, folderCycles, fileCycles, barred, unplanned, outdated, root } = report;
  return [
    ...fileCycles.map((files) => `${root}: these files import each other: ${files.join(', ')}`),
    ...folderCycles.map((folders) => `${root}: these folders import each other: ${folders.join(', ')}`),
    ...barred.map((pair) => `${root}: the plan does not allow ${pair} (${edges.get(pair)?.join('; ')})`),
    ...unplanned.map((folder) => `${root}: the plan does not name the folder ${folder}`),
    ...outdated.map((pair) => `${root}: ${pair} no longer exists: remove the pair from the tolerated list`),
    ...(edges.size > plan.maxEdges
      ? [`${root}: ${edges.size} pairs of folders, at most ${plan.maxEdges} are allowed`]
      : []),
  ];
}

function localImports(src: string, file: string): Set<string> {
  const targets = importsOf(readFileSync(path.join(src, file), 'utf8'))
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => path.posix.join(path.posix.dirname(file), specifier));
  return new Set(targets.filter((target) => !target.startsWith('..')));
}

/** Returns the groups of nodes that reach each other. */
export function cyclesOf(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const reached = new Map([...graph.keys()].map((node) => [node, reachableFrom(graph, node)]));
  const groups = new Map<string, string[]>();
  for (const [node, nodes] of reached) {
    if (!nodes.has(node)) continue;
    const group = [...nodes].filter((other) => reached.get(other)?.has(node)).sort();
    groups.set(group.join('\n'), group);
  }
  return [...groups.values()];
}

function reachableFrom(graph: ReadonlyMap<string, ReadonlySet<string>>, start: string): Set<string> {
  const seen = new Set<string>();
  const left = [start];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    for (const next of graph.get(node) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      left.push(next);
    }
  }
  return seen;
}

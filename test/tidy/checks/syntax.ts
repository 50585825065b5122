// Reads TypeScript as a tree. The compiler offers no parser to programs any more (TypeScript 7), so oxc's is used.
import { parseSync } from 'oxc-parser';
import type { SourceFile, Violation } from './source.ts';

export type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [key: string]: unknown };

export type Syntax = { readonly file: SourceFile; readonly program: Node; readonly lineOf: (offset: number) => number };

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

/** What `check` finds in the file; a file that is no TypeScript is itself a violation. */
export function inspect(file: SourceFile, check: (syntax: Syntax) => readonly Violation[]): readonly Violation[] {
  const lineOf = (offset: number): number => file.text.slice(0, offset).split('\n').length;
  const { program, errors } = parseSync(file.path, file.text);
  const [first] = errors;
  if (first !== undefined)
    return [{ path: file.path, line: lineOf(first.labels[0]?.start ?? 0), message: `cannot be parsed: ${first.message}.` }];
  return check({ file, program: program as unknown as Node, lineOf });
}

/** Depth first. `parents` runs from the program to the node's parent. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void, parents: readonly Node[] = []): void {
  visit(node, parents);
  const below = [...parents, node];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, visit, below);
  }
}

/** Null when the node is no literal text. */
export function textOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === 'Literal' && typeof node['value'] === 'string') return node['value'];
  if (node.type === 'TSLiteralType') return textOf(node['literal']);
  if (node.type === 'TemplateLiteral' && Array.isArray(node['expressions']) && node['expressions'].length === 0) {
    const [quasi] = node['quasis'] as readonly { readonly value: { readonly cooked: string } }[];
    return quasi?.value.cooked ?? null;
  }
  return null;
}

export function isTypeScript(path: string): boolean {
  return path.endsWith('.ts') && !path.startsWith('system/wire/generated/') && !matchesAssembly(path);
}

/** AssemblyScript looks like TypeScript and is none. */
function matchesAssembly(path: string): boolean {
  return path.startsWith('scenarios/examples/') && path.includes('/assembly/');
}

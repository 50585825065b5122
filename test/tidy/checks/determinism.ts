// Simulated code asks ports for everything (H1.4), and keeps nothing in its modules: what a module
// remembers would survive the crash of a simulated node, and pass from one run to the next.
import { BANNED_GLOBALS, BANNED_MATHEMATICS, BANNED_METHODS, type Ban } from './ambient-names.ts';
import { matches, type Check, type SourceFile, type Violation } from './source.ts';
import { inspect, isNode, isTypeScript, textOf, walk, type Node, type Syntax } from './syntax.ts';

const SIMULATED = ['system/**', 'agents/**', 'sim/**', 'scenarios/**'];
const STATELESS = ['system/**', 'agents/**'];
/** Composition roots and tools on Node. */
const FREE = ['*/verbs.ts', '**/*.main.ts', 'sim/campaign/**', 'scenarios/examples/**', '**/*.d.ts'];

const STATELESS_CLASSES = ['TextEncoder', 'TextDecoder'];

/** Module-level values that look mutable and are never written, by file and name. */
export const NEVER_WRITTEN: readonly { readonly path: string; readonly name: string; readonly why: string }[] = [];

function findBan(bans: readonly Ban[], name: unknown): Ban | undefined {
  return bans.find((ban) => ban.name === name);
}

/** Names that the file itself declares: a parameter called `process` is not the global. */
function declaredNames(program: Node): ReadonlySet<string> {
  const names = new Set<string>();
  const bind = (pattern: unknown): void => {
    if (!isNode(pattern)) return;
    if (pattern.type === 'Identifier') names.add(String(pattern['name']));
    else if (pattern.type === 'ObjectPattern')
      for (const property of pattern['properties'] as readonly Node[]) bind(property['value'] ?? property['argument']);
    else if (pattern.type === 'ArrayPattern') for (const element of pattern['elements'] as readonly unknown[]) bind(element);
    else if (pattern.type === 'AssignmentPattern') bind(pattern['left']);
    else if (pattern.type === 'RestElement') bind(pattern['argument']);
    else if (pattern.type === 'TSParameterProperty') bind(pattern['parameter']);
  };
  walk(program, (node) => {
    if (node.type === 'VariableDeclarator' || /^(Function|Class|TSTypeAlias|TSInterface)/.test(node.type)) bind(node['id']);
    if (/^Import.*Specifier$/.test(node.type)) bind(node['local']);
    const params = node['params'];
    if (Array.isArray(params)) for (const param of params) bind(param);
    if (node.type === 'CatchClause') bind(node['param']);
  });
  return names;
}

/** True when the identifier is a value or type that is used, rather than the name of a property or parameter. */
function isReference(node: Node, parents: readonly Node[]): boolean {
  const parent = parents.at(-1);
  if (parent === undefined) return false;
  if (
    (parent.type === 'MemberExpression' || parent.type === 'TSQualifiedName') &&
    (parent['property'] === node || parent['right'] === node)
  )
    return parent['computed'] === true;
  if (parent['key'] === node && parent['computed'] !== true && parent['shorthand'] !== true) return false;
  if (/^TS(PropertySignature|MethodSignature|EnumMember|FunctionType|NamedTupleMember|LabeledElement)/.test(parent.type)) return false;
  return parent.type !== 'LabeledStatement';
}

function ambientUses(syntax: Syntax): readonly Violation[] {
  const declared = declaredNames(syntax.program);
  const found: Violation[] = [];
  const refuse = (node: Node, what: string, instead: string): void => {
    found.push({ path: syntax.file.path, line: syntax.lineOf(node.start), message: `uses ${what}: ${instead}.` });
  };
  walk(syntax.program, (node, parents) => {
    if (node.type === 'Identifier' && !declared.has(String(node['name'])) && isReference(node, parents)) {
      const ban = findBan(BANNED_GLOBALS, node['name']);
      if (ban !== undefined) refuse(node, ban.name, ban.instead);
    }
    if (node.type === 'MemberExpression') memberUse(node, refuse);
    if (node.type === 'VariableDeclarator' && isMath(node['init']) && isNode(node['id']) && node['id'].type === 'ObjectPattern') {
      for (const property of node['id']['properties'] as readonly Node[]) {
        const ban = isNode(property['key']) ? findBan(BANNED_MATHEMATICS, property['key']['name']) : undefined;
        if (ban !== undefined) refuse(property, `Math.${ban.name}`, ban.instead);
      }
    }
  });
  return found;
}

function isMath(node: unknown): boolean {
  return isNode(node) && node.type === 'Identifier' && node['name'] === 'Math';
}

function memberUse(node: Node, refuse: (node: Node, what: string, instead: string) => void): void {
  const property = node['property'];
  const name = node['computed'] === true ? textOf(property) : isNode(property) ? property['name'] : null;
  if (isMath(node['object'])) {
    if (name === null) refuse(node, 'a computed member of Math', 'write the function out, so that it can be checked');
    const ban = findBan(BANNED_MATHEMATICS, name);
    if (ban !== undefined) refuse(node, `Math.${ban.name}`, ban.instead);
  }
  const ban = findBan(BANNED_METHODS, name);
  if (ban !== undefined) refuse(node, ban.name, ban.instead);
}

/** Says why a value could be written, or null. `annotation` is the text of its type. */
function mutability(value: unknown, annotation: string, lines: Syntax): string | null {
  if (/^\s*(Readonly|readonly\b)/.test(annotation)) return null;
  if (!isNode(value)) return null;
  const source = lines.file.text.slice(value.start, value.end);
  switch (value.type) {
    case 'ArrayExpression':
      return 'an array that can be written: give it a readonly type or `as const`';
    case 'ObjectExpression':
      return (value['properties'] as readonly unknown[]).length === 0
        ? 'an empty object that can be filled: give it a Readonly type, or keep it in an instance'
        : null;
    case 'NewExpression': {
      const callee = value['callee'];
      const name = isNode(callee) && callee.type === 'Identifier' ? String(callee['name']) : source;
      const args = value['arguments'] as readonly Node[];
      const empty = (args.length === 0 || args[0]?.['value'] === 0) && /^(Big)?(Ui|I)nt\d+(Clamped)?Array$/.test(name);
      return empty || STATELESS_CLASSES.includes(name) ? null : `a new ${name}: keep it in an instance, or give it a Readonly type`;
    }
    case 'Literal':
      return isNode(value['regex']) || /\/[a-z]*[gy][a-z]*$/.test(source) ? regexMutability(source) : null;
    case 'TSAsExpression':
    case 'TSSatisfiesExpression': {
      const type = value['typeAnnotation'];
      const text = isNode(type) ? lines.file.text.slice(type.start, type.end) : '';
      if (text === 'const') return null;
      return mutability(value['expression'], value.type === 'TSAsExpression' ? text : '', lines);
    }
    default:
      return null;
  }
}

function regexMutability(source: string): string | null {
  return /^\/.*\/[a-z]*[gy][a-z]*$/s.test(source)
    ? 'a regular expression with a memory (flag g or y): drop the flag, or make it where it is used'
    : null;
}

function moduleState(syntax: Syntax): readonly Violation[] {
  const found: Violation[] = [];
  const refuse = (node: Node, name: string, message: string): void => {
    if (NEVER_WRITTEN.some((entry) => entry.path === syntax.file.path && entry.name === name)) return;
    found.push({
      path: syntax.file.path,
      line: syntax.lineOf(node.start),
      message: `${name} at module level is ${message}. A module outlives the crash of a simulated node.`,
    });
  };
  const annotationOf = (node: unknown): string => {
    const annotation = isNode(node) ? node['typeAnnotation'] : null;
    return isNode(annotation) ? syntax.file.text.slice(annotation.start, annotation.end).replace(/^\s*:/, '') : '';
  };
  for (const statement of syntax.program['body'] as readonly Node[]) {
    const declaration = statement.type.startsWith('Export') && isNode(statement['declaration']) ? statement['declaration'] : statement;
    if (declaration.type === 'VariableDeclaration' && declaration['declare'] !== true) {
      for (const declarator of declaration['declarations'] as readonly Node[]) {
        const id = declarator['id'];
        const name = isNode(id) ? (syntax.file.text.slice(id.start, id.end).split(/[:\s]/)[0] ?? '') : '';
        const why =
          declaration['kind'] === 'const' ? mutability(declarator['init'], annotationOf(id), syntax) : 'a variable: keep it in an instance';
        if (why !== null) refuse(declarator, name, why);
      }
    }
  }
  walk(syntax.program, (node) => {
    if (node.type !== 'PropertyDefinition' || node['static'] !== true || !isNode(node['key'])) return;
    const name = `static ${String(node['key']['name'])}`;
    const why =
      node['readonly'] === true
        ? mutability(node['value'], annotationOf(node), syntax)
        : 'a variable: make it readonly, or keep it in an instance';
    if (why !== null) refuse(node, name, why);
  });
  return found;
}

const under = (patterns: readonly string[]) => (file: SourceFile) => patterns.some((pattern) => matches(file.path, pattern));

export const checkDeterminism: Check = (files) => {
  const simulated = files.filter((file) => isTypeScript(file.path) && under(SIMULATED)(file) && !under(FREE)(file));
  return simulated.flatMap((file) =>
    inspect(file, (syntax) => [...ambientUses(syntax), ...(under(STATELESS)(file) ? moduleState(syntax) : [])]),
  );
};

// Which keys a schema allows at a path of a given input: walks the schema's JSON Schema, choosing among the branches of a
// union by the literal `type` or `kind` of the input. For messages only; validation itself is zod's.

import { z } from 'zod';

type Node = Readonly<Record<string, unknown>>;
type Path = readonly PropertyKey[];

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at `path` of `root`, undefined where the path leads nowhere. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** A node without references and unions: its branches, all of them. */
function branches(node: unknown, root: Node): Node[] {
  if (!isNode(node)) return [];
  if (typeof node.$ref === 'string') {
    return branches(valueAt(root, node.$ref.replace(/^#\/?/, '').split('/').filter(Boolean)), root);
  }
  const union = [node.anyOf, node.oneOf, node.allOf].find(Array.isArray) as unknown[] | undefined;
  return union ? union.flatMap((branch) => branches(branch, root)) : [node];
}

/** False where a literal property (`type`, `kind`) of the branch differs from the input's. */
function agrees(branch: Node, input: unknown): boolean {
  if (!isNode(branch.properties) || !isNode(input)) return true;
  return Object.entries(branch.properties).every(
    ([key, property]) =>
      !isNode(property) ||
      property.const === undefined ||
      input[key] === undefined ||
      property.const === input[key],
  );
}

function child(branch: Node, key: PropertyKey): unknown {
  if (typeof key !== 'number') return isNode(branch.properties) ? branch.properties[String(key)] : undefined;
  const tuple = Array.isArray(branch.prefixItems) ? (branch.prefixItems as unknown[]) : [];
  return tuple[key] ?? branch.items;
}

/** Keys that an object at `path` may have. */
export function keysAt(schema: z.ZodType, input: unknown, path: Path): string[] {
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Node;
  let nodes = branches(root, root);
  path.forEach((key, depth) => {
    const here = valueAt(input, path.slice(0, depth));
    nodes = nodes.filter((node) => agrees(node, here)).flatMap((node) => branches(child(node, key), root));
  });
  const value = valueAt(input, path);
  const keys = nodes
    .filter((node) => agrees(node, value))
    .flatMap((node) => (isNode(node.properties) ? Object.keys(node.properties) : []));
  return [...new Set(keys)];
}

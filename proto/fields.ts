// Kinds of fields a message may have, what TypeScript calls their values, and the one check that reads them.
// The check is strict and allocates nothing while all is well. Which messages there are: messages.ts.

export type Field =
  /** A whole number from min to max. */
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  /** Any float64, not finite ones too. */
  | { readonly kind: 'number' }
  | { readonly kind: 'flag' }
  | { readonly kind: 'text'; readonly charsMax: number }
  /** Lower-case hexadecimal digits, exactly so many. */
  | { readonly kind: 'hex'; readonly chars: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  /** Binary, a multiple of `unit` bytes. */
  | { readonly kind: 'bytes'; readonly bytesMax: number; readonly unit: 1 | 4 }
  | { readonly kind: 'list'; readonly of: Field; readonly itemsMax: number }
  /** Keys are names of letters and digits. */
  | { readonly kind: 'record'; readonly of: Field; readonly itemsMax: number }
  | { readonly kind: 'object'; readonly fields: Fields };

export type Fields = Readonly<Record<string, Field>>;

export type ValueOf<F extends Field> = F extends { kind: 'integer' | 'number' }
  ? number
  : F extends { kind: 'flag' }
    ? boolean
    : F extends { kind: 'text' | 'hex' }
      ? string
      : F extends { kind: 'choice'; of: readonly (infer C)[] }
        ? C
        : F extends { kind: 'bytes' }
          ? Uint8Array
          : F extends { kind: 'list'; of: infer Item extends Field }
            ? readonly ValueOf<Item>[]
            : F extends { kind: 'record'; of: infer Item extends Field }
              ? Readonly<Record<string, ValueOf<Item>>>
              : F extends { kind: 'object'; fields: infer Inner extends Fields }
                ? ValuesOf<Inner>
                : never;

export type ValuesOf<Inner extends Fields> = { readonly [Name in keyof Inner]: ValueOf<Inner[Name]> };

export const uint32Max = 0xffff_ffff;
export const nameForm = /^[A-Za-z][A-Za-z0-9]*$/;
const hexForm = /^[0-9a-f]*$/;

export const integer = (max: number = uint32Max, min = 0) => ({ kind: 'integer', min, max }) as const;
export const number = { kind: 'number' } as const;
export const flag = { kind: 'flag' } as const;
export const text = (charsMax: number) => ({ kind: 'text', charsMax }) as const;
export const hex = (chars: number) => ({ kind: 'hex', chars }) as const;
export const choice = <const C extends string>(...of: readonly C[]) => ({ kind: 'choice', of }) as const;
export const bytes = (bytesMax: number) => ({ kind: 'bytes', bytesMax, unit: 1 }) as const;
/** float32, little-endian. */
export const floats = (bytesMax: number) => ({ kind: 'bytes', bytesMax, unit: 4 }) as const;
export const list = <const Item extends Field>(of: Item, itemsMax: number) =>
  ({ kind: 'list', of, itemsMax }) as const;
export const record = <const Item extends Field>(of: Item, itemsMax: number) =>
  ({ kind: 'record', of, itemsMax }) as const;
export const object = <const Inner extends Fields>(fields: Inner) => ({ kind: 'object', fields }) as const;

/** An object made by the decoder: no class of its own, so nothing is inherited but Object.prototype. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** What is wrong with `value`, or null. `where` is named in the complaint. */
export function checkField(field: Field, value: unknown, where: string): string | null {
  switch (field.kind) {
    case 'integer':
      if (typeof value === 'number' && Number.isInteger(value) && value >= field.min && value <= field.max)
        return null;
      return `${where} must be a whole number from ${field.min} to ${field.max}`;
    case 'number':
      return typeof value === 'number' ? null : `${where} must be a number`;
    case 'flag':
      return typeof value === 'boolean' ? null : `${where} must be true or false`;
    case 'text':
      if (typeof value === 'string' && value.length <= field.charsMax) return null;
      return `${where} must be a text of at most ${field.charsMax} characters`;
    case 'hex':
      if (typeof value === 'string' && value.length === field.chars && hexForm.test(value)) return null;
      return `${where} must be ${field.chars} hexadecimal digits`;
    case 'choice':
      if (typeof value === 'string' && field.of.includes(value)) return null;
      return `${where} must be one of ${field.of.join(', ')}`;
    case 'bytes':
      if (value instanceof Uint8Array && value.length <= field.bytesMax && value.length % field.unit === 0)
        return null;
      return `${where} must be binary, at most ${field.bytesMax} bytes and a multiple of ${field.unit}`;
    case 'list':
      return checkList(field, value, where);
    case 'record':
      return checkRecord(field, value, where);
    case 'object':
      if (!isPlainObject(value)) return `${where} must be a map`;
      return checkFields(field.fields, value, where, null);
    default:
      return field satisfies never;
  }
}

function checkList(field: Field & { kind: 'list' }, value: unknown, where: string): string | null {
  if (!Array.isArray(value) || value.length > field.itemsMax)
    return `${where} must be a list of at most ${field.itemsMax}`;
  for (let i = 0; i < value.length; i++) {
    const problem = checkField(field.of, value[i], where);
    if (problem !== null) return `${problem} (item ${i})`;
  }
  return null;
}

function checkRecord(field: Field & { kind: 'record' }, value: unknown, where: string): string | null {
  if (!isPlainObject(value)) return `${where} must be a map`;
  let items = 0;
  for (const name in value) {
    items += 1;
    if (items > field.itemsMax || name.length > 128 || !nameForm.test(name))
      return `${where} must be a map of at most ${field.itemsMax} names`;
    const problem = checkField(field.of, value[name], where);
    if (problem !== null) return `${problem} (at ${name})`;
  }
  return null;
}

/** Every field there and right, and no other key (but `tag`, which the caller has read). */
export function checkFields(
  fields: Fields,
  value: Record<string, unknown>,
  where: string,
  tag: string | null,
): string | null {
  for (const name in fields) {
    if (!Object.hasOwn(value, name)) return `${where} lacks ${name}`;
    const problem = checkField(fields[name]!, value[name], name);
    if (problem !== null) return `${where}: ${problem}`;
  }
  for (const name in value) {
    if (name !== tag && !Object.hasOwn(fields, name)) return `${where} has an unknown key`;
  }
  return null;
}

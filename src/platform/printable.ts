// Text for people. What another process sent (names, reasons, errors) may hold terminal escapes, line breaks that forge a second
// line, or marks that turn the direction of the text around; none of that may reach a terminal or a log. Pure.

/** Controls, formats (marks of direction, joiners), lone surrogates, and the separators of lines and paragraphs. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const escaped = (character: string): string =>
  Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('');

/** One line: every character that is not printable as its escape in JSON. So JSON stays the same value. */
export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

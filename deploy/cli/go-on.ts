// The command that goes on with a run that was stopped: the one that was typed, with --resume and its --out. Pure.

/** Options that are another's the next time, and whether they have a value. */
const replaced: Readonly<Record<string, boolean>> = {
  '--out': true,
  '--stop-after': true,
  '--resume': false,
};

/** @param typed the command line, from the program's name on */
export function goOnCommand(typed: readonly string[], out: string): string {
  const kept: string[] = [];
  for (let i = 0; i < typed.length; i += 1) {
    const word = typed[i]!;
    const [option = ''] = word.split('=', 1);
    if (!Object.hasOwn(replaced, option)) kept.push(word);
    else if (replaced[option] && option === word) i += 1;
  }
  return [...kept, '--resume', '--out', out].map(quoted).join(' ');
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

// Whether another coordinator has taken the run over, or the journal lost what was in it: workers of the run then come with
// a newer generation than this one knows. One worker may say so though it is not so; what shows it is said here. Pure.

import type { RunFacts } from './worker-record.ts';

export class Takeover {
  readonly #facts: Pick<RunFacts, 'generation' | 'membersBefore'>;
  readonly #saidBy = new Set<string>();

  constructor(facts: Pick<RunFacts, 'generation' | 'membersBefore'>) {
    this.#facts = facts;
  }

  /**
   * This worker comes with a newer generation than `known`. Two must say so, or the only one there was before the run was
   * taken up again. `isDenied`: the members of that generation are here, so the newest word is theirs. A coordinator that has
   * formed generations itself has the run: if another took it over, the next line of the journal shows that.
   */
  isShown(
    workerId: string,
    { known, isDenied }: { readonly known: number; readonly isDenied: boolean },
  ): boolean {
    const { generation, membersBefore } = this.#facts;
    if (isDenied || known !== generation) return false;
    this.#saidBy.add(workerId);
    const wasAlone = membersBefore.length === 1 && membersBefore[0] === workerId;
    return this.#saidBy.size >= (wasAlone ? 1 : 2);
  }
}

export function takenOverText(told: number, known: number): string {
  return (
    `workers come with generation ${told}, but the journal of this run knows only generation ${known}: either another ` +
    'coordinator has taken the run over (then leave it to that one), or journal.ndjson was damaged (then end ' +
    'the workers that are left, start them anew, and --resume goes on from the newest checkpoint)'
  );
}

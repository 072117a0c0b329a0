// Events of steps and evaluations in order, however late the parts of an evaluation arrive.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventOrder } from '../../../coordinator/event-order.ts';
import type { EvaluationEvent, StepEvent } from '../../../src/engine/events.ts';

const step = (number: number): StepEvent => ({
  ...{ event: 'step', step: number, epoch: 1, loss: 0, metrics: {} },
  ...{ learningRate: 0, gradientNorm: 0, samplesPerSecond: 0 },
});
const evaluation = (number: number): EvaluationEvent => ({
  ...{ event: 'evaluation', step: number, epoch: 1, metrics: {} },
});

function ordered(every: number): { readonly order: EventOrder; readonly told: string[] } {
  const told: string[] = [];
  const order = new EventOrder(
    (number) => number % every === 0,
    ({ event, step: number }) => told.push(`${event} ${number}`),
  );
  return { order, told };
}

it('tells an evaluation before later steps, and holds nothing else, whenever it is complete', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.infiniteStream(fc.nat()), (every, draws) => {
      const steps = 12;
      const { order, told } = ordered(every);
      const late: number[] = [];
      for (let number = 1; number <= steps; ) {
        // An evaluation is complete at some time after its own step, in the order of steps.
        if (late.length > 0 && draws.next().value % 2 === 0) {
          order.evaluated(evaluation(late.shift()!));
          continue;
        }
        order.step(step(number));
        if (number % every === 0) late.push(number);
        const due = late[0] ?? number;
        expect(told.filter((each) => each.startsWith('step'))).toHaveLength(due);
        number += 1;
      }
      for (const number of late) order.evaluated(evaluation(number));
      order.end();
      const expected = Array.from({ length: steps }, (_, i) => i + 1).flatMap((number) =>
        number % every === 0 ? [`step ${number}`, `evaluation ${number}`] : [`step ${number}`],
      );
      expect(told).toEqual(expected);
    }),
  );
});

it('does not wait for an evaluation that is lost with its membership, but for one that is owed', () => {
  const { order, told } = ordered(3);
  for (const number of [3, 4]) order.step(step(number));
  order.aligned(3);
  expect(told).toEqual(['step 3']);
  order.aligned(4);
  expect(told).toEqual(['step 3', 'step 4']);
  for (const number of [5, 6, 7]) order.step(step(number));
  order.aligned(5);
  expect(told.at(-1)).toBe('step 6');
  order.evaluated(evaluation(6));
  expect(told.slice(-2)).toEqual(['evaluation 6', 'step 7']);
});

it('tells all that it holds at the end of a run', () => {
  const { order, told } = ordered(1);
  for (const number of [1, 2, 3]) order.step(step(number));
  order.end();
  expect(told).toEqual(['step 1', 'step 2', 'step 3']);
});

it('tells the evaluation of the step that a run goes on from', () => {
  const { order, told } = ordered(3);
  order.aligned(3);
  order.evaluated(evaluation(3));
  order.step(step(4));
  expect(told).toEqual(['evaluation 3', 'step 4']);
});

it('forgets what it holds of steps that the members go back behind: they are told again', () => {
  const { order, told } = ordered(3);
  for (const number of [1, 2, 3, 4]) order.step(step(number));
  order.wentBack(1);
  order.aligned(1);
  for (const number of [2, 3]) order.step(step(number));
  order.evaluated(evaluation(3));
  expect(told).toEqual(['step 1', 'step 2', 'step 3', 'step 2', 'step 3', 'evaluation 3']);
});

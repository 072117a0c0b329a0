// Batch norm over a single value a channel: its mean is that value, so that the output is beta whatever the input, and no
// gradient passes through. Pure.

import type { Graph } from '../../src/ir/graph.ts';
import { sizeOf } from '../../src/ir/shapes.ts';
import { anew, count, type Finding, type RunFacts, warning } from './finding.ts';

interface NormLayer {
  readonly name: string;
  readonly sync: 'global' | 'shard';
}

/** The batch norms that see one position a sample, in the order of the model. */
function pointwiseNorms({ values }: Graph): NormLayer[] {
  return values.flatMap((value) => {
    if (value.op !== 'batchNorm' || sizeOf(value.shape) !== value.shape.at(-1)) return [];
    return [{ name: value.layer, sync: value.attributes.sync }];
  });
}

/** Steps of one size, and how often they come. */
interface StepSize {
  readonly samples: number;
  readonly when: 'every step' | 'the last step of each epoch';
}

/** The ragged last batch is one of them only where the run gets that far. */
function stepSizes({ plan }: RunFacts): StepSize[] {
  const { batch, trainSamples, cadence } = plan.facts;
  const last = trainSamples % batch;
  const sizes: StepSize[] = [];
  if (trainSamples >= batch) sizes.push({ samples: batch, when: 'every step' });
  if (last > 0 && cadence.steps >= cadence.stepsPerEpoch) {
    const when = trainSamples < batch ? 'every step' : 'the last step of each epoch';
    sizes.push({ samples: last, when });
  }
  return sizes;
}

/** How many groups of samples are normalised by themselves, and how many of them have a single sample. */
function groupsOf(sync: NormLayer['sync'], samples: number, shards: number): { all: number; single: number } {
  if (sync === 'global') return { all: 1, single: samples === 1 ? 1 : 0 };
  // Shard sizes are samples / shards, rounded down or up.
  const all = Math.min(samples, shards);
  const whole = Math.floor(samples / shards);
  return { all, single: whole === 0 ? samples : whole === 1 ? shards - (samples % shards) : 0 };
}

/** The first layer that has it; an error where each of its groups in every step has one value. */
export function normalizesOneValue(facts: RunFacts): Finding | null {
  const { shards } = facts.plan.config;
  const sizes = stepSizes(facts);
  const found = pointwiseNorms(facts.plan.model.graph).flatMap((layer) => {
    const groups = sizes.map((size) => ({ ...size, ...groupsOf(layer.sync, size.samples, shards) }));
    const bad = groups.find(({ single }) => single > 0);
    const always = groups.every(({ single, all }) => single === all);
    return bad === undefined ? [] : [{ layer, ...bad, always }];
  });
  const worst = found.find(({ always }) => always) ?? found[0];
  if (worst === undefined) return null;
  const { layer, when, samples, single, all, always } = worst;
  const others = found.length > 1 ? ` (and ${count(found.length - 1, 'other layer')})` : '';
  const isShard = layer.sync === 'shard';
  const where = isShard
    ? `in ${single === all ? 'every shard' : `${single} of the ${all} shards`} of ${when} (${count(samples, 'sample')})`
    : `in ${when}`;
  const told =
    `batchNorm layer "${layer.name}" with sync "${layer.sync}"${others} normalises 1 sample of 1 position ${where}: ` +
    'its output is beta whatever its input, and no gradient passes';
  const remedy = `${remedyOf(isShard, when, shards)}${anew(facts)}`;
  if (!always) return warning(`${told}; ${remedy}`);
  const message = `${told}, so that nothing in front of it learns; ${remedy}`;
  return { is: 'error', code: 'LOCKSTEP_MODEL_INVALID', message };
}

function remedyOf(isShard: boolean, when: StepSize['when'], shards: number): string {
  const least = isShard ? 2 * shards : 2;
  const fewer = isShard ? ', fewer shards, or sync "global"' : '';
  return when === 'every step'
    ? `use a batch of at least ${least} samples${fewer}`
    : `use a batch that leaves at least ${least} samples for the last step${fewer}`;
}

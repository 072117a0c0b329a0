// Loaded into a process before its own code (node --import): watches the lag of its event loop and its memory, and appends a
// line of JSON to LOCKSTEP_WATCH_FILE at every SIGUSR2, which begins a new phase, and at the end. `own` is the part of a lag
// in which this process computed: what a busy machine adds by not letting it run is left out.

import { appendFileSync } from 'node:fs';
import { createHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** Between two looks, in milliseconds; a lag is what comes on top of it. */
const resolution = 10;
const file = process.env.LOCKSTEP_WATCH_FILE;
const delays = monitorEventLoopDelay({ resolution });
/** Of all phases. */
const whole = monitorEventLoopDelay({ resolution });
const own = createHistogram();

const cpuMicros = ({ user, system }) => user + system;
let phase = { startedMs: performance.now(), cpu: process.cpuUsage() };
let last = phase;

setInterval(() => {
  const next = { startedMs: performance.now(), cpu: process.cpuUsage() };
  const lagMicros = (next.startedMs - last.startedMs - resolution) * 1000;
  const usedMicros = cpuMicros(next.cpu) - cpuMicros(last.cpu);
  own.record(Math.max(1, Math.round(Math.min(lagMicros, usedMicros))));
  last = next;
}, resolution).unref();

const lagOf = (histogram, nanosecondsEach, lessMs) => {
  const milliseconds = (value) => Math.max(0, (value * nanosecondsEach) / 1e6 - lessMs);
  return {
    p50Ms: milliseconds(histogram.percentile(50)),
    p99Ms: milliseconds(histogram.percentile(99)),
    maxMs: histogram.count === 0 ? 0 : milliseconds(histogram.max),
  };
};

function tell() {
  const line = {
    looks: delays.count,
    lag: lagOf(delays, 1, resolution),
    own: lagOf(own, 1000, 0),
    whole: lagOf(whole, 1, resolution),
    seconds: (performance.now() - phase.startedMs) / 1000,
    cpuSeconds: cpuMicros(process.cpuUsage(phase.cpu)) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
  delays.reset();
  own.reset();
  phase = { startedMs: performance.now(), cpu: process.cpuUsage() };
}

delays.enable();
whole.enable();
process.on('SIGUSR2', tell);
process.once('exit', tell);

// `lockstep doctor`: what this machine can compute with, and whether its kernels give the numbers of everybody else's.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { LockstepError } from '../../../src/errors.ts';
import type { Backend } from '../../../src/kernels/backend.ts';
import { numericsFingerprint } from '../../../src/kernels/fingerprint.ts';
import { nativeBackend } from '../../../src/kernels/native/backend.ts';
import { wasmBackend } from '../../../src/kernels/wasm/backend.ts';
import { nativeBuildCommand } from '../../../src/platform/build-command.ts';
import { packageRoot } from '../../../src/platform/package-root.ts';
import type { Context } from '../context.ts';
import { jsonOption } from '../options.ts';

interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly value: string;
  /** What to do about it. */
  readonly hint?: string;
}

export function doctorCommand(context: Context): Command {
  return new Command('doctor')
    .summary('check what this machine can compute with')
    .description('Checks Node, memory, kernels and their numerics. Workers of one run need one fingerprint.')
    .addOption(jsonOption('each finding as one line of JSON'))
    .action((options: { json?: boolean }) => {
      const findings = [...machine(context), ...backends()];
      for (const finding of findings) {
        context.stdout.write(`${options.json ? JSON.stringify(finding) : formatFinding(finding)}\n`);
      }
      if (!findings.some(({ name, ok }) => ok && /^(native|wasm) /.test(name))) context.setExitCode(1);
    });
}

function formatFinding({ name, ok, value, hint }: Finding): string {
  return `${ok ? 'ok ' : '-- '} ${name.padEnd(16)} ${value}${hint === undefined ? '' : `\n${' '.repeat(21)}${hint}`}`;
}

function machine(context: Context): Finding[] {
  const gigabytes = (totalmem() / 2 ** 30).toFixed(1);
  return [
    { name: 'lockstep', ok: true, value: context.version },
    {
      name: 'node',
      ok: true,
      value: `${process.versions.node} (V8 ${process.versions.v8}), ${process.platform} ${process.arch}`,
    },
    { name: 'cores', ok: true, value: `${context.cores}` },
    { name: 'memory', ok: true, value: `${gigabytes} GB` },
    example(),
  ];
}

function example(): Finding {
  const path = join(packageRoot(), 'examples', 'digits-cnn.json');
  return { name: 'examples', ok: existsSync(path), value: path };
}

function backends(): Finding[] {
  const candidates: readonly (readonly [string, () => Backend, string])[] = [
    [
      'native kernels',
      () => nativeBackend(),
      `WebAssembly is used instead; with a C compiler: ${nativeBuildCommand()}`,
    ],
    ['wasm relaxed', () => wasmBackend('relaxed'), 'the strict variant is used instead'],
    ['wasm strict', () => wasmBackend('strict'), 'this Node.js has no WebAssembly SIMD'],
  ];
  const findings: Finding[] = [];
  for (const [name, make, hint] of candidates) findings.push(probe(name, make, hint));
  return findings;
}

function probe(name: string, make: () => Backend, hint: string): Finding {
  try {
    const backend = make();
    const { fingerprint } = numericsFingerprint(backend, () => createHash('sha256'));
    return { name, ok: true, value: `${backend.variant}, numerics fingerprint ${fingerprint.slice(0, 16)}` };
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return { name, ok: false, value: error.message, hint };
  }
}

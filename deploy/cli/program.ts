// The commands put together: names, help, how usage errors are told. No command's work is here.

import { Command } from 'commander';
import { coordinatorCommand } from './commands/coordinator.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { inspectCommand } from './commands/inspect.ts';
import { predictCommand } from './commands/predict.ts';
import { startCommand } from './commands/start.ts';
import { trainCommand } from './commands/train.ts';
import { workerCommand } from './commands/worker.ts';
import type { Context } from './context.ts';

const exitCodes = `
Exit codes: 0 done, 1 failed, 2 bad usage or config, 3 failed but worth retrying, 129/130/141/143 stopped by a signal
(SIGHUP, SIGINT, a reader of stdout that went, SIGTERM).
The first Ctrl-C finishes the step and writes a checkpoint, the second exits at once.
Environment: LOCKSTEP_TOKEN the cluster's token, LOCKSTEP_ISA avx512|avx2|neon|portable, LOCKSTEP_WASM relaxed|strict,
LOCKSTEP_DEBUG=1 stack traces.`;

/** The whole command line. Usage errors and --help throw CommanderError; everything else LockstepError. */
export function buildProgram(context: Context): Command {
  const program = new Command('lockstep')
    .description(
      'Data-parallel training of neural networks on CPUs, with weights that do not depend on the cluster.',
    )
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError()
    .addHelpText('after', exitCodes)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(`${text.trim().replace(/\s*\n\s*/g, ' ')}\n`),
    });
  const commands = [
    startCommand,
    trainCommand,
    coordinatorCommand,
    workerCommand,
    evaluateCommand,
    predictCommand,
    inspectCommand,
    doctorCommand,
  ];
  // Commander copies settings to commands that it makes itself, not to those added.
  for (const command of commands) program.addCommand(command(context).copyInheritedSettings(program));
  return program;
}

// Writes kernel_ids.h from the kernel list and the step table, so that C and TypeScript cannot drift apart.

import { kernelNames, kernels, normBlockSize, unaryKinds } from './kernel-list.ts';
import { arenaHeaderFields, resultsHeader, stepTableFields, stepTableFloatFields } from './step-table.ts';

/** The text of src/kernels/c/kernel_ids.h. */
export function kernelHeader(): string {
  const structs = kernelNames.map((name) => {
    const args = Object.entries(kernels[name].args);
    const fields = args.map(([key, kind]) => `  ${kind === 's' ? 'float' : 'int32_t'} ${key};\n`).join('');
    return `typedef struct {\n${fields || '  int32_t unused;\n'}} ${name}_args;\n`;
  });
  const table = stepTableFields.map(
    (field) => `  ${stepTableFloatFields.has(field) ? 'float' : 'int32_t'} ${field};\n`,
  );
  return `/* Generated from kernel-list.ts and step-table.ts by npm run build:header. Do not edit. */
#ifndef LOCKSTEP_KERNEL_IDS_H
#define LOCKSTEP_KERNEL_IDS_H
#include <stdint.h>

typedef struct {
${arenaHeaderFields.map((field) => `  int32_t ${field};\n`).join('')}} ArenaHeader;

typedef struct {
${table.join('')}} StepTable;

#define RESULTS_HEADER ${resultsHeader}
#define NORM_BLOCK_SIZE ${normBlockSize}

enum { ${unaryKinds.map((kind) => `UNARY_${kind}`).join(', ')} };

${structs.join('\n')}
/* X(name): every kernel, in the order of its index. */
#define FOR_EACH_KERNEL(X) \\
${kernelNames.map((name) => `  X(${name})`).join(' \\\n')}
#endif
`;
}

// The kernel bench as a table. Pure.

import { type Cell, formatTable } from '../report/table.ts';

export interface KernelResult {
  readonly workload: string;
  readonly variant: string;
  readonly kernel: string;
  readonly shape: string;
  readonly ms: number;
  readonly gflops: number;
  /** Of the multiply-add peak of one core in this instruction set; null where that is not known. */
  readonly peakShare: number | null;
}

/** One row a shape; GFLOPS and share of the peak for each variant. */
export function kernelsTable(results: readonly KernelResult[]): string {
  const variants = [...new Set(results.map(({ variant }) => variant))];
  const keyOf = ({ workload, kernel, shape }: KernelResult): string => `${workload} ${kernel} ${shape}`;
  const calls = new Map(results.map((result) => [keyOf(result), result]));
  const columns = [
    { title: 'workload' },
    { title: 'kernel' },
    { title: 'shape' },
    ...variants.flatMap((variant) => [{ title: `${variant} GFLOPS`, digits: 1 }, { title: '% of peak' }]),
  ];
  const rows = [...calls.values()].map((call): Cell[] => {
    const cells = variants.flatMap((variant): Cell[] => {
      const result = results.find((other) => other.variant === variant && keyOf(other) === keyOf(call));
      const share = result?.peakShare ?? null;
      return [result?.gflops ?? null, share === null ? null : 100 * share];
    });
    return [call.workload, call.kernel, call.shape, ...cells];
  });
  return formatTable(columns, rows);
}

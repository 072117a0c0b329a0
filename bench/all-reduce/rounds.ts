// What is measured, and what the benchmark's processes say to the one that started them.

export interface Round {
  readonly name: string;
  readonly bytes: number;
  readonly warmUps: number;
  readonly rounds: number;
}

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

export const allRounds: readonly Round[] = [
  { name: '4 KB', bytes: 4 * kibibyte, warmUps: 400, rounds: 400 },
  { name: '100 KB', bytes: 100 * kibibyte, warmUps: 200, rounds: 300 },
  { name: '1 MB', bytes: mebibyte, warmUps: 200, rounds: 200 },
  { name: '4 MB', bytes: 4 * mebibyte, warmUps: 60, rounds: 60 },
  { name: '25 MB', bytes: 25 * mebibyte, warmUps: 6, rounds: 16 },
  { name: '100 MB', bytes: 100 * mebibyte, warmUps: 2, rounds: 6 },
];

export interface ToProcess {
  readonly ports: readonly number[];
  readonly rank: number;
  readonly rounds: readonly Round[];
}

export type FromProcess =
  | { readonly is: 'listening'; readonly port: number }
  | { readonly is: 'finished' }
  | { readonly is: 'measured'; readonly index: number; readonly milliseconds: readonly number[] };

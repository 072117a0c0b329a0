// Integer powers by pure arithmetic, for schedules and bias corrections.

/** base^exponent by repeated squaring: the same bits everywhere, unlike Math.pow. */
export function integerPower(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

// Draws lines of a given radius into a small grey image, softly edged. Pure arithmetic (+ - * / sqrt floor), so that every
// machine draws the same bytes.

export class Canvas {
  readonly side: number;
  /** Brightness 0..1, row by row. */
  readonly pixels: Float64Array;
  /** Squared distance from the pixel's middle to the line being drawn. */
  readonly #near: Float64Array;
  /** Rows and columns touched by the line being drawn. */
  #box = { top: 0, bottom: 0, left: 0, right: 0 };

  constructor(side: number) {
    this.side = side;
    this.pixels = new Float64Array(side * side);
    this.#near = new Float64Array(side * side);
  }

  /** Starts a line; segments added until ink() count as one, however they cross. */
  begin(): void {
    this.#near.fill(Number.POSITIVE_INFINITY);
    this.#box = { top: this.side, bottom: 0, left: this.side, right: 0 };
  }

  /** From (x0, y0) to (x1, y1) in pixels; pixels farther than `reach` away are left alone. */
  segment(x0: number, y0: number, x1: number, y1: number, reach: number): void {
    const { side } = this;
    const near = this.#near;
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - reach));
    const right = Math.min(side, Math.floor(Math.max(x0, x1) + reach) + 1);
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
    const bottom = Math.min(side, Math.floor(Math.max(y0, y1) + reach) + 1);
    if (left >= right || top >= bottom) return;
    this.#grow(top, bottom, left, right);
    const dx = x1 - x0;
    const dy = y1 - y0;
    const length = dx * dx + dy * dy;
    const scale = length > 0 ? 1 / length : 0;
    for (let row = top; row < bottom; row += 1) {
      const py = row + 0.5 - y0;
      for (let column = left; column < right; column += 1) {
        const px = column + 0.5 - x0;
        let along = (px * dx + py * dy) * scale;
        along = along < 0 ? 0 : Math.min(along, 1);
        const ex = px - along * dx;
        const ey = py - along * dy;
        const distance = ex * ex + ey * ey;
        const index = row * side + column;
        if (distance < near[index]!) near[index] = distance;
      }
    }
  }

  /** Lays the line down: `ink` inside `radius`, falling to nothing over `softness` pixels; the brighter one stays. */
  ink(radius: number, softness: number, ink: number): void {
    const { top, bottom, left, right } = this.#box;
    const reach = radius + softness / 2;
    for (let row = top; row < bottom; row += 1) {
      for (let index = row * this.side + left; index < row * this.side + right; index += 1) {
        const squared = this.#near[index]!;
        if (squared >= reach * reach) continue;
        const share = (reach - Math.sqrt(squared)) / softness;
        const covered = share > 1 ? 1 : share * share * (3 - 2 * share);
        const brightness = ink * covered;
        if (brightness > this.pixels[index]!) this.pixels[index] = brightness;
      }
    }
  }

  #grow(top: number, bottom: number, left: number, right: number): void {
    const box = this.#box;
    box.top = Math.min(box.top, top);
    box.bottom = Math.max(box.bottom, bottom);
    box.left = Math.min(box.left, left);
    box.right = Math.max(box.right, right);
  }
}

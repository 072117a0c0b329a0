// The geometry that convolution and pooling share: which taps of a window lie inside of the image. Channels last.

export interface WindowArguments {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly padTop: number;
  readonly padLeft: number;
  readonly outHeight: number;
  readonly outWidth: number;
}

/** Calls tap(pixel of the image, index in the window) for the taps inside of the image, (kh, kw) ascending. */
export function forEachTap(
  a: WindowArguments,
  outY: number,
  outX: number,
  tap: (pixel: number, index: number) => void,
): void {
  for (let kh = 0; kh < a.kernelHeight; kh += 1) {
    const y = outY * a.strideHeight - a.padTop + kh;
    if (y < 0 || y >= a.height) continue;
    for (let kw = 0; kw < a.kernelWidth; kw += 1) {
      const x = outX * a.strideWidth - a.padLeft + kw;
      if (x >= 0 && x < a.width) tap(y * a.width + x, kh * a.kernelWidth + kw);
    }
  }
}

/** Calls window(output position, index in its window) for the windows that hold pixel (y, x), (kh, kw) ascending. */
export function forEachWindow(
  a: WindowArguments,
  y: number,
  x: number,
  window: (position: number, index: number) => void,
): void {
  for (let kh = 0; kh < a.kernelHeight; kh += 1) {
    const outY = (y + a.padTop - kh) / a.strideHeight;
    if (!Number.isInteger(outY) || outY < 0 || outY >= a.outHeight) continue;
    for (let kw = 0; kw < a.kernelWidth; kw += 1) {
      const outX = (x + a.padLeft - kw) / a.strideWidth;
      if (!Number.isInteger(outX) || outX < 0 || outX >= a.outWidth) continue;
      window(outY * a.outWidth + outX, kh * a.kernelWidth + kw);
    }
  }
}

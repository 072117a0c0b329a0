// Maximum and average pooling. Padding never wins a maximum and does not count in an average.

import { type Lane, laneRows, longSumValue, type ReferenceKernel } from './lane.ts';
import { forEachTap, forEachWindow, type WindowArguments } from './window.ts';

/** Calls body(offset of the output, offset of the image's channel, y, x) for this lane's rows, positions and channels. */
function forEachOutput(
  lane: Lane,
  a: WindowArguments,
  body: (output: number, image: number, outY: number, outX: number) => void,
): void {
  const rows = laneRows(lane);
  for (let row = rows.from; row < rows.to; row += 1)
    for (let outY = 0; outY < a.outHeight; outY += 1)
      for (let outX = 0; outX < a.outWidth; outX += 1)
        for (let channel = 0; channel < a.channels; channel += 1) {
          const position = (row * a.outHeight + outY) * a.outWidth + outX;
          body(position * a.channels + channel, row * a.height * a.width * a.channels + channel, outY, outX);
        }
}

/** The same over the pixels of the input: body(offset of the pixel, offset of the output's channel, y, x). */
function forEachInput(
  lane: Lane,
  a: WindowArguments,
  body: (pixel: number, outputs: number, y: number, x: number) => void,
): void {
  const mirrored = { ...a, height: a.outHeight, width: a.outWidth, outHeight: a.height, outWidth: a.width };
  forEachOutput(lane, mirrored, body);
}

/** y = maximum of the window, choice = index in the window of the first maximum; NaN wins, the last one of several */
export const maxPoolForward: ReferenceKernel<'maxPoolForward'> = (lane, a) => {
  const { floats, ints } = lane;
  forEachOutput(lane, a, (output, image, outY, outX) => {
    let maximum = 0;
    let choice = -1;
    forEachTap(a, outY, outX, (pixel, index) => {
      const x = floats[a.x + image + pixel * a.channels]!;
      const wins = x > maximum || Number.isNaN(x);
      if (choice >= 0 && !wins) return;
      maximum = x;
      choice = index;
    });
    floats[a.y + output] = maximum;
    ints[a.choice + output] = choice;
  });
};

/** dx = sum of dy over the windows, ascending, that chose this pixel; relu: where y > 0 alone */
export const maxPoolBackward: ReferenceKernel<'maxPoolBackward'> = (lane, a) => {
  const { floats, ints, round } = lane;
  forEachInput(lane, a, (pixel, outputs, y, x) => {
    const chosen: number[] = [];
    forEachWindow(a, y, x, (position, index) => {
      const output = outputs + position * a.channels;
      if (ints[a.choice + output] !== index) return;
      if (a.relu === 1 && !(floats[a.y + output]! > 0)) return;
      chosen.push(output);
    });
    // (kh, kw) ascending is windows descending
    floats[a.dx + pixel] = chosen.reduceRight((sum, output) => round(sum + floats[a.dy + output]!), 0);
  });
};

/** How many taps of a window lie inside of the image. */
function tapsInside(a: WindowArguments, outY: number, outX: number): number {
  let taps = 0;
  forEachTap(a, outY, outX, () => {
    taps += 1;
  });
  return taps;
}

/** y = mean of the taps inside of the image */
export const averagePoolForward: ReferenceKernel<'averagePoolForward'> = (lane, a) => {
  const { floats, round } = lane;
  forEachOutput(lane, a, (output, image, outY, outX) => {
    const taps: number[] = [];
    forEachTap(a, outY, outX, (pixel) => {
      taps.push(floats[a.x + image + pixel * a.channels]!);
    });
    const sum = longSumValue(lane, taps.length, (total, i) => round(total + taps[i]!));
    floats[a.y + output] = sum / taps.length;
  });
};

/** dx = sum over the windows, ascending, that hold this pixel of dy / taps inside of the image */
export const averagePoolBackward: ReferenceKernel<'averagePoolBackward'> = (lane, a) => {
  const { floats, round } = lane;
  forEachInput(lane, a, (pixel, outputs, y, x) => {
    const parts: number[] = [];
    forEachWindow(a, y, x, (position) => {
      const taps = tapsInside(a, Math.floor(position / a.outWidth), position % a.outWidth);
      parts.push(round(floats[a.dy + outputs + position * a.channels]! / taps));
    });
    floats[a.dx + pixel] = parts.reduceRight((sum, part) => round(sum + part), 0);
  });
};

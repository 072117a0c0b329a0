// 2D convolution by its definition. Images [rows, height, width, channels], weights [kernel, channels, filters].

import { laneRows, laneShare, multiplyAdd, type ReferenceKernel, relu, shardRows } from './lane.ts';
import { writeNodes } from './nodes.ts';
import { forEachTap, forEachWindow } from './window.ts';

/** y[row, position, filter] = activation(sum over (kh, kw, channel) of x * w + bias) */
export const convForward: ReferenceKernel<'convForward'> = (lane, a) => {
  const { floats, round } = lane;
  const positions = a.outHeight * a.outWidth;
  const rows = laneRows(lane);
  for (let i = rows.from * positions * a.filters; i < rows.to * positions * a.filters; i += 1) {
    const filter = i % a.filters;
    const position = Math.floor(i / a.filters) % positions;
    const image = a.x + Math.floor(i / a.filters / positions) * a.height * a.width * a.channels;
    let y = 0;
    forEachTap(a, Math.floor(position / a.outWidth), position % a.outWidth, (pixel, index) => {
      for (let channel = 0; channel < a.channels; channel += 1) {
        const x = floats[image + pixel * a.channels + channel]!;
        y = multiplyAdd(lane, x, floats[a.w + (index * a.channels + channel) * a.filters + filter]!, y);
      }
    });
    if (a.bias >= 0) y = round(y + floats[a.bias + filter]!);
    floats[a.y + i] = a.activation === 1 ? relu(y) : y;
  }
};

/** dx[row, pixel, channel] = sum over (kh, kw, filter) of dy * w, 0 where mask <= 0 */
export const convInputGradient: ReferenceKernel<'convInputGradient'> = (lane, a) => {
  const { floats } = lane;
  const pixels = a.height * a.width;
  const rows = laneRows(lane);
  for (let i = rows.from * pixels * a.channels; i < rows.to * pixels * a.channels; i += 1) {
    const channel = i % a.channels;
    const pixel = Math.floor(i / a.channels) % pixels;
    const image = a.dy + Math.floor(i / a.channels / pixels) * a.outHeight * a.outWidth * a.filters;
    let dx = 0;
    forEachWindow(a, Math.floor(pixel / a.width), pixel % a.width, (position, index) => {
      for (let filter = 0; filter < a.filters; filter += 1) {
        const dy = floats[image + position * a.filters + filter]!;
        dx = multiplyAdd(lane, dy, floats[a.w + (index * a.channels + channel) * a.filters + filter]!, dx);
      }
    });
    floats[a.dx + i] = a.mask >= 0 && !(floats[a.mask + i]! > 0) ? 0 : dx;
  }
};

/** own nodes of dw[kh, kw, channel, filter] = sum over (row, out y, out x) of x * dy */
export const convWeightGradient: ReferenceKernel<'convWeightGradient'> = (lane, a) => {
  const { floats } = lane;
  const size = a.kernelHeight * a.kernelWidth * a.channels * a.filters;
  writeNodes(lane, a.dw, a.stride, laneShare(lane, size), (shard, element) => {
    const filter = element % a.filters;
    const channel = Math.floor(element / a.filters) % a.channels;
    const tap = Math.floor(element / a.filters / a.channels);
    const { from, to } = shardRows(lane, shard);
    let dw = 0;
    for (let row = from; row < to; row += 1) {
      for (let outY = 0; outY < a.outHeight; outY += 1) {
        const y = outY * a.strideHeight - a.padTop + Math.floor(tap / a.kernelWidth);
        if (y < 0 || y >= a.height) continue;
        for (let outX = 0; outX < a.outWidth; outX += 1) {
          const x = outX * a.strideWidth - a.padLeft + (tap % a.kernelWidth);
          if (x < 0 || x >= a.width) continue;
          const pixel = (row * a.height + y) * a.width + x;
          const position = (row * a.outHeight + outY) * a.outWidth + outX;
          const dy = floats[a.dy + position * a.filters + filter]!;
          dw = multiplyAdd(lane, floats[a.x + pixel * a.channels + channel]!, dy, dw);
        }
      }
    }
    return dw;
  });
};

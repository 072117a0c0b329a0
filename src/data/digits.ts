// Handwritten-like digits, drawn: styles of glyphs.ts, bent, turned, thickened, blurred, spoilt. Pure and deterministic to
// the byte: image i depends on (seed, part, i) alone, and only + - * / sqrt floor are used.
// The ranges below are set so that a linear model stays below 90 % and a small convolutional one passes 97 %.

import { glyphs, type Stroke } from './glyphs.ts';
import { RandomStream } from './random-stream.ts';
import { Canvas } from './raster.ts';

export const digitsSide = 28;
export const digitsClasses = 10;

export interface Digits {
  /** [count, 28, 28], 0 = paper, 255 = ink */
  readonly images: Uint8Array;
  /** [count] */
  readonly labels: Uint8Array;
}

/** Coordinates x0, y0, x1, y1, ...; of the unit square, around its middle, or of pixels. */
type Points = number[];

const ranges = {
  /** Tangent of half the angle: -12.5 to 12.5 degrees. */
  rotation: [-0.11, 0.11],
  shear: [-0.2, 0.2],
  /** Pixels from the top to the bottom of a digit. */
  height: [16, 21],
  /** Width of the unit square as a share of its height. */
  aspect: [0.6, 0.95],
  /** Pixels from the middle. */
  shift: [-2, 2],
  /** Share of the unit square: each point of a style by itself, and the field that bends them all. */
  jitter: [-0.03, 0.03],
  bend: [-0.08, 0.08],
  /** Pixels. */
  radius: [0.6, 1.6],
  softness: [1, 2],
  ink: [0.55, 1],
  paper: [0, 0.1],
  noise: [0, 0.15],
} as const satisfies Record<string, readonly [number, number]>;

/** Knots a side of the field that bends a digit. */
const knots = 4;
/** Straight pieces that a curve is made of between two of its points. */
const pieces = 4;
const specklesMax = 8;
const distractorChance = 0.4;

/** `count` digits. `part`: 0 for training, 1 for held-out samples. */
export function drawDigits(count: number, seed: number, part: number): Digits {
  const images = new Uint8Array(count * digitsSide * digitsSide);
  const labels = new Uint8Array(count);
  const random = new RandomStream(seed, part);
  const canvas = new Canvas(digitsSide);
  for (let i = 0; i < count; i += 1) {
    random.seek(i);
    const label = random.below(digitsClasses);
    labels[i] = label;
    drawDigit(canvas, label, random);
    develop(canvas, random, images.subarray(i * canvas.pixels.length, (i + 1) * canvas.pixels.length));
  }
  return { images, labels };
}

function drawDigit(canvas: Canvas, label: number, random: RandomStream): void {
  canvas.pixels.fill(0);
  const styles = glyphs[label]!;
  const place = placement(random);
  const bend = bendingField(random);
  const radius = random.between(...ranges.radius);
  const softness = random.between(...ranges.softness);
  const ink = random.between(...ranges.ink);
  for (const stroke of styles[random.below(styles.length)]!) {
    const points = flatten(stroke.kind, jittered(stroke, random));
    drawLine(
      canvas,
      points.map((_, i) => pointAt(points, i, bend, place)),
      radius,
      softness,
      ink,
    );
  }
  if (random.chance(distractorChance)) drawDistractor(canvas, random, ink);
}

/** The style's points, each moved a little; a stroke that comes back to its start still does. */
function jittered(stroke: Stroke, random: RandomStream): Points {
  const { points } = stroke;
  const moved = points.map((value) => value / 100 - 0.5 + random.between(...ranges.jitter));
  const closed = points[0] === points.at(-2) && points[1] === points.at(-1);
  if (closed) moved.splice(-2, 2, moved[0]!, moved[1]!);
  return moved;
}

/** Points close enough together to bend, and to draw with straight pieces. */
function flatten(kind: Stroke['kind'], points: Points): Points {
  const last = points.length - 2;
  const result: Points = [points[0]!, points[1]!];
  for (let i = 0; i < last; i += 2) {
    const before = kind === 'line' || i === 0 ? i : i - 2;
    const after = kind === 'line' || i + 2 === last ? i + 2 : i + 4;
    for (let piece = 1; piece <= pieces; piece += 1) {
      for (let axis = 0; axis < 2; axis += 1) {
        const [p1, p2] = [points[i + axis]!, points[i + 2 + axis]!];
        const straight = p1 + ((p2 - p1) * piece) / pieces;
        const spline = catmullRom(points[before + axis]!, p1, p2, points[after + axis]!, piece / pieces);
        result.push(kind === 'line' ? straight : spline);
      }
    }
  }
  return result;
}

/** The cubic through p1 and p2 whose slopes there are (p2 - p0) / 2 and (p3 - p1) / 2. */
function catmullRom(p0: number, p1: number, p2: number, p3: number, t: number): number {
  const a = 2 * p1;
  const b = p2 - p0;
  const c = 2 * p0 - 5 * p1 + 4 * p2 - p3;
  const d = 3 * p1 - 3 * p2 + p3 - p0;
  return (a + t * (b + t * (c + t * d))) / 2;
}

type Placement = readonly [xx: number, xy: number, yx: number, yy: number, x: number, y: number];

/** Unit square to pixels: scale, shear, rotation, shift. cos and sin come from the tangent of half the angle. */
function placement(random: RandomStream): Placement {
  const t = random.between(...ranges.rotation);
  const cos = (1 - t * t) / (1 + t * t);
  const sin = (2 * t) / (1 + t * t);
  const shear = random.between(...ranges.shear);
  const height = random.between(...ranges.height);
  const width = height * random.between(...ranges.aspect);
  const x = digitsSide / 2 + random.between(...ranges.shift);
  const y = digitsSide / 2 + random.between(...ranges.shift);
  const sheared = -shear * height;
  return [cos * width, cos * sheared - sin * height, sin * width, sin * sheared + cos * height, x, y];
}

/** Random displacements at the knots of a grid over the unit square: x of all, then y of all. */
function bendingField(random: RandomStream): Float64Array {
  return Float64Array.from({ length: 2 * knots * knots }, () => random.between(...ranges.bend));
}

/** Displacement at (x, y), smooth between the knots. */
function displacement(field: Float64Array, axis: number, x: number, y: number): number {
  const [column, alongX] = cell(x);
  const [row, alongY] = cell(y);
  const at = axis * knots * knots + row * knots + column;
  const upper = field[at]! + (field[at + 1]! - field[at]!) * alongX;
  const lower = field[at + knots]! + (field[at + knots + 1]! - field[at + knots]!) * alongX;
  return upper + (lower - upper) * alongY;
}

function cell(coordinate: number): [index: number, along: number] {
  const scaled = Math.min(Math.max(coordinate + 0.5, 0), 1) * (knots - 1);
  const index = Math.min(Math.floor(scaled), knots - 2);
  const along = scaled - index;
  return [index, along * along * (3 - 2 * along)];
}

/** Coordinate i of the flattened points, bent and placed in the image. */
function pointAt(points: Points, i: number, bend: Float64Array, place: Placement): number {
  const x = points[i & ~1]!;
  const y = points[i | 1]!;
  const bentX = x + displacement(bend, 0, x, y);
  const bentY = y + displacement(bend, 1, x, y);
  const [xx, xy, yx, yy, shiftX, shiftY] = place;
  return i % 2 === 0 ? xx * bentX + xy * bentY + shiftX : yx * bentX + yy * bentY + shiftY;
}

function drawLine(canvas: Canvas, points: Points, radius: number, softness: number, ink: number): void {
  canvas.begin();
  for (let i = 0; i + 3 < points.length; i += 2) {
    canvas.segment(points[i]!, points[i + 1]!, points[i + 2]!, points[i + 3]!, radius + softness);
  }
  canvas.ink(radius, softness, ink);
}

/** A piece of a neighbouring letter at the left or right edge, or a line of the paper at the top or bottom. */
function drawDistractor(canvas: Canvas, random: RandomStream, ink: number): void {
  const edge = random.chance(0.5) ? random.between(0, 3) : digitsSide - random.between(0, 3);
  const from = random.between(0, digitsSide);
  const to = from + random.between(-12, 12);
  const other = edge + random.between(-3, 3);
  const upright = random.chance(0.7);
  const points = upright ? [edge, from, other, to] : [from, edge, to, other];
  drawLine(canvas, points, random.between(0.5, 1.2), random.between(...ranges.softness), ink);
}

/** From brightness 0..1 to bytes: paper, speckles, noise. */
function develop(canvas: Canvas, random: RandomStream, bytes: Uint8Array): void {
  const { pixels } = canvas;
  for (let speckles = random.below(specklesMax + 1); speckles > 0; speckles -= 1) {
    pixels[random.below(pixels.length)] = random.between(0, 1);
  }
  const paper = random.between(...ranges.paper);
  const noise = random.between(...ranges.noise);
  for (let i = 0; i < pixels.length; i += 1) {
    const value = paper + (1 - paper) * pixels[i]! + noise * random.between(-1, 1);
    bytes[i] = Math.floor(Math.min(Math.max(value, 0), 1) * 255 + 0.5);
  }
}

/* The dense and convolution kernels as their contract says it (kernel-list.ts): one scalar fused multiply-add
   a term, k ascending, every sum from +0, shards added in the tree. No blocking, no vectors, one lane: the
   oracle. */
#ifndef LOCKSTEP_NAIVE_H
#define LOCKSTEP_NAIVE_H
#include "context.h"

static float naive_relu(float a) { return 0.0f > a ? 0.0f : a; }

/* Adds a leaf to the stack machine and merges; returns the new depth. stack[level * size] */
static int naive_push(float *stack, int depth, int size, int merges) {
  for (depth++; merges > 0; merges--, depth--) {
    float *left = stack + (intptr_t)(depth - 2) * size;
    for (int i = 0; i < size; i++) left[i] = left[i] + left[size + i];
  }
  return depth;
}

/* out record j = entry j of what remains */
static void naive_nodes(float *out, int stride, const float *stack, int depth, int size) {
  for (int j = 0; j < depth; j++) {
    for (int i = 0; i < size; i++) out[(intptr_t)j * stride + i] = stack[(intptr_t)j * size + i];
  }
}

static void naive_denseForward(const Context *c, const denseForward_args *a) {
  const float *x = at(c, a->x), *w = at(c, a->w), *bias = at(c, a->bias);
  for (int r = 0; r < c->table->rows; r++) {
    for (int o = 0; o < a->outputs; o++) {
      float sum = 0;
      for (int k = 0; k < a->inputs; k++) sum = s_fma(x[r * a->inputs + k], w[k * a->outputs + o], sum);
      if (bias) sum += bias[o];
      at(c, a->y)[r * a->outputs + o] = a->activation ? naive_relu(sum) : sum;
    }
  }
}

static void naive_denseInputGradient(const Context *c, const denseInputGradient_args *a) {
  const float *dy = at(c, a->dy), *w = at(c, a->w), *mask = at(c, a->mask);
  for (int r = 0; r < c->table->rows; r++) {
    for (int i = 0; i < a->inputs; i++) {
      float sum = 0;
      for (int k = 0; k < a->outputs; k++) sum = s_fma(dy[r * a->outputs + k], w[i * a->outputs + k], sum);
      at(c, a->dx)[r * a->inputs + i] = !mask || mask[r * a->inputs + i] > 0 ? sum : 0.0f;
    }
  }
}

static void naive_denseWeightGradient(const Context *c, const denseWeightGradient_args *a) {
  const float *x = at(c, a->x), *dy = at(c, a->dy);
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset), *merges = ints_at(c, c->table->mergesOffset);
  const int size = a->inputs * a->outputs;
  int depth = 0;
  for (int s = 0; s < c->table->shards; s++) {
    for (int i = 0; i < size; i++) {
      float sum = 0;
      for (int r = rows[s]; r < rows[s + 1]; r++) {
        sum = s_fma(x[r * a->inputs + i / a->outputs], dy[r * a->outputs + i % a->outputs], sum);
      }
      c->scratch[(intptr_t)depth * size + i] = sum;
    }
    depth = naive_push(c->scratch, depth, size, merges[s]);
  }
  naive_nodes(at(c, a->dw), a->stride, c->scratch, depth, size);
}

static void naive_columnSums(const Context *c, const columnSums_args *a) {
  const float *x = at(c, a->x);
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset), *merges = ints_at(c, c->table->mergesOffset);
  int depth = 0;
  for (int s = 0; s < c->table->shards; s++) {
    for (int i = 0; i < a->columns; i++) {
      float sum = 0;
      for (int r = rows[s] * a->positions; r < rows[s + 1] * a->positions; r++) sum += x[r * a->columns + i];
      c->scratch[(intptr_t)depth * a->columns + i] = sum;
    }
    depth = naive_push(c->scratch, depth, a->columns, merges[s]);
  }
  naive_nodes(at(c, a->out), a->stride, c->scratch, depth, a->columns);
}

static void naive_convForward(const Context *c, const convForward_args *a) {
  const float *x = at(c, a->x), *w = at(c, a->w), *bias = at(c, a->bias);
  float *y = at(c, a->y) + (intptr_t)lane_rows_from(c) * a->outHeight * a->outWidth * a->filters;
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++)
    for (int oy = 0; oy < a->outHeight; oy++)
      for (int ox = 0; ox < a->outWidth; ox++)
        for (int f = 0; f < a->filters; f++) {
          float sum = 0;
          for (int kh = 0; kh < a->kernelHeight; kh++)
            for (int kw = 0; kw < a->kernelWidth; kw++) {
              const int iy = oy * a->strideHeight + kh - a->padTop, ix = ox * a->strideWidth + kw - a->padLeft;
              if (iy < 0 || iy >= a->height || ix < 0 || ix >= a->width) continue;
              for (int k = 0; k < a->channels; k++)
                sum = s_fma(x[((r * a->height + iy) * a->width + ix) * a->channels + k],
                            w[((kh * a->kernelWidth + kw) * a->channels + k) * a->filters + f], sum);
            }
          if (bias) sum += bias[f];
          *y++ = a->activation ? naive_relu(sum) : sum;
        }
}

static void naive_convInputGradient(const Context *c, const convInputGradient_args *a) {
  const float *dy = at(c, a->dy), *w = at(c, a->w), *mask = at(c, a->mask);
  intptr_t out = (intptr_t)lane_rows_from(c) * a->height * a->width * a->channels;
  for (int r = lane_rows_from(c); r < lane_rows_to(c); r++)
    for (int iy = 0; iy < a->height; iy++)
      for (int ix = 0; ix < a->width; ix++)
        for (int k = 0; k < a->channels; k++, out++) {
          float sum = 0;
          for (int kh = 0; kh < a->kernelHeight; kh++)
            for (int kw = 0; kw < a->kernelWidth; kw++) {
              const int sy = iy + a->padTop - kh, sx = ix + a->padLeft - kw;
              if (sy < 0 || sy % a->strideHeight || sy / a->strideHeight >= a->outHeight) continue;
              if (sx < 0 || sx % a->strideWidth || sx / a->strideWidth >= a->outWidth) continue;
              const int oy = sy / a->strideHeight, ox = sx / a->strideWidth;
              for (int f = 0; f < a->filters; f++)
                sum = s_fma(dy[((r * a->outHeight + oy) * a->outWidth + ox) * a->filters + f],
                            w[((kh * a->kernelWidth + kw) * a->channels + k) * a->filters + f], sum);
            }
          at(c, a->dx)[out] = !mask || mask[out] > 0 ? sum : 0.0f;
        }
}

static void naive_convWeightGradient(const Context *c, const convWeightGradient_args *a) {
  const float *x = at(c, a->x), *dy = at(c, a->dy);
  const int32_t *rows = ints_at(c, c->table->shardRowsOffset), *merges = ints_at(c, c->table->mergesOffset);
  const int size = a->kernelHeight * a->kernelWidth * a->channels * a->filters;
  int depth = 0;
  for (int s = 0; s < c->table->shards; s++) {
    float *leaf = c->scratch + (intptr_t)depth * size;
    for (int kh = 0; kh < a->kernelHeight; kh++)
      for (int kw = 0; kw < a->kernelWidth; kw++)
        for (int k = 0; k < a->channels; k++)
          for (int f = 0; f < a->filters; f++) {
            float sum = 0;
            for (int r = rows[s]; r < rows[s + 1]; r++)
              for (int oy = 0; oy < a->outHeight; oy++)
                for (int ox = 0; ox < a->outWidth; ox++) {
                  const int iy = oy * a->strideHeight + kh - a->padTop, ix = ox * a->strideWidth + kw - a->padLeft;
                  if (iy < 0 || iy >= a->height || ix < 0 || ix >= a->width) continue;
                  sum = s_fma(x[((r * a->height + iy) * a->width + ix) * a->channels + k],
                              dy[((r * a->outHeight + oy) * a->outWidth + ox) * a->filters + f], sum);
                }
            *leaf++ = sum;
          }
    depth = naive_push(c->scratch, depth, size, merges[s]);
  }
  naive_nodes(at(c, a->dw), a->stride, c->scratch, depth, size);
}
#endif

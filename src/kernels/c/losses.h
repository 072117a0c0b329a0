/* Softmax, the losses with their gradients, and the metrics: one row (sample) at a time, true reductions over it. */
#ifndef LOCKSTEP_LOSSES_H
#define LOCKSTEP_LOSSES_H
#include "elementwise.h"
#include "math.h"
#include "sixteen.h"

#define FOR_LANE_ROWS(c) for (int r = lane_rows_from(c); r < lane_rows_to(c); r++)

/* e[size] = exp(x - maximum) where e is given; returns the sum */
INLINE float exponentials(float *e, const float *x, int size, float maximum) {
  Sixteen s = sixteen_set1(0);
  FOR_SIXTEENS(size, {
    vf value = v_keep_first(v_exp(v_sub(v_load_first(x + i, n, 0), v_set1(maximum))), n);
    if (e) v_store_first(e + i, value, n);
    s.part[j] = v_add(s.part[j], value);
  });
  return sixteen_sum(&s);
}

/* y[rows, size] = softmax(x) */
static void kernel_softmaxForward(const Context *c, const softmaxForward_args *a) {
  FOR_LANE_ROWS(c) {
    float *y = at(c, a->y) + (int64_t)r * a->size;
    const float *x = at(c, a->x) + (int64_t)r * a->size;
    const vf sum = v_set1(exponentials(y, x, a->size, largest(x, a->size)));
    FOR_VECTORS(0, a->size, v_store_first(y + i, v_div(v_load_first(y + i, n, 0), sum), n););
  }
}

/* dx = y (dy - sum dy y) */
static void kernel_softmaxBackward(const Context *c, const softmaxBackward_args *a) {
  FOR_LANE_ROWS(c) {
    float *dx = at(c, a->dx) + (int64_t)r * a->size;
    const float *dy = at(c, a->dy) + (int64_t)r * a->size, *y = at(c, a->y) + (int64_t)r * a->size;
    Sixteen s = sixteen_set1(0);
    FOR_SIXTEENS(a->size, s.part[j] = v_fma(v_load_first(dy + i, n, 0), v_load_first(y + i, n, 0), s.part[j]););
    const vf inner = v_set1(sixteen_sum(&s));
    FOR_VECTORS(0, a->size, {
      v_store_first(dx + i, v_mul(v_load_first(y + i, n, 0), v_sub(v_load_first(dy + i, n, 0), inner)), n);
    });
  }
}

INLINE float log_of(float x) {
  float part[VW];
  v_store(part, v_log(v_set1(x)));
  return part[0];
}

/* loss = log(sum exp(x - max)) - (x[target] - max); dx = softmax(x) - onehot(target). A target that is no class: NaN. */
static void kernel_softmaxCrossEntropy(const Context *c, const softmaxCrossEntropy_args *a) {
  FOR_LANE_ROWS(c) {
    const float *x = at(c, a->x) + (int64_t)r * a->size;
    float *dx = a->dx < 0 ? (float *)0 : at(c, a->dx) + (int64_t)r * a->size;
    const float target = at(c, a->target)[r];
    const int class = target >= 0 && target < (float)a->size ? (int)target : -1;
    const float maximum = largest(x, a->size), sum = exponentials(dx, x, a->size, maximum);
    at(c, a->loss)[r] = class < 0 ? __builtin_nanf("") : log_of(sum) - (x[class] - maximum);
    if (!dx) continue;
    FOR_VECTORS(0, a->size, v_store_first(dx + i, v_div(v_load_first(dx + i, n, 0), v_set1(sum)), n););
    if (class >= 0) dx[class] -= 1.0f;
  }
}

/* loss = mean of max(x, 0) - x t + log(1 + exp(-|x|)); dx = (sigmoid(x) - t) / size */
static void kernel_sigmoidCrossEntropy(const Context *c, const sigmoidCrossEntropy_args *a) {
  const vf size = v_set1((float)a->size);
  FOR_LANE_ROWS(c) {
    const float *x = at(c, a->x) + (int64_t)r * a->size, *target = at(c, a->target) + (int64_t)r * a->size;
    float *dx = a->dx < 0 ? (float *)0 : at(c, a->dx) + (int64_t)r * a->size;
    Sixteen s = sixteen_set1(0);
    FOR_SIXTEENS(a->size, {
      vf value = v_load_first(x + i, n, 0);
      vf t = v_load_first(target + i, n, 0);
      vf soft = v_log1p_unit(v_exp(v_negate(v_abs(value))));
      vf loss = v_add(v_fma(v_negate(value), t, v_relu(value)), soft);
      s.part[j] = v_add(s.part[j], v_keep_first(loss, n));
      if (dx) v_store_first(dx + i, v_div(v_sub(v_sigmoid(value), t), size), n);
    });
    at(c, a->loss)[r] = sixteen_sum(&s) / (float)a->size;
  }
}

/* loss = mean of (x - t)^2; dx = 2 (x - t) / size */
static void kernel_meanSquaredError(const Context *c, const meanSquaredError_args *a) {
  const vf size = v_set1((float)a->size);
  FOR_LANE_ROWS(c) {
    const float *x = at(c, a->x) + (int64_t)r * a->size, *target = at(c, a->target) + (int64_t)r * a->size;
    float *dx = a->dx < 0 ? (float *)0 : at(c, a->dx) + (int64_t)r * a->size;
    Sixteen s = sixteen_set1(0);
    FOR_SIXTEENS(a->size, {
      vf error = v_sub(v_load_first(x + i, n, 0), v_load_first(target + i, n, 0));
      s.part[j] = v_fma(error, error, s.part[j]);
      if (dx) v_store_first(dx + i, v_div(v_add(error, error), size), n);
    });
    at(c, a->loss)[r] = sixteen_sum(&s) / (float)a->size;
  }
}

/* out[row] = 1 where the first maximum is at the target */
static void kernel_classCorrect(const Context *c, const classCorrect_args *a) {
  FOR_LANE_ROWS(c) {
    const float *x = at(c, a->x) + (int64_t)r * a->size;
    const float maximum = largest(x, a->size);
    int first = 0;
    while (first < a->size && !(x[first] == maximum)) first++;
    at(c, a->out)[r] = (float)first == at(c, a->target)[r] ? 1.0f : 0.0f;
  }
}

/* out[row] = the share of outputs on the right side of the threshold */
static void kernel_binaryCorrect(const Context *c, const binaryCorrect_args *a) {
  const vf one = v_set1(1.0f), threshold = v_set1(a->threshold), half = v_set1(0.5f);
  FOR_LANE_ROWS(c) {
    const float *x = at(c, a->x) + (int64_t)r * a->size, *target = at(c, a->target) + (int64_t)r * a->size;
    Sixteen s = sixteen_set1(0);
    FOR_SIXTEENS(a->size, {
      vf truth = v_if_greater(v_load_first(target + i, n, 0), half, one, v_zero());
      vf right = v_if_greater(v_load_first(x + i, n, 0), threshold, truth, v_sub(one, truth));
      s.part[j] = v_add(s.part[j], v_keep_first(right, n));
    });
    at(c, a->out)[r] = sixteen_sum(&s) / (float)a->size;
  }
}

/* out[row] = mean of |x - target| */
static void kernel_absoluteError(const Context *c, const absoluteError_args *a) {
  FOR_LANE_ROWS(c) {
    const float *x = at(c, a->x) + (int64_t)r * a->size, *target = at(c, a->target) + (int64_t)r * a->size;
    Sixteen s = sixteen_set1(0);
    FOR_SIXTEENS(a->size, {
      vf error = v_abs(v_sub(v_load_first(x + i, n, 0), v_load_first(target + i, n, 0)));
      s.part[j] = v_add(s.part[j], error);
    });
    at(c, a->out)[r] = sixteen_sum(&s) / (float)a->size;
  }
}
#endif

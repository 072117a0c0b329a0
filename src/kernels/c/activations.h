/* unaryForward and unaryBackward: the activation functions, each as a line of calculus on vectors. */
#ifndef LOCKSTEP_ACTIVATIONS_H
#define LOCKSTEP_ACTIVATIONS_H
#include "elementwise.h"
#include "math.h"

/* Phi(x), the normal distribution, as gelu uses it: x Phi(x) */
INLINE vf v_normal_distribution(vf x) {
  return v_fma(v_set1(0.5f), v_erf(v_mul(x, v_set1(0.70710678f))), v_set1(0.5f));
}
/* its derivative, exp(-x^2 / 2) / sqrt(2 pi) */
INLINE vf v_normal_density(vf x) {
  return v_mul(v_set1(0.39894228f), v_exp(v_mul(v_mul(x, x), v_set1(-0.5f))));
}

/* y = f(x); alpha: leakyRelu's slope, elu's scale */
INLINE vf activate(int kind, vf x, vf alpha) {
  switch (kind) {
    case UNARY_relu: return v_relu(x);
    case UNARY_leakyRelu: return v_if_greater(v_zero(), x, v_mul(alpha, x), x);
    case UNARY_elu: return v_if_greater(v_zero(), x, v_mul(alpha, v_expm1_negative(v_min(v_zero(), x))), x);
    case UNARY_sigmoid: return v_sigmoid(x);
    case UNARY_tanh: return v_tanh(x);
    default: return v_mul(x, v_normal_distribution(x));
  }
}

/* dx = dy f'(x), by y where y alone tells it, else by x */
INLINE vf activate_back(int kind, vf dy, vf x, vf y, vf alpha) {
  vf one = v_set1(1.0f);
  switch (kind) {
    case UNARY_relu: return v_where_positive(y, dy);
    case UNARY_leakyRelu: return v_if_greater(y, v_zero(), dy, v_mul(alpha, dy));
    case UNARY_elu: return v_if_greater(y, v_zero(), dy, v_mul(v_add(y, alpha), dy));
    case UNARY_sigmoid: return v_mul(dy, v_mul(y, v_sub(one, y)));
    case UNARY_tanh: return v_mul(dy, v_mul(v_add(one, y), v_sub(one, y)));
    default: return v_mul(dy, v_fma(x, v_normal_density(x), v_normal_distribution(x)));
  }
}

#define FOR_EACH_UNARY(X) X(UNARY_relu) X(UNARY_leakyRelu) X(UNARY_elu) X(UNARY_sigmoid) X(UNARY_tanh) X(UNARY_gelu)

/* y[rows, size] = f(x) */
static void kernel_unaryForward(const Context *c, const unaryForward_args *a) {
  float *y = at(c, a->y);
  const float *x = at(c, a->x);
  vf alpha = v_set1(a->alpha);
  int64_t from = (int64_t)lane_rows_from(c) * a->size, to = (int64_t)lane_rows_to(c) * a->size;
#define ONE_KIND(kind) \
  case kind: FOR_VECTORS(from, to, v_store_first(y + i, activate(kind, v_load_first(x + i, n, 0), alpha), n);); break;
  switch (a->kind) { FOR_EACH_UNARY(ONE_KIND) }
#undef ONE_KIND
}

/* dx[rows, size] = dy f'(x); the operand that a kind does not use may be absent */
static void kernel_unaryBackward(const Context *c, const unaryBackward_args *a) {
  float *dx = at(c, a->dx);
  const float *dy = at(c, a->dy), *x = at(c, a->kind == UNARY_gelu ? a->x : a->y);
  vf alpha = v_set1(a->alpha);
  int64_t from = (int64_t)lane_rows_from(c) * a->size, to = (int64_t)lane_rows_to(c) * a->size;
#define ONE_KIND(kind)                                                              \
  case kind:                                                                        \
    FOR_VECTORS(from, to, {                                                         \
      vf value = v_load_first(x + i, n, 0);                                         \
      v_store_first(dx + i, activate_back(kind, v_load_first(dy + i, n, 0), value, value, alpha), n); \
    });                                                                             \
    break;
  switch (a->kind) { FOR_EACH_UNARY(ONE_KIND) }
#undef ONE_KIND
}
#endif

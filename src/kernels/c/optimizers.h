/* The update of flat vectors w[count] by the gradient sum g, one pass over memory each. */
#ifndef LOCKSTEP_OPTIMIZERS_H
#define LOCKSTEP_OPTIMIZERS_H
#include "elementwise.h"

/* What g is multiplied with: 1 / samples of the batch, times the factor of clipFactor where there is one. */
INLINE vf gradient_scale(const Context *c, int32_t clip) {
  return v_set1(clip < 0 ? c->table->inverseWeight : c->table->inverseWeight * at(c, clip)[1]);
}

/* decay: the L2 term of the gradient (Krogh and Hertz 1991); shrink: decoupled decay, which takes its part of the weight
   before the step does (Loshchilov and Hutter 2019). Both by the weight as it was. */
typedef struct {
  vf scale, decay, shrink, rate;
} Update;

INLINE Update update_of(const Context *c, int32_t clip, float decay, float decoupled) {
  float rate = c->table->learningRate;
  return (Update){gradient_scale(c, clip), v_set1(decay), v_set1(-(rate * decoupled)), v_set1(-rate)};
}
INLINE vf gradient_of(const Update *u, vf g, vf w) { return v_fma(u->decay, w, v_mul(g, u->scale)); }
INLINE vf shrunk(const Update *u, vf w) { return v_fma(u->shrink, w, w); }

static void kernel_sgd(const Context *c, const sgd_args *a) {
  float *w = at(c, a->w);
  const float *g = at(c, a->g);
  const Update u = update_of(c, a->clip, a->decay, a->decoupled);
  int from, to;
  lane_elements(c, a->count, &from, &to);
  FOR_VECTORS(from, to, {
    vf weight = v_load_first(w + i, n, 0);
    vf gradient = gradient_of(&u, v_load_first(g + i, n, 0), weight);
    v_store_first(w + i, v_fma(u.rate, gradient, shrunk(&u, weight)), n);
  });
}

/* v = momentum v + g; w -= rate (nesterov ? g + momentum v : v) (Sutskever et al. 2013) */
static void kernel_momentum(const Context *c, const momentum_args *a) {
  float *w = at(c, a->w), *v = at(c, a->v);
  const float *g = at(c, a->g);
  const Update u = update_of(c, a->clip, a->decay, a->decoupled);
  const vf momentum = v_set1(a->momentum);
  int from, to;
  lane_elements(c, a->count, &from, &to);
#define MOMENTUM_BODY(direction)                                                 \
  FOR_VECTORS(from, to, {                                                        \
    vf weight = v_load_first(w + i, n, 0);                                       \
    vf gradient = gradient_of(&u, v_load_first(g + i, n, 0), weight);            \
    vf velocity = v_fma(momentum, v_load_first(v + i, n, 0), gradient);          \
    v_store_first(v + i, velocity, n);                                           \
    v_store_first(w + i, v_fma(u.rate, direction, shrunk(&u, weight)), n);       \
  })
  if (a->nesterov) MOMENTUM_BODY(v_fma(momentum, velocity, gradient));
  else MOMENTUM_BODY(velocity);
#undef MOMENTUM_BODY
}

/* m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= rate (m / c1) / (sqrt(v / c2) + epsilon)
   (Kingma and Ba 2015), the corrections c1, c2 folded into two scalars */
static void kernel_adam(const Context *c, const adam_args *a) {
  float *w = at(c, a->w), *m = at(c, a->m), *v = at(c, a->v);
  const float *g = at(c, a->g);
  const Update u = update_of(c, a->clip, a->decay, a->decoupled);
  const vf beta1 = v_set1(a->beta1), rest1 = v_set1(1.0f - a->beta1);
  const vf beta2 = v_set1(a->beta2), rest2 = v_set1(1.0f - a->beta2);
  const vf rate = v_set1(-(c->table->learningRate / c->table->biasCorrection1));
  const vf correction = v_set1(1.0f / c->table->biasCorrection2), epsilon = v_set1(a->epsilon);
  int from, to;
  lane_elements(c, a->count, &from, &to);
  FOR_VECTORS(from, to, {
    vf weight = v_load_first(w + i, n, 0);
    vf gradient = gradient_of(&u, v_load_first(g + i, n, 0), weight);
    vf first = v_fma(rest1, gradient, v_mul(beta1, v_load_first(m + i, n, 0)));
    vf second = v_fma(v_mul(rest2, gradient), gradient, v_mul(beta2, v_load_first(v + i, n, 0)));
    v_store_first(m + i, first, n);
    v_store_first(v + i, second, n);
    vf step = v_div(v_mul(rate, first), v_add(v_sqrt(v_mul(second, correction)), epsilon));
    v_store_first(w + i, v_add(shrunk(&u, weight), step), n);
  });
}
#endif

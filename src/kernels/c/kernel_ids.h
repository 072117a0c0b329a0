/* Generated from kernel-list.ts and step-table.ts by npm run build:header. Do not edit. */
#ifndef LOCKSTEP_KERNEL_IDS_H
#define LOCKSTEP_KERNEL_IDS_H
#include <stdint.h>

typedef struct {
  int32_t lanes;
  int32_t scratchOffset;
  int32_t scratchSize;
  int32_t barrierOffset;
} ArenaHeader;

typedef struct {
  int32_t rows;
  int32_t shards;
  int32_t firstShard;
  int32_t nodes;
  int32_t nodeStart;
  int32_t globalNodes;
  int32_t step;
  int32_t seed;
  float inverseWeight;
  float learningRate;
  float biasCorrection1;
  float biasCorrection2;
  int32_t laneRowsOffset;
  int32_t shardRowsOffset;
  int32_t mergesOffset;
  int32_t globalMergesOffset;
  int32_t sampleIdsOffset;
  int32_t resultsOffset;
} StepTable;

#define RESULTS_HEADER 8
#define NORM_BLOCK_SIZE 4096

enum { UNARY_relu, UNARY_leakyRelu, UNARY_elu, UNARY_sigmoid, UNARY_tanh, UNARY_gelu };

typedef struct {
  int32_t unused;
} barrier_args;

typedef struct {
  int32_t out;
  int32_t count;
  float value;
} fill_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t w;
  int32_t bias;
  int32_t inputs;
  int32_t outputs;
  int32_t activation;
} denseForward_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t w;
  int32_t mask;
  int32_t inputs;
  int32_t outputs;
} denseInputGradient_args;

typedef struct {
  int32_t dw;
  int32_t stride;
  int32_t x;
  int32_t dy;
  int32_t inputs;
  int32_t outputs;
} denseWeightGradient_args;

typedef struct {
  int32_t out;
  int32_t stride;
  int32_t x;
  int32_t positions;
  int32_t columns;
} columnSums_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t w;
  int32_t bias;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
  int32_t filters;
  int32_t activation;
} convForward_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t w;
  int32_t mask;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
  int32_t filters;
} convInputGradient_args;

typedef struct {
  int32_t dw;
  int32_t stride;
  int32_t x;
  int32_t dy;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
  int32_t filters;
} convWeightGradient_args;

typedef struct {
  int32_t y;
  int32_t choice;
  int32_t x;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
} maxPoolForward_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t choice;
  int32_t y;
  int32_t relu;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
} maxPoolBackward_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
} averagePoolForward_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t height;
  int32_t width;
  int32_t channels;
  int32_t kernelHeight;
  int32_t kernelWidth;
  int32_t strideHeight;
  int32_t strideWidth;
  int32_t padTop;
  int32_t padLeft;
  int32_t outHeight;
  int32_t outWidth;
} averagePoolBackward_args;

typedef struct {
  int32_t leaves;
  int32_t x;
  int32_t positions;
  int32_t channels;
} momentsLeaves_args;

typedef struct {
  int32_t nodes;
  int32_t leaves;
  int32_t channels;
} momentsNodes_args;

typedef struct {
  int32_t record;
  int32_t nodes;
  int32_t channels;
} momentsMerge_args;

typedef struct {
  int32_t mean;
  int32_t inverse;
  int32_t record;
  int32_t records;
  int32_t channels;
  float epsilon;
} momentsPrepare_args;

typedef struct {
  int32_t runningMean;
  int32_t runningVariance;
  int32_t record;
  int32_t channels;
  float momentum;
} momentsRunning_args;

typedef struct {
  int32_t mean;
  int32_t inverse;
  int32_t runningMean;
  int32_t runningVariance;
  int32_t channels;
  float epsilon;
} runningPrepare_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t mean;
  int32_t inverse;
  int32_t gamma;
  int32_t beta;
  int32_t positions;
  int32_t channels;
  int32_t activation;
  int32_t perShard;
} normalizeForward_args;

typedef struct {
  int32_t leaves;
  int32_t dy;
  int32_t x;
  int32_t mask;
  int32_t mean;
  int32_t inverse;
  int32_t positions;
  int32_t channels;
  int32_t perShard;
} normalizeSums_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t x;
  int32_t mask;
  int32_t mean;
  int32_t inverse;
  int32_t gamma;
  int32_t sums;
  int32_t record;
  int32_t positions;
  int32_t channels;
  int32_t perShard;
} normalizeBackward_args;

typedef struct {
  int32_t out;
  int32_t stride;
  int32_t leaves;
  int32_t columns;
  int32_t from;
  int32_t count;
  int32_t gathered;
} sumNodes_args;

typedef struct {
  int32_t out;
  int32_t nodes;
  int32_t stride;
  int32_t count;
} sumMerge_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t size;
  int32_t kind;
  float alpha;
} unaryForward_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t x;
  int32_t y;
  int32_t size;
  int32_t kind;
  float alpha;
} unaryBackward_args;

typedef struct {
  int32_t y;
  int32_t a;
  int32_t b;
  int32_t size;
  int32_t activation;
} add_args;

typedef struct {
  int32_t y;
  int32_t yColumns;
  int32_t yFrom;
  int32_t x;
  int32_t xColumns;
  int32_t xFrom;
  int32_t count;
  int32_t positions;
} copyColumns_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t size;
  int32_t layer;
  int32_t threshold;
  float scale;
} dropout_args;

typedef struct {
  int32_t y;
  int32_t x;
  int32_t size;
} softmaxForward_args;

typedef struct {
  int32_t dx;
  int32_t dy;
  int32_t y;
  int32_t size;
} softmaxBackward_args;

typedef struct {
  int32_t loss;
  int32_t dx;
  int32_t x;
  int32_t target;
  int32_t size;
} softmaxCrossEntropy_args;

typedef struct {
  int32_t loss;
  int32_t dx;
  int32_t x;
  int32_t target;
  int32_t size;
} sigmoidCrossEntropy_args;

typedef struct {
  int32_t loss;
  int32_t dx;
  int32_t x;
  int32_t target;
  int32_t size;
} meanSquaredError_args;

typedef struct {
  int32_t out;
  int32_t x;
  int32_t target;
  int32_t size;
} classCorrect_args;

typedef struct {
  int32_t out;
  int32_t x;
  int32_t target;
  int32_t size;
  float threshold;
} binaryCorrect_args;

typedef struct {
  int32_t out;
  int32_t x;
  int32_t target;
  int32_t size;
} absoluteError_args;

typedef struct {
  int32_t x;
  int32_t metric;
  int32_t metrics;
} shardSums_args;

typedef struct {
  int32_t blocks;
  int32_t x;
  int32_t count;
} blockNorms_args;

typedef struct {
  int32_t clip;
  int32_t blocks;
  int32_t count;
  float maximum;
} clipFactor_args;

typedef struct {
  int32_t w;
  int32_t g;
  int32_t count;
  int32_t clip;
  float decay;
  float decoupled;
} sgd_args;

typedef struct {
  int32_t w;
  int32_t g;
  int32_t v;
  int32_t count;
  int32_t clip;
  float decay;
  float decoupled;
  float momentum;
  int32_t nesterov;
} momentum_args;

typedef struct {
  int32_t w;
  int32_t g;
  int32_t m;
  int32_t v;
  int32_t count;
  int32_t clip;
  float decay;
  float decoupled;
  float beta1;
  float beta2;
  float epsilon;
} adam_args;

/* X(name): every kernel, in the order of its index. */
#define FOR_EACH_KERNEL(X) \
  X(barrier) \
  X(fill) \
  X(denseForward) \
  X(denseInputGradient) \
  X(denseWeightGradient) \
  X(columnSums) \
  X(convForward) \
  X(convInputGradient) \
  X(convWeightGradient) \
  X(maxPoolForward) \
  X(maxPoolBackward) \
  X(averagePoolForward) \
  X(averagePoolBackward) \
  X(momentsLeaves) \
  X(momentsNodes) \
  X(momentsMerge) \
  X(momentsPrepare) \
  X(momentsRunning) \
  X(runningPrepare) \
  X(normalizeForward) \
  X(normalizeSums) \
  X(normalizeBackward) \
  X(sumNodes) \
  X(sumMerge) \
  X(unaryForward) \
  X(unaryBackward) \
  X(add) \
  X(copyColumns) \
  X(dropout) \
  X(softmaxForward) \
  X(softmaxBackward) \
  X(softmaxCrossEntropy) \
  X(sigmoidCrossEntropy) \
  X(meanSquaredError) \
  X(classCorrect) \
  X(binaryCorrect) \
  X(absoluteError) \
  X(shardSums) \
  X(blockNorms) \
  X(clipFactor) \
  X(sgd) \
  X(momentum) \
  X(adam)
#endif

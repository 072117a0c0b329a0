/* The dense and convolution kernels, all on the register tile of gemm_tile.h. */
#ifndef LOCKSTEP_LINEAR_H
#define LOCKSTEP_LINEAR_H
#include "gemm_dense.h"
#include "gemm_weight.h"
#include "conv_data.h"
#include "conv_weight.h"
#endif

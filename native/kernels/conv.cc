// The convolutions of linear.h: each is one or more gathers (gather.h), which run as shifted planes or as matrix
// products.
#include "kernels/gather.h"

namespace bitwright {

namespace {

void run_gather(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out,
                bool accumulate) {
  if (suits_planes(gather)) {
    run_planes(linear, gather, source, w, out, accumulate);
  } else {
    run_product(linear, gather, source, w, out, accumulate);
  }
}

}  // namespace

void conv_forward(const Linear& linear, const ConvShape& shape, const float* x, const float* w, float* y,
                  bool accumulate) {
  run_gather(linear, forward_gather(shape), x, w, y, accumulate);
}

void conv_input_adjoint(const Linear& linear, const ConvShape& shape, const float* dy, const float* w, float* dx,
                        bool accumulate) {
  run_gather(linear, input_adjoint_gather(shape), dy, w, dx, accumulate);
}

void conv_weight_adjoint(const Linear& linear, const ConvShape& shape, const float* x, const float* dy, double* dw) {
  const Gather gather = forward_gather(shape);
  if (suits_planes(gather)) {
    weight_adjoint_planes(linear, gather, x, dy, dw);
  } else {
    weight_adjoint_product(linear, gather, x, dy, dw);
  }
}

}  // namespace bitwright

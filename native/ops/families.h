// The families of operators; registry.cc joins their rows. Explicit, because self-registering objects vanish from static
// libraries and leave the order to the linker.
#pragma once

#include <vector>

#include "ops/op.h"

namespace bitwright {

std::vector<Row> arithmetic_rows();
std::vector<Row> attention_rows();
std::vector<Row> batch_normalization_rows();
std::vector<Row> boxes_rows();
std::vector<Row> cast_rows();
std::vector<Row> composed_rows();
std::vector<Row> concat_rows();
std::vector<Row> conv_rows();
std::vector<Row> elementwise_rows();
std::vector<Row> fused_rows();
std::vector<Row> gather_rows();
std::vector<Row> logic_rows();
std::vector<Row> matmul_rows();
std::vector<Row> normalization_rows();
std::vector<Row> pick_rows();
std::vector<Row> pool_rows();
std::vector<Row> rearrange_rows();
std::vector<Row> recurrent_rows();
std::vector<Row> reduce_rows();
std::vector<Row> reshape_rows();
std::vector<Row> resize_rows();
std::vector<Row> running_rows();
std::vector<Row> sampling_rows();
std::vector<Row> scatter_rows();
std::vector<Row> sequence_rows();
std::vector<Row> shape_rows();
std::vector<Row> softmax_rows();
std::vector<Row> spectrum_rows();
std::vector<Row> variadic_rows();

}  // namespace bitwright

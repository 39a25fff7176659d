#include <iterator>

#include "ops/families.h"

namespace bitwright {

const std::vector<Row>& all_rows() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all;
    for (const auto family : {arithmetic_rows, attention_rows, batch_normalization_rows, boxes_rows, cast_rows, composed_rows, concat_rows, conv_rows,
                              elementwise_rows, fused_rows, gather_rows, logic_rows, matmul_rows, normalization_rows, pick_rows, pool_rows,
                              rearrange_rows, recurrent_rows, reduce_rows, reshape_rows, resize_rows, running_rows, sampling_rows, scatter_rows, sequence_rows,
                              shape_rows, softmax_rows, spectrum_rows,
                              variadic_rows}) {
      std::vector<Row> some = family();
      std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return all;
  }();
  return rows;
}

const Row* find_row(const std::string& domain, const std::string& type, int64_t opset) {
  const Row* found = nullptr;
  for (const Row& row : all_rows())
    if (domain == row.domain && type == row.type && row.since <= opset && (found == nullptr || row.since > found->since)) found = &row;
  return found;
}

}  // namespace bitwright

#include <algorithm>
#include <vector>

#include "kernels/blocking.h"
#include "kernels/scratch.h"
#include "kernels/stretches.h"

namespace bitwright {

namespace {

// Lines of a stored matrix, line i starting at first + i * stride.
void pack_stored_lines(const float* first, int64_t stride, int64_t count, int64_t depth, int64_t width, float* panel) {
  const float* lines[kWidestTile];
  for (int64_t i = 0; i < count; ++i) lines[i] = first + i * stride;
  pack_lines(lines, count, depth, width, panel);
}

class MatrixProduct : public Product {
 public:
  MatrixProduct(const GemmShape& shape, const float* b, float* c, bool swapped)
      : shape_(shape), b_(b), c_(c), row_stride_(swapped ? 1 : shape.ldc), column_stride_(swapped ? shape.ldc : 1) {}

  void pack(int64_t item, int64_t k0, int64_t k1, int64_t c0, int64_t c1, int64_t tile_columns,
            float* panels) const override {
    const float* b = b_ + item * shape_.stride_b;
    for (int64_t column = c0; column < c1; column += tile_columns, panels += (k1 - k0) * tile_columns) {
      const int64_t count = std::min(tile_columns, c1 - column);
      if (shape_.transpose_b) {
        pack_stored_lines(b + column * shape_.ldb + k0, shape_.ldb, count, k1 - k0, tile_columns, panels);
      } else {
        pack_columns(b + k0 * shape_.ldb + column, shape_.ldb, count, k1 - k0, tile_columns, panels);
      }
    }
  }

  const float* in_place(int64_t item, int64_t k0, int64_t c0, int64_t, int64_t* ld) const override {
    if (shape_.transpose_b) return nullptr;
    *ld = shape_.ldb;
    return b_ + item * shape_.stride_b + k0 * shape_.ldb + c0;
  }

  float* c(int64_t item) const override { return c_ + item * shape_.stride_c; }

  int64_t row_offset(int64_t row) const override { return row * row_stride_; }

  void column_offsets(int64_t, int64_t c0, int64_t c1, int64_t* offsets) const override {
    for (int64_t column = c0; column < c1; ++column) *offsets++ = column * column_stride_;
  }

 private:
  const GemmShape& shape_;
  const float* b_;
  float* c_;
  const int64_t row_stride_, column_stride_;
};

// op(A) of every item in row panels.
const float* pack_a(const Linear& linear, const GemmShape& shape, const float* a, int64_t* item_stride) {
  static thread_local Scratch scratch;
  const int64_t tile_rows = linear.kernels.tile_rows;
  const int64_t panels = round_up(shape.rows, tile_rows) / tile_rows;
  const int64_t items = shape.stride_a == 0 ? 1 : shape.batch;
  *item_stride = shape.stride_a == 0 ? 0 : panels * tile_rows * shape.depth;
  float* packed = scratch.floats(items * panels * tile_rows * shape.depth);
  const int64_t panel_size = tile_rows * shape.depth;
  parallel_stretches(linear.pool, items * panels, panel_size * kCopyWork, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const float* item = a + task / panels * shape.stride_a;
      const int64_t row = task % panels * tile_rows, count = std::min(tile_rows, shape.rows - row);
      float* panel = packed + task * panel_size;
      if (shape.transpose_a) {
        pack_columns(item + row, shape.lda, count, shape.depth, tile_rows, panel);
      } else {
        pack_stored_lines(item + row * shape.lda, shape.lda, count, shape.depth, tile_rows, panel);
      }
    }
  });
  return packed;
}

// The area that whole tiles cover.
int64_t covered(const KernelTable& kernels, int64_t rows, int64_t columns) {
  return round_up(rows, kernels.tile_rows) * round_up(columns, kernels.tile_columns);
}

GemmShape transposed(const GemmShape& shape) {
  GemmShape result = shape;
  std::swap(result.rows, result.columns);
  std::swap(result.lda, result.ldb);
  std::swap(result.stride_a, result.stride_b);
  result.transpose_a = !shape.transpose_b;
  result.transpose_b = !shape.transpose_a;
  return result;
}

}  // namespace

void gemm(const Linear& linear, const GemmShape& shape, const float* a, const float* b, float* c, bool accumulate) {
  if (shape.batch == 0 || shape.rows == 0 || shape.columns == 0) return;
  // A product with fewer columns than a tile is computed as its transpose where that wastes less; products commute, so
  // the bits are the same.
  const bool swapped =
      covered(linear.kernels, shape.columns, shape.rows) < covered(linear.kernels, shape.rows, shape.columns);
  const GemmShape effective = swapped ? transposed(shape) : shape;
  MatrixProduct product(effective, swapped ? a : b, c, swapped);
  product.items = shape.batch;
  product.rows = effective.rows;
  product.columns = effective.columns;
  product.depth = effective.depth;
  product.a = pack_a(linear, effective, swapped ? b : a, &product.a_stride);
  multiply(linear, product, accumulate);
}

}  // namespace bitwright

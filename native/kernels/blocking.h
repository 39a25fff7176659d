// The blocked matrix product that gemm and the convolutions share: C = A B with A packed into row panels beforehand and
// B packed, or read in place, one block at a time.
//
// An element of C is the sum, over blocks of kDepthBlock, of sums over k ascending. Every target and every split of the
// work has the same blocks.
#pragma once

#include <cstdint>

#include "kernels/linear.h"

namespace bitwright {

constexpr int64_t kDepthBlock = 256;

// No target has a tile with a longer side.
constexpr int64_t kWidestTile = 64;

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// A panel of `width` interleaved lines: panel[k * width + line] = lines[line][k], k in [0, depth); lines behind `count`
// are zero.
void pack_lines(const float* const* lines, int64_t count, int64_t depth, int64_t width, float* panel);

// A panel of `width` columns: panel[k * width + c] = rows[k * ld + c]; columns behind `count` are zero.
void pack_columns(const float* rows, int64_t ld, int64_t count, int64_t depth, int64_t width, float* panel);

// The B and C of `items` products. Columns may lie anywhere in C, in ascending order of their offsets.
class Product {
 public:
  virtual ~Product() = default;

  int64_t items = 1;
  int64_t rows = 0, columns = 0, depth = 0;
  const float* a = nullptr;  // row panels of every item: round_up(rows, tile_rows) * depth floats each
  int64_t a_stride = 0;      // from one item to the next

  // Packs B[k0:k1][c0:c1] as column panels of `tile_columns`, panel after panel, each (k1 - k0) * tile_columns floats.
  virtual void pack(int64_t item, int64_t k0, int64_t k1, int64_t c0, int64_t c1, int64_t tile_columns,
                    float* panels) const = 0;
  // Where B[k0:][c0 : c0 + tile_columns] can be read in place with a row stride of *ld, or nullptr.
  virtual const float* in_place(int64_t /*item*/, int64_t /*k0*/, int64_t /*c0*/, int64_t /*tile_columns*/,
                                int64_t* /*ld*/) const {
    return nullptr;
  }
  // C's element (row, column) is at c(item) + row_offset(row) + column's offset.
  virtual float* c(int64_t item) const = 0;
  virtual int64_t row_offset(int64_t row) const = 0;
  virtual void column_offsets(int64_t item, int64_t c0, int64_t c1, int64_t* offsets) const = 0;
};

void multiply(const Linear& linear, const Product& product, bool accumulate);

}  // namespace bitwright

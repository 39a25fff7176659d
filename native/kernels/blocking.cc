#include "kernels/blocking.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/scratch.h"
#include "kernels/stretches.h"

namespace bitwright {

namespace {

typedef float F32x4 __attribute__((vector_size(16)));

F32x4 load4(const float* p) {
  F32x4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

void store4(float* p, F32x4 v) { std::memcpy(p, &v, sizeof v); }

#if defined(__clang__)
#define BW_SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t I32x4 __attribute__((vector_size(16)));
#define BW_SHUFFLE4(a, b, i, j, k, l) __builtin_shuffle(a, b, I32x4{i, j, k, l})
#endif

// panel[k * width + line] for four lines and four k.
void transpose4(const float* const* lines, int64_t k, int64_t width, float* panel) {
  const F32x4 r0 = load4(lines[0] + k), r1 = load4(lines[1] + k), r2 = load4(lines[2] + k), r3 = load4(lines[3] + k);
  const F32x4 low01 = BW_SHUFFLE4(r0, r1, 0, 4, 1, 5), high01 = BW_SHUFFLE4(r0, r1, 2, 6, 3, 7);
  const F32x4 low23 = BW_SHUFFLE4(r2, r3, 0, 4, 1, 5), high23 = BW_SHUFFLE4(r2, r3, 2, 6, 3, 7);
  store4(panel, BW_SHUFFLE4(low01, low23, 0, 1, 4, 5));
  store4(panel + width, BW_SHUFFLE4(low01, low23, 2, 3, 6, 7));
  store4(panel + 2 * width, BW_SHUFFLE4(high01, high23, 0, 1, 4, 5));
  store4(panel + 3 * width, BW_SHUFFLE4(high01, high23, 2, 3, 6, 7));
}

// Floats in B's block of one task: wide enough to write C in long stretches, small enough for the second-level cache.
constexpr int64_t kBlockFloats = int64_t{1} << 17;
constexpr int64_t kMostColumns = 4096;

struct Tasks {
  int64_t chunk_columns, chunks;
  int64_t block_rows, blocks;
};

Tasks split(const Linear& linear, const Product& product) {
  const int64_t tile_rows = linear.kernels.tile_rows, tile_columns = linear.kernels.tile_columns;
  const int64_t column_tiles = round_up(product.columns, tile_columns) / tile_columns;
  const int64_t row_tiles = round_up(product.rows, tile_rows) / tile_rows;
  const int64_t work = product.items * product.rows * product.columns * product.depth;
  const int64_t wanted =
      linear.pool.threads() == 1 ? 1 : std::clamp<int64_t>(work / kTaskWork, 1, 4 * int64_t{linear.pool.threads()});
  const int64_t block_columns =
      std::min(kMostColumns, kBlockFloats / std::clamp<int64_t>(product.depth, 1, kDepthBlock));
  int64_t chunk = std::max<int64_t>(1, block_columns / tile_columns);
  const int64_t per_item = (wanted + product.items - 1) / product.items;
  chunk = std::min(chunk, std::max<int64_t>(1, column_tiles / per_item));
  Tasks tasks;
  tasks.chunk_columns = chunk * tile_columns;
  tasks.chunks = (column_tiles + chunk - 1) / chunk;
  // Few columns: rows are split too, and B's block is packed once for each part.
  const int64_t parts = std::clamp<int64_t>(per_item / tasks.chunks, 1, row_tiles);
  const int64_t tiles = (row_tiles + parts - 1) / parts;
  tasks.block_rows = tiles * tile_rows;
  tasks.blocks = (row_tiles + tiles - 1) / tiles;
  return tasks;
}

// Writes rows x columns of a finished tile to where they belong, in runs of columns at equal distances.
void scatter(const float* tile, int64_t tile_columns, float* c, const int64_t* row_offsets, int64_t rows,
             const int64_t* column_offsets, int64_t columns, bool accumulate) {
  for (int64_t begin = 0; begin < columns;) {
    const int64_t step = begin + 1 < columns ? column_offsets[begin + 1] - column_offsets[begin] : 1;
    int64_t end = begin + 1;
    while (end < columns && column_offsets[end] - column_offsets[end - 1] == step) ++end;
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = tile + r * tile_columns + begin;
      float* to = c + row_offsets[r] + column_offsets[begin];
      const int64_t count = end - begin;
      if (step == 1) {
        for (int64_t j = 0; j < count; ++j) to[j] = accumulate ? to[j] + from[j] : from[j];
      } else {
        for (int64_t j = 0; j < count; ++j) to[j * step] = accumulate ? to[j * step] + from[j] : from[j];
      }
    }
    begin = end;
  }
}

bool evenly_spaced(const int64_t* offsets, int64_t count) {
  for (int64_t i = 2; i < count; ++i) {
    if (offsets[i] - offsets[i - 1] != offsets[1] - offsets[0]) return false;
  }
  return true;
}

class Block {
 public:
  Block(const Linear& linear, const Product& product, const Tasks& tasks, int64_t task, bool accumulate)
      : kernels_(linear.kernels), product_(product), accumulate_(accumulate) {
    item_ = task / (tasks.chunks * tasks.blocks);
    const int64_t chunk = task / tasks.blocks % tasks.chunks, block = task % tasks.blocks;
    c0_ = chunk * tasks.chunk_columns;
    c1_ = std::min(c0_ + tasks.chunk_columns, product.columns);
    r0_ = block * tasks.block_rows;
    r1_ = std::min(r0_ + tasks.block_rows, product.rows);
  }

  void run() {
    column_offsets_.resize(c1_ - c0_);
    product_.column_offsets(item_, c0_, c1_, column_offsets_.data());
    row_offsets_.resize(r1_ - r0_);
    for (int64_t r = r0_; r < r1_; ++r) row_offsets_[r - r0_] = product_.row_offset(r);
    if (product_.depth == 0) clear();
    for (int64_t k0 = 0; k0 < product_.depth; k0 += kDepthBlock) {
      run_depth(k0, std::min(k0 + kDepthBlock, product_.depth));
    }
  }

 private:
  void clear() {
    if (accumulate_) return;
    float* c = product_.c(item_);
    for (int64_t row : row_offsets_) {
      for (int64_t column : column_offsets_) c[row + column] = 0;
    }
  }

  // Where B's tile of columns begins, and its row stride.
  struct Panel {
    const float* b;
    int64_t ld;
  };

  void run_depth(int64_t k0, int64_t k1) {
    find_panels(k0, k1);
    // A's panel stays in the first-level cache while B's are read from the second, and C is written along its rows.
    const int64_t tile_rows = kernels_.tile_rows, tile_columns = kernels_.tile_columns;
    for (int64_t r = r0_; r < r1_; r += tile_rows) {
      const int64_t rows = std::min(tile_rows, r1_ - r);
      const bool whole_rows = rows == tile_rows && evenly_spaced(row_offsets_.data() + (r - r0_), rows);
      for (int64_t c = c0_; c < c1_; c += tile_columns)
        run_tile(k0, k1, r, rows, whole_rows, c, panels_[(c - c0_) / tile_columns]);
    }
  }

  void find_panels(int64_t k0, int64_t k1) {
    static thread_local Scratch scratch;
    const int64_t tile_columns = kernels_.tile_columns, depth = k1 - k0;
    panels_.clear();
    const float* packed = nullptr;
    for (int64_t c = c0_; c < c1_; c += tile_columns) {
      Panel panel = {nullptr, tile_columns};
      if (c + tile_columns <= c1_) panel.b = product_.in_place(item_, k0, c, tile_columns, &panel.ld);
      if (panel.b == nullptr) {
        if (packed == nullptr) {
          float* panels = scratch.floats(round_up(c1_ - c, tile_columns) * depth);
          product_.pack(item_, k0, k1, c, c1_, tile_columns, panels);
          packed = panels - (c - c0_) * depth;
        }
        panel = {packed + (c - c0_) * depth, tile_columns};
      }
      panels_.push_back(panel);
    }
  }

  void run_tile(int64_t k0, int64_t k1, int64_t r, int64_t rows, bool whole_rows, int64_t c, Panel panel) {
    constexpr int64_t kLargestTile = 1024;
    alignas(64) float tile[kLargestTile];
    const int64_t tile_columns = kernels_.tile_columns, columns = std::min(tile_columns, c1_ - c);
    const int64_t* offsets = column_offsets_.data() + (c - c0_);
    const int64_t* row_offsets = row_offsets_.data() + (r - r0_);
    const bool whole = whole_rows && columns == tile_columns && offsets[columns - 1] - offsets[0] == columns - 1;
    const bool add = accumulate_ || k0 > 0;
    const float* a = product_.a + item_ * product_.a_stride + r * product_.depth + k0 * kernels_.tile_rows;
    float* out = product_.c(item_);
    if (whole) {
      kernels_.gemm_tile(columns, k1 - k0, a, panel.b, panel.ld, out + row_offsets[0] + offsets[0],
                         row_offsets[1] - row_offsets[0], add);
    } else {
      kernels_.gemm_tile(columns, k1 - k0, a, panel.b, panel.ld, tile, tile_columns, false);
      scatter(tile, tile_columns, out, row_offsets, rows, offsets, columns, add);
    }
  }

  const KernelTable& kernels_;
  const Product& product_;
  const bool accumulate_;
  int64_t item_, c0_, c1_, r0_, r1_;
  std::vector<int64_t> column_offsets_, row_offsets_;
  std::vector<Panel> panels_;
};

}  // namespace

void pack_lines(const float* const* lines, int64_t count, int64_t depth, int64_t width, float* panel) {
  int64_t line = 0;
  for (; line + 4 <= count; line += 4) {
    const float* const* four = lines + line;
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4) transpose4(four, k, width, panel + k * width + line);
    for (; k < depth; ++k) {
      for (int64_t i = 0; i < 4; ++i) panel[k * width + line + i] = four[i][k];
    }
  }
  for (; line < count; ++line) {
    for (int64_t k = 0; k < depth; ++k) panel[k * width + line] = lines[line][k];
  }
  for (; line < width; ++line) {
    for (int64_t k = 0; k < depth; ++k) panel[k * width + line] = 0;
  }
}

void pack_columns(const float* rows, int64_t ld, int64_t count, int64_t depth, int64_t width, float* panel) {
  for (int64_t k = 0; k < depth; ++k) {
    std::copy_n(rows + k * ld, count, panel + k * width);
    std::fill_n(panel + k * width + count, width - count, 0.0f);
  }
}

void multiply(const Linear& linear, const Product& product, bool accumulate) {
  if (product.items == 0 || product.rows == 0 || product.columns == 0) return;
  const Tasks tasks = split(linear, product);
  linear.pool.parallel_for(product.items * tasks.chunks * tasks.blocks,
                           [&](int64_t task) { Block(linear, product, tasks, task, accumulate).run(); });
}

}  // namespace bitwright

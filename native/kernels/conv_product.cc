// Convolutions as matrix products whose B is gathered while it is packed: rows are (weight set, channel), depth is (channel, tap), columns are the
// grid pixels of all samples.
#include <algorithm>
#include <vector>

#include "kernels/blocking.h"
#include "kernels/gather.h"
#include "kernels/scratch.h"

namespace bitwright {

namespace {

// Adjacent grid pixels of one row: `count` from pixel (y, x) of `sample`, which is column `column` of the product.
struct Run {
  int64_t sample, y, x, column, count;
};

// The runs of columns [c0, c1), none of which crosses a multiple of `tile` counted from c0.
std::vector<Run> runs_of(const Gather& gather, int64_t c0, int64_t c1, int64_t tile) {
  std::vector<Run> runs;
  for (int64_t c = c0; c < c1;) {
    const int64_t pixel = c % gather.grid_size(), x = pixel % gather.grid_width;
    const int64_t count = std::min({gather.grid_width - x, c1 - c, tile - (c - c0) % tile});
    runs.push_back({c / gather.grid_size(), pixel / gather.grid_width, x, c, count});
    c += count;
  }
  return runs;
}

class PatchProduct : public Product {
 public:
  PatchProduct(const Gather& gather, const float* source, float* out)
      : gather_(gather), stage_(gather, Stage::Reading::kAnywhere), source_(source), out_(out) {
    items = gather.groups;
    rows = gather.weight_sets * gather.rows;
    columns = gather.samples * gather.grid_size();
    depth = gather.depth();
  }

  void pack(int64_t item, int64_t k0, int64_t k1, int64_t c0, int64_t c1, int64_t tile_columns, float* panels) const override {
    const std::vector<Run> runs = runs_of(gather_, c0, c1, tile_columns);
    const int64_t panel_size = (k1 - k0) * tile_columns;
    for (size_t begin = 0; begin < runs.size();) {
      size_t end = begin + 1;
      while (end < runs.size() && runs[end].sample == runs[begin].sample) ++end;
      pack_sample(item, k0, k1, &runs[begin], &runs[end - 1] + 1, c0, tile_columns, panels);
      begin = end;
    }
    const int64_t used = (c1 - c0) % tile_columns;
    if (used == 0) return;
    float* last = panels + (c1 - c0) / tile_columns * panel_size;
    for (int64_t k = 0; k < k1 - k0; ++k) std::fill(last + k * tile_columns + used, last + (k + 1) * tile_columns, 0.0f);
  }

  const float* in_place(int64_t item, int64_t k0, int64_t c0, int64_t tile_columns, int64_t* ld) const override {
    const bool adjacent = stage_.in_place() && gather_.taps.size() == 1 && gather_.grid_size() == gather_.source_size();
    const int64_t pixel = c0 % gather_.grid_size();
    if (!adjacent || pixel + tile_columns > gather_.grid_size()) return nullptr;
    *ld = gather_.source_size();
    return plane(c0 / gather_.grid_size(), item, k0) + pixel;
  }

  float* c(int64_t item) const override { return out_ + item * gather_.rows * gather_.out_size(); }

  int64_t row_offset(int64_t row) const override {
    const int64_t set = row / gather_.rows, channel = row % gather_.rows;
    return (set * gather_.samples * gather_.groups * gather_.rows + channel) * gather_.out_size();
  }

  void column_offsets(int64_t, int64_t c0, int64_t c1, int64_t* offsets) const override {
    for (const Run& run : runs_of(gather_, c0, c1, c1 - c0)) {
      const int64_t y = run.y * gather_.out_step_y + gather_.out_origin_y;
      const int64_t x = run.x * gather_.out_step_x + gather_.out_origin_x;
      const int64_t first = run.sample * gather_.groups * gather_.rows * gather_.out_size() + y * gather_.out_width + x;
      for (int64_t i = 0; i < run.count; ++i) *offsets++ = first + i * gather_.out_step_x;
    }
  }

 private:
  const float* plane(int64_t sample, int64_t group, int64_t channel) const {
    return source_ + ((sample * gather_.groups + group) * gather_.channels + channel) * gather_.source_size();
  }

  // Runs [begin, end) lie in one sample, whose rows are staged channel by channel.
  void pack_sample(int64_t group, int64_t k0, int64_t k1, const Run* begin, const Run* end, int64_t c0, int64_t tile_columns,
                   float* panels) const {
    static thread_local Scratch scratch;
    const int64_t taps = static_cast<int64_t>(gather_.taps.size());
    const int64_t first = begin->y, grid_rows = end[-1].y - first + 1;
    std::vector<int64_t> offsets(taps);
    stage_.offsets(grid_rows, offsets.data());
    for (int64_t k = k0; k < k1;) {
      const int64_t channel = k / taps, channel_end = std::min(k1, (channel + 1) * taps);
      const float* band = stage_.begin(plane(begin->sample, group, channel), first);
      if (!stage_.in_place()) {
        float* copy = scratch.floats(stage_.size(grid_rows));
        stage_.copy(plane(begin->sample, group, channel), first, grid_rows, copy);
        band = copy;
      }
      for (const Run* run = begin; run != end; ++run) {
        const float* from = band + (run->y - first) * stage_.row_stride() + run->x;
        const int64_t column = run->column - c0, lane = column % tile_columns;
        float* to = panels + (column - lane) * (k1 - k0) + lane;
        for (int64_t j = k; j < channel_end; ++j) {
          std::copy_n(from + offsets[j - channel * taps], run->count, to + (j - k0) * tile_columns);
        }
      }
      k = channel_end;
    }
  }

  const Gather& gather_;
  const Stage stage_;
  const float* source_;
  float* out_;
};

// The weights of every group in row panels.
const float* pack_weights(const Linear& linear, const Gather& gather, const float* w, int64_t* group_stride) {
  static thread_local Scratch scratch;
  const int64_t tile_rows = linear.kernels.tile_rows, rows = gather.weight_sets * gather.rows, depth = gather.depth();
  const int64_t taps = static_cast<int64_t>(gather.taps.size());
  const int64_t panels = round_up(rows, tile_rows) / tile_rows;
  *group_stride = panels * tile_rows * depth;
  float* packed = scratch.floats(gather.groups * *group_stride);
  linear.pool.parallel_for(gather.groups * panels, [&](int64_t task) {
    const int64_t group = task / panels, first = task % panels * tile_rows;
    float* panel = packed + task * tile_rows * depth;
    for (int64_t r = 0; r < tile_rows; ++r) {
      const int64_t row = first + r;
      if (row >= rows) {
        for (int64_t k = 0; k < depth; ++k) panel[k * tile_rows + r] = 0;
        continue;
      }
      const float* kernels = w + row / gather.rows * gather.weight_set_stride + group * gather.weight_group_stride +
                             row % gather.rows * gather.weight_row_stride;
      float* to = panel + r;
      for (int64_t channel = 0; channel < gather.channels; ++channel, kernels += gather.weight_channel_stride) {
        for (int64_t t = 0; t < taps; ++t, to += tile_rows) *to = kernels[gather.taps[t].weight];
      }
    }
  });
  return packed;
}

// One block of dw = sum over samples of dy patches^T: rows [r0, r1) of a group and columns (channel, tap) [c0, c1).
class WeightBlock {
 public:
  WeightBlock(const KernelTable& kernels, const Gather& gather, const float* x, const float* dy, int64_t group)
      : kernels_(kernels), gather_(gather), stage_(gather, Stage::Reading::kAnywhere), x_(x), dy_(dy), group_(group) {}

  void run(int64_t r0, int64_t r1, int64_t c0, int64_t c1, double* dw) {
    const int64_t tile_rows = kernels_.tile_rows, tile_columns = kernels_.tile_columns, tile_size = tile_rows * tile_columns;
    const int64_t rows = round_up(r1 - r0, tile_rows), columns = round_up(c1 - c0, tile_columns);
    static thread_local Scratch a_scratch, b_scratch, c_scratch;
    float* a = a_scratch.floats(rows * kDepthBlock);
    float* b = b_scratch.floats(columns * kDepthBlock);
    float* tiles = c_scratch.floats(rows * columns);
    for (int64_t n = 0; n < gather_.samples; ++n) {
      for (int64_t k0 = 0; k0 < gather_.grid_size(); k0 += kDepthBlock) {
        const int64_t k1 = std::min(k0 + kDepthBlock, gather_.grid_size());
        pack_dy(n, k0, k1, r0, r1, a);
        pack_patches(n, k0, k1, c0, c1, b);
        for (int64_t c = 0; c < columns; c += tile_columns) {
          for (int64_t r = 0; r < rows; r += tile_rows) {
            float* tile = tiles + (c / tile_columns * (rows / tile_rows) + r / tile_rows) * tile_size;
            kernels_.gemm_tile(k1 - k0, a + r * (k1 - k0), b + c * (k1 - k0), tile_columns, tile, tile_columns, k0 > 0);
          }
        }
      }
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) {
          const int64_t column = c - c0, row = r - r0;
          const float* tile = tiles + (column / tile_columns * (rows / tile_rows) + row / tile_rows) * tile_size;
          dw[r * gather_.depth() + c] += tile[row % tile_rows * tile_columns + column % tile_columns];
        }
      }
    }
  }

 private:
  void pack_dy(int64_t n, int64_t k0, int64_t k1, int64_t r0, int64_t r1, float* panels) const {
    const int64_t tile_rows = kernels_.tile_rows;
    const float* lines[kWidestTile];
    for (int64_t r = r0; r < r1; r += tile_rows, panels += (k1 - k0) * tile_rows) {
      const int64_t count = std::min(tile_rows, r1 - r);
      for (int64_t i = 0; i < count; ++i) {
        lines[i] = dy_ + ((n * gather_.groups + group_) * gather_.rows + r + i) * gather_.grid_size() + k0;
      }
      pack_lines(lines, count, k1 - k0, tile_rows, panels);
    }
  }

  void pack_patches(int64_t n, int64_t k0, int64_t k1, int64_t c0, int64_t c1, float* panels) const {
    static thread_local Scratch scratch;
    const int64_t tile_columns = kernels_.tile_columns, taps = static_cast<int64_t>(gather_.taps.size());
    const std::vector<Run> runs = runs_of(gather_, k0, k1, k1 - k0);
    const int64_t first = runs.front().y, grid_rows = runs.back().y - first + 1;
    std::vector<int64_t> offsets(taps);
    stage_.offsets(grid_rows, offsets.data());
    const float* columns[kWidestTile];
    const float* lines[kWidestTile];
    for (int64_t c = c0; c < c1; c += tile_columns, panels += (k1 - k0) * tile_columns) {
      const int64_t count = std::min(tile_columns, c1 - c);
      const int64_t first_channel = c / taps, channels = (c + count - 1) / taps - first_channel + 1;
      const int64_t size = stage_.size(grid_rows);
      float* bands = stage_.in_place() ? nullptr : scratch.floats(channels * size);
      for (int64_t channel = 0; channel < channels; ++channel) {
        const float* plane = x_ + ((n * gather_.groups + group_) * gather_.channels + first_channel + channel) * gather_.source_size();
        const float* band = stage_.begin(plane, first);
        if (!stage_.in_place()) {
          stage_.copy(plane, first, grid_rows, bands + channel * size);
          band = bands + channel * size;
        }
        const int64_t channel_c = (first_channel + channel) * taps;
        for (int64_t j = std::max(c, channel_c); j < std::min(c + count, channel_c + taps); ++j) {
          columns[j - c] = band + offsets[j - channel_c];
        }
      }
      for (const Run& run : runs) {
        for (int64_t j = 0; j < count; ++j) lines[j] = columns[j] + (run.y - first) * stage_.row_stride() + run.x;
        pack_lines(lines, count, run.count, tile_columns, panels + (run.column - k0) * tile_columns);
      }
    }
  }

  const KernelTable& kernels_;
  const Gather& gather_;
  const Stage stage_;
  const float* x_;
  const float* dy_;
  const int64_t group_;
};

// The width of a block so that `total` splits into at least `parts` blocks of whole tiles, none wider than `most`.
int64_t block_size(int64_t total, int64_t tile, int64_t parts, int64_t most) {
  const int64_t tiles = round_up(total, tile) / tile;
  return tile * std::clamp<int64_t>(tiles / std::max<int64_t>(parts, 1), 1, std::max<int64_t>(most / tile, 1));
}

}  // namespace

void run_product(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out, bool accumulate) {
  PatchProduct product(gather, source, out);
  product.a = pack_weights(linear, gather, w, &product.a_stride);
  multiply(linear, product, accumulate);
}

void weight_adjoint_product(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw) {
  if (gather.samples == 0 || gather.grid_size() == 0) return;
  constexpr int64_t kMostRows = 256, kMostColumns = 256;
  const int64_t wanted = linear.pool.threads() == 1 ? 1 : (3 * linear.pool.threads() + gather.groups - 1) / gather.groups;
  // The longer side is split, since every part packs the other one again.
  const bool by_columns = gather.depth() >= gather.rows;
  const int64_t block_rows = block_size(gather.rows, linear.kernels.tile_rows, by_columns ? 1 : wanted, kMostRows);
  const int64_t block_columns = block_size(gather.depth(), linear.kernels.tile_columns, by_columns ? wanted : 1, kMostColumns);
  const int64_t row_blocks = (gather.rows + block_rows - 1) / block_rows;
  const int64_t column_blocks = (gather.depth() + block_columns - 1) / block_columns;
  linear.pool.parallel_for(gather.groups * row_blocks * column_blocks, [&](int64_t task) {
    const int64_t group = task / (row_blocks * column_blocks);
    const int64_t r0 = task / column_blocks % row_blocks * block_rows, c0 = task % column_blocks * block_columns;
    WeightBlock(linear.kernels, gather, x, dy, group)
        .run(r0, std::min(r0 + block_rows, gather.rows), c0, std::min(c0 + block_columns, gather.depth()),
             dw + group * gather.weight_group_stride);
  });
}

}  // namespace bitwright

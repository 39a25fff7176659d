// Convolutions as matrix products whose B is gathered while it is packed: rows are (weight set, channel), depth is
// (channel, tap), columns are the grid pixels of all samples.
#include <algorithm>
#include <vector>

#include "kernels/blocking.h"
#include "kernels/gather.h"
#include "kernels/scratch.h"
#include "kernels/stretches.h"

namespace bitwright {

namespace {

// Adjacent grid pixels: `count` from pixel (y, x) of `sample`, which is column `column` of the product.
struct Run {
  int64_t sample, y, x, column, count;
};

// The runs of columns [c0, c1), none of which crosses the end of a line (a row, or the whole grid) or a multiple of
// `tile` counted from c0.
std::vector<Run> runs_of(const Phase& phase, int64_t line, int64_t c0, int64_t c1, int64_t tile) {
  std::vector<Run> runs;
  for (int64_t c = c0; c < c1;) {
    const int64_t pixel = c % phase.grid_size();
    const int64_t count = std::min({line - pixel % line, c1 - c, tile - (c - c0) % tile});
    runs.push_back({c / phase.grid_size(), pixel / phase.grid_width, pixel % phase.grid_width, c, count});
    c += count;
  }
  return runs;
}

// Patches of source planes: element (channel, tap) of a pixel.
class Patches {
 public:
  Patches(const KernelTable& kernels, const Gather& gather, const Phase& phase, const float* source)
      : kernels_(kernels), gather_(gather), phase_(phase), stage_(kernels, gather, phase), source_(source) {}

  int64_t taps() const { return static_cast<int64_t>(phase_.taps.size()); }

  // Pixels that lie one behind the other in every source row that is read for them.
  int64_t line() const {
    return stage_.in_place() && stage_.row_stride() == phase_.grid_width ? phase_.grid_size() : phase_.grid_width;
  }

  const float* plane(int64_t sample, int64_t group, int64_t channel) const {
    return source_ + ((sample * gather_.groups + group) * gather_.channels + channel) * gather_.source_size();
  }

  // Where the patch element k of column c can be read for `count` columns, with those of k + 1, ... a plane behind; or
  // nullptr.
  const float* in_place(int64_t group, int64_t k, int64_t c, int64_t count) const {
    const int64_t pixel = c % phase_.grid_size();
    if (taps() != 1 || line() != phase_.grid_size() || pixel + count > phase_.grid_size()) return nullptr;
    return stage_.begin(plane(c / phase_.grid_size(), group, k), 0) + pixel;
  }

  // Rows k of panels: adjacent columns stay adjacent.
  void pack(int64_t group, int64_t k0, int64_t k1, int64_t c0, int64_t c1, int64_t tile_columns, float* panels) const {
    const std::vector<Run> runs = runs_of(phase_, line(), c0, c1, tile_columns);
    for (size_t begin = 0; begin < runs.size();) {
      size_t end = begin + 1;
      while (end < runs.size() && runs[end].sample == runs[begin].sample) ++end;
      pack_sample(group, k0, k1, &runs[begin], &runs[end - 1] + 1, c0, tile_columns, panels);
      begin = end;
    }
    const int64_t used = (c1 - c0) % tile_columns;
    if (used == 0) return;
    float* last = panels + (c1 - c0) / tile_columns * (k1 - k0) * tile_columns;
    for (int64_t k = 0; k < k1 - k0; ++k)
      std::fill(last + k * tile_columns + used, last + (k + 1) * tile_columns, 0.0f);
  }

  // The transpose of one sample's patches: rows are pixels [p0, p1), columns are (channel, tap) [c0, c1).
  void pack_transposed(int64_t sample, int64_t group, int64_t p0, int64_t p1, int64_t c0, int64_t c1,
                       int64_t tile_columns, float* panels) const {
    static thread_local Scratch scratch;
    const std::vector<Run> runs = runs_of(phase_, line(), p0, p1, p1 - p0);
    const int64_t first = runs.front().y, grid_rows = (p1 - 1) / phase_.grid_width - first + 1;
    std::vector<int64_t> offsets(taps());
    stage_.offsets(grid_rows, offsets.data());
    const float* columns[kWidestTile];
    const float* lines[kWidestTile];
    for (int64_t c = c0; c < c1; c += tile_columns, panels += (p1 - p0) * tile_columns) {
      const int64_t count = std::min(tile_columns, c1 - c);
      const int64_t first_channel = c / taps(), channels = (c + count - 1) / taps() - first_channel + 1;
      const int64_t size = stage_.in_place() ? 0 : stage_.size(grid_rows);
      float* bands = scratch.floats(channels * size);
      for (int64_t channel = 0; channel < channels; ++channel) {
        const float* band =
            read(plane(sample, group, first_channel + channel), first, grid_rows, bands + channel * size);
        const int64_t begin = (first_channel + channel) * taps();
        for (int64_t j = std::max(c, begin); j < std::min(c + count, begin + taps()); ++j)
          columns[j - c] = band + offsets[j - begin];
      }
      for (const Run& run : runs) {
        for (int64_t j = 0; j < count; ++j) lines[j] = columns[j] + (run.y - first) * stage_.row_stride() + run.x;
        pack_lines(lines, count, run.count, tile_columns, panels + (run.column - p0) * tile_columns);
      }
    }
  }

 private:
  // The band of a plane from grid row `first` on, staged in `copy` unless it can be read in place.
  const float* read(const float* plane, int64_t first, int64_t grid_rows, float* copy) const {
    if (stage_.in_place()) return stage_.begin(plane, first);
    stage_.copy(plane, first, grid_rows, copy);
    return copy;
  }

  // Runs [begin, end) lie in one sample.
  void pack_sample(int64_t group, int64_t k0, int64_t k1, const Run* begin, const Run* end, int64_t c0,
                   int64_t tile_columns, float* panels) const {
    static thread_local Scratch scratch;
    const int64_t first = begin->y, last = end[-1].column + end[-1].count - 1;
    const int64_t grid_rows = last % phase_.grid_size() / phase_.grid_width - first + 1;
    std::vector<int64_t> tap_offsets(taps());
    stage_.offsets(grid_rows, tap_offsets.data());
    float* copy = stage_.in_place() ? nullptr : scratch.floats(stage_.size(grid_rows));
    // Planes that are read in place take one call for all of them.
    const int64_t channels_at_once = stage_.in_place() ? gather_.channels : 1;
    std::vector<int64_t> offsets(std::min(k1 - k0, channels_at_once * taps()));
    for (int64_t k = k0; k < k1;) {
      const int64_t channel = k / taps(), k_end = std::min(k1, (channel + channels_at_once) * taps());
      for (int64_t j = k; j < k_end; ++j)
        offsets[j - k] = (j / taps() - channel) * gather_.source_size() + tap_offsets[j % taps()];
      const float* band = read(plane(begin->sample, group, channel), first, grid_rows, copy);
      for (const Run* run = begin; run != end; ++run) {
        const int64_t column = run->column - c0, lane = column % tile_columns;
        kernels_.copy_shifted(band + (run->y - first) * stage_.row_stride() + run->x, offsets.data(), k_end - k,
                              run->count, panels + (column - lane) * (k1 - k0) + (k - k0) * tile_columns + lane,
                              tile_columns);
      }
      k = k_end;
    }
  }

  const KernelTable& kernels_;
  const Gather& gather_;
  const Phase& phase_;
  const Stage stage_;
  const float* source_;
};

class PatchProduct : public Product {
 public:
  PatchProduct(const KernelTable& kernels, const Gather& gather, const Phase& phase, const float* source, float* out)
      : gather_(gather), phase_(phase), patches_(kernels, gather, phase, source), out_(out) {
    items = gather.groups;
    rows = gather.weight_sets * gather.rows;
    columns = gather.samples * phase.grid_size();
    depth = gather.depth(phase);
  }

  void pack(int64_t item, int64_t k0, int64_t k1, int64_t c0, int64_t c1, int64_t tile_columns,
            float* panels) const override {
    patches_.pack(item, k0, k1, c0, c1, tile_columns, panels);
  }

  const float* in_place(int64_t item, int64_t k0, int64_t c0, int64_t tile_columns, int64_t* ld) const override {
    *ld = gather_.source_size();
    return patches_.in_place(item, k0, c0, tile_columns);
  }

  float* c(int64_t item) const override { return out_ + item * gather_.rows * gather_.out_size(); }

  int64_t row_offset(int64_t row) const override {
    const int64_t set = row / gather_.rows, channel = row % gather_.rows;
    return (set * gather_.samples * gather_.groups * gather_.rows + channel) * gather_.out_size();
  }

  void column_offsets(int64_t, int64_t c0, int64_t c1, int64_t* offsets) const override {
    for (const Run& run : runs_of(phase_, phase_.grid_width, c0, c1, c1 - c0)) {
      const int64_t y = run.y * gather_.out_step_y + phase_.origin_y, x = run.x * gather_.out_step_x + phase_.origin_x;
      const int64_t first = run.sample * gather_.groups * gather_.rows * gather_.out_size() + y * gather_.out_width + x;
      for (int64_t i = 0; i < run.count; ++i) *offsets++ = first + i * gather_.out_step_x;
    }
  }

 private:
  const Gather& gather_;
  const Phase& phase_;
  const Patches patches_;
  float* out_;
};

// Rows [first, first + count) of a group's weights as a row panel.
void pack_weight_rows(const Gather& gather, const Phase& phase, const float* w, int64_t group, int64_t first,
                      int64_t count, int64_t tile_rows, float* panel) {
  const int64_t taps = static_cast<int64_t>(phase.taps.size());
  const float* kernels[kWidestTile];
  for (int64_t r = 0; r < count; ++r) {
    kernels[r] = w + (first + r) / gather.rows * gather.weight_set_stride + group * gather.weight_group_stride +
                 (first + r) % gather.rows * gather.weight_row_stride;
  }
  if (taps == gather.kernel_size && gather.weight_channel_stride == taps) {
    pack_lines(kernels, count, gather.channels * taps, tile_rows, panel);
    return;
  }
  for (int64_t channel = 0; channel < gather.channels; ++channel, panel += taps * tile_rows) {
    if (taps == gather.kernel_size && taps > 1) {
      pack_lines(kernels, count, taps, tile_rows, panel);
    } else {
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t weight = phase.taps[t].weight;
        for (int64_t r = 0; r < count; ++r) panel[t * tile_rows + r] = kernels[r][weight];
        for (int64_t r = count; r < tile_rows; ++r) panel[t * tile_rows + r] = 0;
      }
    }
    for (int64_t r = 0; r < count; ++r) kernels[r] += gather.weight_channel_stride;
  }
}

// The weights of every group in row panels.
const float* pack_weights(const Linear& linear, const Gather& gather, const Phase& phase, const float* w,
                          int64_t* group_stride) {
  static thread_local Scratch scratch;
  const int64_t tile_rows = linear.kernels.tile_rows, rows = gather.weight_sets * gather.rows,
                panel_size = tile_rows * gather.depth(phase);
  const int64_t panels = round_up(rows, tile_rows) / tile_rows;
  *group_stride = panels * panel_size;
  float* packed = scratch.floats(gather.groups * *group_stride);
  parallel_stretches(linear.pool, gather.groups * panels, panel_size * kCopyWork, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % panels * tile_rows;
      pack_weight_rows(gather, phase, w, task / panels, first, std::min(tile_rows, rows - first), tile_rows,
                       packed + task * panel_size);
    }
  });
  return packed;
}

// One block of dw = sum over samples of dy patches^T: rows [r0, r1) of a group and columns (channel, tap) [c0, c1).
class WeightBlock {
 public:
  WeightBlock(const KernelTable& kernels, const Gather& gather, const float* x, const float* dy, int64_t group)
      : kernels_(kernels),
        gather_(gather),
        phase_(gather.phases[0]),
        patches_(kernels, gather, phase_, x),
        dy_(dy),
        group_(group) {}

  void run(int64_t r0, int64_t r1, int64_t c0, int64_t c1, double* dw) {
    const int64_t tile_rows = kernels_.tile_rows, tile_columns = kernels_.tile_columns;
    const int64_t rows = round_up(r1 - r0, tile_rows), columns = round_up(c1 - c0, tile_columns);
    static thread_local Scratch a_scratch, b_scratch, c_scratch;
    float* a = a_scratch.floats(rows * kDepthBlock);
    float* b = b_scratch.floats(columns * kDepthBlock);
    float* c = c_scratch.floats(rows * columns);
    for (int64_t n = 0; n < gather_.samples; ++n) {
      for (int64_t k0 = 0; k0 < phase_.grid_size(); k0 += kDepthBlock) {
        const int64_t k1 = std::min(k0 + kDepthBlock, phase_.grid_size()), depth = k1 - k0;
        pack_dy(n, k0, k1, r0, r1, a);
        patches_.pack_transposed(n, group_, k0, k1, c0, c1, tile_columns, b);
        for (int64_t column = 0; column < columns; column += tile_columns) {
          for (int64_t row = 0; row < rows; row += tile_rows) {
            kernels_.gemm_tile(std::min(tile_columns, c1 - c0 - column), depth, a + row * depth, b + column * depth,
                               tile_columns, c + row * columns + column, columns, k0 > 0);
          }
        }
      }
      for (int64_t row = r0; row < r1; ++row) {
        double* dw_row = dw + row * gather_.depth(phase_);
        const float* c_row = c + (row - r0) * columns - c0;
        for (int64_t column = c0; column < c1; ++column) dw_row[column] += c_row[column];
      }
    }
  }

 private:
  void pack_dy(int64_t n, int64_t k0, int64_t k1, int64_t r0, int64_t r1, float* panels) const {
    const int64_t tile_rows = kernels_.tile_rows;
    const float* lines[kWidestTile];
    for (int64_t row = r0; row < r1; row += tile_rows, panels += (k1 - k0) * tile_rows) {
      const int64_t count = std::min(tile_rows, r1 - row);
      for (int64_t i = 0; i < count; ++i) {
        lines[i] = dy_ + ((n * gather_.groups + group_) * gather_.rows + row + i) * phase_.grid_size() + k0;
      }
      pack_lines(lines, count, k1 - k0, tile_rows, panels);
    }
  }

  const KernelTable& kernels_;
  const Gather& gather_;
  const Phase& phase_;
  const Patches patches_;
  const float* dy_;
  const int64_t group_;
};

// The width of a block so that `total` splits into at least `parts` blocks of whole tiles, none wider than `most`.
int64_t block_size(int64_t total, int64_t tile, int64_t parts, int64_t most) {
  const int64_t tiles = round_up(total, tile) / tile;
  return tile * std::clamp<int64_t>(tiles / std::max<int64_t>(parts, 1), 1, std::max<int64_t>(most / tile, 1));
}

}  // namespace

void run_product(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out,
                 bool accumulate) {
  for (const Phase& phase : gather.phases) {
    PatchProduct product(linear.kernels, gather, phase, source, out);
    product.a = pack_weights(linear, gather, phase, w, &product.a_stride);
    multiply(linear, product, accumulate);
  }
}

void weight_adjoint_product(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw) {
  const Phase& phase = gather.phases[0];
  if (gather.samples == 0 || phase.grid_size() == 0) return;
  constexpr int64_t kMostRows = 256, kMostColumns = 256;
  const int64_t depth = gather.depth(phase);
  const int64_t work = gather.samples * phase.grid_size() * gather.rows * depth;
  const int64_t most = linear.pool.threads() == 1 ? 1 : (3 * linear.pool.threads() + gather.groups - 1) / gather.groups;
  const int64_t wanted = std::clamp<int64_t>(work / kTaskWork, 1, most);
  // The longer side is split, since every part packs the other one again.
  const bool by_columns = depth >= gather.rows;
  const int64_t block_rows = block_size(gather.rows, linear.kernels.tile_rows, by_columns ? 1 : wanted, kMostRows);
  const int64_t block_columns = block_size(depth, linear.kernels.tile_columns, by_columns ? wanted : 1, kMostColumns);
  const int64_t row_blocks = (gather.rows + block_rows - 1) / block_rows,
                column_blocks = (depth + block_columns - 1) / block_columns;
  linear.pool.parallel_for(gather.groups * row_blocks * column_blocks, [&](int64_t task) {
    const int64_t group = task / (row_blocks * column_blocks);
    const int64_t r0 = task / column_blocks % row_blocks * block_rows, c0 = task % column_blocks * block_columns;
    WeightBlock(linear.kernels, gather, x, dy, group)
        .run(r0, std::min(r0 + block_rows, gather.rows), c0, std::min(c0 + block_columns, depth),
             dw + group * gather.weight_group_stride);
  });
}

}  // namespace bitwright

// Convolutions as gathers: an output pixel g of a grid is a sum over taps of source pixels g * step + tap. A forward
// convolution is one gather over x; its transpose in x with stride s is s * s of them over dy, one for each phase of
// the output, so that no product with an inserted zero is ever computed.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/linear.h"

namespace bitwright {

struct Tap {
  int64_t y, x;    // distance from g * step
  int64_t weight;  // index in the kernel, row-major
};

// The output pixels g * out_step + origin.
struct Phase {
  int64_t origin_y, origin_x;
  int64_t grid_height, grid_width;
  std::vector<Tap> taps;

  int64_t grid_size() const { return grid_height * grid_width; }
};

struct Gather {
  int64_t samples, groups, weight_sets;
  // Of one group: channels read and channels written.
  int64_t channels, rows;
  int64_t source_height, source_width;
  int64_t step_y, step_x;
  int64_t out_height, out_width;
  int64_t out_step_y, out_step_x;
  std::vector<Phase> phases;  // by origin, row-major
  // Where weights lie: set, group, row, channel, kernel tap (taps are adjacent).
  int64_t kernel_size;
  int64_t weight_set_stride, weight_group_stride, weight_row_stride, weight_channel_stride;

  int64_t depth(const Phase& phase) const { return channels * static_cast<int64_t>(phase.taps.size()); }
  int64_t source_size() const { return source_height * source_width; }
  int64_t out_size() const { return out_height * out_width; }
};

Gather forward_gather(const ConvShape& shape);
Gather input_adjoint_gather(const ConvShape& shape);

// Copies bands of a source plane with their zero padding, split into step_y x step_x parts, so that every tap of every
// pixel is a plain shift: grid pixel (y, x) of tap t is at base + (y - first row) * row_stride + x + offset of t.
class Stage {
 public:
  Stage(const KernelTable& kernels, const Gather& gather, const Phase& phase);

  // No tap leaves the source and the pixels of a row are adjacent, so that planes can be read where they are.
  bool in_place() const { return in_place_; }
  int64_t row_stride() const { return row_stride_; }
  // Floats that a staged band of grid rows needs; vectors may run over its end by kLanes, which is included.
  int64_t size(int64_t grid_rows) const;
  // Offsets of the taps in a band of `grid_rows` rows (staged, or of the source plane when in_place).
  void offsets(int64_t grid_rows, int64_t* result) const;
  // Stages grid rows [first, first + grid_rows).
  void copy(const float* plane, int64_t first, int64_t grid_rows, float* band) const;
  // Where grid row `first` begins in a source plane that is read in place.
  const float* begin(const float* plane, int64_t first) const {
    return plane + (first + min_y_) * gather_.source_width + min_x_;
  }

 private:
  int64_t part_of(const Tap& tap) const;

  const KernelTable& kernels_;
  const Gather& gather_;
  const Phase& phase_;
  int64_t min_y_ = 0, min_x_ = 0;      // smallest tap
  int64_t extra_y_ = 0, extra_x_ = 0;  // rows and columns that taps reach beyond the grid, in steps
  int64_t row_stride_;
  bool in_place_;
  // A part that taps read: source pixels origin + i * step, of which columns [begin_x, end_x) of the band lie inside
  // the source.
  struct Part {
    int64_t number;  // y * step_x + x of the part; they ascend
    int64_t origin_y, origin_x;
    int64_t begin_x, end_x;
  };
  std::vector<Part> parts_;
};

// The weights of one group as rows (set, row) of depth (channel, tap), contiguous.
void collect_weights(const Gather& gather, const Phase& phase, int64_t group, const float* w, float* rows);

// Gathers with few channels in a group (depthwise above all), plane by plane.
bool suits_planes(const Gather& gather);
void run_planes(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out,
                bool accumulate);
void weight_adjoint_planes(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw);

// All others, as matrix products.
void run_product(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out,
                 bool accumulate);
void weight_adjoint_product(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw);

}  // namespace bitwright

// GFLOP/s of matrix products and convolutions at the layers of a few networks, beside what the target's register tile
// reaches on data in the first-level cache. Usage: kernels [--net NAME] [--batch N] [--threads N] [--target NAME]
// [--flavour NAME] [--seconds S]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/linear.h"

namespace {

using namespace bitwright;

struct Layer {
  int channels, rows, extent, kernel, stride, groups,
      count;  // extent: of the input; count: how often the network has it
};

struct Net {
  const char* name;
  std::vector<Layer> layers;
};

const std::vector<Net>& nets() {
  static const std::vector<Net> all = {
      {"mobilenetv2", {{3, 32, 224, 3, 2, 1, 1},     {32, 32, 112, 3, 1, 32, 1},   {32, 16, 112, 1, 1, 1, 1},
                       {16, 96, 112, 1, 1, 1, 1},    {96, 96, 112, 3, 2, 96, 1},   {96, 24, 56, 1, 1, 1, 1},
                       {24, 144, 56, 1, 1, 1, 2},    {144, 144, 56, 3, 1, 144, 1}, {144, 24, 56, 1, 1, 1, 1},
                       {144, 144, 56, 3, 2, 144, 1}, {144, 32, 28, 1, 1, 1, 1},    {32, 192, 28, 1, 1, 1, 3},
                       {192, 192, 28, 3, 1, 192, 2}, {192, 32, 28, 1, 1, 1, 2},    {192, 192, 28, 3, 2, 192, 1},
                       {192, 64, 14, 1, 1, 1, 1},    {64, 384, 14, 1, 1, 1, 4},    {384, 384, 14, 3, 1, 384, 4},
                       {384, 64, 14, 1, 1, 1, 3},    {384, 96, 14, 1, 1, 1, 1},    {96, 576, 14, 1, 1, 1, 3},
                       {576, 576, 14, 3, 1, 576, 2}, {576, 96, 14, 1, 1, 1, 2},    {576, 576, 14, 3, 2, 576, 1},
                       {576, 160, 7, 1, 1, 1, 1},    {160, 960, 7, 1, 1, 1, 3},    {960, 960, 7, 3, 1, 960, 3},
                       {960, 160, 7, 1, 1, 1, 2},    {960, 320, 7, 1, 1, 1, 1},    {320, 1280, 7, 1, 1, 1, 1}}},
      {"resnet18",
       {{3, 64, 224, 7, 2, 1, 1},
        {64, 64, 56, 3, 1, 1, 4},
        {64, 128, 56, 3, 2, 1, 1},
        {64, 128, 56, 1, 2, 1, 1},
        {128, 128, 28, 3, 1, 1, 3},
        {128, 256, 28, 3, 2, 1, 1},
        {128, 256, 28, 1, 2, 1, 1},
        {256, 256, 14, 3, 1, 1, 3},
        {256, 512, 14, 3, 2, 1, 1},
        {256, 512, 14, 1, 2, 1, 1},
        {512, 512, 7, 3, 1, 1, 3}}},
      {"resnet56",
       {{3, 16, 32, 3, 1, 1, 1},
        {16, 16, 32, 3, 1, 1, 18},
        {16, 32, 32, 3, 2, 1, 1},
        {32, 32, 16, 3, 1, 1, 17},
        {32, 64, 16, 3, 2, 1, 1},
        {64, 64, 8, 3, 1, 1, 17}}},
  };
  return all;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Seconds of the quickest of the calls that fit into about `budget` seconds: what the code can do, also when the
// machine is shared.
template <class Body>
double seconds(double budget, Body body) {
  body();
  double best = 1e9;
  const double begin = now();
  for (int calls = 0; calls < 3 || now() - begin < budget; ++calls) {
    const double start = now();
    body();
    best = std::min(best, now() - start);
  }
  return best;
}

std::vector<float> numbers(int64_t count) {
  std::vector<float> result(count);
  uint32_t state = 1;
  for (float& value : result) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1;
  }
  return result;
}

double tile_speed(const KernelTable& kernels, double budget) {
  const int64_t depth = 128, calls = 200;
  const std::vector<float> a = numbers(kernels.tile_rows * depth), b = numbers(kernels.tile_columns * depth);
  std::vector<float> c(kernels.tile_rows * kernels.tile_columns);
  const double time = seconds(budget, [&] {
    for (int64_t i = 0; i < calls; ++i) {
      kernels.gemm_tile(kernels.tile_columns, depth, a.data(), b.data(), kernels.tile_columns, c.data(),
                        kernels.tile_columns, false);
    }
  });
  return 2.0 * depth * kernels.tile_rows * kernels.tile_columns * calls / time * 1e-9;
}

struct Options {
  std::string net = "mobilenetv2";
  int batch = 8, threads = 1;
  std::string target, flavour;
  double budget = 0.02;
};

void run(const Options& options) {
  const KernelTable* kernels = find_kernels(options.target.c_str(), options.flavour.c_str());
  if (kernels == nullptr) {
    std::fprintf(stderr, "no kernels \"%s\" \"%s\" on this machine\n", options.target.c_str(), options.flavour.c_str());
    std::exit(2);
  }
  ThreadPool pool(options.threads);
  const Linear linear{*kernels, pool};
  std::printf("%s %s, %d threads, tile %.0f GFLOP/s a thread\n", kernels->target, kernels->flavour, options.threads,
              tile_speed(*kernels, options.budget));
  for (const Net& net : nets()) {
    if (net.name != options.net) continue;
    std::printf("%s, batch %d: GFLOP/s (ms) of forward, input adjoint, weight adjoint\n", net.name, options.batch);
    double total[3] = {}, flops = 0;
    for (const Layer& layer : net.layers) {
      ConvShape shape;
      shape.samples = options.batch;
      shape.in_channels = layer.channels;
      shape.out_channels = layer.rows;
      shape.in_height = shape.in_width = layer.extent;
      shape.kernel_height = shape.kernel_width = layer.kernel;
      shape.stride_y = shape.stride_x = layer.stride;
      shape.pad_top = shape.pad_left = layer.kernel / 2;
      shape.out_height = shape.out_width = (layer.extent - 1) / layer.stride + 1;
      shape.groups = layer.groups;
      const int64_t weights = int64_t{layer.rows} * (layer.channels / layer.groups) * layer.kernel * layer.kernel;
      const std::vector<float> x = numbers(shape.samples * shape.in_channels * shape.in_height * shape.in_width),
                               w = numbers(weights);
      std::vector<float> y = numbers(shape.samples * shape.out_channels * shape.out_height * shape.out_width),
                         dx(x.size());
      std::vector<double> dw(weights);
      const double times[3] = {
          seconds(options.budget, [&] { conv_forward(linear, shape, x.data(), w.data(), y.data(), false); }),
          seconds(options.budget, [&] { conv_input_adjoint(linear, shape, y.data(), w.data(), dx.data(), false); }),
          seconds(options.budget, [&] { conv_weight_adjoint(linear, shape, x.data(), y.data(), dw.data()); }),
      };
      const double work = 2.0 * weights * shape.samples * shape.out_height * shape.out_width;
      std::printf("%4d > %4d %3dx%-3d k%d s%d %-9s x%-2d", layer.channels, layer.rows, layer.extent, layer.extent,
                  layer.kernel, layer.stride, layer.groups > 1 ? "depthwise" : "", layer.count);
      for (int i = 0; i < 3; ++i) {
        std::printf("  %6.1f (%6.3f)", work / times[i] * 1e-9, times[i] * 1e3);
        total[i] += times[i] * layer.count;
      }
      std::printf("\n");
      flops += work * layer.count;
    }
    std::printf("%-39s", "all");
    for (double time : total) std::printf("  %6.1f (%6.2f)", flops / time * 1e-9, time * 1e3);
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--net")
      options.net = value;
    else if (name == "--batch")
      options.batch = std::atoi(value);
    else if (name == "--threads")
      options.threads = std::atoi(value);
    else if (name == "--target")
      options.target = value;
    else if (name == "--flavour")
      options.flavour = value;
    else if (name == "--seconds")
      options.budget = std::atof(value);
  }
  run(options);
}

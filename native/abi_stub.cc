#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "abi.h"
#include <cstring>
extern "C" __attribute__((weak)) int32_t bw_abi_version() { return 1; }
extern "C" __attribute__((weak)) int32_t bw_last_error(uint8_t* out, bw_size capacity, bw_size* length) { const char* t="{\"message\":\"stub\"}"; *length=std::strlen(t); if(capacity>=*length) std::memcpy(out,t,(size_t)*length); return 0; }
extern "C" __attribute__((weak)) int32_t bw_ops(uint8_t* out, bw_size capacity, bw_size* length) { *length=2; if(capacity>=2) std::memcpy(out,"[]",2); return 0; }
extern "C" __attribute__((weak)) int32_t bw_targets(uint8_t* out, bw_size capacity, bw_size* length) { *length=2; if(capacity>=2) std::memcpy(out,"[]",2); return 0; }
extern "C" __attribute__((weak)) int32_t bw_graph_create(const uint8_t* program, bw_size bytes, int32_t precision, int32_t threads, const uint8_t* target,
                               bw_size target_length, bw_graph* out_graph) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_destroy(bw_graph graph) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_cancel(bw_graph graph) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_describe(bw_graph graph, uint8_t* out, bw_size capacity, bw_size* length) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_set_input(bw_graph graph, int32_t value, int32_t dtype, const int64_t* dims, int32_t rank, const uint8_t* data,
                                  bw_size bytes) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_set_constant(bw_graph graph, int32_t value, const float* data, bw_size count) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_set_edges(bw_graph graph, const int32_t* nodes, const int32_t* ports, const float* scales, const int32_t* zero_points,
                                  const int32_t* qmins, const int32_t* qmaxs, int32_t count) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_forward(bw_graph graph, int32_t keep, const int32_t* values, int32_t count) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_shape(bw_graph graph, int32_t value, int32_t* out_dtype, int32_t* out_rank, int64_t* out_dims) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_read(bw_graph graph, int32_t value, int32_t part, int32_t probe, uint8_t* out, bw_size bytes) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_loss(bw_graph graph, int32_t kind, int32_t value, const uint8_t* target, bw_size bytes, double* out_losses,
                             bw_size samples) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_gradient(bw_graph graph, const int32_t* values, int32_t count, int32_t reset) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_set_sites(bw_graph graph, const int32_t* values, int32_t value_count, const int32_t* nodes, const int32_t* ports,
                                  int32_t edge_count, int32_t probes, int32_t per_sample, bw_size seed, bw_size first_sample) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_set_direction(bw_graph graph, int32_t site, int32_t probe, const float* data, bw_size count) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_tangent(bw_graph graph) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_hessian(bw_graph graph, int32_t products, double* out_forms, bw_size forms) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_ranges(bw_graph graph, const int32_t* values, int32_t count, double* out_ranges) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_histogram(bw_graph graph, int32_t value, float low, float high, double* out_bins, int32_t bins) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_graph_errors(bw_graph graph, int32_t value, const float* scales, const int32_t* zero_points, const int32_t* qmins,
                               const int32_t* qmaxs, int32_t count, double* out_sums) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_fake_quantize(const float* x, bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, const float* scales,
                                const int32_t* zero_points, bw_size groups, int32_t qmin, int32_t qmax, float* out_y) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_quantize(const float* x, bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, const float* scales,
                           const int32_t* zero_points, bw_size groups, int32_t qmin, int32_t qmax, int32_t* out_codes) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_quantization_error(const float* x, const float* weights, bw_size weights_count, bw_size outer, bw_size axis, bw_size inner,
                                     int32_t layout, bw_size block, const float* scales, const int32_t* zero_points, bw_size groups,
                                     bw_size candidates, int32_t qmin, int32_t qmax, double* out_sums) { return BW_UNSUPPORTED; }
extern "C" __attribute__((weak)) int32_t bw_search_scale(const float* x, const float* weights, bw_size weights_count, bw_size outer, bw_size axis, bw_size inner,
                               int32_t layout, bw_size block, bw_size groups, int32_t method, double parameter, int32_t symmetric, int32_t qmin,
                               int32_t qmax, float* out_scales, int32_t* out_zero_points) { return BW_UNSUPPORTED; }

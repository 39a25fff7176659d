// The boundary between the engine and its users: everything that crosses, crosses here.
//
// Fixed-width types, pointers with counts, a status for an answer, no callbacks, no exceptions. The Node addon and the
// WebAssembly module export exactly these functions; both are adapted to one TypeScript interface (src/backend/).
//
// Rules
// - A call returns BW_OK or the kind of its failure; bw_last_error then holds the details for the calling thread as JSON
//   {"message", "where"?, "needed"?, "enough"?}, the last two of BW_OUT_OF_MEMORY: bytes of memory, and whether they are about enough or only the least.
// - Callers own every array. The engine copies what it keeps and writes only to parameters marked `out`.
// - A graph is a handle; a wrong or destroyed one is an error. Calls on one graph must not overlap, except bw_graph_cancel.
// - Text is UTF-8 with a length. Text results: call with capacity 0 for the length, then with room for it.
// - A value is an index into the program's value list, a node an index into its node list (src/onnx/program.ts has the encoding).
// - Sums over samples are left to the caller wherever a result per sample exists: results do not depend on how samples are batched.
#pragma once

#include <stdint.h>

#if defined(__EMSCRIPTEN__)
#include <emscripten.h>
#define BW_API extern "C" EMSCRIPTEN_KEEPALIVE
#elif defined(_WIN32)
#define BW_API extern "C" __declspec(dllexport)
#else
#define BW_API extern "C" __attribute__((visibility("default")))
#endif

// A count or size that JavaScript passes as a Number: an integer, exact up to 2^53.
typedef double bw_size;
// A graph's handle; 0 is none.
typedef uint32_t bw_graph;

enum bw_status {
  BW_OK = 0,
  BW_INVALID_ARGUMENT = 1,  // a defect of the caller
  BW_INVALID_MODEL = 2,     // the program or the shapes in it cannot be right
  BW_UNSUPPORTED = 3,       // an operator, a type or a derivative that the engine does not have
  BW_OUT_OF_MEMORY = 4,
  BW_CANCELLED = 5,
  BW_INTERNAL = 6,
};

// Element types, with ONNX TensorProto's codes.
enum bw_dtype {
  BW_FLOAT32 = 1,
  BW_UINT8 = 2,
  BW_INT8 = 3,
  BW_UINT16 = 4,
  BW_INT16 = 5,
  BW_INT32 = 6,
  BW_INT64 = 7,
  BW_BOOL = 9,
  BW_FLOAT64 = 11,
};

// Increases when a function or its meaning changes; the adapters refuse another one.
BW_API int32_t bw_abi_version(void);
BW_API int32_t bw_last_error(uint8_t* out, bw_size capacity, bw_size* length);

// The op table as JSON: [{domain, type, since, kind, differentiable, weightPort, channelAxis, biasPort, dataPorts, samples}].
BW_API int32_t bw_ops(uint8_t* out, bw_size capacity, bw_size* length);
// The kernel tables that can run here, best first, as JSON: ["avx512/fast", "avx512/strict", ...].
BW_API int32_t bw_targets(uint8_t* out, bw_size capacity, bw_size* length);

// ---- Graphs -------------------------------------------------------------------------------------------------------

// precision: BW_FLOAT32, or BW_FLOAT64 for the reference arithmetic. memory: most bytes that the graph's tensors may hold; a call that needs
// more fails with BW_OUT_OF_MEMORY. target: one of bw_targets, or empty for the best.
// Nodes that the engine lacks do not fail here but when they are run; bw_graph_describe lists them.
BW_API int32_t bw_graph_create(const uint8_t* program, bw_size bytes, int32_t precision, int32_t threads, bw_size memory,
                               const uint8_t* target, bw_size target_length, bw_graph* out_graph);
BW_API int32_t bw_graph_destroy(bw_graph graph);
// 1: the call that runs on this graph, or the next one if it has not begun, returns BW_CANCELLED soon; from any thread. 0 takes that back, and is due
// before the graph is used again.
BW_API int32_t bw_graph_cancel(bw_graph graph, int32_t cancelled);
// {nodes: [{supported, differentiable, weightPort, channelAxis, biasPort, dataPorts}]} in node order, as JSON.
BW_API int32_t bw_graph_describe(bw_graph graph, uint8_t* out, bw_size capacity, bw_size* length);

// Sets a graph input for the next bw_graph_forward. What the last one left is gone.
BW_API int32_t bw_graph_set_input(bw_graph graph, int32_t value, int32_t dtype, const int64_t* dims, int32_t rank, const uint8_t* data,
                                  bw_size bytes);
// Replaces the elements of a float initializer (a fake-quantized weight, say); count 0 restores the model's own. Of an initializer whose elements the
// program leaves out it sets them, as is due before a run; count 0 then frees them.
BW_API int32_t bw_graph_set_constant(bw_graph graph, int32_t value, const float* data, bw_size count);
// From now on the listed node inputs read their tensor through a per-tensor quantizer; replaces the former list.
BW_API int32_t bw_graph_set_edges(bw_graph graph, const int32_t* nodes, const int32_t* ports, const float* scales, const int32_t* zero_points,
                                  const int32_t* qmins, const int32_t* qmaxs, int32_t count);

enum bw_keep {
  BW_KEEP_NONE = 0,      // only the listed values and the graph's outputs can be read after
  BW_KEEP_ALL = 1,       // everything stays for derivatives
  BW_KEEP_SEGMENTS = 2,  // what is between them is computed again, part by part, where derivatives or bw_graph_read need it: less memory, the same bits
};
// Runs the graph on the inputs set. Tangents are there for the listed values and the graph's outputs, and for everything after BW_KEEP_ALL.
BW_API int32_t bw_graph_forward(bw_graph graph, int32_t keep, const int32_t* values, int32_t count);

// Lets go of what the last run left, so that there is room for something else.
BW_API int32_t bw_graph_forget(bw_graph graph);
// Bytes that the graph's tensors hold, and the most that they held since this was last asked.
BW_API int32_t bw_graph_memory(bw_graph graph, bw_size* out_live, bw_size* out_peak);

// Shape and type of a value after a forward run. out_dims has room for 16.
BW_API int32_t bw_graph_shape(bw_graph graph, int32_t value, int32_t* out_dtype, int32_t* out_rank, int64_t* out_dims);

enum bw_part {
  BW_PRIMAL = 0,           // the value, in its type
  BW_ADJOINT = 1,          // dL/dvalue: float (activation) or double (initializer, summed over samples)
  BW_TANGENT = 2,          // the derivative along a probe's directions; float
  BW_ADJOINT_TANGENT = 3,  // (H v) of an initializer for explicit directions; double, summed over samples
};
// Copies a value, or a derivative of it, out. `probe` counts for the last two parts.
BW_API int32_t bw_graph_read(bw_graph graph, int32_t value, int32_t part, int32_t probe, uint8_t* out, bw_size bytes);

enum bw_loss {
  BW_CROSS_ENTROPY = 0,   // target: int32 class for every row of the last axis; -1 leaves a row out
  BW_KL = 1,              // target: reference logits like the value; KL(softmax(target) || softmax(value))
  BW_SQUARED_ERROR = 2,   // target: reference like the value; sum of squared differences, halved
  BW_LINEAR = 3,          // target: cotangent like the value; sum of products
  BW_SUM = 4,             // no target; the sum of the elements
};
// Puts a loss on a float value of the last forward run with keep. Rows (all axes but the last) of one sample are averaged.
// out_losses: one for each sample. The loss that is differentiated is the sum of these.
BW_API int32_t bw_graph_loss(bw_graph graph, int32_t kind, int32_t value, const uint8_t* target, bw_size bytes, double* out_losses,
                             bw_size samples);

// Back-propagates the loss. Afterwards BW_ADJOINT can be read for the listed initializers (accumulated on top of what is there
// unless reset is 1) and activations.
BW_API int32_t bw_graph_gradient(bw_graph graph, const int32_t* values, int32_t count, int32_t reset);

// Declares the directions of the coming tangents: sites are first the listed initializers, then the listed node inputs (edges).
// probes: directions for every site at once. per_sample 1: a fresh direction for every sample. Directions are Rademacher signs from
// (seed, site, sample, probe) until bw_graph_set_direction replaces one. first_sample: index of the batch's first sample in the data set.
BW_API int32_t bw_graph_set_sites(bw_graph graph, const int32_t* values, int32_t value_count, const int32_t* nodes, const int32_t* ports,
                                  int32_t edge_count, int32_t probes, int32_t per_sample, bw_size seed, bw_size first_sample);
// An explicit direction for one site and probe, float, shaped like the initializer or, for an edge, like the tensor (batch included);
// count 0 makes it zero.
BW_API int32_t bw_graph_set_direction(bw_graph graph, int32_t site, int32_t probe, const float* data, bw_size count);

// Forward tangents along the directions; BW_TANGENT of kept values can be read after.
BW_API int32_t bw_graph_tangent(bw_graph graph);
// One pass of exact Hessian probes of the loss: forms[probe][sample][site] = v_site . (H v)_site of that sample's loss, H v along all directions together.
// products 1: also accumulates H v of every initializer site (BW_ADJOINT_TANGENT, reset at bw_graph_set_sites).
BW_API int32_t bw_graph_hessian(bw_graph graph, int32_t products, double* out_forms, bw_size forms);

// What formats would do to tensors: errors, each of an initializer (values[i]) or, where values[i] is negative, of the input ports[i] of nodes[i].
// Replaces the former list; what each error is follows by one of the next three calls. Nodes must be linear in the
// initializers: weights and biases of products, and what linear operators read. Node inputs must be floats that depend on the graph's inputs.
BW_API int32_t bw_graph_set_errors(bw_graph graph, const int32_t* values, const int32_t* nodes, const int32_t* ports, int32_t count);
// Of an initializer: what is added to it or, for bw_graph_project_squares, a variance of every element.
BW_API int32_t bw_graph_set_error_data(bw_graph graph, int32_t error, const float* data, bw_size count);
// Of a node's input t: quantize(t) - t, made from whatever run is the last.
BW_API int32_t bw_graph_set_error_grid(bw_graph graph, int32_t error, float scale, int32_t zero_point, int32_t qmin, int32_t qmax);
// Of a node's input t: the variance constant + relative t^2 of every element, for bw_graph_project_squares.
BW_API int32_t bw_graph_set_error_variance(bw_graph graph, int32_t error, double constant, double relative);

enum bw_source {
  BW_LOSS_GRADIENT = 0,  // one probe; seed and first_sample do not count
  BW_FISHER = 1,         // random cotangents at the loss's value, whose covariance is the loss's Hessian there
};
// Projections of every sample's loss: out_values[probe][sample][error] = <dL/dt, e>, L the loss or what a random cotangent makes of it. Signs depend on
// (seed, sample in the data set, number of probes, probe, row of the sample). 1 to 64 probes.
BW_API int32_t bw_graph_project(bw_graph graph, int32_t source, int32_t probes, bw_size seed, bw_size first_sample, double* out_values,
                                bw_size count);
// out_values[sample][error] = sum_k (dL/dt_k)^2 v_k, v the error's variances.
BW_API int32_t bw_graph_project_squares(bw_graph graph, double* out_values, bw_size count);
// Directions of the coming tangents: probe p moves along errors[p] alone, in every sample. Replaces what bw_graph_set_sites declared.
BW_API int32_t bw_graph_aim(bw_graph graph, const int32_t* errors, int32_t count);
// out_values[probe][sample][error] = e . H e_aimed of that sample's loss, for the probes of bw_graph_aim.
BW_API int32_t bw_graph_interactions(bw_graph graph, double* out_values, bw_size count);

// Streaming statistics of float values of the last forward run.
// out[i] = {min, max, count of NaN and Inf} of values[i].
BW_API int32_t bw_graph_ranges(bw_graph graph, const int32_t* values, int32_t count, double* out_ranges);
// Adds the histogram of a value over [low, high] to out_bins.
BW_API int32_t bw_graph_histogram(bw_graph graph, int32_t value, float low, float high, double* out_bins, int32_t bins);
// Adds the squared error of a value under each candidate per-tensor quantizer to out_sums.
BW_API int32_t bw_graph_errors(bw_graph graph, int32_t value, const float* scales, const int32_t* zero_points, const int32_t* qmins,
                               const int32_t* qmaxs, int32_t count, double* out_sums);

// ---- Kernels on arrays --------------------------------------------------------------------------------------------
// An array is seen as [outer, axis, inner] with one quantizer for every `block` indices along axis: groups = outer_groups * ceil(axis / block),
// where per-channel has outer 1-like sharing. Layout: kind 0 per tensor (1 group), 1 per channel (group = index along axis, shared over outer
// and inner), 2 per block (group = (outer, axis / block, inner)).

BW_API int32_t bw_fake_quantize(const float* x, bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, const float* scales,
                                const int32_t* zero_points, bw_size groups, int32_t qmin, int32_t qmax, float* out_y);
BW_API int32_t bw_quantize(const float* x, bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, const float* scales,
                           const int32_t* zero_points, bw_size groups, int32_t qmin, int32_t qmax, int32_t* out_codes);
// out_sums[candidate * groups + group]: squared error, weighted when weights_count is not 0, of candidate scales[candidate * groups + group].
BW_API int32_t bw_quantization_error(const float* x, const float* weights, bw_size weights_count, bw_size outer, bw_size axis, bw_size inner,
                                     int32_t layout, bw_size block, const float* scales, const int32_t* zero_points, bw_size groups,
                                     bw_size candidates, int32_t qmin, int32_t qmax, double* out_sums);
// method: 0 min-max, 1 percentile (parameter: the share kept, as 0.999), 2 least squared error. symmetric 1: zero point 0 (codes must be signed).
BW_API int32_t bw_search_scale(const float* x, const float* weights, bw_size weights_count, bw_size outer, bw_size axis, bw_size inner,
                               int32_t layout, bw_size block, bw_size groups, int32_t method, double parameter, int32_t symmetric, int32_t qmin,
                               int32_t qmax, float* out_scales, int32_t* out_zero_points);

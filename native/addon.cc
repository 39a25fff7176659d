// The Node adapter of abi.h. It moves data only: Numbers become integers and doubles, typed arrays become pointers.
//
// Every function exists twice: sync.bw_x, and async.bw_x, which runs on a thread of Node's pool and keeps the arrays alive until then.
// Both answer null for BW_OK and otherwise {status, details}, the details being bw_last_error of the thread that ran the call.
#include <napi.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "abi.h"

namespace {

struct Outcome {
  int32_t status;
  std::string details;
};

Napi::Value to_value(Napi::Env env, const Outcome& outcome) {
  if (outcome.status == BW_OK) return env.Null();
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("status", outcome.status);
  failure.Set("details", outcome.details);
  return failure;
}

std::string last_error() {
  bw_size length = 0;
  bw_last_error(nullptr, 0, &length);
  std::string text(static_cast<size_t>(length), '\0');
  bw_last_error(reinterpret_cast<uint8_t*>(text.data()), length, &length);
  return text;
}

template <typename Element>
constexpr napi_typedarray_type array_type() {
  if (std::is_same_v<Element, uint8_t>) return napi_uint8_array;
  if (std::is_same_v<Element, int32_t>) return napi_int32_array;
  if (std::is_same_v<Element, uint32_t>) return napi_uint32_array;
  if (std::is_same_v<Element, int64_t>) return napi_bigint64_array;
  if (std::is_same_v<Element, float>) return napi_float32_array;
  return napi_float64_array;
}

// Reads one argument; false when the JavaScript value has another type or does not fit.
template <typename T>
bool read(const Napi::Value& value, T* out) {
  if constexpr (std::is_pointer_v<T>) {
    using Element = std::remove_const_t<std::remove_pointer_t<T>>;
    if (!value.IsTypedArray()) return false;
    napi_typedarray_type type;
    void* data;
    if (napi_get_typedarray_info(value.Env(), value, &type, nullptr, &data, nullptr, nullptr) != napi_ok) return false;
    *out = static_cast<T>(data);
    return type == array_type<Element>();
  } else {
    double number;
    if (napi_get_value_double(value.Env(), value, &number) != napi_ok) return false;
    if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      if (!(number >= Limits::min() && number <= Limits::max()) || std::trunc(number) != number) return false;
    }
    *out = static_cast<T>(number);
    return true;
  }
}

template <auto function>
struct Binding;

template <typename... T, int32_t (*function)(T...)>
struct Binding<function> {
  using Arguments = std::tuple<T...>;

  static Outcome run(const Arguments& arguments) {
    const int32_t status = std::apply(function, arguments);
    return {status, status == BW_OK ? std::string() : last_error()};
  }

  // The position of the first argument that cannot be read, or -1.
  template <size_t... I>
  static int read_all(const Napi::CallbackInfo& info, Arguments* out, std::index_sequence<I...>) {
    if (info.Length() != sizeof...(T)) return static_cast<int>(info.Length());
    int wrong = -1;
    ((wrong < 0 && !read(info[I], &std::get<I>(*out)) ? wrong = static_cast<int>(I) : 0), ...);
    return wrong;
  }

  // Empty when all arguments were read.
  static Napi::Value read_arguments(const Napi::CallbackInfo& info, Arguments* out) {
    const int wrong = read_all(info, out, std::index_sequence_for<T...>());
    if (wrong < 0) return Napi::Value();
    return to_value(info.Env(), {BW_INVALID_ARGUMENT, R"({"message":"argument )" + std::to_string(wrong) + R"( has the wrong type"})"});
  }

  static Napi::Value sync(const Napi::CallbackInfo& info) {
    Arguments arguments;
    const Napi::Value failure = read_arguments(info, &arguments);
    return failure.IsEmpty() ? to_value(info.Env(), run(arguments)) : failure;
  }

  class Worker : public Napi::AsyncWorker {
   public:
    Worker(const Napi::CallbackInfo& info, const Arguments& arguments)
        : AsyncWorker(info.Env(), "bitwright"), deferred_(info.Env()), arguments_(arguments) {
      Napi::Array values = Napi::Array::New(info.Env(), info.Length());
      for (uint32_t i = 0; i < info.Length(); ++i) values.Set(i, info[i]);
      keep_alive_ = Napi::Persistent(values.As<Napi::Object>());
    }

    Napi::Promise promise() const { return deferred_.Promise(); }

   protected:
    void Execute() override { outcome_ = run(arguments_); }
    void OnOK() override { deferred_.Resolve(to_value(Env(), outcome_)); }

   private:
    Napi::Promise::Deferred deferred_;
    Napi::ObjectReference keep_alive_;
    Arguments arguments_;
    Outcome outcome_{BW_OK, {}};
  };

  static Napi::Value async(const Napi::CallbackInfo& info) {
    Arguments arguments;
    const Napi::Value failure = read_arguments(info, &arguments);
    if (!failure.IsEmpty()) {
      Napi::Promise::Deferred deferred(info.Env());
      deferred.Resolve(failure);
      return deferred.Promise();
    }
    Worker* worker = new Worker(info, arguments);  // deletes itself when done
    const Napi::Promise promise = worker->promise();
    worker->Queue();
    return promise;
  }
};

Napi::Value abi_version(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), bw_abi_version()); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  Napi::Object sync = Napi::Object::New(env);
  Napi::Object async = Napi::Object::New(env);
  sync.Set("bw_abi_version", Napi::Function::New<abi_version>(env));

#define BIND(name)                                                      \
  sync.Set(#name, Napi::Function::New<Binding<name>::sync>(env, #name)); \
  async.Set(#name, Napi::Function::New<Binding<name>::async>(env, #name))
  BIND(bw_last_error);
  BIND(bw_ops);
  BIND(bw_targets);
  BIND(bw_graph_create);
  BIND(bw_graph_destroy);
  BIND(bw_graph_cancel);
  BIND(bw_graph_describe);
  BIND(bw_graph_set_input);
  BIND(bw_graph_set_constant);
  BIND(bw_graph_set_edges);
  BIND(bw_graph_forward);
  BIND(bw_graph_forget);
  BIND(bw_graph_memory);
  BIND(bw_graph_shape);
  BIND(bw_graph_read);
  BIND(bw_graph_loss);
  BIND(bw_graph_gradient);
  BIND(bw_graph_set_sites);
  BIND(bw_graph_set_direction);
  BIND(bw_graph_tangent);
  BIND(bw_graph_hessian);
  BIND(bw_graph_set_errors);
  BIND(bw_graph_set_error_data);
  BIND(bw_graph_set_error_grid);
  BIND(bw_graph_set_error_variance);
  BIND(bw_graph_project);
  BIND(bw_graph_project_squares);
  BIND(bw_graph_aim);
  BIND(bw_graph_interactions);
  BIND(bw_graph_ranges);
  BIND(bw_graph_histogram);
  BIND(bw_graph_errors);
  BIND(bw_fake_quantize);
  BIND(bw_quantize);
  BIND(bw_quantization_error);
  BIND(bw_search_scale);
#undef BIND

  exports.Set("sync", sync);
  exports.Set("async", async);
  return exports;
}

}  // namespace

NODE_API_MODULE(bitwright, init)

// nasturtium.kernels._cpu: raw addresses in, no tensor library. The callers in Python check dtype,
// device, contiguity and shapes, and keep the tensors alive.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "depthwise/cpu.hpp"
#include "mix/cpu.hpp"
#include "mixed_op/cpu.hpp"

namespace py = pybind11;

namespace nasturtium::kernels {

#define NASTURTIUM_TABLES(isa)                           \
  namespace isa {                                        \
  extern const DepthwiseTable depthwise, depthwise_last; \
  extern const MixedTable mixed_op;                      \
  extern const MixTable normalize_and_mix;               \
  }
#ifdef NASTURTIUM_X86
NASTURTIUM_TABLES(v2)
NASTURTIUM_TABLES(v3)
NASTURTIUM_TABLES(v4)
#else
NASTURTIUM_TABLES(generic)
#endif
#undef NASTURTIUM_TABLES

namespace {

struct Isa {
  std::string name;
  const DepthwiseTable *depthwise, *depthwise_last;
  const MixedTable* mixed;
  const MixTable* mix;
};

// What this processor can run, the best last.
const std::vector<Isa>& available() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> list;
#ifdef NASTURTIUM_X86
    __builtin_cpu_init();
    list.push_back(
        {"x86-64-v2", &v2::depthwise, &v2::depthwise_last, &v2::mixed_op, &v2::normalize_and_mix});
    if (__builtin_cpu_supports("x86-64-v3"))
      list.push_back({"x86-64-v3", &v3::depthwise, &v3::depthwise_last, &v3::mixed_op,
                      &v3::normalize_and_mix});
    if (__builtin_cpu_supports("x86-64-v4"))
      list.push_back({"x86-64-v4", &v4::depthwise, &v4::depthwise_last, &v4::mixed_op,
                      &v4::normalize_and_mix});
#else
    list.push_back({"generic", &generic::depthwise, &generic::depthwise_last, &generic::mixed_op,
                    &generic::normalize_and_mix});
#endif
    return list;
  }();
  return isas;
}

const Isa& find(const std::string& name) {
  if (name.empty()) return available().back();
  for (const Isa& isa : available())
    if (isa.name == name) return isa;
  throw py::value_error("this processor has no instruction set '" + name + "'");
}

const DepthwiseTable& find(const std::string& name, bool channels_last) {
  const Isa& isa = find(name);
  return channels_last ? *isa.depthwise_last : *isa.depthwise;
}

template <class T>
T* pointer(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

DepthwiseShape checked(std::ptrdiff_t batch, std::ptrdiff_t channels, std::ptrdiff_t height,
                       std::ptrdiff_t width, int kernel, int stride, int dilation) {
  if (batch < 0 || channels < 1 || height < 1 || width < 1)
    throw py::value_error("sizes must be positive");
  if ((kernel != 3 && kernel != 5) || stride < 1 || stride > 2 || dilation < 1 || dilation > 2)
    throw py::value_error("kernel must be 3 or 5, stride and dilation 1 or 2");
  return {batch, channels, height, width, kernel, stride, dilation};
}

void depthwise_forward(std::uintptr_t x, std::uintptr_t weight, std::uintptr_t y,
                       std::ptrdiff_t batch, std::ptrdiff_t channels, std::ptrdiff_t height,
                       std::ptrdiff_t width, int kernel, int stride, int dilation,
                       bool channels_last, int threads, const std::string& isa) {
  const DepthwiseShape shape = checked(batch, channels, height, width, kernel, stride, dilation);
  const DepthwiseTable& table = find(isa, channels_last);
  py::gil_scoped_release release;
  if (!table.forward(shape, pointer<const float>(x), pointer<const float>(weight),
                     pointer<float>(y), threads))
    throw std::bad_alloc();
}

void depthwise_backward(std::uintptr_t grad_y, std::uintptr_t x, std::uintptr_t weight,
                        std::uintptr_t grad_x, std::uintptr_t grad_weight, std::ptrdiff_t batch,
                        std::ptrdiff_t channels, std::ptrdiff_t height, std::ptrdiff_t width,
                        int kernel, int stride, int dilation, bool channels_last, int threads,
                        const std::string& isa) {
  const DepthwiseShape shape = checked(batch, channels, height, width, kernel, stride, dilation);
  const DepthwiseTable& table = find(isa, channels_last);
  py::gil_scoped_release release;
  if (!table.backward(shape, pointer<const float>(grad_y), pointer<const float>(x),
                      pointer<const float>(weight), pointer<float>(grad_x),
                      pointer<float>(grad_weight), threads))
    throw std::bad_alloc();
}

using Addresses = std::vector<std::uintptr_t>;

template <class T>
std::vector<T*> pointers(const Addresses& addresses) {
  std::vector<T*> found;
  for (const std::uintptr_t address : addresses) found.push_back(pointer<T>(address));
  return found;
}

// Two for each convolution of a candidate.
int weights_of(int candidate, int stride) {
  if (candidate == kSkip) return stride == 2 ? 2 : 0;
  if (candidate == kSeparable3 || candidate == kSeparable5) return 4;
  return candidate == kDilated3 || candidate == kDilated5 ? 2 : 0;
}

MixedShape checked(std::ptrdiff_t batch, std::ptrdiff_t channels, std::ptrdiff_t height,
                   std::ptrdiff_t width, int stride, const std::vector<int>& candidates,
                   std::size_t weights, bool training, double epsilon) {
  if (batch < 1 || channels < 1 || height < 1 || width < 1)
    throw py::value_error("sizes must be positive");
  if (stride != 1 && stride != 2) throw py::value_error("stride must be 1 or 2");
  MixedShape shape{batch, channels, height, width, stride, 0, {}, training, epsilon};
  std::size_t wanted = 0;
  bool seen[kCandidates] = {};
  for (const int candidate : candidates) {
    if (candidate < 0 || candidate >= kCandidates || seen[candidate])
      throw py::value_error("candidates must be different numbers below 8");
    seen[candidate] = true;
    wanted += static_cast<std::size_t>(weights_of(candidate, stride));
    shape.candidates[shape.count++] = candidate;
  }
  if (weights != wanted) throw py::value_error("these candidates have another number of weights");
  return shape;
}

void mixed_forward(std::uintptr_t x, std::uintptr_t alpha, const Addresses& weights,
                   std::uintptr_t out, std::uintptr_t kept, std::uintptr_t mean,
                   std::uintptr_t variance, std::ptrdiff_t batch, std::ptrdiff_t channels,
                   std::ptrdiff_t height, std::ptrdiff_t width, int stride,
                   const std::vector<int>& candidates, bool training, double epsilon, int threads,
                   const std::string& isa) {
  const MixedShape shape = checked(batch, channels, height, width, stride, candidates,
                                   weights.size(), training, epsilon);
  const MixedTable& table = *find(isa).mixed;
  const std::vector<const float*> own = pointers<const float>(weights);
  py::gil_scoped_release release;
  if (!table.forward(shape, pointer<const float>(x), pointer<const float>(alpha), own.data(),
                     pointer<float>(out), pointer<float>(kept), pointer<float>(mean),
                     pointer<float>(variance), threads))
    throw std::bad_alloc();
}

void mixed_backward(std::uintptr_t grad, std::uintptr_t x, std::uintptr_t alpha,
                    const Addresses& weights, std::uintptr_t kept, std::uintptr_t mean,
                    std::uintptr_t variance, std::uintptr_t grad_x, std::uintptr_t grad_alpha,
                    const Addresses& grad_weights, std::ptrdiff_t batch, std::ptrdiff_t channels,
                    std::ptrdiff_t height, std::ptrdiff_t width, int stride,
                    const std::vector<int>& candidates, bool training, double epsilon, int threads,
                    const std::string& isa) {
  const MixedShape shape = checked(batch, channels, height, width, stride, candidates,
                                   weights.size(), training, epsilon);
  if (!grad_weights.empty() && grad_weights.size() != weights.size())
    throw py::value_error("all weights' gradients are computed, or none");
  const MixedTable& table = *find(isa).mixed;
  const std::vector<const float*> own = pointers<const float>(weights);
  const std::vector<float*> to = pointers<float>(grad_weights);
  py::gil_scoped_release release;
  if (!table.backward(shape, pointer<const float>(grad), pointer<const float>(x),
                      pointer<const float>(alpha), own.data(), pointer<const float>(kept),
                      pointer<const float>(mean), pointer<const float>(variance),
                      pointer<float>(grad_x), pointer<float>(grad_alpha),
                      to.empty() ? nullptr : to.data(), threads))
    throw std::bad_alloc();
}

MixShape checked(std::ptrdiff_t pixels, std::ptrdiff_t channels,
                 const std::vector<bool>& normalized, std::size_t branches, bool training,
                 double epsilon) {
  if (pixels < 1 || channels < 1) throw py::value_error("sizes must be positive");
  if (branches != normalized.size() || branches > kMostBranches)
    throw py::value_error("need one flag for each of at most 32 branches");
  MixShape shape{pixels, channels, static_cast<int>(branches), {}, training, epsilon};
  for (std::size_t k = 0; k < branches; ++k) shape.normalized[k] = normalized[k];
  return shape;
}

void mix_forward(const Addresses& branches, std::uintptr_t alpha, std::uintptr_t out,
                 std::uintptr_t mean, std::uintptr_t variance, std::ptrdiff_t pixels,
                 std::ptrdiff_t channels, const std::vector<bool>& normalized, bool training,
                 double epsilon, int threads, const std::string& isa) {
  const MixShape shape = checked(pixels, channels, normalized, branches.size(), training, epsilon);
  const MixTable& table = *find(isa).mix;
  const std::vector<const float*> own = pointers<const float>(branches);
  py::gil_scoped_release release;
  if (!table.forward(shape, own.data(), pointer<const float>(alpha), pointer<float>(out),
                     pointer<float>(mean), pointer<float>(variance), threads))
    throw std::bad_alloc();
}

void mix_backward(std::uintptr_t grad, const Addresses& branches, std::uintptr_t alpha,
                  std::uintptr_t mean, std::uintptr_t variance, const Addresses& grad_branches,
                  std::uintptr_t grad_alpha, std::ptrdiff_t pixels, std::ptrdiff_t channels,
                  const std::vector<bool>& normalized, bool training, double epsilon, int threads,
                  const std::string& isa) {
  const MixShape shape = checked(pixels, channels, normalized, branches.size(), training, epsilon);
  if (grad_branches.size() != branches.size())
    throw py::value_error("need an address, or 0, for the gradient of each branch");
  const MixTable& table = *find(isa).mix;
  const std::vector<const float*> own = pointers<const float>(branches);
  const std::vector<float*> to = pointers<float>(grad_branches);
  py::gil_scoped_release release;
  if (!table.backward(shape, pointer<const float>(grad), own.data(), pointer<const float>(alpha),
                      pointer<const float>(mean), pointer<const float>(variance), to.data(),
                      pointer<float>(grad_alpha), threads))
    throw std::bad_alloc();
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Isa& isa : available()) names.push_back(isa.name);
  return names;
}

}  // namespace
}  // namespace nasturtium::kernels

PYBIND11_MODULE(_cpu, module) {
  using namespace nasturtium::kernels;
  module.doc() = "CPU kernels on raw addresses; nasturtium.kernels holds what users call.";
  module.def("isas", &isas, "Instruction sets that this processor can run, the best last.");
  module.def("depthwise_forward", &depthwise_forward, py::arg("x"), py::arg("weight"), py::arg("y"),
             py::kw_only(), py::arg("batch"), py::arg("channels"), py::arg("height"),
             py::arg("width"), py::arg("kernel"), py::arg("stride"), py::arg("dilation"),
             py::arg("channels_last") = false, py::arg("threads") = 1, py::arg("isa") = "");
  module.def("depthwise_backward", &depthwise_backward, py::arg("grad_y"), py::arg("x"),
             py::arg("weight"), py::arg("grad_x"), py::arg("grad_weight"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("kernel"), py::arg("stride"), py::arg("dilation"),
             py::arg("channels_last") = false, py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mixed_forward", &mixed_forward, py::arg("x"), py::arg("alpha"), py::arg("weights"),
             py::arg("out"), py::arg("kept"), py::arg("mean"), py::arg("variance"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("stride"), py::arg("candidates"), py::arg("training"), py::arg("epsilon"),
             py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mixed_backward", &mixed_backward, py::arg("grad"), py::arg("x"), py::arg("alpha"),
             py::arg("weights"), py::arg("kept"), py::arg("mean"), py::arg("variance"),
             py::arg("grad_x"), py::arg("grad_alpha"), py::arg("grad_weights"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("stride"), py::arg("candidates"), py::arg("training"), py::arg("epsilon"),
             py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mix_forward", &mix_forward, py::arg("branches"), py::arg("alpha"), py::arg("out"),
             py::arg("mean"), py::arg("variance"), py::kw_only(), py::arg("pixels"),
             py::arg("channels"), py::arg("normalized"), py::arg("training"), py::arg("epsilon"),
             py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mix_backward", &mix_backward, py::arg("grad"), py::arg("branches"), py::arg("alpha"),
             py::arg("mean"), py::arg("variance"), py::arg("grad_branches"), py::arg("grad_alpha"),
             py::kw_only(), py::arg("pixels"), py::arg("channels"), py::arg("normalized"),
             py::arg("training"), py::arg("epsilon"), py::arg("threads") = 1, py::arg("isa") = "");
}

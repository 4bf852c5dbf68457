// nasturtium.kernels._cpu: raw addresses in, no tensor library. The callers in Python check dtype,
// device, contiguity and shapes, and keep the tensors alive.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "depthwise/cpu.hpp"

namespace py = pybind11;

namespace nasturtium::kernels {

#ifdef NASTURTIUM_X86
namespace v2 {
extern const DepthwiseTable depthwise, depthwise_last;
}
namespace v3 {
extern const DepthwiseTable depthwise, depthwise_last;
}
namespace v4 {
extern const DepthwiseTable depthwise, depthwise_last;
}
#else
namespace generic {
extern const DepthwiseTable depthwise, depthwise_last;
}
#endif

namespace {

struct Isa {
  std::string name;
  const DepthwiseTable *depthwise, *depthwise_last;
};

// What this processor can run, the best last.
const std::vector<Isa>& available() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> list;
#ifdef NASTURTIUM_X86
    __builtin_cpu_init();
    list.push_back({"x86-64-v2", &v2::depthwise, &v2::depthwise_last});
    if (__builtin_cpu_supports("x86-64-v3"))
      list.push_back({"x86-64-v3", &v3::depthwise, &v3::depthwise_last});
    if (__builtin_cpu_supports("x86-64-v4"))
      list.push_back({"x86-64-v4", &v4::depthwise, &v4::depthwise_last});
#else
    list.push_back({"generic", &generic::depthwise, &generic::depthwise_last});
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
}

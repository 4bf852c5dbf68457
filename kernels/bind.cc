// nasturtium.kernels._cpu: raw addresses in, no tensor library. The callers in Python check dtype,
// device, contiguity and shapes, and keep the tensors alive.

#include "bind.hpp"

namespace nasturtium::kernels {
namespace {

const DepthwiseTable& table_of(const std::string& name, bool channels_last) {
  const Isa& isa = find(name);
  return channels_last ? *isa.depthwise_last : *isa.depthwise;
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
  const DepthwiseTable& table = table_of(isa, channels_last);
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
  const DepthwiseTable& table = table_of(isa, channels_last);
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
  define_mixed(module);
  define_cell(module);
  define_aggregated(module);
}

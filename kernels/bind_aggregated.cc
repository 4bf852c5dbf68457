// The weighted sum of kernels, on raw addresses.

#include <utility>

#include "bind.hpp"

namespace nasturtium::kernels {
namespace {

using Sides = std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>>;

AggregateShape checked(std::size_t weights, std::ptrdiff_t rows, std::ptrdiff_t height,
                       std::ptrdiff_t width, const Sides& kernels,
                       const std::vector<std::ptrdiff_t>& dilations) {
  if (rows < 1 || height < 1 || width < 1 || height % 2 == 0 || width % 2 == 0)
    throw py::value_error("need rows, and odd sides of the sum");
  if (weights < 1 || weights > kMostKernels || kernels.size() != weights ||
      dilations.size() != weights)
    throw py::value_error("need sides and a dilation for each of at most 64 kernels");
  AggregateShape shape{rows, height, width, static_cast<int>(weights), {}};
  for (std::size_t k = 0; k < weights; ++k) {
    const auto [h, w] = kernels[k];
    if (h < 1 || w < 1 || h % 2 == 0 || w % 2 == 0 || dilations[k] < 1)
      throw py::value_error("need odd sides of kernels, and positive dilations");
    shape.kernels[k] = {h, w, dilations[k]};
  }
  return shape;
}

void aggregate_forward(const Addresses& weights, std::uintptr_t alpha, std::uintptr_t sum,
                       std::ptrdiff_t rows, std::ptrdiff_t height, std::ptrdiff_t width,
                       const Sides& kernels, const std::vector<std::ptrdiff_t>& dilations,
                       int threads, const std::string& isa) {
  const AggregateShape shape = checked(weights.size(), rows, height, width, kernels, dilations);
  const AggregateTable& table = *find(isa).aggregate;
  const std::vector<const float*> own = pointers<const float>(weights);
  py::gil_scoped_release release;
  table.forward(shape, own.data(), pointer<const float>(alpha), pointer<float>(sum), threads);
}

void aggregate_backward(std::uintptr_t grad, const Addresses& weights, std::uintptr_t alpha,
                        const Addresses& grad_weights, std::uintptr_t grad_alpha,
                        std::ptrdiff_t rows, std::ptrdiff_t height, std::ptrdiff_t width,
                        const Sides& kernels, const std::vector<std::ptrdiff_t>& dilations,
                        int threads, const std::string& isa) {
  const AggregateShape shape = checked(weights.size(), rows, height, width, kernels, dilations);
  if (!grad_weights.empty() && grad_weights.size() != weights.size())
    throw py::value_error("all weights' gradients are computed, or none");
  const AggregateTable& table = *find(isa).aggregate;
  const std::vector<const float*> own = pointers<const float>(weights);
  const std::vector<float*> to = pointers<float>(grad_weights);
  py::gil_scoped_release release;
  if (!table.backward(shape, pointer<const float>(grad), own.data(), pointer<const float>(alpha),
                      to.empty() ? nullptr : to.data(), pointer<float>(grad_alpha), threads))
    throw std::bad_alloc();
}

}  // namespace

void define_aggregated(py::module_& module) {
  module.def("aggregate_forward", &aggregate_forward, py::arg("weights"), py::arg("alpha"),
             py::arg("sum"), py::kw_only(), py::arg("rows"), py::arg("height"), py::arg("width"),
             py::arg("kernels"), py::arg("dilations"), py::arg("threads") = 1, py::arg("isa") = "");
  module.def("aggregate_backward", &aggregate_backward, py::arg("grad"), py::arg("weights"),
             py::arg("alpha"), py::arg("grad_weights"), py::arg("grad_alpha"), py::kw_only(),
             py::arg("rows"), py::arg("height"), py::arg("width"), py::arg("kernels"),
             py::arg("dilations"), py::arg("threads") = 1, py::arg("isa") = "");
}

}  // namespace nasturtium::kernels

// The operators of a whole search cell and of parts of channels, on raw addresses.

#include <array>

#include "bind.hpp"

namespace nasturtium::kernels {
namespace {

// Nodes, convolutions of side 3, and moments.
using Kept = std::array<std::uintptr_t, 3>;

CellKept kept_at(const Kept& addresses) {
  return {pointer<float>(addresses[0]), pointer<float>(addresses[1]), pointer<float>(addresses[2])};
}

CellShape checked(std::ptrdiff_t batch, std::ptrdiff_t channels, std::ptrdiff_t height,
                  std::ptrdiff_t width, int nodes, std::size_t weights, bool training,
                  double epsilon) {
  if (batch < 1 || channels < 1 || height < 1 || width < 1)
    throw py::value_error("sizes must be positive");
  if (channels % 8) throw py::value_error("channels must be a multiple of eight");
  if (nodes < 2 || nodes > kMostNodes) throw py::value_error("nodes must be 2 to 8");
  if (weights != static_cast<std::size_t>(nodes * (nodes - 1)))
    throw py::value_error("need two weights for each edge");
  return {batch, channels, height, width, nodes, training, epsilon};
}

void cell_forward(std::uintptr_t x, std::uintptr_t alpha, const Addresses& weights,
                  std::uintptr_t out, const Kept& kept, std::uintptr_t mean,
                  std::uintptr_t variance, std::ptrdiff_t batch, std::ptrdiff_t channels,
                  std::ptrdiff_t height, std::ptrdiff_t width, int nodes, bool training,
                  double epsilon, int threads, const std::string& isa) {
  const CellShape shape =
      checked(batch, channels, height, width, nodes, weights.size(), training, epsilon);
  const CellTable& table = *find(isa).cell;
  const std::vector<const float*> own = pointers<const float>(weights);
  py::gil_scoped_release release;
  if (!table.forward(shape, pointer<const float>(x), pointer<const float>(alpha), own.data(),
                     pointer<float>(out), kept_at(kept), pointer<float>(mean),
                     pointer<float>(variance), threads))
    throw std::bad_alloc();
}

void cell_backward(std::uintptr_t grad, std::uintptr_t x, std::uintptr_t alpha,
                   const Addresses& weights, const Kept& kept, std::uintptr_t mean,
                   std::uintptr_t variance, std::uintptr_t grad_x, std::uintptr_t grad_alpha,
                   const Addresses& grad_weights, std::ptrdiff_t batch, std::ptrdiff_t channels,
                   std::ptrdiff_t height, std::ptrdiff_t width, int nodes, bool training,
                   double epsilon, int threads, const std::string& isa) {
  const CellShape shape =
      checked(batch, channels, height, width, nodes, weights.size(), training, epsilon);
  if (!grad_weights.empty() && grad_weights.size() != weights.size())
    throw py::value_error("all weights' gradients are computed, or none");
  const CellTable& table = *find(isa).cell;
  const std::vector<const float*> own = pointers<const float>(weights);
  const std::vector<float*> to = pointers<float>(grad_weights);
  py::gil_scoped_release release;
  if (!table.backward(shape, pointer<const float>(grad), pointer<const float>(x),
                      pointer<const float>(alpha), own.data(), kept_at(kept),
                      pointer<const float>(mean), pointer<const float>(variance),
                      pointer<float>(grad_x), pointer<float>(grad_alpha),
                      to.empty() ? nullptr : to.data(), threads))
    throw std::bad_alloc();
}

PartsShape checked(std::ptrdiff_t pixels, std::ptrdiff_t own, std::ptrdiff_t parts, bool shuffled) {
  if (pixels < 1 || own < 1 || parts < 2)
    throw py::value_error("need pixels and two parts or more");
  return {pixels, own, parts, shuffled};
}

void parts_split(std::uintptr_t whole, std::uintptr_t first, std::uintptr_t rest,
                 std::ptrdiff_t pixels, std::ptrdiff_t own, std::ptrdiff_t parts, bool shuffled,
                 int threads, const std::string& isa) {
  const PartsShape shape = checked(pixels, own, parts, shuffled);
  const PartsTable& table = *find(isa).parts;
  py::gil_scoped_release release;
  table.split(shape, pointer<const float>(whole), pointer<float>(first), pointer<float>(rest),
              threads);
}

void parts_join(std::uintptr_t first, std::uintptr_t rest, std::uintptr_t whole,
                std::ptrdiff_t pixels, std::ptrdiff_t own, std::ptrdiff_t parts, bool shuffled,
                int threads, const std::string& isa) {
  const PartsShape shape = checked(pixels, own, parts, shuffled);
  const PartsTable& table = *find(isa).parts;
  py::gil_scoped_release release;
  table.join(shape, pointer<const float>(first), pointer<const float>(rest), pointer<float>(whole),
             threads);
}

}  // namespace

void define_cell(py::module_& module) {
  module.def("cell_forward", &cell_forward, py::arg("x"), py::arg("alpha"), py::arg("weights"),
             py::arg("out"), py::arg("kept"), py::arg("mean"), py::arg("variance"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("nodes"), py::arg("training"), py::arg("epsilon"), py::arg("threads") = 1,
             py::arg("isa") = "");
  module.def("cell_backward", &cell_backward, py::arg("grad"), py::arg("x"), py::arg("alpha"),
             py::arg("weights"), py::arg("kept"), py::arg("mean"), py::arg("variance"),
             py::arg("grad_x"), py::arg("grad_alpha"), py::arg("grad_weights"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("nodes"), py::arg("training"), py::arg("epsilon"), py::arg("threads") = 1,
             py::arg("isa") = "");
  module.def("parts_split", &parts_split, py::arg("whole"), py::arg("first"), py::arg("rest"),
             py::kw_only(), py::arg("pixels"), py::arg("own"), py::arg("parts"),
             py::arg("shuffled"), py::arg("threads") = 1, py::arg("isa") = "");
  module.def("parts_join", &parts_join, py::arg("first"), py::arg("rest"), py::arg("whole"),
             py::kw_only(), py::arg("pixels"), py::arg("own"), py::arg("parts"),
             py::arg("shuffled"), py::arg("threads") = 1, py::arg("isa") = "");
}

}  // namespace nasturtium::kernels

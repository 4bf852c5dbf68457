// The operators of mixed edges on raw addresses.

#include "bind.hpp"

namespace nasturtium::kernels {
namespace {

// Two for each convolution of a candidate.
int weights_of(int candidate, int stride) {
  if (candidate == kSkip) return stride == 2 ? 2 : 0;
  if (candidate == kSeparable3 || candidate == kSeparable5) return 4;
  return candidate == kDilated3 || candidate == kDilated5 ? 2 : 0;
}

MixedShape checked(std::ptrdiff_t batch, std::ptrdiff_t channels, std::ptrdiff_t height,
                   std::ptrdiff_t width, int stride, const std::vector<int>& candidates,
                   std::size_t weights, bool training, double epsilon, bool each, bool pack,
                   bool half, std::ptrdiff_t parts) {
  if (batch < 1 || channels < 1 || height < 1 || width < 1)
    throw py::value_error("sizes must be positive");
  if (stride != 1 && stride != 2) throw py::value_error("stride must be 1 or 2");
  if (parts < 1 || (parts > 1 && stride != 1))
    throw py::value_error("parts need to be positive, and the stride 1 where there are several");
  MixedShape shape{batch,    channels, height, width, stride, 0,    {},
                   training, epsilon,  each,   pack,  half,   parts};
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

// The sum of several edges: one entry of each list for an edge, and one batch and number of
// channels for all.
void mixed_forward(const Addresses& x, const Addresses& alpha,
                   const std::vector<Addresses>& weights, std::uintptr_t out, const Addresses& kept,
                   const Addresses& mean, const Addresses& variance, std::ptrdiff_t batch,
                   std::ptrdiff_t channels, const std::vector<std::ptrdiff_t>& height,
                   const std::vector<std::ptrdiff_t>& width, const std::vector<int>& stride,
                   const std::vector<std::vector<int>>& candidates, bool training, double epsilon,
                   const std::vector<bool>& each, bool pack, bool half, std::ptrdiff_t parts,
                   int threads, const std::string& isa) {
  const std::size_t count = x.size();
  if (count < 1 || count > kMostEdges) throw py::value_error("need 1 to 16 edges");
  if (parts > 1 && count > 1) throw py::value_error("edges of several parts are not summed");
  for (const std::size_t size :
       {alpha.size(), weights.size(), kept.size(), mean.size(), variance.size(), height.size(),
        width.size(), stride.size(), candidates.size(), each.size()})
    if (size != count) throw py::value_error("need one entry for each edge");
  std::vector<MixedEdge> edges;
  std::vector<std::vector<const float*>> own;
  for (const Addresses& some : weights) own.push_back(pointers<const float>(some));
  for (std::size_t i = 0; i < count; ++i) {
    const MixedShape shape = checked(batch, channels, height[i], width[i], stride[i], candidates[i],
                                     own[i].size(), training, epsilon, each[i], pack, half, parts);
    edges.push_back({shape, pointer<const float>(x[i]), pointer<const float>(alpha[i]),
                     own[i].data(), pointer<void>(kept[i]), pointer<float>(mean[i]),
                     pointer<float>(variance[i])});
    const auto size = [&](std::size_t e, const std::vector<std::ptrdiff_t>& sides) {
      return (sides[e] - 1) / stride[e] + 1;
    };
    if (size(i, height) != size(0, height) || size(i, width) != size(0, width))
      throw py::value_error("the edges' outputs differ in size");
  }
  const MixedTable& table = *find(isa).mixed;
  py::gil_scoped_release release;
  if (!table.forward(edges.data(), static_cast<int>(count), pointer<float>(out), threads))
    throw std::bad_alloc();
}

void mixed_backward(std::uintptr_t grad, std::uintptr_t x, std::uintptr_t alpha,
                    const Addresses& weights, std::uintptr_t kept, std::uintptr_t mean,
                    std::uintptr_t variance, std::uintptr_t grad_x, std::uintptr_t grad_alpha,
                    const Addresses& grad_weights, std::ptrdiff_t batch, std::ptrdiff_t channels,
                    std::ptrdiff_t height, std::ptrdiff_t width, int stride,
                    const std::vector<int>& candidates, bool training, double epsilon, bool each,
                    bool pack, bool half, std::ptrdiff_t parts, int threads,
                    const std::string& isa) {
  const MixedShape shape = checked(batch, channels, height, width, stride, candidates,
                                   weights.size(), training, epsilon, each, pack, half, parts);
  if (!grad_weights.empty() && grad_weights.size() != weights.size())
    throw py::value_error("all weights' gradients are computed, or none");
  const MixedTable& table = *find(isa).mixed;
  const std::vector<const float*> own = pointers<const float>(weights);
  const std::vector<float*> to = pointers<float>(grad_weights);
  py::gil_scoped_release release;
  if (!table.backward(shape, pointer<const float>(grad), pointer<const float>(x),
                      pointer<const float>(alpha), own.data(), pointer<const void>(kept),
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

BankShape checked(std::ptrdiff_t batch, std::ptrdiff_t channels, std::ptrdiff_t height,
                  std::ptrdiff_t width, int stride, const std::vector<int>& kernels,
                  const std::vector<int>& dilations, std::size_t weights) {
  if (batch < 1 || channels < 1 || height < 1 || width < 1)
    throw py::value_error("sizes must be positive");
  if (stride != 1 && stride != 2) throw py::value_error("stride must be 1 or 2");
  if (kernels.size() > kMostFilters || dilations.size() != kernels.size() ||
      weights != 2 * kernels.size())
    throw py::value_error("need two weights and a dilation for each of at most 16 filters");
  BankShape shape{batch, channels, height, width, stride, 0, {}, {}};
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    if ((kernels[k] != 3 && kernels[k] != 5) || dilations[k] < 1 || dilations[k] > 2)
      throw py::value_error("kernel must be 3 or 5, dilation 1 or 2");
    shape.kernels[shape.count] = kernels[k];
    shape.dilations[shape.count++] = dilations[k];
  }
  return shape;
}

void bank_forward(std::uintptr_t x, std::uintptr_t scale, std::uintptr_t shift,
                  const Addresses& weights, const Addresses& outs, std::uintptr_t mean,
                  std::uintptr_t variance, std::ptrdiff_t batch, std::ptrdiff_t channels,
                  std::ptrdiff_t height, std::ptrdiff_t width, int stride,
                  const std::vector<int>& kernels, const std::vector<int>& dilations, int threads,
                  const std::string& isa) {
  const BankShape shape =
      checked(batch, channels, height, width, stride, kernels, dilations, weights.size());
  if (outs.size() != kernels.size()) throw py::value_error("need an output for each filter");
  const BankTable& table = *find(isa).bank;
  const std::vector<const float*> own = pointers<const float>(weights);
  const std::vector<float*> to = pointers<float>(outs);
  py::gil_scoped_release release;
  if (!table.forward(shape, pointer<const float>(x), pointer<const float>(scale),
                     pointer<const float>(shift), own.data(), to.data(), pointer<float>(mean),
                     pointer<float>(variance), threads))
    throw std::bad_alloc();
}

void bank_backward(const Addresses& grads, std::uintptr_t x, std::uintptr_t scale,
                   std::uintptr_t shift, const Addresses& weights, std::uintptr_t grad_x,
                   std::uintptr_t grad_affine, const Addresses& grad_weights, std::ptrdiff_t batch,
                   std::ptrdiff_t channels, std::ptrdiff_t height, std::ptrdiff_t width, int stride,
                   const std::vector<int>& kernels, const std::vector<int>& dilations, int threads,
                   const std::string& isa) {
  const BankShape shape =
      checked(batch, channels, height, width, stride, kernels, dilations, weights.size());
  if (grads.size() != kernels.size())
    throw py::value_error("need an address, or 0, for the gradient of each output");
  if (!grad_weights.empty() && grad_weights.size() != weights.size())
    throw py::value_error("all weights' gradients are computed, or none");
  const BankTable& table = *find(isa).bank;
  const std::vector<const float*> from = pointers<const float>(grads);
  const std::vector<const float*> own = pointers<const float>(weights);
  const std::vector<float*> to = pointers<float>(grad_weights);
  py::gil_scoped_release release;
  if (!table.backward(shape, from.data(), pointer<const float>(x), pointer<const float>(scale),
                      pointer<const float>(shift), own.data(), pointer<float>(grad_x),
                      pointer<float>(grad_affine), to.empty() ? nullptr : to.data(), threads))
    throw std::bad_alloc();
}

}  // namespace

void define_mixed(py::module_& module) {
  module.def("mixed_forward", &mixed_forward, py::arg("x"), py::arg("alpha"), py::arg("weights"),
             py::arg("out"), py::arg("kept"), py::arg("mean"), py::arg("variance"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("stride"), py::arg("candidates"), py::arg("training"), py::arg("epsilon"),
             py::arg("each"), py::arg("pack") = false, py::arg("half") = false,
             py::arg("parts") = 1, py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mixed_backward", &mixed_backward, py::arg("grad"), py::arg("x"), py::arg("alpha"),
             py::arg("weights"), py::arg("kept"), py::arg("mean"), py::arg("variance"),
             py::arg("grad_x"), py::arg("grad_alpha"), py::arg("grad_weights"), py::kw_only(),
             py::arg("batch"), py::arg("channels"), py::arg("height"), py::arg("width"),
             py::arg("stride"), py::arg("candidates"), py::arg("training"), py::arg("epsilon"),
             py::arg("each") = false, py::arg("pack") = false, py::arg("half") = false,
             py::arg("parts") = 1, py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mix_forward", &mix_forward, py::arg("branches"), py::arg("alpha"), py::arg("out"),
             py::arg("mean"), py::arg("variance"), py::kw_only(), py::arg("pixels"),
             py::arg("channels"), py::arg("normalized"), py::arg("training"), py::arg("epsilon"),
             py::arg("threads") = 1, py::arg("isa") = "");
  module.def("mix_backward", &mix_backward, py::arg("grad"), py::arg("branches"), py::arg("alpha"),
             py::arg("mean"), py::arg("variance"), py::arg("grad_branches"), py::arg("grad_alpha"),
             py::kw_only(), py::arg("pixels"), py::arg("channels"), py::arg("normalized"),
             py::arg("training"), py::arg("epsilon"), py::arg("threads") = 1, py::arg("isa") = "");
  module.def("bank_forward", &bank_forward, py::arg("x"), py::arg("scale"), py::arg("shift"),
             py::arg("weights"), py::arg("outs"), py::arg("mean"), py::arg("variance"),
             py::kw_only(), py::arg("batch"), py::arg("channels"), py::arg("height"),
             py::arg("width"), py::arg("stride"), py::arg("kernels"), py::arg("dilations"),
             py::arg("threads") = 1, py::arg("isa") = "");
  module.def("bank_backward", &bank_backward, py::arg("grads"), py::arg("x"), py::arg("scale"),
             py::arg("shift"), py::arg("weights"), py::arg("grad_x"), py::arg("grad_affine"),
             py::arg("grad_weights"), py::kw_only(), py::arg("batch"), py::arg("channels"),
             py::arg("height"), py::arg("width"), py::arg("stride"), py::arg("kernels"),
             py::arg("dilations"), py::arg("threads") = 1, py::arg("isa") = "");
}

}  // namespace nasturtium::kernels

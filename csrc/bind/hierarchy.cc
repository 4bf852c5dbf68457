#include <utility>
#include <vector>

#include "common.hpp"
#include "graphs.hpp"
#include "nasturtium/hierarchy.hpp"

namespace nasturtium::bind {
namespace {

using Levels = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

Hierarchy hierarchy_of(std::uint32_t primitives, std::uint32_t identity, const Levels& levels) {
  Hierarchy made{primitives, identity, {}};
  for (const auto& [motifs, nodes] : levels) {
    made.levels.push_back({motifs, nodes});
  }
  require(check_hierarchy(made));
  return made;
}

std::size_t code_width(std::uint32_t primitives, std::uint32_t identity, const Levels& levels) {
  return hierarchy_width(hierarchy_of(primitives, identity, levels));
}

void code_trivial(std::uint32_t primitives, std::uint32_t identity, const Levels& levels,
                  Codes out) {
  const Hierarchy hierarchy = hierarchy_of(primitives, identity, levels);
  const std::uint64_t n = rows(out, hierarchy_width(hierarchy), "out");
  std::uint8_t* to = out.mutable_data();
  run([&] { return trivial_codes(hierarchy, n, to); });
}

void code_relabel(std::uint32_t primitives, std::uint32_t identity, const Levels& levels,
                  const Codes& codes, Codes out, std::uint32_t steps, bool distinct,
                  std::uint64_t seed, std::uint32_t stream, std::uint64_t start, unsigned threads) {
  const Hierarchy hierarchy = hierarchy_of(primitives, identity, levels);
  const std::size_t width = hierarchy_width(hierarchy);
  const std::uint64_t n = rows(codes, width, "codes");
  same_rows(n, rows(out, width, "out"));
  const std::uint8_t* from = codes.data();
  std::uint8_t* to = out.mutable_data();
  if (from != to) {
    apart(from, to, n * width);
  }
  run([&] {
    return relabel_codes(hierarchy, {{seed, stream}, start, threads}, steps, distinct, n, from, to);
  });
}

py::tuple code_flatten(std::uint32_t primitives, std::uint32_t identity, const Levels& levels,
                       const Codes& codes, unsigned threads) {
  const Hierarchy hierarchy = hierarchy_of(primitives, identity, levels);
  const std::uint64_t n = rows(codes, hierarchy_width(hierarchy), "codes");
  const std::uint8_t* from = codes.data();
  GraphStore store;
  run([&] { return flatten_codes(hierarchy, n, from, threads, store); });
  return tuple_of(store);
}

}  // namespace

void bind_hierarchy(py::module_& m) {
  using namespace py::literals;
  const auto primitives = "primitives"_a, identity = "identity"_a, levels = "levels"_a;
  const auto codes = "codes"_a.noconvert(), out = "out"_a.noconvert();
  m.def("hierarchy_width", &code_width, primitives, identity, levels);
  m.def("hierarchy_trivial", &code_trivial, primitives, identity, levels, out);
  m.def("hierarchy_relabel", &code_relabel, primitives, identity, levels, codes, out, "steps"_a,
        "distinct"_a, "seed"_a, "stream"_a, "start"_a, "threads"_a);
  m.def("hierarchy_flatten", &code_flatten, primitives, identity, levels, codes, "threads"_a);
}

}  // namespace nasturtium::bind

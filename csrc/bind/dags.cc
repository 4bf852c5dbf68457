#include <array>
#include <vector>

#include "common.hpp"
#include "graphs.hpp"
#include "nasturtium/dag_classes.hpp"

namespace nasturtium::bind {

py::tuple tuple_of(const GraphStore& store) {
  Array<std::uint64_t> rows(
      {static_cast<py::ssize_t>(store.vertices()), static_cast<py::ssize_t>(store.words())});
  store.write_rows(store.words(), rows.mutable_data());
  py::object edge_labels = py::none();
  if (!store.edge_labels().empty()) {
    edge_labels = column_of<std::uint64_t>(store.edge_labels());
  }
  return py::make_tuple(column_of<std::int64_t>(store.offsets()), rows,
                        column_of<std::uint64_t>(store.labels()), edge_labels);
}

namespace {

DagClasses dag_classes(const std::array<std::uint32_t, 7>& numbers, bool terminals) {
  const auto [least, most, labels, edge_labels, most_edges, most_in, most_out] = numbers;
  const DagFamily family{least,      most,    labels,   edge_labels,
                         most_edges, most_in, most_out, terminals};
  DagClasses made;
  run([&] { return made.begin(family); });
  return made;
}

Array<std::uint64_t> dag_count(const DagClasses& classes, std::size_t first, std::size_t last,
                               unsigned threads) {
  Array<std::uint64_t> out(static_cast<py::ssize_t>(last > first ? last - first : 0));
  std::uint64_t* to = out.mutable_data();
  run([&] { return classes.count(first, last, threads, to); });
  return out;
}

py::tuple dag_list(const DagClasses& classes, std::size_t first, std::size_t last,
                   unsigned threads) {
  GraphStore store;
  run([&] { return classes.list(first, last, threads, store); });
  return tuple_of(store);
}

py::tuple dag_take(const DagClasses& classes, const std::vector<std::uint64_t>& counts,
                   const Array<std::uint64_t>& numbers, unsigned threads) {
  const std::uint64_t n = length(numbers, "numbers");
  const std::uint64_t* from = numbers.data();
  GraphStore store;
  run([&] { return classes.take(counts, n, from, threads, store); });
  return tuple_of(store);
}

void number_draws(Array<std::uint64_t> out, std::uint64_t size, std::uint64_t seed,
                  std::uint32_t stream, std::uint64_t start, unsigned threads) {
  const std::uint64_t n = length(out, "out");
  std::uint64_t* to = out.mutable_data();
  run([&] { return draw_numbers({{seed, stream}, start, threads}, size, n, to); });
}

}  // namespace

void bind_dags(py::module_& m) {
  using namespace py::literals;
  py::class_<DagClasses>(m, "DagClasses")
      .def(py::init(&dag_classes), "numbers"_a, "terminals"_a)
      .def_property_readonly("branches", &DagClasses::branches)
      .def("count", &dag_count, "first"_a, "last"_a, "threads"_a)
      .def("list", &dag_list, "first"_a, "last"_a, "threads"_a)
      .def("take", &dag_take, "counts"_a, "numbers"_a.noconvert(), "threads"_a);
  m.def("draw_numbers", &number_draws, "out"_a.noconvert(), "size"_a, "seed"_a, "stream"_a,
        "start"_a, "threads"_a);
}

}  // namespace nasturtium::bind

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "common.hpp"
#include "graphs.hpp"
#include "nasturtium/edit_distance.hpp"
#include "nasturtium/graph_batch.hpp"
#include "nasturtium/graph_moves.hpp"
#include "nasturtium/random_graphs.hpp"

namespace nasturtium::bind {
namespace {

using Words = Array<std::uint64_t>;
using Numbers = Array<std::int64_t>;

// The arrays of a batch as Python holds them: offsets int64[n + 1], rows uint64[N, W], labels
// uint64[N], edge labels uint64[E] or None. The arguments of a call keep them alive.
struct BatchArrays {
  Numbers offsets;
  Words rows, labels;
  std::optional<Words> edge_labels;

  GraphBatch view() const {
    GraphBatch batch;
    const std::uint64_t count = length(offsets, "offsets");
    if (count == 0 || rows.ndim() != 2) {
      raise("offsets has at least one entry, and rows two axes");
    }
    batch.size = count - 1;
    batch.vertices = length(labels, "labels");
    same_rows(batch.vertices, static_cast<std::uint64_t>(rows.shape(0)));
    batch.words = static_cast<std::uint64_t>(rows.shape(1));
    batch.offsets = offsets.data();
    batch.rows = rows.data();
    batch.labels = labels.data();
    if (edge_labels) {
      batch.edges = length(*edge_labels, "edge_labels");
      batch.edge_labels = edge_labels->data();
    }
    return batch;
  }
};

// From the tuple of the four arrays; nothing is converted.
BatchArrays arrays_of(const py::tuple& batch) {
  if (batch.size() != 4 || !Numbers::check_(batch[0]) || !Words::check_(batch[1]) ||
      !Words::check_(batch[2]) || !(batch[3].is_none() || Words::check_(batch[3]))) {
    raise("a batch of graphs is int64 offsets, uint64 rows, labels and edge labels, contiguous");
  }
  BatchArrays arrays;
  arrays.offsets = py::reinterpret_borrow<Numbers>(batch[0]);
  arrays.rows = py::reinterpret_borrow<Words>(batch[1]);
  arrays.labels = py::reinterpret_borrow<Words>(batch[2]);
  if (!batch[3].is_none()) {
    arrays.edge_labels = py::reinterpret_borrow<Words>(batch[3]);
  }
  return arrays;
}

void graph_check(const py::tuple& arrays, bool symmetric, unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  run([&] { return check_graphs(batch, symmetric, threads); });
}

void graph_keys(const py::tuple& arrays, Words out, bool directed, std::uint64_t budget,
                unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  same_rows(batch.size, rows(out, 2, "out"));
  std::uint64_t* to = out.mutable_data();
  run([&] { return canonical_keys(batch, {directed, budget, threads}, to); });
}

void graph_orders(const py::tuple& arrays, Numbers out, bool directed, std::uint64_t budget,
                  unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  same_rows(batch.vertices, length(out, "out"));
  std::int64_t* to = out.mutable_data();
  run([&] { return canonical_orders(batch, {directed, budget, threads}, to); });
}

py::tuple graph_automorphisms(const py::tuple& arrays, bool directed, std::uint64_t budget,
                              unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  std::vector<std::uint32_t> counts, factors;
  run([&] { return automorphism_factors(batch, {directed, budget, threads}, counts, factors); });
  return py::make_tuple(column_of<std::int64_t>(counts), column_of<std::int64_t>(factors));
}

py::tuple graph_reorder(const py::tuple& arrays, const Numbers& order, unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  same_rows(batch.vertices, length(order, "order"));
  GraphStore store;
  const std::int64_t* from = order.data();
  run([&] { return reorder(batch, from, threads, store); });
  return tuple_of(store);
}

py::tuple graph_prune(const py::tuple& arrays, const Numbers& sources, const Numbers& sinks,
                      unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  same_rows(batch.size, length(sources, "sources"));
  same_rows(batch.size, length(sinks, "sinks"));
  GraphStore store;
  const std::int64_t *from = sources.data(), *to = sinks.data();
  run([&] { return prune_graphs(batch, from, to, threads, store); });
  return tuple_of(store);
}

EditOptions edit_options(const std::array<double, 4>& costs, std::uint64_t budget,
                         unsigned threads) {
  return {{costs[0], costs[1], costs[2], costs[3]}, budget, threads};
}

void graph_edit_distances(const py::tuple& a, const py::tuple& b, Array<double> out,
                          const std::array<double, 4>& costs, std::uint64_t budget,
                          unsigned threads) {
  const BatchArrays held_a = arrays_of(a), held_b = arrays_of(b);
  const GraphBatch first = held_a.view(), second = held_b.view();
  same_rows(first.size, length(out, "out"));
  double* to = out.mutable_data();
  run([&] { return edit_distances(first, second, edit_options(costs, budget, threads), to); });
}

void graph_edit_bounds(const py::tuple& a, const py::tuple& b, Array<double> lower,
                       Array<double> upper, const std::array<double, 4>& costs, unsigned threads) {
  const BatchArrays held_a = arrays_of(a), held_b = arrays_of(b);
  const GraphBatch first = held_a.view(), second = held_b.view();
  same_rows(first.size, length(lower, "lower"));
  same_rows(first.size, length(upper, "upper"));
  double *low = lower.mutable_data(), *high = upper.mutable_data();
  run([&] { return edit_bounds(first, second, edit_options(costs, 1, threads), low, high); });
}

py::tuple graph_mutate(const py::tuple& arrays, const std::array<double, kVerbs>& weights,
                       const std::vector<double>& steps, const std::vector<std::uint64_t>& labels,
                       const std::array<std::uint64_t, 4>& most,
                       const std::vector<std::uint64_t>& sized,
                       const std::array<std::uint32_t, 2>& units, std::uint64_t seed,
                       std::uint32_t stream, std::uint64_t start, unsigned threads) {
  const BatchArrays held = arrays_of(arrays);
  const GraphBatch batch = held.view();
  const MoveOptions options{weights, steps,   labels,  most[0],
                            most[1], most[2], most[3], {sized, units[0], units[1]}};
  GraphStore store;
  run([&] { return mutate_graphs(batch, options, {{seed, stream}, start, threads}, store); });
  return tuple_of(store);
}

py::tuple graph_random(unsigned wiring, std::uint32_t nodes, std::uint32_t neighbors, double chance,
                       const std::array<std::uint64_t, 3>& labels, std::uint64_t count,
                       std::uint64_t seed, std::uint32_t stream, std::uint64_t start,
                       unsigned threads) {
  if (wiring > 2) {
    raise("there are 3 wirings");
  }
  const WiringOptions options{
      static_cast<Wiring>(wiring), nodes, neighbors, chance, labels[0], labels[1], labels[2]};
  GraphStore store;
  run([&] { return random_graphs(options, {{seed, stream}, start, threads}, count, store); });
  return tuple_of(store);
}

}  // namespace

void bind_graphs(py::module_& m) {
  using namespace py::literals;
  const auto batch = "batch"_a;
  const auto threads = "threads"_a;
  m.def("graph_check", &graph_check, batch, "symmetric"_a, threads);
  m.def("graph_keys", &graph_keys, batch, "out"_a.noconvert(), "directed"_a, "budget"_a, threads);
  m.def("graph_orders", &graph_orders, batch, "out"_a.noconvert(), "directed"_a, "budget"_a,
        threads);
  m.def("graph_automorphisms", &graph_automorphisms, batch, "directed"_a, "budget"_a, threads);
  m.def("graph_reorder", &graph_reorder, batch, "order"_a.noconvert(), threads);
  m.def("graph_prune", &graph_prune, batch, "sources"_a.noconvert(), "sinks"_a.noconvert(),
        threads);
  m.def("graph_edit_distances", &graph_edit_distances, "a"_a, "b"_a, "out"_a.noconvert(), "costs"_a,
        "budget"_a, threads);
  m.def("graph_edit_bounds", &graph_edit_bounds, "a"_a, "b"_a, "lower"_a.noconvert(),
        "upper"_a.noconvert(), "costs"_a, threads);
  m.def("graph_mutate", &graph_mutate, batch, "weights"_a, "steps"_a, "labels"_a, "most"_a,
        "sized"_a, "units"_a, "seed"_a, "stream"_a, "start"_a, threads);
  m.def("graph_random", &graph_random, "wiring"_a, "nodes"_a, "neighbors"_a, "chance"_a, "labels"_a,
        "count"_a, "seed"_a, "stream"_a, "start"_a, threads);
}

}  // namespace nasturtium::bind

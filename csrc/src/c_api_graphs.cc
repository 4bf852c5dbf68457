#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>
#include <vector>

#include "c_api_guard.hpp"
#include "nasturtium/c_api.h"
#include "nasturtium/graph_batch.hpp"

// Part of the binary interface.
static_assert(sizeof(nst_graph_sizes) == 32 && alignof(nst_graph_sizes) == 8);
static_assert(std::is_standard_layout_v<nst_graph_sizes>);

struct nst_graphs {
  std::uint64_t words = 1, edges = 0;
  std::vector<std::int64_t> offsets;
  std::vector<std::uint64_t> rows, labels, edge_labels;

  nasturtium::GraphBatch view() const {
    nasturtium::GraphBatch batch;
    batch.size = offsets.size() - 1;
    batch.words = words;
    batch.offsets = offsets.data();
    batch.vertices = labels.size();
    batch.rows = rows.data();
    batch.labels = labels.data();
    if (!edge_labels.empty()) {
      batch.edge_labels = edge_labels.data();
      batch.edges = edge_labels.size();
    }
    return batch;
  }

  void count_edges() {
    edges = 0;
    for (const std::uint64_t row : rows) {
      edges += static_cast<std::uint64_t>(std::popcount(row));
    }
  }
};

namespace nasturtium::c_api {
namespace {

template <typename T>
std::vector<T> copy_of(const T* array, std::uint64_t count) {
  return count == 0 ? std::vector<T>() : std::vector<T>(array, array + count);
}

template <typename T>
void copy_to(const std::vector<T>& values, T* out) {
  if (!values.empty()) {
    std::copy(values.begin(), values.end(), out);
  }
}

// What is written for each graph or vertex of a batch by a search.
template <typename T, typename F>
nst_status search_graphs(const nst_graphs* graphs, std::uint32_t directed, std::uint64_t budget,
                         std::uint32_t threads, T* out, bool keys, nst_error* error,
                         F work) noexcept {
  return guarded(error, [&]() -> Outcome {
    if (graphs == nullptr || directed > 1) {
      return refused(graphs == nullptr ? "the graphs are NULL" : "directed is neither 0 nor 1");
    }
    const std::uint64_t count =
        keys ? product(graphs->offsets.size() - 1, 2) : graphs->labels.size();
    if (const char* why = mistake({}, {Array(out, count)})) {
      return refused(why);
    }
    const CanonicalOptions options{directed == 1, budget == 0 ? kSearchBudget : budget, threads};
    return outcome(work(graphs->view(), options));
  });
}

}  // namespace
}  // namespace nasturtium::c_api

namespace nst = nasturtium;

nst_status nst_graphs_create(const nst_graph_sizes* sizes, const int64_t* offsets,
                             const uint64_t* rows, const uint64_t* labels,
                             const uint64_t* edge_labels, nst_graphs** out,
                             nst_error* error) noexcept {
  using namespace nasturtium::c_api;
  return make_handle(out, {Array(sizes, 1)}, error, [&](nst_graphs& made) -> Outcome {
    const std::uint64_t cells = product(sizes->vertices, sizes->words);
    const std::uint64_t marks = edge_labels == nullptr ? 0 : sizes->edges;
    // So that adding one does not wrap around.
    const std::uint64_t entries = product(sizes->graphs, 1) + 1;
    const char* why = mistake({Array(offsets, entries), Array(rows, cells),
                               Array(labels, sizes->vertices), Array(edge_labels, marks)},
                              {Array(out, 1)});
    if (why != nullptr) {
      return refused(why);
    }
    made.words = sizes->words;
    made.offsets = copy_of(offsets, entries);
    made.rows = copy_of(rows, cells);
    made.labels = copy_of(labels, sizes->vertices);
    made.edge_labels = copy_of(edge_labels, marks);
    made.count_edges();
    if (edge_labels != nullptr && marks == 0 && made.edges != 0) {
      return {NST_ERROR_LIMIT, 0, "there are edges and no edge labels"};
    }
    return outcome(nst::check_graphs(made.view(), false, 1));
  });
}

void nst_graphs_destroy(nst_graphs* graphs) noexcept { delete graphs; }

nst_status nst_graphs_sizes(const nst_graphs* graphs, nst_graph_sizes* out,
                            nst_error* error) noexcept {
  using namespace nasturtium::c_api;
  return guarded(error, [&]() -> Outcome {
    if (graphs == nullptr) {
      return refused("the graphs are NULL");
    }
    if (const char* why = mistake({}, {Array(out, 1)})) {
      return refused(why);
    }
    *out = {graphs->offsets.size() - 1, graphs->labels.size(), graphs->words, graphs->edges};
    return {};
  });
}

nst_status nst_graphs_read(const nst_graphs* graphs, int64_t* offsets, uint64_t* rows,
                           uint64_t* labels, uint64_t* edge_labels, nst_error* error) noexcept {
  using namespace nasturtium::c_api;
  return guarded(error, [&]() -> Outcome {
    if (graphs == nullptr) {
      return refused("the graphs are NULL");
    }
    const char* why =
        mistake({}, {Array(offsets, graphs->offsets.size()), Array(rows, graphs->rows.size()),
                     Array(labels, graphs->labels.size()), Array(edge_labels, graphs->edges)});
    if (why != nullptr) {
      return refused(why);
    }
    copy_to(graphs->offsets, offsets);
    copy_to(graphs->rows, rows);
    copy_to(graphs->labels, labels);
    if (graphs->edge_labels.empty()) {
      std::fill_n(edge_labels, graphs->edges, std::uint64_t{0});
    } else {
      copy_to(graphs->edge_labels, edge_labels);
    }
    return {};
  });
}

nst_status nst_graphs_keys(const nst_graphs* graphs, uint32_t directed, uint64_t budget,
                           uint32_t threads, uint64_t* out, nst_error* error) noexcept {
  return nst::c_api::search_graphs(
      graphs, directed, budget, threads, out, true, error,
      [&](const nst::GraphBatch& batch, const nst::CanonicalOptions& options) {
        return nst::canonical_keys(batch, options, out);
      });
}

nst_status nst_graphs_orders(const nst_graphs* graphs, uint32_t directed, uint64_t budget,
                             uint32_t threads, int64_t* out, nst_error* error) noexcept {
  return nst::c_api::search_graphs(
      graphs, directed, budget, threads, out, false, error,
      [&](const nst::GraphBatch& batch, const nst::CanonicalOptions& options) {
        return nst::canonical_orders(batch, options, out);
      });
}

nst_status nst_graphs_prune(const nst_graphs* graphs, const int64_t* sources, const int64_t* sinks,
                            uint32_t threads, nst_graphs** out, nst_error* error) noexcept {
  using namespace nasturtium::c_api;
  return make_handle(out, {}, error, [&](nst_graphs& made) -> Outcome {
    if (graphs == nullptr) {
      return refused("the graphs are NULL");
    }
    const nst::GraphBatch batch = graphs->view();
    const char* why =
        mistake({Array(sources, batch.size), Array(sinks, batch.size)}, {Array(out, 1)});
    if (why != nullptr) {
      return refused(why);
    }
    nst::GraphStore store;
    if (nst::Status s = nst::prune_graphs(batch, sources, sinks, threads, store); !s.ok()) {
      return outcome(std::move(s));
    }
    made.words = store.words();
    made.offsets = store.offsets();
    made.labels = store.labels();
    made.edge_labels = store.edge_labels();
    made.rows.resize(store.vertices() * store.words());
    store.write_rows(store.words(), made.rows.data());
    made.count_edges();
    return {};
  });
}

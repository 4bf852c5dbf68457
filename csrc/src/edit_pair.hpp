#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "nasturtium/canonical.hpp"
#include "nasturtium/edit_distance.hpp"

namespace nasturtium {

// Where a vertex goes that is deleted.
constexpr std::size_t kNowhere = ~std::size_t{0};

// An adjacency matrix with small numbers for the edges' labels; 0: no edge.
struct LabeledMatrix {
  std::size_t n = 0;
  std::vector<std::uint64_t> labels;
  std::vector<std::uint32_t> edges;

  std::uint32_t at(std::size_t v, std::size_t w) const { return edges[v * n + w]; }
};

// Labels of both graphs by number, so that equal ones have one number from 1 on.
inline void fill_matrix(const EdgeList& graph, const std::vector<std::uint64_t>& known,
                        LabeledMatrix& out) {
  out.n = graph.n;
  out.labels = graph.labels;
  out.edges.assign(graph.n * graph.n, 0);
  for (std::size_t e = 0; e < graph.edges(); ++e) {
    const std::uint64_t label = graph.edge_labels.empty() ? 0 : graph.edge_labels[e];
    const auto at = std::lower_bound(known.begin(), known.end(), label);
    out.edges[graph.from[e] * graph.n + graph.to[e]] =
        static_cast<std::uint32_t>(at - known.begin()) + 1;
  }
}

inline std::vector<std::uint64_t> known_labels(const EdgeList& a, const EdgeList& b) {
  std::vector<std::uint64_t> known{0};
  known.insert(known.end(), a.edge_labels.begin(), a.edge_labels.end());
  known.insert(known.end(), b.edge_labels.begin(), b.edge_labels.end());
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  return known;
}

// Two graphs, the first of which has no more vertices, and what their edits cost.
class EditPair {
 public:
  explicit EditPair(const EditCosts& costs) : costs_(costs) {
    // An edge's other label can be had by deleting and inserting it; a vertex's cannot, as its
    // edges would go too.
    costs_.edge_label = std::min(costs_.edge_label, 2 * costs_.edge);
  }

  void take(const EdgeList& a, const EdgeList& b) {
    const std::vector<std::uint64_t> known = known_labels(a, b);
    // Costs are the same in both directions.
    fill_matrix(a.n <= b.n ? a : b, known, first_);
    fill_matrix(a.n <= b.n ? b : a, known, second_);
  }

  const EditCosts& costs() const { return costs_; }
  const LabeledMatrix& first() const { return first_; }
  const LabeledMatrix& second() const { return second_; }

  double edge_cost(std::uint32_t a, std::uint32_t b) const {
    return a == b ? 0 : a == 0 || b == 0 ? costs_.edge : costs_.edge_label;
  }

  double vertex_cost(std::size_t v, std::size_t w) const {
    return first_.labels[v] == second_.labels[w] ? 0 : costs_.vertex_label;
  }

  // What the labels of two lists of edges must cost; sorted.
  double list_cost(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) const {
    std::size_t common = 0;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
      if (a[i] == b[j]) {
        ++common, ++i, ++j;
      } else {
        ++(a[i] < b[j] ? i : j);
      }
    }
    const std::size_t least = std::min(a.size(), b.size()), most = std::max(a.size(), b.size());
    return static_cast<double>(least - common) * costs_.edge_label +
           static_cast<double>(most - least) * costs_.edge;
  }

  // The cost of the edits that the image of all vertices stands for.
  double whole_cost(const std::vector<std::size_t>& image) const {
    double sum = 0;
    std::vector<std::size_t> origin(second_.n, kNowhere);
    for (std::size_t v = 0; v < first_.n; ++v) {
      if (image[v] == kNowhere) {
        sum += costs_.vertex;
      } else {
        origin[image[v]] = v;
        sum += vertex_cost(v, image[v]);
      }
      for (std::size_t w = 0; w < first_.n; ++w) {
        const bool there = image[v] != kNowhere && image[w] != kNowhere;
        sum += edge_cost(first_.at(v, w), there ? second_.at(image[v], image[w]) : 0);
      }
    }
    for (std::size_t v = 0; v < second_.n; ++v) {
      sum += origin[v] == kNowhere ? costs_.vertex : 0;
      for (std::size_t w = 0; w < second_.n; ++w) {
        sum += origin[v] == kNowhere || origin[w] == kNowhere ? edge_cost(0, second_.at(v, w)) : 0;
      }
    }
    return sum;
  }

 private:
  EditCosts costs_;
  LabeledMatrix first_, second_;
};

}  // namespace nasturtium

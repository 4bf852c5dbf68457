#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/status.hpp"

namespace nasturtium {

// Exact optimal transport between two discrete distributions: the plan of least total cost that
// brings what each source has to what each sink takes. The network simplex on a strongly feasible
// tree (Cunningham, "A network simplex method", Mathematical Programming 1976), begun from a greedy
// plan. Keeps its memory between calls.
class Transport {
 public:
  // `costs` is sources x sinks, row by row. `value` becomes the plan's cost, `plan`, where it is
  // not null, the plan. Masses are finite and at least 0, their sums equal to 1e-9 of the greater;
  // costs are finite. Else Code::row, `where` the index in masses or costs.
  Status solve(std::size_t sources, std::size_t sinks, const double* supply, const double* demand,
               const double* costs, double& value, double* plan = nullptr);

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  // A node of the tree: sources first, then sinks, then the root, which counts as a sink. An arc
  // goes from a source to a sink; `flow` is on the arc between the node and its parent.
  struct Node {
    std::uint32_t parent = kNone, child = kNone, next = kNone, previous = kNone, depth = 0;
    double flow = 0;
  };

  Status check(std::size_t sources, std::size_t sinks, const double* supply, const double* demand,
               const double* costs) const;
  bool source(std::uint32_t node) const { return node < n_; }
  double cost(std::uint32_t i, std::uint32_t j) const { return costs_[i * m_ + (j - n_)]; }
  void hang(std::uint32_t node, std::uint32_t parent, double flow);
  void unhang(std::uint32_t node);
  void begin();
  template <typename Visit>
  void walk(std::uint32_t top, Visit visit);
  void find_potentials();
  void settle(std::uint32_t top, double shift_sources);
  bool enter(std::uint32_t& source, std::uint32_t& sink);
  void pivot(std::uint32_t source, std::uint32_t sink);

  std::uint32_t n_ = 0, m_ = 0, root_ = 0, row_ = 0;
  double slack_ = 0;
  const double* costs_ = nullptr;
  std::vector<double> packed_costs_, supply_, demand_, u_, v_;
  std::vector<std::uint32_t> sources_, sinks_, open_;
  std::vector<Node> nodes_;
};

// The values of `count` problems of one size, each with its own masses and costs.
Status transport_values(std::uint64_t count, std::size_t sources, std::size_t sinks,
                        const double* supply, const double* demand, const double* costs,
                        double* out, unsigned threads);

}  // namespace nasturtium

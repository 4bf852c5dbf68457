#include "nasturtium/transport.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kTransportGrain = 16;
constexpr std::uint32_t kArcsAtOnce = 32;  // that are looked at before the best of them enters

double total_of(const double* values, std::size_t n) {
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    total += values[i];
  }
  return total;
}

}  // namespace

Status Transport::check(std::size_t sources, std::size_t sinks, const double* supply,
                        const double* demand, const double* costs) const {
  if (sources == 0 || sinks == 0 || sources >= kNone / 4 || sinks >= kNone / 4) {
    return Status::fail(Code::limit, 0, "transport needs sources and sinks, at most 2^30 of each");
  }
  for (const auto& [masses, size] : {std::pair{supply, sources}, std::pair{demand, sinks}}) {
    for (std::size_t i = 0; i < size; ++i) {
      if (!(masses[i] >= 0) || !std::isfinite(masses[i])) {
        return Status::fail(Code::row, i, "a mass is no finite number of at least 0");
      }
    }
  }
  for (std::size_t i = 0; i < sources * sinks; ++i) {
    if (!std::isfinite(costs[i])) {
      return Status::fail(Code::row, i, "a cost is not finite");
    }
  }
  const double a = total_of(supply, sources), b = total_of(demand, sinks);
  if (!(std::abs(a - b) <= 1e-9 * std::max(a, b))) {
    return Status::fail(Code::row, 0,
                        "the sources have " + std::to_string(a) + " and the sinks take " +
                            std::to_string(b) + ": the sums must be equal");
  }
  return {};
}

void Transport::hang(std::uint32_t node, std::uint32_t parent, double flow) {
  Node& x = nodes_[node];
  Node& p = nodes_[parent];
  x.parent = parent;
  x.flow = flow;
  x.previous = kNone;
  x.next = p.child;
  if (p.child != kNone) {
    nodes_[p.child].previous = node;
  }
  p.child = node;
}

void Transport::unhang(std::uint32_t node) {
  const Node& x = nodes_[node];
  if (x.next != kNone) {
    nodes_[x.next].previous = x.previous;
  }
  if (x.previous != kNone) {
    nodes_[x.previous].next = x.next;
  } else {
    nodes_[x.parent].child = x.next;
  }
}

// A greedy plan as a tree. Whoever is served or spent first hangs from the other, so that all its
// arcs carry something; every part of the plan hangs from the root by a source, on an arc that
// carries nothing and points to the root. That makes the tree strongly feasible.
void Transport::begin() {
  nodes_.assign(n_ + m_ + std::size_t{1}, Node{});
  open_.resize(m_);
  v_.assign(m_, std::numeric_limits<double>::infinity());
  for (std::uint32_t i = 0; i < n_; ++i) {
    const double* row = costs_ + std::size_t{i} * m_;
    for (std::uint32_t j = 0; j < m_; ++j) {
      v_[j] = std::min(v_[j], row[j]);
    }
  }
  for (std::uint32_t j = 0; j < m_; ++j) {
    open_[j] = j;
  }
  for (std::uint32_t i = 0; i < n_ && !open_.empty(); ++i) {
    const double* row = costs_ + std::size_t{i} * m_;
    for (double left = supply_[i]; left > 0 && !open_.empty();) {
      std::size_t best = 0;
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t k = 0; k < open_.size(); ++k) {
        const double above = row[open_[k]] - v_[open_[k]];
        if (above < least) {
          least = above;
          best = k;
        }
      }
      const std::uint32_t j = open_[best];
      if (left < demand_[j]) {
        hang(i, n_ + j, left);
        demand_[j] -= left;
        break;
      }
      hang(n_ + j, i, demand_[j]);
      left -= demand_[j];
      open_[best] = open_.back();
      open_.pop_back();
    }
  }
  // Rounding can leave a sink that wants a little more than there is.
  for (const std::uint32_t j : open_) {
    const std::uint32_t sink = n_ + j, first = nodes_[sink].child;
    if (first == kNone) {
      hang(sink, n_ - 1, demand_[j]);
    } else {
      const double flow = nodes_[first].flow;
      unhang(first);
      nodes_[first].parent = kNone;
      hang(sink, first, flow);
    }
  }
  for (std::uint32_t i = 0; i < n_; ++i) {
    if (nodes_[i].parent == kNone) {
      hang(i, root_, 0);
    }
  }
}

// Visits a node and all below it, each after its parent, and says how deep they are.
template <typename Visit>
void Transport::walk(std::uint32_t top, Visit visit) {
  std::uint32_t at = top;
  for (;;) {
    Node& x = nodes_[at];
    x.depth = nodes_[x.parent].depth + 1;
    visit(at, x.parent);
    if (x.child != kNone) {
      at = x.child;
      continue;
    }
    while (at != top && nodes_[at].next == kNone) {
      at = nodes_[at].parent;
    }
    if (at == top) {
      return;
    }
    at = nodes_[at].next;
  }
}

// Potentials of the whole tree: u of a source plus v of a sink is the cost of an arc of the tree.
void Transport::find_potentials() {
  u_.assign(n_, 0);
  v_.assign(m_, 0);
  for (std::uint32_t top = nodes_[root_].child; top != kNone; top = nodes_[top].next) {
    walk(top, [&](std::uint32_t at, std::uint32_t parent) {
      if (at == top) {
        return;
      }
      if (source(at)) {
        u_[at] = cost(at, parent) - v_[parent - n_];
      } else {
        v_[at - n_] = cost(parent, at) - u_[parent];
      }
    });
  }
}

// Depths and potentials below a node that has a new parent.
void Transport::settle(std::uint32_t top, double shift_sources) {
  walk(top, [&](std::uint32_t at, std::uint32_t) {
    if (source(at)) {
      u_[at] += shift_sources;
    } else {
      v_[at - n_] -= shift_sources;
    }
  });
}

// The arc with the most negative reduced cost of the next rows; false where no arc has one.
bool Transport::enter(std::uint32_t& source, std::uint32_t& sink) {
  double least = -slack_;
  std::uint32_t looked_at = 0;
  bool found = false;
  for (std::uint32_t rows = 0; rows < n_; ++rows) {
    const double* row = costs_ + std::size_t{row_} * m_;
    const double u = u_[row_];
    for (std::uint32_t j = 0; j < m_; ++j) {
      const double reduced = row[j] - u - v_[j];
      if (reduced < least) {
        least = reduced;
        source = row_;
        sink = j;
        found = true;
      }
    }
    row_ = row_ + 1 == n_ ? 0 : row_ + 1;
    looked_at += m_;
    if (found && looked_at >= kArcsAtOnce) {
      break;
    }
  }
  sink += found ? n_ : 0;
  return found;
}

void Transport::pivot(std::uint32_t source, std::uint32_t sink) {
  // The cycle closes where the ways up from both ends meet. Flow grows on the arc that enters and
  // shrinks on arcs out of sources below the source and into sinks below the sink. Of those that
  // run empty first, the one that comes last in the cycle from the meeting point on leaves.
  double least = std::numeric_limits<double>::infinity();
  std::uint32_t leaving = kNone;
  bool at_sink = false;
  std::uint32_t a = source, b = sink;
  std::uint32_t sink_leaving = kNone;
  double sink_least = std::numeric_limits<double>::infinity();
  while (a != b) {
    if (nodes_[a].depth >= nodes_[b].depth) {
      if (this->source(a) && nodes_[a].flow < least) {
        least = nodes_[a].flow;
        leaving = a;
      }
      a = nodes_[a].parent;
    } else {
      if (!this->source(b) && nodes_[b].flow <= sink_least) {
        sink_least = nodes_[b].flow;
        sink_leaving = b;
      }
      b = nodes_[b].parent;
    }
  }
  if (sink_leaving != kNone && sink_least <= least) {
    least = sink_least;
    leaving = sink_leaving;
    at_sink = true;
  }
  const std::uint32_t meeting = a;
  for (std::uint32_t x = source; least > 0 && x != meeting; x = nodes_[x].parent) {
    nodes_[x].flow += this->source(x) ? -least : least;
  }
  for (std::uint32_t x = sink; least > 0 && x != meeting; x = nodes_[x].parent) {
    nodes_[x].flow += this->source(x) ? least : -least;
  }
  const double reduced = cost(source, sink) - u_[source] - v_[sink - n_];
  const std::uint32_t top = at_sink ? sink : source;
  std::uint32_t parent = at_sink ? source : sink, x = top;
  double flow = least;
  for (;;) {
    const std::uint32_t above = nodes_[x].parent;
    const double old = nodes_[x].flow;
    unhang(x);
    hang(x, parent, flow);
    if (x == leaving) {
      break;
    }
    parent = x;
    flow = old;
    x = above;
  }
  settle(top, at_sink ? -reduced : reduced);
}

Status Transport::solve(std::size_t sources, std::size_t sinks, const double* supply,
                        const double* demand, const double* costs, double& value, double* plan) {
  if (Status s = check(sources, sinks, supply, demand, costs); !s.ok()) {
    return s;
  }
  sources_.clear();
  sinks_.clear();
  supply_.clear();
  demand_.clear();
  double greatest = 0;
  for (std::size_t i = 0; i < sources; ++i) {
    if (supply[i] > 0) {
      sources_.push_back(static_cast<std::uint32_t>(i));
      supply_.push_back(supply[i]);
    }
  }
  for (std::size_t j = 0; j < sinks; ++j) {
    if (demand[j] > 0) {
      sinks_.push_back(static_cast<std::uint32_t>(j));
      demand_.push_back(demand[j]);
    }
  }
  for (std::size_t i = 0; i < sources * sinks; ++i) {
    greatest = std::max(greatest, std::abs(costs[i]));
  }
  value = 0;
  if (plan != nullptr) {
    std::fill_n(plan, sources * sinks, 0.0);
  }
  if (sources_.empty() || sinks_.empty()) {
    return {};
  }
  n_ = static_cast<std::uint32_t>(sources_.size());
  m_ = static_cast<std::uint32_t>(sinks_.size());
  root_ = n_ + m_;
  row_ = 0;
  slack_ = 1e-13 * greatest * (n_ + m_);
  costs_ = costs;
  if (n_ < sources || m_ < sinks) {
    packed_costs_.clear();
    for (const std::uint32_t i : sources_) {
      for (const std::uint32_t j : sinks_) {
        packed_costs_.push_back(costs[i * sinks + j]);
      }
    }
    costs_ = packed_costs_.data();
  }
  begin();
  find_potentials();
  // A strongly feasible tree never comes back; the bound is for rounding only.
  std::uint64_t pivots = 1000 + 100 * std::uint64_t{n_} * m_;
  for (std::uint32_t i = 0, j = 0; enter(i, j); pivot(i, j)) {
    if (pivots-- == 0) {
      return Status::fail(Code::limit, 0, "the transport problem is too ill-conditioned to solve");
    }
  }
  for (std::uint32_t x = 0; x < root_; ++x) {
    const Node& node = nodes_[x];
    if (node.parent == root_) {
      continue;
    }
    const std::uint32_t i = source(x) ? x : node.parent, j = source(x) ? node.parent : x;
    value += node.flow * cost(i, j);
    if (plan != nullptr) {
      plan[sources_[i] * sinks + sinks_[j - n_]] = node.flow;
    }
  }
  return {};
}

Status transport_values(std::uint64_t count, std::size_t sources, std::size_t sinks,
                        const double* supply, const double* demand, const double* costs,
                        double* out, unsigned threads) {
  return parallel_rows(
      count, threads, kTransportGrain, [=](std::uint64_t begin, std::uint64_t end) {
        Transport solver;
        for (std::uint64_t k = begin; k < end; ++k) {
          Status s = solver.solve(sources, sinks, supply + k * sources, demand + k * sinks,
                                  costs + k * sources * sinks, out[k]);
          if (!s.ok()) {
            s.reason = "problem " + std::to_string(k) + ": " + s.reason;
            return s;
          }
        }
        return Status{};
      });
}

}  // namespace nasturtium

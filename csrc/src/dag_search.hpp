#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "nasturtium/canonical.hpp"
#include "nasturtium/dag_classes.hpp"

namespace nasturtium {

// A graph of the search. Bit u of into[v] is the edge from u to v, marks[v][u] its label.
struct DagNode {
  std::uint32_t n = 0, edges = 0, sinks = 0;
  std::array<std::uint32_t, kMaxDagVertices> labels{};
  std::array<std::uint16_t, kMaxDagVertices> into{}, out{};
  std::array<std::uint64_t, kMaxDagVertices> hashes{};  // of a vertex and all before it
  std::array<std::array<std::uint8_t, kMaxDagVertices>, kMaxDagVertices> marks{};
};

// Walks through the graphs of a family that grow from one. Every vertex is added as a sink.
class DagSearch {
 public:
  explicit DagSearch(const DagFamily& family) : family_(family) {}

  DagNode root() const {
    DagNode node;
    if (family_.terminals) {
      node.n = node.sinks = 1;
      node.labels[0] = family_.labels;
      node.hashes[0] = mix(family_.labels);
    }
    return node;
  }

  // child(graph) for one graph of each class whose parent is `node`.
  template <typename F>
  Status grow(const DagNode& node, F child) {
    status_ = {};
    Siblings siblings = begin(node);
    grow_from(node, siblings, child);
    return std::move(status_);
  }

  // visit(graph) for the graphs of the family that `node` is, or becomes by an output; where
  // `whole`, also for all that grow from it. False from it ends the walk.
  template <typename F>
  Status walk(const DagNode& node, bool whole, F& visit) {
    status_ = {};
    stopped_ = false;
    walk_from(node, whole, visit);
    return std::move(status_);
  }

  void to_edges(const DagNode& node, EdgeList& out) const { fill(node, kMaxDagVertices, out); }

 private:
  static constexpr std::uint64_t kChosen = std::uint64_t{1} << 40;

  static std::uint64_t term(std::uint64_t hash, std::uint64_t mark) {
    return mix(hash + mark * 0x9E3779B97F4A7C15ull);
  }

  // Of the children of one parent: whether it has no symmetries; where it has, the forms so far.
  struct Siblings {
    bool trivial = true;
    std::set<std::vector<std::uint64_t>> known;
  };

  bool on() const { return status_.ok() && !stopped_; }

  Siblings begin(const DagNode& node) {
    Siblings siblings;
    if (node.n > 1 && node.n < family_.most) {
      fill(node, kMaxDagVertices, graph_);
      status_ = canonizer_.run(graph_);
      siblings.trivial = on() && canonizer_.orbit_sizes(orbits_).ok() && orbits_.empty();
    }
    return siblings;
  }

  template <typename F>
  void walk_from(const DagNode& node, bool whole, F& visit) {
    Siblings siblings = begin(node);
    const auto take = [&](const DagNode& made) { stopped_ = stopped_ || !visit(made); };
    finish(node, siblings, take);
    if (whole) {
      siblings.known.clear();
      grow_from(node, siblings, [&](const DagNode& made) { walk_from(made, true, visit); });
    }
  }

  template <typename F>
  void grow_from(const DagNode& node, Siblings& siblings, const F& child) {
    if (node.n + (family_.terminals ? 1 : 0) >= family_.most) {
      return;
    }
    DagNode next = add_vertex(node);
    const std::uint32_t v = node.n;
    for (std::uint32_t label = 0; label < family_.labels && on(); ++label) {
      next.labels[v] = label;
      connect(next, v, 0, 0, [&](DagNode& made) {
        if ((made.into[v] != 0 || !family_.terminals) && accepts(made, v, siblings)) {
          child(made);
        }
      });
    }
  }

  template <typename F>
  void finish(const DagNode& node, Siblings& siblings, const F& take) {
    if (!family_.terminals) {
      if (node.n >= family_.least && node.n > 0) {
        take(node);
      }
      return;
    }
    if (node.n + 1 < family_.least || node.n + 1 > family_.most) {
      return;
    }
    DagNode next = add_vertex(node);
    next.labels[node.n] = family_.labels + 1;
    connect(next, node.n, 0, node.sinks, [&](const DagNode& made) {
      if (siblings.trivial || is_new(made, node.n, siblings)) {
        take(made);
      }
    });
  }

  static DagNode add_vertex(const DagNode& node) {
    DagNode next = node;
    next.sinks |= std::uint32_t{1} << next.n;
    ++next.n;
    return next;
  }

  // Chooses the edges from u and later vertices to v; those from `must` are all there.
  template <typename F>
  void connect(DagNode& next, std::uint32_t v, std::uint32_t u, std::uint32_t must, const F& done) {
    if (!on()) {
      return;
    }
    if (u == v) {
      // With terminals, each sink needs one more edge in the end.
      const std::uint32_t more = family_.terminals && next.labels[v] <= family_.labels
                                     ? static_cast<std::uint32_t>(std::popcount(next.sinks))
                                     : 0;
      if (next.edges + more <= family_.most_edges) {
        done(next);
      }
      return;
    }
    if ((must >> u & 1) == 0) {
      connect(next, v, u + 1, must, done);
    }
    const auto in = static_cast<std::uint32_t>(std::popcount(next.into[v]));
    const auto out = static_cast<std::uint32_t>(std::popcount(next.out[u]));
    if (in >= family_.most_in || out >= family_.most_out || next.edges >= family_.most_edges) {
      return;
    }
    const std::uint32_t sinks = next.sinks;
    ++next.edges;
    next.into[v] = static_cast<std::uint16_t>(next.into[v] | 1u << u);
    next.out[u] = static_cast<std::uint16_t>(next.out[u] | 1u << v);
    next.sinks &= ~(std::uint32_t{1} << u);
    for (std::uint32_t mark = 0; mark < family_.edge_labels; ++mark) {
      next.marks[v][u] = static_cast<std::uint8_t>(mark);
      connect(next, v, u + 1, must, done);
    }
    --next.edges;
    next.into[v] = static_cast<std::uint16_t>(next.into[v] & ~(1u << u));
    next.out[u] = static_cast<std::uint16_t>(next.out[u] & ~(1u << v));
    next.marks[v][u] = 0;
    next.sinks = sinks;
  }

  // What a vertex and those before it look like, without and with how often these are read.
  static std::uint64_t look(const DagNode& node, std::uint32_t v, bool readers) {
    std::uint64_t sum = mix(node.labels[v] + 0x8EBC6AF09C88C6E3ull);
    for (std::uint32_t in = node.into[v]; in != 0; in &= in - 1) {
      const auto u = static_cast<std::uint32_t>(std::countr_zero(in));
      const auto read = readers ? static_cast<std::uint64_t>(std::popcount(node.out[u])) : 0;
      sum += term(node.hashes[u] ^ mix(read), node.marks[v][u]);
    }
    return mix(sum);
  }

  // Whether v is the canonical sink: the greatest by its look, and of those that look the same the
  // one whose graph with it marked has the greatest form. Isomorphic graphs have one such orbit.
  bool accepts(DagNode& node, std::uint32_t v, Siblings& siblings) {
    node.hashes[v] = look(node, v, false);
    std::uint32_t same = 0;
    for (std::uint32_t rest = node.sinks & ~(1u << v); rest != 0; rest &= rest - 1) {
      const auto w = static_cast<std::uint32_t>(std::countr_zero(rest));
      if (node.hashes[w] > node.hashes[v]) {
        return false;
      }
      same |= node.hashes[w] == node.hashes[v] ? 1u << w : 0;
    }
    const std::uint64_t own = same != 0 ? look(node, v, true) : 0;
    std::uint32_t tied = 0;
    for (; same != 0; same &= same - 1) {
      const auto w = static_cast<std::uint32_t>(std::countr_zero(same));
      const std::uint64_t other = look(node, w, true);
      if (other > own) {
        return false;
      }
      tied |= other == own ? 1u << w : 0;
    }
    if (tied != 0 && !is_greatest(node, v, tied)) {
      return false;
    }
    return on() && (siblings.trivial || is_new(node, v, siblings));
  }

  bool is_greatest(const DagNode& node, std::uint32_t v, std::uint32_t tied) {
    if (!form_with(node, v)) {
      return false;
    }
    own_form_ = canonizer_.form();
    for (; tied != 0; tied &= tied - 1) {
      if (!form_with(node, static_cast<std::uint32_t>(std::countr_zero(tied))) ||
          canonizer_.form() > own_form_) {
        return false;
      }
    }
    return true;
  }

  // Whether no child of the same parent was this one: children differ where their new vertices do.
  bool is_new(const DagNode& node, std::uint32_t v, Siblings& siblings) {
    return form_with(node, v) && siblings.known.insert(canonizer_.form()).second;
  }

  bool form_with(const DagNode& node, std::uint32_t v) {
    fill(node, v, graph_);
    status_ = canonizer_.run(graph_);
    return status_.ok();
  }

  // The graph, its vertex `chosen` marked where there is one.
  void fill(const DagNode& node, std::uint32_t chosen, EdgeList& out) const {
    out.clear(node.n);
    for (std::uint32_t u = 0; u < node.n; ++u) {
      out.labels[u] = node.labels[u] + (u == chosen ? kChosen : 0);
      for (std::uint32_t rest = node.out[u]; rest != 0; rest &= rest - 1) {
        const auto v = static_cast<std::uint32_t>(std::countr_zero(rest));
        out.from.push_back(static_cast<std::uint16_t>(u));
        out.to.push_back(static_cast<std::uint16_t>(v));
        if (family_.edge_labels > 1) {
          out.edge_labels.push_back(node.marks[v][u]);
        }
      }
    }
  }

  const DagFamily& family_;
  Status status_;
  bool stopped_ = false;
  Canonizer canonizer_;
  EdgeList graph_;
  std::vector<std::uint32_t> orbits_;
  std::vector<std::uint64_t> own_form_;
};

}  // namespace nasturtium

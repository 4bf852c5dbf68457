#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nasturtium/canonical.hpp"

namespace nasturtium {

struct Link {
  std::uint16_t from, to;
  std::uint64_t label;

  bool operator<(const Link& other) const {
    return from != other.from ? from < other.from : to < other.to;
  }
};

// A network that is edited: edges go to later vertices, and every vertex lies on a path from the
// first, the input, to the last, the output.
class Network {
 public:
  // False where the graph is none.
  bool take(const EdgeList& graph) {
    labels_ = graph.labels;
    links_.clear();
    for (std::size_t e = 0; e < graph.edges(); ++e) {
      if (graph.from[e] >= graph.to[e]) {
        return false;
      }
      links_.push_back(
          {graph.from[e], graph.to[e], graph.edge_labels.empty() ? 0 : graph.edge_labels[e]});
    }
    count_degrees();
    return graph.n >= 2 && on_paths();
  }

  void give(EdgeList& out) const {
    out.clear(labels_.size());
    out.labels = labels_;
    for (const Link& link : links_) {
      out.from.push_back(link.from);
      out.to.push_back(link.to);
      out.edge_labels.push_back(link.label);
    }
  }

 protected:
  std::size_t size() const { return labels_.size(); }
  std::size_t output() const { return labels_.size() - 1; }

  void count_degrees() {
    in_.assign(size(), 0);
    out_.assign(size(), 0);
    for (const Link& link : links_) {
      ++out_[link.from];
      ++in_[link.to];
    }
  }

  // As edges go to later vertices: where each has one that enters and one that leaves it.
  bool on_paths() const {
    for (std::size_t v = 0; v < size(); ++v) {
      if ((v > 0 && in_[v] == 0) || (v < output() && out_[v] == 0)) {
        return false;
      }
    }
    return true;
  }

  // The first link from v, in their order.
  std::size_t first_link(std::size_t v) const {
    const auto at = std::lower_bound(links_.begin(), links_.end(), v,
                                     [](const Link& link, std::size_t w) { return link.from < w; });
    return static_cast<std::size_t>(at - links_.begin());
  }

  bool linked(std::size_t from, std::size_t to) const {
    return std::binary_search(
        links_.begin(), links_.end(),
        Link{static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to), 0});
  }

  // Makes place for `count` vertices before v.
  void shift(std::size_t v, std::size_t count) {
    labels_.insert(labels_.begin() + static_cast<std::ptrdiff_t>(v), count, 0);
    for (Link& link : links_) {
      link.from = static_cast<std::uint16_t>(link.from + (link.from >= v ? count : 0));
      link.to = static_cast<std::uint16_t>(link.to + (link.to >= v ? count : 0));
    }
  }

  void link(std::size_t from, std::size_t to, std::uint64_t label) {
    links_.push_back({static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to), label});
  }

  void settle() {
    std::sort(links_.begin(), links_.end());
    count_degrees();
  }

  void erase(std::size_t v) {
    std::erase_if(links_, [v](const Link& link) { return link.from == v || link.to == v; });
    labels_.erase(labels_.begin() + static_cast<std::ptrdiff_t>(v));
    for (Link& link : links_) {
      link.from = static_cast<std::uint16_t>(link.from - (link.from > v));
      link.to = static_cast<std::uint16_t>(link.to - (link.to > v));
    }
  }

  // What feeds v, and what it feeds.
  std::vector<std::uint64_t> labels_around(std::size_t v) const {
    std::vector<std::uint64_t> around;
    for (const Link& link : links_) {
      if (link.to == v && link.from > 0) {
        around.push_back(labels_[link.from]);
      } else if (link.from == v && link.to < output()) {
        around.push_back(labels_[link.to]);
      }
    }
    return around;
  }

  std::vector<std::uint64_t> labels_;
  std::vector<Link> links_;  // in order, but between an edit's first change and `settle`
  std::vector<std::size_t> in_, out_;
};

}  // namespace nasturtium

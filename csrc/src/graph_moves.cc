#include "nasturtium/graph_moves.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "graph_blocks.hpp"
#include "network.hpp"
#include "unit_moves.hpp"

namespace nasturtium {
namespace {

constexpr int kWalkTries = 20;

// A number below the sum of weights picks one of them; those of 0 are never picked.
std::size_t pick_weighted(RowRandom& random, const double* weights, std::size_t count) {
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += weights[i];
    last = weights[i] > 0 ? i : last;
  }
  double left = static_cast<double>(random.word() >> 11) * 0x1p-53 * sum;
  for (std::size_t i = 0; i < last; ++i) {
    if (left < weights[i]) {
      return i;
    }
    left -= weights[i];
  }
  return last;
}

// A network under the edits of one row.
class NetworkEditor : public Network {
 public:
  explicit NetworkEditor(const MoveOptions& options) : options_(options), units_(options.units) {}

  // Why the graph is no network to edit, or null.
  const char* open(const EdgeList& graph) {
    if (!take(graph)) {
      return "no network: edges go to later vertices, and every vertex lies on a path from the "
             "first to the last";
    }
    const bool sized = std::all_of(labels_.begin() + 1, labels_.end() - 1,
                                   [this](std::uint64_t label) { return units_.fits(label); });
    return sized ? nullptr : "units stand where the operation has some, and only there";
  }

  // One edit; false where no verb has a place.
  bool edit(RowRandom& random) {
    std::array<double, kVerbs> weights = options_.weights;
    for (std::size_t left = kVerbs; left > 0; --left) {
      if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) {
        return false;
      }
      const std::size_t verb = pick_weighted(random, weights.data(), kVerbs);
      if (apply(static_cast<Verb>(verb), random)) {
        return true;
      }
      weights[verb] = 0;
    }
    return false;
  }

 private:
  bool room(std::size_t vertices, std::size_t edges) const {
    return size() + vertices <= options_.most_vertices &&
           links_.size() + edges <= options_.most_edges;
  }

  std::uint32_t below(RowRandom& random, std::size_t count) const {
    return random.below(static_cast<std::uint32_t>(count));
  }

  bool apply(Verb verb, RowRandom& random) {
    switch (verb) {
      case Verb::relabel:
        return relabel(random);
      case Verb::insert:
        return insert(random);
      case Verb::remove:
        return remove(random);
      case Verb::add_skip:
        return add_skip(random);
      case Verb::remove_skip:
        return remove_skip(random);
      case Verb::duplicate:
        return duplicate(random);
      case Verb::widen:
      case Verb::narrow:
        return units_.resize_one(labels_, verb == Verb::widen, random);
      case Verb::widen_many:
      case Verb::narrow_many:
        return units_.resize_many(labels_, verb == Verb::widen_many, random);
    }
    return false;
  }

  bool relabel(RowRandom& random) {
    places_.clear();
    for (std::size_t v = 1; v < output(); ++v) {
      const bool listed = std::find(options_.labels.begin(), options_.labels.end(),
                                    units_.operation(labels_[v])) != options_.labels.end();
      if (options_.labels.size() > (listed ? 1u : 0u)) {
        places_.push_back(v);
      }
    }
    if (places_.empty()) {
      return false;
    }
    const std::size_t v = places_[below(random, places_.size())];
    const auto own =
        std::find(options_.labels.begin(), options_.labels.end(), units_.operation(labels_[v]));
    const auto at = static_cast<std::size_t>(own - options_.labels.begin());
    const std::size_t others = options_.labels.size() - (own != options_.labels.end());
    const std::size_t chosen = below(random, others);
    const std::uint64_t before = labels_[v], label = options_.labels[chosen + (chosen >= at)];
    labels_[v] = units_.labeled(
        label, units_.has(before) ? UnitMoves::units(before) : units_.mean(labels_around(v)));
    return true;
  }

  bool insert(RowRandom& random) {
    if (!room(1, 1) || options_.labels.empty()) {
      return false;
    }
    const std::size_t at = below(random, links_.size());
    const std::uint64_t label = options_.labels[below(random, options_.labels.size())];
    const Link link_before = links_[at];
    std::vector<std::uint64_t> ends;
    if (link_before.from > 0) {
      ends.push_back(labels_[link_before.from]);
    }
    if (link_before.to < output()) {
      ends.push_back(labels_[link_before.to]);
    }
    shift(link_before.to, 1);
    labels_[link_before.to] = units_.labeled(label, units_.mean(ends));
    links_[at].to = link_before.to;
    link(link_before.to, link_before.to + 1u, 0);
    settle();
    return true;
  }

  // The edges that joining what enters v to what v feeds would add; false beyond the limits.
  bool bridges(std::size_t v, std::vector<Link>& added) const {
    added.clear();
    for (const Link& enters : links_) {
      if (enters.to != v) {
        continue;
      }
      for (std::size_t i = first_link(v); i < links_.size() && links_[i].from == v; ++i) {
        if (!linked(enters.from, links_[i].to)) {
          added.push_back({enters.from, links_[i].to, enters.label});
        }
      }
    }
    if (links_.size() + added.size() - in_[v] - out_[v] > options_.most_edges) {
      return false;
    }
    std::vector<std::size_t> in = in_, out = out_;
    for (const Link& link : links_) {
      out[link.from] -= link.to == v;
      in[link.to] -= link.from == v;
    }
    for (const Link& link : added) {
      if (++out[link.from] > options_.most_out || ++in[link.to] > options_.most_in) {
        return false;
      }
    }
    return true;
  }

  bool remove(RowRandom& random) {
    places_.clear();
    std::vector<Link> added;
    for (std::size_t v = 1; v < output(); ++v) {
      if (bridges(v, added)) {
        places_.push_back(v);
      }
    }
    if (places_.empty()) {
      return false;
    }
    const std::size_t v = places_[below(random, places_.size())];
    bridges(v, added);
    links_.insert(links_.end(), added.begin(), added.end());
    erase(v);
    settle();
    return true;
  }

  bool add_skip(RowRandom& random) {
    if (!room(0, 1)) {
      return false;
    }
    pairs_.clear();
    std::size_t at = 0;
    for (std::size_t v = 0; v < output(); ++v) {
      for (std::size_t w = v + 1; w < size(); ++w) {
        if (at < links_.size() && links_[at].from == v && links_[at].to == w) {
          ++at;
        } else if (out_[v] < options_.most_out && in_[w] < options_.most_in) {
          pairs_.push_back({v, w});
        }
      }
    }
    if (pairs_.empty()) {
      return false;
    }
    const auto [v, w] = pairs_[below(random, pairs_.size())];
    link(v, w, 0);
    settle();
    return true;
  }

  bool remove_skip(RowRandom& random) {
    places_.clear();
    for (std::size_t i = 0; i < links_.size(); ++i) {
      if (out_[links_[i].from] > 1 && in_[links_[i].to] > 1) {
        places_.push_back(i);
      }
    }
    if (places_.empty()) {
      return false;
    }
    links_.erase(links_.begin() +
                 static_cast<std::ptrdiff_t>(places_[below(random, places_.size())]));
    count_degrees();
    return true;
  }

  // Along random edges; behind the first inner vertex a coin stops the walk. Link numbers, the
  // first of which leads to the first vertex that is copied.
  void walk(std::size_t start, RowRandom& random) {
    walk_.assign(1, start);
    for (bool on = true; on;) {
      const std::size_t v = links_[walk_.back()].to;
      walk_.push_back(first_link(v) + below(random, out_[v]));
      on = links_[walk_.back()].to < output() && room(walk_.size(), walk_.size() + 1) &&
           random.below(2) == 0;
    }
  }

  bool duplicate(RowRandom& random) {
    places_.clear();  // links to an inner vertex from one that may feed another
    for (std::size_t i = 0; i < links_.size(); ++i) {
      if (links_[i].to < output() && out_[links_[i].from] < options_.most_out) {
        places_.push_back(i);
      }
    }
    if (places_.empty() || !room(1, 2)) {
      return false;
    }
    for (int tries = 0; tries < kWalkTries; ++tries) {
      walk(places_[below(random, places_.size())], random);
      if (in_[links_[walk_.back()].to] < options_.most_in) {
        copy_walk();
        return true;
      }
    }
    return false;
  }

  void copy_walk() {
    const std::size_t end = links_[walk_.back()].to, count = walk_.size() - 1;
    std::vector<Link> path;
    std::vector<std::uint64_t> copied;
    for (const std::size_t i : walk_) {
      path.push_back(links_[i]);
      copied.push_back(labels_[links_[i].to]);
    }
    shift(end, count);
    std::size_t from = path.front().from;
    for (std::size_t i = 0; i < count; ++i) {
      labels_[end + i] = copied[i];
      link(from, end + i, path[i].label);
      from = end + i;
    }
    link(from, end + count, path.back().label);
    settle();
  }

  const MoveOptions& options_;
  UnitMoves units_;
  std::vector<std::size_t> places_, walk_;
  std::vector<std::pair<std::size_t, std::size_t>> pairs_;
};

bool are_weights(const double* weights, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!(weights[i] >= 0) || std::isinf(weights[i])) {
      return false;
    }
    sum += weights[i];
  }
  return sum > 0 && !std::isinf(sum);
}

Status check_options(const MoveOptions& options) {
  if (!are_weights(options.weights.data(), kVerbs) ||
      !are_weights(options.steps.data(), options.steps.size())) {
    return Status::fail(Code::limit, 0, "weights are finite, not negative, and not all 0");
  }
  if (options.most_vertices > kMaxVertices) {
    return Status::fail(Code::limit, 0,
                        "a graph has at most " + std::to_string(kMaxVertices) + " vertices");
  }
  std::vector<std::uint64_t> labels = options.labels;
  std::sort(labels.begin(), labels.end());
  if (std::adjacent_find(labels.begin(), labels.end()) != labels.end()) {
    return Status::fail(Code::limit, 0, "a label comes twice");
  }
  const UnitRule& units = options.units;
  const auto wide = [](std::uint64_t label) { return label >> 32 != 0; };
  if (!units.operations.empty() &&
      (units.least == 0 || units.least > units.most ||
       std::any_of(units.operations.begin(), units.operations.end(), wide) ||
       std::any_of(labels.begin(), labels.end(), wide))) {
    return Status::fail(Code::limit, 0,
                        "units are 1 or more, and operations are numbers below 2^32");
  }
  return {};
}

}  // namespace

Status mutate_graphs(const GraphBatch& batch, const MoveOptions& options, const Draws& draws,
                     GraphStore& out) {
  if (Status s = check_options(options); !s.ok()) {
    return s;
  }
  const auto work = [&](std::uint64_t row, const EdgeList& graph, EdgeList& made) {
    NetworkEditor network(options);
    if (const char* why = network.open(graph)) {
      return Status::fail(Code::row, row, why);
    }
    RowRandom random(draws.key, draws.start + row, Purpose::mutate);
    const std::size_t steps = 1 + pick_weighted(random, options.steps.data(), options.steps.size());
    for (std::size_t i = 0; i < steps; ++i) {
      if (!network.edit(random)) {
        return Status::fail(Code::exhausted, row, "no verb can edit the network within the limits");
      }
    }
    network.give(made);
    return Status{};
  };
  return for_each_graph(batch, draws.threads, out, work);
}

}  // namespace nasturtium

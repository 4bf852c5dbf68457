#include "nasturtium/paths.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kPathGrain = 2048;
constexpr std::size_t kMaxChildren = std::size_t{1} << 24;

template <typename F>
void for_each_node(std::uint64_t set, F f) {
  for (; set != 0; set &= set - 1) {
    f(static_cast<std::size_t>(std::countr_zero(set)));
  }
}

}  // namespace

// Where the paths of one prefix can stand: before nodes whose label is still to come, and on nodes.
struct PathEncoder::Place {
  std::uint64_t before = 0, on = 0;
  bool any() const { return (before | on) != 0; }
};

// Grows the tree of all sequences, level by level, so that prefixes are numbered by length, then
// by labels.
class PathEncoder::Grower {
 public:
  explicit Grower(PathEncoder& encoder) : e_(encoder), space_(*encoder.space_) {
    const std::size_t nodes = space_.nodes.size();
    for (std::size_t part = 0; part < e_.labels_.parts(); ++part) {
      std::vector<std::uint32_t> labels;
      for (const std::uint32_t label : e_.labels_.possible(part)) {
        if (e_.zeros_ || e_.labels_.all()[label].kind != Kind::zero) {
          labels.push_back(label);
        }
      }
      labels_.push_back(std::move(labels));
    }
    // The nodes from which some declared path leads to the output.
    leads_ = bit(nodes - 1);
    for (auto edge = space_.edges_by_dst.rbegin(); edge != space_.edges_by_dst.rend(); ++edge) {
      const Edge& x = space_.edges[*edge];
      leads_ |= (leads_ & bit(x.dst)) && !labels_[nodes + *edge].empty() &&
                        (x.src == 0 || !labels_[x.src].empty())
                    ? bit(x.src)
                    : 0;
    }
  }

  Status grow() {
    Place start;
    start.on = leads_ & 1;
    places_.push_back(settled(start));
    e_.prefixes_.emplace_back();
    const std::size_t width = e_.labels_.size();
    std::vector<Place> next(width);
    for (std::size_t at = 0; at < places_.size(); ++at) {
      if (places_[at].before & output()) {
        e_.prefixes_[at].column = static_cast<std::uint32_t>(e_.columns_.size());
        e_.columns_.push_back(static_cast<std::uint32_t>(at));
      }
      std::fill(next.begin(), next.end(), Place{});
      step(places_[at], next);
      for (std::size_t label = 0; label < width; ++label) {
        std::uint32_t to = kNone;
        const Place place = settled(next[label]);
        if (place.any()) {
          to = static_cast<std::uint32_t>(places_.size());
          places_.push_back(place);
          e_.prefixes_.push_back(
              {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(label), kNone});
        }
        e_.children_.push_back(to);
      }
      if (places_.size() > kMaxColumns || e_.children_.size() > kMaxChildren) {
        return Status::fail(Code::limit, 0,
                            "the paths of '" + space_.name +
                                "' can have too many different sequences of labels to encode them");
      }
    }
    return e_.columns_.empty() ? Status::fail(Code::limit, 0,
                                              "no declared path leads from the input of '" +
                                                  space_.name + "' to its output")
                               : Status{};
  }

 private:
  std::uint64_t output() const { return bit(space_.nodes.size() - 1); }
  std::size_t part_of_edge(std::size_t edge) const { return space_.nodes.size() + edge; }

  // With what can be reached without another label.
  Place settled(Place place) const {
    place.before &= leads_;
    for (;;) {
      const Place was = place;
      for_each_node(place.before & ~output(),
                    [&](std::size_t v) { place.on |= e_.labels_.silent(v) ? bit(v) : 0; });
      for_each_node(place.on, [&](std::size_t v) {
        for (std::uint32_t i = e_.edges_from_[v]; i < e_.edges_from_[v + 1]; ++i) {
          const std::uint32_t edge = e_.edges_by_src_[i];
          const bool free = e_.labels_.silent(part_of_edge(edge));
          place.before |= free ? bit(space_.edges[edge].dst) & leads_ : 0;
        }
      });
      if (was.before == place.before && was.on == place.on) {
        return place;
      }
    }
  }

  void step(const Place& place, std::vector<Place>& next) const {
    for_each_node(place.before & ~output(), [&](std::size_t v) {
      if (!e_.labels_.silent(v)) {
        for (const std::uint32_t label : labels_[v]) {
          next[label].on |= bit(v);
        }
      }
    });
    for_each_node(place.on, [&](std::size_t v) {
      for (std::uint32_t i = e_.edges_from_[v]; i < e_.edges_from_[v + 1]; ++i) {
        const std::uint32_t edge = e_.edges_by_src_[i];
        const std::size_t part = part_of_edge(edge);
        if (e_.labels_.silent(part) || !(leads_ & bit(space_.edges[edge].dst))) {
          continue;
        }
        for (const std::uint32_t label : labels_[part]) {
          next[label].before |= bit(space_.edges[edge].dst);
        }
      }
    });
  }

  PathEncoder& e_;
  const Space& space_;
  std::uint64_t leads_ = 0;
  std::vector<std::vector<std::uint32_t>> labels_;
  std::vector<Place> places_;
};

struct PathEncoder::Scratch {
  std::vector<std::uint8_t> active;
  std::vector<std::vector<std::uint32_t>> on;  // for each node the prefixes of paths to it
};

Status PathEncoder::build(const Space& space, bool zeros) {
  space_ = &space;
  zeros_ = zeros;
  prefixes_.clear();
  children_.clear();
  columns_.clear();
  if (Status s = labels_.build(space); !s.ok()) {
    return s;
  }
  edges_by_src_ = space.edges_by_dst;
  std::stable_sort(
      edges_by_src_.begin(), edges_by_src_.end(),
      [&](std::uint32_t a, std::uint32_t b) { return space.edges[a].src < space.edges[b].src; });
  edges_from_.assign(space.nodes.size() + 1, 0);
  for (const Edge& edge : space.edges) {
    ++edges_from_[edge.src + 1];
  }
  for (std::size_t v = 0; v < space.nodes.size(); ++v) {
    edges_from_[v + 1] += edges_from_[v];
  }
  return Grower(*this).grow();
}

std::vector<std::uint32_t> PathEncoder::sequence(std::size_t column) const {
  std::vector<std::uint32_t> labels;
  for (std::uint32_t at = columns_[column]; prefixes_[at].parent != kNone;
       at = prefixes_[at].parent) {
    labels.push_back(prefixes_[at].label);
  }
  std::reverse(labels.begin(), labels.end());
  return labels;
}

// Calls see(column) for the paths of a code; a column may come several times.
template <typename F>
void PathEncoder::walk(const std::uint8_t* code, Scratch& scratch, F see) const {
  const std::uint8_t* active = scratch.active.data();
  const std::size_t nodes = space_->nodes.size();
  const auto label_of = [&](std::size_t part) {
    const std::int32_t label = labels_.of(part, code, active);
    return label != Labels::kAbsent && !zeros_ &&
                   labels_.all()[static_cast<std::size_t>(label)].kind == Kind::zero
               ? Labels::kAbsent
               : label;
  };
  scratch.on[0].assign(1, 0);
  for (std::size_t u = 0; u + 1 < nodes; ++u) {
    std::vector<std::uint32_t>& here = scratch.on[u];
    if (here.size() > 1) {
      std::sort(here.begin(), here.end());
      here.erase(std::unique(here.begin(), here.end()), here.end());
    }
    if (here.empty()) {
      continue;
    }
    for (std::uint32_t i = edges_from_[u]; i < edges_from_[u + 1]; ++i) {
      const std::uint32_t edge = edges_by_src_[i];
      const std::size_t v = space_->edges[edge].dst;
      const bool plain_edge = labels_.silent(nodes + edge);
      const bool plain_node = v + 1 == nodes || labels_.silent(v);
      const std::int32_t by = label_of(nodes + edge);
      const std::int32_t to = v + 1 == nodes ? 0 : label_of(v);
      if (by == Labels::kAbsent || to == Labels::kAbsent) {
        continue;
      }
      for (const std::uint32_t prefix : here) {
        // Prefixes that lead nowhere are not in the tree.
        std::uint32_t next = plain_edge ? prefix : child(prefix, by);
        next = plain_node || next == kNone ? next : child(next, to);
        if (next == kNone) {
          continue;
        }
        if (v + 1 == nodes) {
          see(prefixes_[next].column);
        } else {
          scratch.on[v].push_back(next);
        }
      }
    }
    here.clear();
  }
}

template <typename Begin, typename F, typename End>
Status PathEncoder::rows(std::uint64_t n, const std::uint8_t* codes, unsigned threads, Begin begin,
                         F see, End end) const {
  return parallel_rows(n, threads, kPathGrain, [&](std::uint64_t first, std::uint64_t last) {
    Scratch scratch{std::vector<std::uint8_t>(space_->width()),
                    std::vector<std::vector<std::uint32_t>>(space_->nodes.size())};
    std::vector<std::uint32_t> found;
    for (std::uint64_t row = first; row < last; ++row) {
      const std::uint8_t* code = codes + row * space_->width();
      if (!well_formed(*space_, code, scratch.active.data())) {
        return bad_row(*space_, row, code);
      }
      begin(row, found);
      walk(code, scratch, [&](std::uint32_t column) { see(row, column, found); });
      end(row, found);
    }
    return Status{};
  });
}

template <typename T>
Status PathEncoder::fill(std::uint64_t n, const std::uint8_t* codes, std::size_t columns, T* out,
                         unsigned threads) const {
  if (columns == 0 || columns > this->columns()) {
    return Status::fail(Code::limit, 0,
                        "path encodings of '" + space_->name + "' have 1 to " +
                            std::to_string(this->columns()) + " columns, not " +
                            std::to_string(columns));
  }
  using Found = std::vector<std::uint32_t>;
  return rows(
      n, codes, threads,
      [=](std::uint64_t row, Found& /*found*/) {
        std::memset(out + row * columns, 0, columns * sizeof(T));
      },
      [=](std::uint64_t row, std::uint32_t column, Found& /*found*/) {
        if (column < columns) {
          out[row * columns + column] = T{1};
        }
      },
      [](std::uint64_t /*row*/, Found& /*found*/) {});
}

Status PathEncoder::one_hot(std::uint64_t n, const std::uint8_t* codes, std::size_t columns,
                            float* out, unsigned threads) const {
  return fill(n, codes, columns, out, threads);
}

Status PathEncoder::one_hot(std::uint64_t n, const std::uint8_t* codes, std::size_t columns,
                            std::uint8_t* out, unsigned threads) const {
  return fill(n, codes, columns, out, threads);
}

Status PathEncoder::bits(std::uint64_t n, const std::uint8_t* codes, std::uint64_t* out,
                         unsigned threads) const {
  using Found = std::vector<std::uint32_t>;
  const std::size_t words = this->words();
  return rows(
      n, codes, threads,
      [=](std::uint64_t row, Found& /*found*/) {
        std::fill_n(out + row * words, words, std::uint64_t{0});
      },
      [=](std::uint64_t row, std::uint32_t column, Found& /*found*/) {
        out[row * words + (column >> 6)] |= std::uint64_t{1} << (column & 63);
      },
      [](std::uint64_t /*row*/, Found& /*found*/) {});
}

Status PathEncoder::categorical(std::uint64_t n, const std::uint8_t* codes, std::size_t most,
                                std::int32_t* out, unsigned threads) const {
  using Found = std::vector<std::uint32_t>;
  return rows(
      n, codes, threads, [](std::uint64_t /*row*/, Found& found) { found.clear(); },
      [](std::uint64_t /*row*/, std::uint32_t column, Found& found) { found.push_back(column); },
      [=](std::uint64_t row, Found& found) {
        std::sort(found.begin(), found.end());
        found.erase(std::unique(found.begin(), found.end()), found.end());
        std::int32_t* to = out + row * most;
        for (std::size_t i = 0; i < most; ++i) {
          to[i] = i < found.size() ? static_cast<std::int32_t>(found[i]) : -1;
        }
      });
}

}  // namespace nasturtium

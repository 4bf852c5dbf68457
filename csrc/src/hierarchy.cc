#include "nasturtium/hierarchy.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "graph_blocks.hpp"
#include "nasturtium/parallel.hpp"
#include "nasturtium/rng.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kHierarchyGrain = 1024;
constexpr std::uint32_t kMostMotifs = 255;
constexpr std::uint32_t kMostMotifNodes = 64;

constexpr std::size_t motif_edges(std::uint32_t nodes) {
  return std::size_t{nodes} * (nodes - 1) / 2;
}

// Where the bytes of each level begin, and at the end their number.
std::vector<std::size_t> level_starts(const Hierarchy& hierarchy) {
  std::vector<std::size_t> starts{0};
  for (const HierarchyLevel& level : hierarchy.levels) {
    starts.push_back(starts.back() + level.motifs * motif_edges(level.nodes));
  }
  return starts;
}

Status no_hierarchy_code(std::uint64_t row, std::size_t at) {
  return Status::fail(Code::row, row,
                      "byte " + std::to_string(at) + " is no operation of its level");
}

// The first byte that is no operation of its level, or as many as there are.
std::size_t wrong_byte(const Hierarchy& hierarchy, const std::vector<std::size_t>& starts,
                       const std::uint8_t* code) {
  for (std::size_t level = 0; level < hierarchy.levels.size(); ++level) {
    const std::uint32_t most = hierarchy.operations(level);
    for (std::size_t i = starts[level]; i < starts[level + 1]; ++i) {
      if (code[i] > most) {
        return i;
      }
    }
  }
  return starts.back();
}

// Unfolds one code.
class Unfolding {
 public:
  Unfolding(const Hierarchy& hierarchy, const std::vector<std::size_t>& starts)
      : hierarchy_(hierarchy), starts_(starts) {}

  // False where the graph has too many vertices.
  bool make(const std::uint8_t* code, EdgeList& out) {
    code_ = code;
    vertices_ = 1;
    edges_.clear();
    if (unfold(hierarchy_.levels.size() - 1, 0, 0) >= kMaxVertices) {
      return false;
    }
    out.clear(vertices_);
    out.labels.front() = 1;
    out.labels.back() = 2;
    std::sort(edges_.begin(), edges_.end());
    for (const auto& [ends, label] : edges_) {
      out.from.push_back(static_cast<std::uint16_t>(ends >> 16));
      out.to.push_back(static_cast<std::uint16_t>(ends & 0xFFFF));
      out.edge_labels.push_back(label);
    }
    return true;
  }

 private:
  // A motif from the vertex `source` on; returns the vertex that its last node is, or
  // kMaxVertices where there are too many. Each node comes behind all that enters it.
  std::size_t unfold(std::size_t level, std::size_t motif, std::size_t source) {
    const std::uint32_t nodes = hierarchy_.levels[level].nodes;
    const std::uint8_t* edges = code_ + starts_[level] + motif * motif_edges(nodes);
    std::vector<std::size_t> places{source};
    std::vector<std::pair<std::size_t, std::uint64_t>> entering;
    for (std::uint32_t i = 1; i < nodes; ++i) {
      entering.clear();
      for (std::uint32_t j = 0; j < i; ++j) {
        const std::uint8_t operation = *edges++;
        if (operation == 0) {
          continue;
        }
        if (level == 0) {
          entering.emplace_back(places[j], operation);
        } else {
          entering.emplace_back(unfold(level - 1, operation - 1u, places[j]), 0);
        }
        if (vertices_ >= kMaxVertices) {
          return kMaxVertices;
        }
      }
      const std::size_t place = vertices_++;
      for (const auto& [from, label] : entering) {
        edges_.emplace_back(static_cast<std::uint32_t>(from << 16 | place), label);
      }
      places.push_back(place);
    }
    return vertices_ > kMaxVertices ? kMaxVertices : places.back();
  }

  const Hierarchy& hierarchy_;
  const std::vector<std::size_t>& starts_;
  const std::uint8_t* code_ = nullptr;
  std::size_t vertices_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> edges_;
};

}  // namespace

Status check_hierarchy(const Hierarchy& hierarchy) {
  bool sound = !hierarchy.levels.empty() && hierarchy.primitives >= 1 &&
               hierarchy.primitives <= kMostMotifs && hierarchy.identity >= 1 &&
               hierarchy.identity <= hierarchy.primitives && hierarchy.levels.back().motifs == 1;
  for (const HierarchyLevel& level : hierarchy.levels) {
    sound = sound && level.motifs >= 1 && level.motifs <= kMostMotifs && level.nodes >= 2 &&
            level.nodes <= kMostMotifNodes;
  }
  if (!sound) {
    return Status::fail(Code::limit, 0,
                        "a hierarchy has levels of 1 to 255 motifs, the last of 1, with 2 to 64 "
                        "nodes, and 1 to 255 primitives, the identity one of them");
  }
  if (hierarchy.levels.size() > kMaxDecisions || hierarchy_width(hierarchy) > kMaxDecisions) {
    return Status::fail(Code::limit, 0, "a code of the hierarchy has more than 4,096 bytes");
  }
  return {};
}

std::size_t hierarchy_width(const Hierarchy& hierarchy) { return level_starts(hierarchy).back(); }

Status trivial_codes(const Hierarchy& hierarchy, std::uint64_t n, std::uint8_t* out) {
  if (Status s = check_hierarchy(hierarchy); !s.ok()) {
    return s;
  }
  const std::vector<std::size_t> starts = level_starts(hierarchy);
  std::vector<std::uint8_t> code(starts.back(), 0);
  for (std::size_t level = 0; level < hierarchy.levels.size(); ++level) {
    const HierarchyLevel& own = hierarchy.levels[level];
    const std::size_t size = motif_edges(own.nodes);
    for (std::size_t motif = 0; motif < own.motifs; ++motif) {
      for (std::uint32_t i = 1; i < own.nodes; ++i) {
        code[starts[level] + motif * size + motif_edges(i) + i - 1] =
            static_cast<std::uint8_t>(level == 0 ? hierarchy.identity : 1);
      }
    }
  }
  for (std::uint64_t row = 0; row < n; ++row) {
    std::copy(code.begin(), code.end(), out + row * code.size());
  }
  return {};
}

Status relabel_codes(const Hierarchy& hierarchy, const Draws& draws, std::uint32_t steps,
                     bool distinct, std::uint64_t n, const std::uint8_t* codes, std::uint8_t* out) {
  if (Status s = check_hierarchy(hierarchy); !s.ok()) {
    return s;
  }
  const std::vector<std::size_t> starts = level_starts(hierarchy);
  const std::size_t width = starts.back();
  const auto levels = static_cast<std::uint32_t>(hierarchy.levels.size());
  const auto work = [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * width;
      std::uint8_t* made = out + row * width;
      if (const std::size_t at = wrong_byte(hierarchy, starts, code); at < width) {
        return no_hierarchy_code(row, at);
      }
      std::copy_n(code, made == code ? 0 : width, made);
      RowRandom random(draws.key, draws.start + row, Purpose::mutate);
      for (std::uint32_t step = 0; step < steps; ++step) {
        const std::size_t level = random.below(levels);
        const HierarchyLevel& own = hierarchy.levels[level];
        const std::size_t motif = random.below(own.motifs);
        const std::uint32_t i = 1 + random.below(own.nodes - 1);
        const std::uint32_t j = random.below(i);
        std::uint8_t& edge =
            made[starts[level] + motif * motif_edges(own.nodes) + motif_edges(i) + j];
        const std::uint32_t drawn = random.below(hierarchy.operations(level) + !distinct);
        edge = static_cast<std::uint8_t>(drawn + (distinct && drawn >= edge));
      }
    }
    return Status{};
  };
  return parallel_rows(n, draws.threads, kHierarchyGrain, work);
}

Status flatten_codes(const Hierarchy& hierarchy, std::uint64_t n, const std::uint8_t* codes,
                     unsigned threads, GraphStore& out) {
  if (Status s = check_hierarchy(hierarchy); !s.ok()) {
    return s;
  }
  const std::vector<std::size_t> starts = level_starts(hierarchy);
  return make_graphs(n, threads, out, [&](std::uint64_t row, EdgeList&, EdgeList& made) {
    const std::uint8_t* code = codes + row * starts.back();
    if (const std::size_t at = wrong_byte(hierarchy, starts, code); at < starts.back()) {
      return no_hierarchy_code(row, at);
    }
    if (!Unfolding(hierarchy, starts).make(code, made)) {
      return Status::fail(Code::row, row,
                          "the graph has more than " + std::to_string(kMaxVertices) + " vertices");
    }
    return Status{};
  });
}

}  // namespace nasturtium

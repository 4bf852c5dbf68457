#include "nasturtium/wl.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kColorGrain = 64;
constexpr std::uint64_t kCrossGrain = 16;
// What a block of rows needs is used again by the next, and stays in the cache.
constexpr std::uint64_t kBlockEntries = 6144;
constexpr std::size_t kMaxMotif = std::size_t{1} << 16;

}  // namespace

void WLColors::begin(const OperationGraph& graph) {
  colors_.clear();
  for (const OperationGraph::Vertex& vertex : graph.vertices) {
    colors_.push_back(mix(vertex.hash ^ 0x9FB21C651E98DF25ull));
  }
}

void WLColors::refine(const OperationGraph& graph) {
  const std::size_t n = colors_.size();
  entering_.assign(n, 0);
  leaving_.assign(n, 0);
  for (const OperationGraph::Arc& arc : graph.arcs) {
    entering_[arc.to] += mix(colors_[arc.from] ^ 0xA24BAED4963EE407ull) * arc.times;
    leaving_[arc.from] += mix(colors_[arc.to] ^ 0x8CB92BA72F3D8DD7ull) * arc.times;
  }
  for (std::size_t v = 0; v < n; ++v) {
    const std::uint64_t around =
        mix(entering_[v] + 0x9E3779B97F4A7C15ull) + 5 * mix(leaving_[v] + 0xD6E8FEB86659FD93ull);
    colors_[v] = mix(3 * colors_[v] + around);
  }
}

Status WLIndex::begin(const Space& space, unsigned rounds) {
  if (rounds > kMaxRounds) {
    return Status::fail(Code::limit, 0, "Weisfeiler-Lehman features have 0 to 16 rounds");
  }
  space_ = &space;
  rounds_ = rounds;
  if (Status s = labels_.build(space); !s.ok()) {
    return s;
  }
  std::uint64_t vertices = 2;
  for (std::size_t part = 0; part < labels_.parts(); ++part) {
    vertices += labels_.silent(part) ? 0 : 1;
  }
  most_entries_ = vertices * (rounds + std::uint64_t{1});
  return {};
}

Status WLIndex::color(std::uint64_t n, const std::uint8_t* codes, Colored& out,
                      unsigned threads) const {
  const std::uint64_t most = most_entries_;
  std::vector<std::uint64_t>& keys = out.room_keys;
  std::vector<std::uint32_t>&counts = out.room_counts, &sizes = out.sizes;
  keys.resize(2 * n * most);
  counts.resize(n * most);
  sizes.resize(n);
  Status status =
      parallel_rows(n, threads, kColorGrain, [&](std::uint64_t begin, std::uint64_t end) {
        OperationGraphs maker;
        if (Status s = maker.begin(*space_, {}); !s.ok()) {
          return s;
        }
        OperationGraph graph;
        WLColors colors;
        std::vector<std::uint64_t> sorted;
        for (std::uint64_t row = begin; row < end; ++row) {
          if (Status s = maker.make(row, codes + row * space_->width(), graph); !s.ok()) {
            return s;
          }
          std::uint64_t* key = keys.data() + 2 * row * most;
          std::uint32_t* count = counts.data() + row * most;
          std::uint32_t size = 0;
          colors.begin(graph);
          for (unsigned round = 0;; ++round) {
            sorted = colors.colors();
            std::sort(sorted.begin(), sorted.end());
            for (std::size_t i = 0; i < sorted.size(); ++i) {
              if (i > 0 && sorted[i] == sorted[i - 1]) {
                ++count[size - 1];
                continue;
              }
              key[2 * size] = sorted[i];
              key[2 * size + 1] = round;
              count[size++] = 1;
            }
            if (round == rounds_) {
              break;
            }
            colors.refine(graph);
          }
          sizes[row] = size;
        }
        return Status{};
      });
  if (!status.ok()) {
    return status;
  }
  out.starts.assign(1, 0);
  out.keys.clear();
  out.counts.clear();
  for (std::uint64_t row = 0; row < n; ++row) {
    const std::uint64_t* key = keys.data() + 2 * row * most;
    out.keys.insert(out.keys.end(), key, key + 2 * std::uint64_t{sizes[row]});
    const std::uint32_t* count = counts.data() + row * most;
    out.counts.insert(out.counts.end(), count, count + sizes[row]);
    out.starts.push_back(out.counts.size());
  }
  return {};
}

// Rows that are worked through at once.
std::uint64_t WLIndex::block_rows(unsigned threads) const {
  return std::clamp<std::uint64_t>(threads, 1, 64) *
         std::max<std::uint64_t>(kBlockEntries / most_entries_, 1);
}

Status WLIndex::add(std::uint64_t n, const std::uint8_t* codes, unsigned threads) {
  std::vector<std::uint8_t> active(space_->width());
  for (std::uint64_t row = 0; row < n; ++row) {
    if (!well_formed(*space_, codes + row * space_->width(), active.data())) {
      return bad_row(*space_, row, codes + row * space_->width());
    }
  }
  const std::uint64_t block = block_rows(threads);
  Colored colored;
  std::vector<std::uint64_t> numbers;
  std::vector<std::uint8_t> fresh;
  for (std::uint64_t begin = 0; begin < n; begin += block) {
    const std::uint64_t size = std::min(block, n - begin);
    const std::uint8_t* from = codes + begin * space_->width();
    if (Status s = color(size, from, colored, threads); !s.ok()) {
      return s;
    }
    const std::uint64_t total = colored.counts.size();
    if (rows() + size >= 0xFFFFFFFFu || entries_.size() + total >= 0xFFFFFFFFu) {
      return Status::fail(Code::limit, 0, "more rows than a Weisfeiler-Lehman index holds");
    }
    numbers.resize(total);
    fresh.resize(total);
    // All memory first, so that a row is added as a whole or not at all.
    if (Status s = map_.reserve(map_.size() + total); !s.ok()) {
      return s;
    }
    const auto room = [](auto& vector, std::uint64_t more) {
      if (vector.capacity() - vector.size() < more) {
        vector.reserve(std::max<std::uint64_t>(2 * vector.size(), vector.size() + more));
      }
    };
    // The rows to come have about as many.
    room(entries_, std::max(total, total * (n - begin) / size));
    room(starts_, n - begin);
    room(codes_, (n - begin) * space_->width());
    room(heads_, total);
    room(seen_in_, total);
    room(examples_, total);
    if (Status s = map_.insert(total, colored.keys.data(), numbers.data(), fresh.data()); !s.ok()) {
      return s;
    }
    for (std::uint64_t i = 0; i < size; ++i) {
      const auto row = static_cast<std::uint32_t>(rows());
      for (std::uint64_t e = colored.starts[i]; e < colored.starts[i + 1]; ++e) {
        const auto feature = static_cast<std::uint32_t>(numbers[e]);
        if (fresh[e] != 0) {
          heads_.push_back(0);
          seen_in_.push_back(0);
          examples_.push_back(row);
        }
        entries_.push_back({feature, row, colored.counts[e], heads_[feature]});
        heads_[feature] = static_cast<std::uint32_t>(entries_.size());
        ++seen_in_[feature];
      }
      starts_.push_back(entries_.size());
    }
    codes_.insert(codes_.end(), from, from + size * space_->width());
  }
  return {};
}

void WLIndex::histograms(WLHistograms& out) const {
  out.starts = starts_;
  out.features.clear();
  out.counts.clear();
  for (const Entry& entry : entries_) {
    out.features.push_back(static_cast<std::int32_t>(entry.feature));
    out.counts.push_back(static_cast<std::int32_t>(entry.count));
  }
}

Status WLIndex::transform(std::uint64_t n, const std::uint8_t* codes, WLHistograms& out,
                          unsigned threads) const {
  out = WLHistograms{};
  const std::uint64_t block = block_rows(threads);
  Colored colored;
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t begin = 0; begin < n; begin += block) {
    const std::uint64_t size = std::min(block, n - begin);
    if (Status s = color(size, codes + begin * space_->width(), colored, threads); !s.ok()) {
      s.where += s.code == Code::row ? begin : 0;
      return s;
    }
    numbers.resize(colored.counts.size());
    if (Status s = map_.find(numbers.size(), colored.keys.data(), numbers.data(), 1); !s.ok()) {
      return s;
    }
    for (std::uint64_t i = 0; i < size; ++i) {
      for (std::uint64_t e = colored.starts[i]; e < colored.starts[i + 1]; ++e) {
        if (numbers[e] != KeyMap::kAbsent) {
          out.features.push_back(static_cast<std::int32_t>(numbers[e]));
          out.counts.push_back(static_cast<std::int32_t>(colored.counts[e]));
        }
      }
      out.starts.push_back(out.counts.size());
    }
  }
  return {};
}

Status WLIndex::cross(WLKernel kernel, bool normalize, std::uint64_t n, const std::uint8_t* codes,
                      float* out, unsigned threads) const {
  const std::uint64_t columns = rows();
  const bool product = kernel == WLKernel::subtree;
  std::vector<float> scale(columns, 1.0F);
  for (std::uint64_t j = 0; normalize && j < columns; ++j) {
    scale[j] = static_cast<float>(1 / std::sqrt(own_value(kernel, j)));
  }
  const std::uint64_t block = block_rows(threads);
  Colored colored;
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t first = 0; first < n; first += block) {
    const std::uint64_t size = std::min(block, n - first);
    if (Status s = color(size, codes + first * space_->width(), colored, threads); !s.ok()) {
      s.where += s.code == Code::row ? first : 0;
      return s;
    }
    numbers.resize(colored.counts.size());
    if (Status s = map_.find(numbers.size(), colored.keys.data(), numbers.data(), 1); !s.ok()) {
      return s;
    }
    Status status =
        parallel_rows(size, threads, kCrossGrain, [&](std::uint64_t begin, std::uint64_t end) {
          std::vector<std::uint32_t> sums(columns);
          for (std::uint64_t i = begin; i < end; ++i) {
            std::fill(sums.begin(), sums.end(), 0u);
            double own = 0;
            for (std::uint64_t e = colored.starts[i]; e < colored.starts[i + 1]; ++e) {
              const std::uint32_t count = colored.counts[e];
              own += self(kernel, count);
              if (numbers[e] == KeyMap::kAbsent) {
                continue;
              }
              for (std::uint32_t at = heads_[numbers[e]]; at != 0;) {
                const Entry& entry = entries_[at - 1];
                sums[entry.row] += product ? count * entry.count : std::min(count, entry.count);
                at = entry.previous;
              }
            }
            float* to = out + (first + i) * columns;
            const float by = normalize ? static_cast<float>(1 / std::sqrt(own)) : 1.0F;
            for (std::uint64_t j = 0; j < columns; ++j) {
              to[j] = static_cast<float>(sums[j]) * (by * scale[j]);
            }
          }
          return Status{};
        });
    if (!status.ok()) {
      return status;
    }
  }
  return {};
}

namespace {

// Writes motifs; `labels` are the vertices' texts.
class MotifWriter {
 public:
  MotifWriter(const OperationGraph& graph, std::vector<std::string> labels)
      : graph_(graph), labels_(std::move(labels)) {}

  // False where it grows too long.
  bool write(std::uint32_t vertex, std::uint64_t round, std::string& out) const {
    out = labels_[vertex];
    std::string parts;
    for (const bool entering : {true, false}) {
      std::map<std::string, std::uint64_t> times;
      for (const OperationGraph::Arc& arc : graph_.arcs) {
        if (round == 0 || (entering ? arc.to : arc.from) != vertex) {
          continue;
        }
        std::string text;
        if (!write(entering ? arc.from : arc.to, round - 1, text)) {
          return false;
        }
        times[text] += arc.times;
      }
      std::string list;
      for (const auto& [text, count] : times) {
        list += list.empty() ? "" : " + ";
        list += (count > 1 ? std::to_string(count) + " " : std::string()) + text;
      }
      if (!list.empty()) {
        parts += (parts.empty() ? "" : "; ") + std::string(entering ? "from " : "to ") + list;
      }
    }
    out += parts.empty() ? "" : "(" + parts + ")";
    return out.size() <= kMaxMotif;
  }

 private:
  const OperationGraph& graph_;
  std::vector<std::string> labels_;
};

}  // namespace

Status WLIndex::motif(std::uint64_t feature, std::string& out) const {
  if (feature >= features()) {
    return Status::fail(Code::limit, 0,
                        "there are " + std::to_string(features()) + " features, and no number " +
                            std::to_string(feature));
  }
  const std::uint64_t color = map_.keys()[2 * feature], round = map_.keys()[2 * feature + 1];
  const std::uint8_t* code = codes_.data() + examples_[feature] * space_->width();
  OperationGraphs maker;
  OperationGraph graph;
  if (Status s = maker.begin(*space_, {}); !s.ok()) {
    return s;
  }
  if (Status s = maker.make(0, code, graph); !s.ok()) {
    return s;
  }
  WLColors colors;
  colors.begin(graph);
  for (std::uint64_t i = 0; i < round; ++i) {
    colors.refine(graph);
  }
  std::vector<std::string> labels;
  for (std::size_t v = 0; v < graph.vertices.size(); ++v) {
    const bool first = v == 0, last = v + 1 == graph.vertices.size();
    const std::int32_t label = labels_.of(graph.vertices[v].part, code, maker.active());
    const std::string text =
        label == Labels::kAbsent ? "-" : labels_.all()[static_cast<std::size_t>(label)].text;
    if (!first && !last) {
      labels.push_back(text);
    } else {
      const bool plain = graph.vertices[v].kind == Kind::identity;
      labels.push_back((first ? "input" : "output") + (plain ? std::string() : ":" + text));
    }
  }
  const auto at = std::find(colors.colors().begin(), colors.colors().end(), color);
  const auto vertex = static_cast<std::uint32_t>(at - colors.colors().begin());
  if (!MotifWriter(graph, std::move(labels)).write(vertex, round, out)) {
    return Status::fail(Code::limit, 0, "the motif takes more than 65,536 characters");
  }
  return {};
}

}  // namespace nasturtium

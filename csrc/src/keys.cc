#include "nasturtium/keys.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <optional>
#include <string>

#include "bytes.hpp"
#include "nasturtium/function.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"
#include "string_form.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kKeyGrain = 256;
constexpr std::uint64_t kInputMark = 0xD1B54A32D192ED03ull;
constexpr std::uint64_t kOutputMark = 0xAEF17502108EF2D9ull;
constexpr std::uint64_t kValueMark = 0x7A5C9F0D3B1E6248ull;

}  // namespace

// Keys by a hash of what they are made from, for batches in which the same comes again. Where that
// is rare it stops.
class KnownKeys {
 public:
  explicit KnownKeys(std::uint64_t rows) {
    if (rows >= kFewest) {
      entries_.resize(std::bit_ceil(std::min(rows, kMost)));
    }
  }

  bool on() const { return !entries_.empty(); }

  bool find(const std::uint64_t from[2], std::uint64_t key[2]) {
    const Entry& entry = entry_of(from);
    ++asked_;
    if (entry.from[0] != from[0] || entry.from[1] != from[1]) {
      return false;
    }
    std::copy_n(entry.key, 2, key);
    ++known_;
    return true;
  }

  // Keeps what was asked for in vain.
  void keep(const std::uint64_t from[2], const std::uint64_t key[2]) {
    Entry& entry = entry_of(from);
    std::copy_n(from, 2, entry.from);
    std::copy_n(key, 2, entry.key);
    if (asked_ >= kTrial && known_ < asked_ / 8) {
      entries_.clear();
    }
  }

 private:
  static constexpr std::uint64_t kFewest = 256, kMost = 16384, kTrial = 4096;
  struct Entry {
    std::uint64_t from[2] = {0, 0};
    std::uint64_t key[2] = {0, 0};
  };

  Entry& entry_of(const std::uint64_t from[2]) { return entries_[from[0] & (entries_.size() - 1)]; }

  std::vector<Entry> entries_;
  std::uint64_t asked_ = 0, known_ = 0;
};

class KeyMaker::Work {
 public:
  Work(const Space& space, Convention convention, std::uint64_t rows)
      : space_(space),
        convention_(convention),
        active_(space.width()),
        known_(convention == Convention::function ? rows : 0) {
    if (convention == Convention::string || convention == Convention::string_skip) {
      strings_.emplace(space, convention == Convention::string);
    }
  }

  Status make(std::uint64_t row, const std::uint8_t* code, std::uint64_t out[2]);

 private:
  Status graph_key(const std::uint8_t* code, std::uint64_t out[2]);
  Status function_key(std::uint64_t out[2]);
  void pruned_words();
  void digraph_of_nodes();
  void finish(std::uint64_t out[2]) const { murmur128(words_, space_.name_hash, out); }

  const Space& space_;
  Convention convention_;
  std::vector<std::uint8_t> active_;
  std::optional<StringForm> strings_;
  std::vector<std::uint64_t> words_, form_, value_words_;
  LiveGraph graph_;
  Digraph digraph_;
  EdgeList values_;
  FunctionForm function_;
  Canonizer canonizer_;
  KnownKeys known_;
};

Status KeyMaker::Work::make(std::uint64_t row, const std::uint8_t* code, std::uint64_t out[2]) {
  if (!well_formed(space_, code, active_.data())) {
    return bad_row(space_, row, code);
  }
  words_.assign(1, static_cast<std::uint64_t>(convention_));
  Status s;
  if (convention_ == Convention::genotype) {
    for (std::size_t i = 0; i < space_.width(); ++i) {
      words_.push_back(active_[i] ? space_.decisions[i].options[code[i]].hash : 0);
    }
    finish(out);
  } else if (strings_) {
    if (space_.nodes.empty()) {
      return Status::fail(Code::limit, row, "the string rules need a graph");
    }
    std::uint64_t hashes[2] = {0, 0};
    s = strings_->hash(code, hashes);
    words_.insert(words_.end(), hashes, hashes + 2);
    finish(out);
  } else {
    s = graph_key(code, out);
  }
  if (!s.ok()) {
    s.where = row;
  }
  return s;
}

Status KeyMaker::Work::graph_key(const std::uint8_t* code, std::uint64_t out[2]) {
  for (const std::uint32_t d : space_.attributes) {
    words_.push_back(active_[d] ? space_.decisions[d].options[code[d]].hash : 0);
  }
  if (space_.nodes.empty()) {
    finish(out);
    return {};
  }
  build_graph(space_, code, active_.data(), graph_);
  prune(space_, graph_);
  if (convention_ == Convention::function) {
    return function_key(out);
  }
  if (convention_ == Convention::pruned) {
    pruned_words();
  } else {
    digraph_of_nodes();
    if (Status s = canonizer_.run(digraph_, form_); !s.ok()) {
      return s;
    }
    words_.insert(words_.end(), form_.begin(), form_.end());
  }
  finish(out);
  return {};
}

Status KeyMaker::Work::function_key(std::uint64_t out[2]) {
  if (Status s = function_.rewrite(space_, graph_); !s.ok()) {
    return s;
  }
  std::uint64_t hash[2];
  const bool asked = known_.on();
  if (asked) {
    value_words_.assign(words_.begin(), words_.end());
    function_.spell(value_words_);
    murmur128(value_words_, kValueMark, hash);
    if (known_.find(hash, out)) {
      return {};
    }
  }
  function_.write(values_);
  if (Status s = canonizer_.run(values_); !s.ok()) {
    return s;
  }
  words_.insert(words_.end(), canonizer_.form().begin(), canonizer_.form().end());
  finish(out);
  if (asked) {
    known_.keep(hash, out);
  }
  return {};
}

void KeyMaker::Work::pruned_words() {
  words_.push_back(graph_.nodes);
  for (std::size_t v = 0; v < space_.nodes.size(); ++v) {
    if (graph_.nodes >> v & 1) {
      words_.push_back(graph_.ops[v].hash);
    }
  }
  for (const LiveEdge& edge : graph_.edges) {
    words_.push_back(edge.number);
    words_.push_back(edge.op.hash);
  }
}

void KeyMaker::Work::digraph_of_nodes() {
  std::array<std::size_t, kMaxNodes> place{};
  std::size_t n = 0;
  for (std::size_t v = 0; v < space_.nodes.size(); ++v) {
    if (graph_.nodes >> v & 1) {
      place[v] = n++;
    }
  }
  digraph_.clear(n);
  for (std::size_t v = 0; v < space_.nodes.size(); ++v) {
    if (graph_.nodes >> v & 1) {
      digraph_.labels[place[v]] = graph_.ops[v].hash;
    }
  }
  digraph_.labels[0] = mix(digraph_.labels[0] ^ kInputMark);
  digraph_.labels[n - 1] = mix(digraph_.labels[n - 1] ^ kOutputMark);
  for (const LiveEdge& edge : graph_.edges) {
    digraph_.add_edge(place[edge.src], place[edge.dst], edge.op.hash);
  }
}

namespace {

class Murmur {
 public:
  explicit Murmur(std::uint64_t seed) : h1_(seed), h2_(seed) {}

  void block(std::uint64_t first, std::uint64_t second) {
    h1_ ^= std::rotl(first * kFirst, 31) * kSecond;
    h1_ = (std::rotl(h1_, 27) + h2_) * 5 + 0x52DCE729;
    h2_ ^= std::rotl(second * kSecond, 33) * kFirst;
    h2_ = (std::rotl(h2_, 31) + h1_) * 5 + 0x38495AB5;
  }

  // What is left behind the blocks, filled up with zeros: these change nothing.
  void mix_in(std::uint64_t first, std::uint64_t second) {
    h1_ ^= std::rotl(first * kFirst, 31) * kSecond;
    h2_ ^= std::rotl(second * kSecond, 33) * kFirst;
  }

  void finish(std::uint64_t length, std::uint64_t out[2]) {
    h1_ ^= length;
    h2_ ^= length;
    h1_ += h2_;
    h2_ += h1_;
    h1_ = mix(h1_);
    h2_ = mix(h2_);
    out[0] = h1_ + h2_;
    out[1] = out[0] + h2_;
  }

 private:
  static constexpr std::uint64_t kFirst = 0x87C37B91114253D5ull, kSecond = 0x4CF5AD432745937Full;

  std::uint64_t h1_, h2_;
};

}  // namespace

bool find_convention(std::string_view name, Convention& out) {
  constexpr std::string_view names[kConventions] = {"genotype", "pruned", "graph",
                                                    "function", "string", "string_skip"};
  for (std::size_t i = 0; i < kConventions; ++i) {
    if (names[i] == name) {
      out = static_cast<Convention>(i);
      return true;
    }
  }
  return false;
}

Status keys(const Space& space, Convention convention, std::uint64_t n, const std::uint8_t* codes,
            std::uint64_t* out, unsigned threads) {
  return parallel_rows(n, threads, kKeyGrain, [&](std::uint64_t begin, std::uint64_t end) {
    KeyMaker::Work maker(space, convention, end - begin);
    for (std::uint64_t row = begin; row < end; ++row) {
      if (Status s = maker.make(row, codes + row * space.width(), out + 2 * row); !s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

KeyMaker::KeyMaker(const Space& space, Convention convention)
    : work_(std::make_unique<Work>(space, convention, 1)) {}

KeyMaker::~KeyMaker() = default;

Status KeyMaker::make(const std::uint8_t* code, std::uint64_t out[2]) {
  return work_->make(0, code, out);
}

Status live_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                 std::uint8_t* nodes, std::uint8_t* edges, unsigned threads) {
  return parallel_rows(n, threads, kKeyGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width());
    LiveGraph graph;
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      if (!well_formed(space, code, active.data())) {
        return bad_row(space, row, code);
      }
      build_graph(space, code, active.data(), graph);
      prune(space, graph);
      for (std::size_t v = 0; v < space.nodes.size(); ++v) {
        nodes[row * space.nodes.size() + v] = graph.nodes >> v & 1;
      }
      std::uint8_t* to = edges + row * space.edges.size();
      std::fill_n(to, space.edges.size(), std::uint8_t{0});
      for (const LiveEdge& edge : graph.edges) {
        to[edge.number] = 1;
      }
    }
    return Status{};
  });
}

void murmur128(const std::vector<std::uint64_t>& words, std::uint64_t seed, std::uint64_t out[2]) {
  Murmur murmur(seed);
  std::size_t i = 0;
  for (; i + 2 <= words.size(); i += 2) {
    murmur.block(words[i], words[i + 1]);
  }
  if (i < words.size()) {
    murmur.mix_in(words[i], 0);
  }
  murmur.finish(words.size() * 8, out);
}

void murmur128(std::span<const std::uint8_t> bytes, std::uint64_t seed, std::uint64_t out[2]) {
  Murmur murmur(seed);
  std::size_t i = 0;
  for (; i + 16 <= bytes.size(); i += 16) {
    murmur.block(load_word<std::uint64_t>(bytes.data() + i),
                 load_word<std::uint64_t>(bytes.data() + i + 8));
  }
  std::array<std::uint8_t, 16> rest{};
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(i), bytes.end(), rest.begin());
  murmur.mix_in(load_word<std::uint64_t>(rest.data()), load_word<std::uint64_t>(rest.data() + 8));
  murmur.finish(bytes.size(), out);
}

}  // namespace nasturtium

#include "nasturtium/random_graphs.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "graph_blocks.hpp"

namespace nasturtium {
namespace {

// Undirected, as a matrix of bytes.
class Wires {
 public:
  void clear(std::size_t nodes) {
    nodes_ = nodes;
    there_.assign(nodes * nodes, 0);
    degrees_.assign(nodes, 0);
  }
  bool has(std::size_t v, std::size_t w) const { return there_[v * nodes_ + w] != 0; }
  std::size_t degree(std::size_t v) const { return degrees_[v]; }
  void set(std::size_t v, std::size_t w, bool there) {
    there_[v * nodes_ + w] = there_[w * nodes_ + v] = there;
    const std::size_t change = there ? 1 : ~std::size_t{0};
    degrees_[v] += change;
    degrees_[w] += change;
  }

 private:
  std::size_t nodes_ = 0;
  std::vector<std::uint8_t> there_;
  std::vector<std::size_t> degrees_;
};

// True with the chance that a threshold of 53 bits stands for.
bool happens(RowRandom& random, std::uint64_t threshold) { return random.word() >> 11 < threshold; }

void erdos_renyi(std::size_t n, std::uint64_t threshold, RowRandom& random, Wires& wires) {
  for (std::size_t w = 1; w < n; ++w) {
    for (std::size_t v = 0; v < w; ++v) {
      if (happens(random, threshold)) {
        wires.set(v, w, true);
      }
    }
  }
}

// Watts and Strogatz, "Collective dynamics of small-world networks", Nature 1998: lap after lap
// round the ring, each edge to the next but `lap` neighbor gets another end, with no edge twice.
void watts_strogatz(std::size_t n, std::size_t side, std::uint64_t threshold, RowRandom& random,
                    Wires& wires) {
  for (std::size_t v = 0; v < n; ++v) {
    for (std::size_t lap = 1; lap <= side; ++lap) {
      wires.set(v, (v + lap) % n, true);
    }
  }
  for (std::size_t lap = 1; lap <= side; ++lap) {
    for (std::size_t v = 0; v < n; ++v) {
      if (!happens(random, threshold) || wires.degree(v) + 1 >= n) {
        continue;
      }
      std::size_t w = 0;
      do {
        w = random.below(static_cast<std::uint32_t>(n));
      } while (w == v || wires.has(v, w));
      wires.set(v, (v + lap) % n, false);
      wires.set(v, w, true);
    }
  }
}

// Barabási and Albert, "Emergence of scaling in random networks", Science 1999, from `each`
// vertices without edges on.
void barabasi_albert(std::size_t n, std::size_t each, RowRandom& random, Wires& wires,
                     std::vector<std::uint32_t>& ends) {
  ends.clear();  // every vertex as often as its degree
  for (std::size_t v = each; v < n; ++v) {
    for (std::size_t found = 0; found < each;) {
      const std::size_t w =
          v == each ? found : ends[random.below(static_cast<std::uint32_t>(ends.size()))];
      if (!wires.has(v, w)) {
        wires.set(v, w, true);
        ++found;
      }
    }
    for (std::size_t w = 0; w < v; ++w) {
      if (wires.has(v, w)) {
        ends.push_back(static_cast<std::uint32_t>(w));
        ends.push_back(static_cast<std::uint32_t>(v));
      }
    }
  }
}

void orient(const WiringOptions& options, const Wires& wires, EdgeList& out) {
  const std::size_t n = options.nodes;
  out.clear(n + 2);
  std::fill(out.labels.begin(), out.labels.end(), options.label);
  out.labels.front() = options.input_label;
  out.labels.back() = options.output_label;
  const auto add = [&out](std::size_t from, std::size_t to) {
    out.from.push_back(static_cast<std::uint16_t>(from));
    out.to.push_back(static_cast<std::uint16_t>(to));
  };
  for (std::size_t v = 0; v < n; ++v) {
    bool entered = false;
    for (std::size_t w = 0; w < v && !entered; ++w) {
      entered = wires.has(v, w);
    }
    if (!entered) {
      add(0, v + 1);
    }
  }
  for (std::size_t v = 0; v < n; ++v) {
    const std::size_t before = out.edges();
    for (std::size_t w = v + 1; w < n; ++w) {
      if (wires.has(v, w)) {
        add(v + 1, w + 1);
      }
    }
    if (out.edges() == before) {
      add(v + 1, n + 1);
    }
  }
}

Status check_options(const WiringOptions& o) {
  const auto refuse = [](const std::string& reason) {
    return Status::fail(Code::limit, 0, reason);
  };
  if (o.nodes < 1 || o.nodes + 2 > kMaxVertices) {
    return refuse("a random graph has 1 to " + std::to_string(kMaxVertices - 2) + " nodes");
  }
  if (!(o.chance >= 0 && o.chance <= 1)) {
    return refuse("a probability is between 0 and 1");
  }
  if (o.wiring == Wiring::watts_strogatz && (o.neighbors < 2 || o.neighbors >= o.nodes)) {
    return refuse("the ring needs 2 or more neighbors and more nodes than neighbors");
  }
  if (o.wiring == Wiring::barabasi_albert && (o.neighbors < 1 || o.neighbors >= o.nodes)) {
    return refuse("each vertex is joined to 1 or more others, fewer than there are nodes");
  }
  return {};
}

}  // namespace

Status random_graphs(const WiringOptions& options, const Draws& draws, std::uint64_t n,
                     GraphStore& out) {
  if (Status s = check_options(options); !s.ok()) {
    return s;
  }
  const auto threshold = static_cast<std::uint64_t>(options.chance * 9007199254740992.0);
  const auto work = [&](std::uint64_t row, EdgeList&, EdgeList& made) {
    RowRandom random(draws.key, draws.start + row, Purpose::sample);
    Wires wires;
    wires.clear(options.nodes);
    std::vector<std::uint32_t> ends;
    switch (options.wiring) {
      case Wiring::erdos_renyi:
        erdos_renyi(options.nodes, threshold, random, wires);
        break;
      case Wiring::watts_strogatz:
        watts_strogatz(options.nodes, options.neighbors / 2, threshold, random, wires);
        break;
      case Wiring::barabasi_albert:
        barabasi_albert(options.nodes, options.neighbors, random, wires, ends);
        break;
    }
    orient(options, wires, made);
    return Status{};
  };
  return make_graphs(n, draws.threads, out, work);
}

}  // namespace nasturtium

// Runs the encodings, distances, kernels and further moves without Python, under the sanitizers:
// every operation on every space of the given text files, on one thread and on three, with codes
// that are none, and transport problems of many sizes.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "nasturtium/distance.hpp"
#include "nasturtium/encode.hpp"
#include "nasturtium/graph_arrays.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/otmann.hpp"
#include "nasturtium/pack.hpp"
#include "nasturtium/paths.hpp"
#include "nasturtium/transport.hpp"
#include "nasturtium/tree_wasserstein.hpp"
#include "nasturtium/variation.hpp"
#include "nasturtium/wl.hpp"
#include "require.hpp"

namespace nst = nasturtium;

namespace {

constexpr std::uint64_t kRows = 600;    // above the grain of what is slow
constexpr std::uint64_t kMany = 40000;  // above the grain of what is fast
constexpr std::uint64_t kFew = 40;

using Codes = std::vector<std::uint8_t>;

// What work(n, out, threads) writes, the same on one thread and on three.
template <typename T, typename F>
bool same(std::size_t size, F work, std::vector<T>& out) {
  std::vector<T> other(size);
  out.assign(size, T{});
  REQUIRE(work(out.data(), 1u).ok());
  REQUIRE(work(other.data(), 3u).ok());
  REQUIRE(out == other);
  return true;
}

bool decisions(const nst::Space& space, const Codes& codes) {
  const std::size_t hot = nst::one_hot_width(space);
  std::vector<float> floats, tree;
  std::vector<std::uint8_t> small, decoded;
  std::vector<std::uint64_t> words, packed;
  const std::uint8_t* from = codes.data();
  REQUIRE(same(
      kMany * hot, [&](float* to, unsigned t) { return nst::one_hot(space, kMany, from, to, t); },
      floats));
  REQUIRE(same(
      kMany * hot,
      [&](std::uint8_t* to, unsigned t) { return nst::one_hot(space, kMany, from, to, t); },
      small));
  REQUIRE(std::equal(floats.begin(), floats.end(), small.begin()));
  REQUIRE(same(
      kMany * ((hot + 63) / 64),
      [&](std::uint64_t* to, unsigned t) { return nst::one_hot_bits(space, kMany, from, to, t); },
      words));
  REQUIRE(same(
      kMany * 2 * space.width(),
      [&](float* to, unsigned t) { return nst::conditional_tree(space, kMany, from, -1, to, t); },
      tree));
  REQUIRE(same(
      codes.size(),
      [&](std::uint8_t* to, unsigned t) {
        return nst::decode_scores(space, kMany, floats.data(), to, t);
      },
      decoded));
  REQUIRE(decoded == codes);
  std::uint64_t range = 0;
  if (nst::packed_range(space, range).ok()) {
    REQUIRE(same(
        kMany, [&](std::uint64_t* to, unsigned t) { return nst::pack(space, kMany, from, to, t); },
        packed));
    REQUIRE(same(
        codes.size(),
        [&](std::uint8_t* to, unsigned t) {
          return nst::unpack(space, kMany, packed.data(), to, t);
        },
        decoded));
    REQUIRE(decoded == codes);
    packed[kMany / 2] = range;
    const nst::Status bad = nst::unpack(space, kMany, packed.data(), decoded.data(), 1);
    REQUIRE(bad.code == nst::Code::row && bad.where == kMany / 2);
  }
  return true;
}

bool moves(const nst::Space& space, const Codes& codes) {
  std::vector<double> rates(kMany);
  for (std::uint64_t i = 0; i < kMany; ++i) {
    rates[i] = static_cast<double>(i) / kMany;
  }
  Codes mutants, children;
  REQUIRE(same(
      codes.size(),
      [&](std::uint8_t* to, unsigned t) {
        return nst::mutate_at_rate(space, {{1, 2}, 3, t}, kMany, codes.data(), rates.data(), to);
      },
      mutants));
  std::vector<std::uint32_t> half;
  for (std::uint32_t i = 0; i < (space.width() + 1) / 2; ++i) {
    half.push_back(i);
  }
  for (const nst::Crossing kind :
       {nst::Crossing::one_point, nst::Crossing::stages, nst::Crossing::aligned}) {
    const nst::CrossoverRule rule{kind, {half}};
    REQUIRE(same(
        codes.size(),
        [&](std::uint8_t* to, unsigned t) {
          return nst::crossover_by(space, rule, {{1, 2}, 3, t}, kMany, codes.data(), mutants.data(),
                                   to);
        },
        children));
  }
  const nst::CrossoverRule beyond{nst::Crossing::stages, {{99999}}};
  REQUIRE(
      !nst::crossover_by(space, beyond, {}, 1, codes.data(), codes.data(), children.data()).ok());
  rates[5] = std::nan("");
  REQUIRE(nst::mutate_at_rate(space, {}, kMany, codes.data(), rates.data(), mutants.data()).where ==
          5);
  return true;
}

bool graphs(const nst::Space& space, const Codes& codes) {
  const std::uint8_t* from = codes.data();
  nst::PathEncoder paths;
  REQUIRE(paths.build(space, true).ok());
  std::vector<std::uint64_t> bits;
  std::vector<std::uint8_t> marks;
  std::vector<std::int32_t> numbers, counts;
  REQUIRE(same(
      kMany * paths.words(),
      [&](std::uint64_t* to, unsigned t) { return paths.bits(kMany, from, to, t); }, bits));
  REQUIRE(same(
      kRows * paths.columns(),
      [&](std::uint8_t* to, unsigned t) {
        return paths.one_hot(kRows, from, paths.columns(), to, t);
      },
      marks));
  REQUIRE(same(
      kRows * 5,
      [&](std::int32_t* to, unsigned t) { return paths.categorical(kRows, from, 5, to, t); },
      numbers));
  for (std::size_t c = 0; c < paths.columns(); ++c) {
    REQUIRE(paths.sequence(c).size() < 100);
  }
  for (const bool operations : {false, true}) {
    for (const bool prune : {false, true}) {
      nst::GraphArrays arrays;
      REQUIRE(arrays.build(space, operations, prune).ok());
      const std::size_t v = arrays.vertices();
      std::vector<float> adjacency(kRows * v * v);
      std::vector<std::int16_t> labels(kRows * v), edges(kRows * v * v);
      std::vector<std::uint8_t> present(kRows * v);
      REQUIRE(
          arrays
              .fill(kRows, from, {adjacency.data(), labels.data(), edges.data(), present.data()}, 3)
              .ok());
      REQUIRE(same(
          kRows * arrays.labels().size(),
          [&](std::int32_t* to, unsigned t) { return arrays.counts(kRows, from, to, t); }, counts));
    }
  }
  return true;
}

bool kernels(const nst::Space& space, const Codes& codes) {
  const std::uint8_t* from = codes.data();
  nst::WLIndex index;
  REQUIRE(index.begin(space, 2).ok());
  REQUIRE(index.add(kRows - 1, from, 3).ok());
  REQUIRE(index.add(1, from + (kRows - 1) * space.width(), 1).ok());
  std::vector<float> gram, cross;
  for (const nst::WLKernel kernel : {nst::WLKernel::subtree, nst::WLKernel::assignment}) {
    REQUIRE(same(
        kRows * kRows, [&](float* to, unsigned t) { return index.gram(kernel, false, to, t); },
        gram));
    REQUIRE(same(
        kRows * kRows,
        [&](float* to, unsigned t) { return index.cross(kernel, false, kRows, from, to, t); },
        cross));
    REQUIRE(gram == cross);
  }
  std::string text;
  for (std::uint64_t f = 0; f < index.features(); f += 7) {
    REQUIRE(index.motif(f, text).ok() && !text.empty());
  }
  nst::WLHistograms rows;
  REQUIRE(index.transform(kRows, from, rows, 3).ok() && rows.starts.size() == kRows + 1);
  return true;
}

bool distances(const nst::Space& space, const Codes& codes) {
  const std::uint8_t* from = codes.data();
  nst::Labels labels;
  REQUIRE(labels.build(space).ok());
  std::vector<std::uint16_t> differ;
  REQUIRE(same(
      kRows * kRows,
      [&](std::uint16_t* to, unsigned t) {
        return nst::hamming(space, kRows, from, kRows, from, to, t);
      },
      differ));
  nst::TreeWasserstein tree;
  nst::TreeWasserstein::Rule trees;
  trees.groups.assign(labels.size(), -1);
  trees.groups.back() = 4;
  REQUIRE(tree.build(space, trees).ok());
  std::vector<double> embedded, apart;
  REQUIRE(same(
      kRows * tree.columns(),
      [&](double* to, unsigned t) { return tree.embed(kRows, from, to, t); }, embedded));
  REQUIRE(same(
      kFew * kFew,
      [&](double* to, unsigned t) {
        return nst::manhattan(tree.columns(), kFew, embedded.data(), kFew, embedded.data(), to, t);
      },
      apart));
  nst::Otmann otmann;
  nst::Otmann::Rule rule;
  rule.masses.assign(labels.size(), 0.7);
  rule.mismatch.assign(labels.size() * labels.size(), 0.3);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    rule.mismatch[i * labels.size() + i] = 0;
  }
  REQUIRE(otmann.build(space, rule).ok());
  REQUIRE(same(
      kFew * kFew,
      [&](double* to, unsigned t) { return otmann.distances(kFew, from, 0, nullptr, to, t); },
      apart));
  rule.masses[0] = std::nan("");
  REQUIRE(otmann.build(space, rule).code == nst::Code::limit);
  return true;
}

bool check(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  nst::Space space;
  REQUIRE(nst::parse_space(text, space).ok());
  Codes codes(kMany * space.width());
  REQUIRE(nst::sample(space, {{1, 0}, 0, 1}, kMany, codes.data()).ok());
  REQUIRE(decisions(space, codes) && moves(space, codes));
  if (space.nodes.empty()) {
    nst::PathEncoder paths;
    nst::WLIndex index;
    REQUIRE(paths.build(space, true).code == nst::Code::limit);
    REQUIRE(index.begin(space, 1).code == nst::Code::limit);
    return true;
  }
  REQUIRE(graphs(space, codes) && kernels(space, codes) && distances(space, codes));
  codes[3 * space.width()] = 255;
  nst::WLIndex index;
  REQUIRE(index.begin(space, 1).ok());
  const nst::Status bad = index.add(9, codes.data(), 1);
  REQUIRE(bad.code == nst::Code::row && bad.where == 3 && index.rows() == 0);
  return true;
}

// Masses and costs from a small set of numbers, so that much is equal.
bool transport() {
  std::uint64_t state = 1;
  const auto next = [&](std::uint64_t below) {
    state = nst::mix(state + 0x9E3779B97F4A7C15ull);
    return static_cast<double>(state % below);
  };
  nst::Transport solver;
  for (int round = 0; round < 2000; ++round) {
    const std::size_t n = 1 + static_cast<std::size_t>(next(12));
    const std::size_t m = 1 + static_cast<std::size_t>(next(12));
    std::vector<double> supply(n), demand(m), costs(n * m), plan(n * m);
    double total = 0, wanted = 0;
    for (double& x : supply) {
      total += x = next(4);
    }
    for (double& x : demand) {
      wanted += x = next(4);
    }
    supply[0] += wanted + 1 - std::min(total, wanted);
    demand[0] += total + 1 - std::min(total, wanted);
    for (double& x : costs) {
      x = next(5) - 1;
    }
    double value = 0;
    REQUIRE(
        solver.solve(n, m, supply.data(), demand.data(), costs.data(), value, plan.data()).ok());
    double moved = 0;
    for (std::size_t i = 0; i < n * m; ++i) {
      REQUIRE(plan[i] >= 0);
      moved += plan[i] * costs[i];
    }
    REQUIRE(std::abs(moved - value) < 1e-9);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (!transport()) {
    return 1;
  }
  for (int i = 1; i < argc; ++i) {
    if (!check(argv[i])) {
      std::fprintf(stderr, "in %s\n", argv[i]);
      return 1;
    }
  }
  std::printf("%d texts\n", argc - 1);
  return 0;
}

// Runs the core without Python, under the sanitizers: every batch operation on the space texts
// named on the command line, on codes of random bytes, and on damaged copies of the texts.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "nasturtium/encode.hpp"
#include "nasturtium/graph.hpp"
#include "nasturtium/keys.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/rng.hpp"
#include "nasturtium/simulate.hpp"
#include "nasturtium/space.hpp"
#include "require.hpp"

namespace nst = nasturtium;

// Random123's known answer for philox4x32-10 of zeros.
static_assert(nst::philox({0, 0, 0, 0}, {0, 0}) ==
              nst::PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});

namespace {

constexpr nst::Convention kConventions[] = {
    nst::Convention::genotype, nst::Convention::pruned, nst::Convention::graph,
    nst::Convention::function, nst::Convention::string, nst::Convention::string_skip};

std::size_t columns(const nst::Space& space) {
  std::size_t sum = 0;
  for (const std::uint32_t count : space.counts) {
    sum += count;
  }
  return sum;
}

// Every operation on n rows; all of them refuse rows that are no codes, and none reads beyond.
bool all_operations(const nst::Space& space, const std::vector<std::uint8_t>& codes,
                    std::uint64_t n, bool valid) {
  const std::size_t width = space.width();
  const nst::Draws draws{{7, 1}, 3, 2};
  std::vector<std::uint8_t> out(n * width), flags(n * width);
  REQUIRE(nst::mutate(space, draws, n, codes.data(), out.data()).code != nst::Code::row || !valid);
  REQUIRE(nst::crossover(space, draws, n, codes.data(), codes.data(), out.data()).ok() || !valid);
  REQUIRE(!valid || out == codes);
  REQUIRE(nst::active_rows(space, n, codes.data(), flags.data(), 2).ok() || !valid);
  REQUIRE(nst::valid_rows(space, n, codes.data(), flags.data(), 2).ok());
  for (std::uint64_t i = 0; i < n; ++i) {
    REQUIRE((flags[i] == 1) == nst::check(space, codes.data() + i * width).ok());
    REQUIRE(flags[i] == 1 || !valid);
  }
  std::vector<float> hot(n * columns(space));
  std::vector<std::int16_t> numbers(n * width);
  REQUIRE(nst::one_hot(space, n, codes.data(), hot.data(), 2).ok() || !valid);
  REQUIRE(nst::categorical(space, n, codes.data(), numbers.data(), 2).ok() || !valid);
  std::vector<std::uint64_t> keys(2 * n);
  for (const nst::Convention convention : kConventions) {
    const nst::Status s = nst::keys(space, convention, n, codes.data(), keys.data(), 2);
    REQUIRE(s.ok() || s.code == nst::Code::limit || (s.code == nst::Code::row && !valid));
  }
  std::vector<std::uint8_t> nodes(n * space.nodes.size()), edges(n * space.edges.size());
  REQUIRE(nst::live_rows(space, n, codes.data(), nodes.data(), edges.data(), 2).ok() || !valid);
  std::vector<std::uint8_t> around;
  REQUIRE(nst::neighbors(space, codes.data(), around).ok() || !valid);
  REQUIRE(around.size() % width == 0);
  return true;
}

bool run_space(const nst::Space& space, std::uint64_t n, std::uint64_t seed) {
  std::vector<std::uint8_t> codes(n * space.width());
  const nst::Status drawn = nst::sample(space, {{seed, 0}, 0, 2}, n, codes.data());
  REQUIRE(drawn.ok() || drawn.code == nst::Code::exhausted);
  if (drawn.ok() && !all_operations(space, codes, n, true)) {
    return false;
  }
  nst::RowRandom random({seed, 1}, 0, nst::Purpose::stream);
  for (std::uint8_t& byte : codes) {
    byte = static_cast<std::uint8_t>(random.below(4) ? random.below(3) : random.below(256));
  }
  return all_operations(space, codes, n, false);
}

std::string damaged(const std::string& text, nst::RowRandom& random) {
  std::string copy = text;
  const std::uint32_t changes = 1 + random.below(3);
  for (std::uint32_t i = 0; i < changes && !copy.empty(); ++i) {
    const std::size_t at = random.below(static_cast<std::uint32_t>(copy.size()));
    const std::size_t span = random.below(12);
    switch (random.below(5)) {
      case 0:
        copy[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        copy.erase(at, span);
        break;
      case 2:
        copy.insert(at, copy.substr(at, span * 4));
        break;
      case 3:
        copy.resize(at);
        break;
      default: {
        const char* words[] = {" when ", "\"none\"", " 99999999999999999999 ", "$", "\nend\n", "-"};
        copy.insert(at, words[random.below(6)]);
      }
    }
  }
  return copy;
}

// The enumeration in three ranges is the whole one.
bool ranges(const nst::Space& space, const std::vector<std::uint8_t>& whole) {
  const std::size_t width = space.width(), n = whole.size() / width;
  const std::uint8_t* bounds[] = {nullptr, whole.data() + n / 3 * width,
                                  whole.data() + n / 2 * width, nullptr};
  std::vector<std::uint8_t> found, next;
  for (int part = 0; part < 3; ++part) {
    std::vector<std::uint8_t> from;
    do {
      const std::uint8_t* begin = from.empty() ? bounds[part] : from.data();
      REQUIRE(nst::enumerate_range(space, begin, bounds[part + 1], 777, found, next).ok());
      from = next;
    } while (!from.empty());
  }
  REQUIRE(found == whole);
  return true;
}

// What a simulation leaves, for one and for several threads.
struct Books {
  explicit Books(std::size_t n)
      : trials(n),
        best(n),
        best_code(n),
        clock(n),
        score(n),
        codes(n * 90),
        parents(n * 90),
        order(n * 90),
        rungs(n * 90),
        finished(n * 90) {}
  nst::SimulationOut out() {
    return {trials.data(), clock.data(),   best.data(),  best_code.data(), score.data(),
            codes.data(),  parents.data(), rungs.data(), finished.data(),  order.data()};
  }
  std::vector<std::uint64_t> trials;
  std::vector<std::int64_t> best;
  std::vector<std::uint32_t> best_code;
  std::vector<double> clock, score;
  std::vector<std::int32_t> codes, parents, order;
  std::vector<std::uint8_t> rungs;
  std::vector<double> finished;
};

bool simulations(const nst::Space& space) {
  std::vector<std::uint8_t> codes;
  if (!nst::enumerate(space, 20000, codes).ok()) {
    return true;  // too large for a table here
  }
  if (!ranges(space, codes)) {
    return false;
  }
  const std::size_t n = codes.size() / space.width();
  std::vector<std::uint32_t> classes(n);
  std::vector<double> scores(n * 4), costs(n * 2), sizes(n);
  for (std::size_t i = 0; i < n; ++i) {
    classes[i] = static_cast<std::uint32_t>(i / 2);
    sizes[i] = static_cast<double>(i % 7);
    for (std::size_t k = 0; k < 4; ++k) {
      const bool fails = (i * 4 + k) % 9 == 0;
      scores[i * 4 + k] = fails ? std::nan("") : static_cast<double>((i * 37 + k * 11) % 101);
    }
    costs[2 * i] = static_cast<double>(i % 3);
    costs[2 * i + 1] = 3;
  }
  nst::ResultTable table;
  REQUIRE(table.open(space, 2, 2, classes, scores, costs, sizes).ok());
  REQUIRE(!table.open(space, 2, 2, {}, scores, costs, sizes).ok());
  REQUIRE(table.open(space, 2, 2, classes, scores, costs, {}).ok());
  std::vector<nst::SearchKeys> keys;
  for (std::uint64_t i = 0; i < 6; ++i) {
    keys.push_back({i, i + 1, i + 2, i + 3, i + 4, i + 5});
  }
  nst::SearchPlan drawn;
  drawn.levels = {1};
  drawn.tries = 40;
  drawn.small = true;
  nst::SearchPlan bred = drawn;
  bred.repeats = true;
  bred.population = 9;
  bred.sample = 4;
  bred.initial = 9;
  bred.mutants = 8;
  bred.explore = 0.1;
  nst::SearchPlan risen = bred;
  risen.repeats = false;
  risen.by_rung = risen.halving = true;
  risen.levels = {0, 1};
  risen.etas = {3};
  for (const nst::SearchPlan& plan : {drawn, bred, risen}) {
    for (const nst::Schedule& schedule :
         {nst::Schedule{90, 1, 0}, nst::Schedule{90, 5, 0}, nst::Schedule{90, 2, 3}}) {
      Books one(keys.size()), three(keys.size());
      const std::uint64_t seeds = keys.size();
      REQUIRE(nst::simulate(plan, table, schedule, seeds, keys.data(), 1, one.out()).ok());
      REQUIRE(nst::simulate(plan, table, schedule, seeds, keys.data(), 3, three.out()).ok());
      REQUIRE(one.codes == three.codes && one.order == three.order && one.best == three.best);
      REQUIRE(one.trials[0] == 90 || n < 180);
    }
  }
  nst::SearchPlan wrong = bred;
  wrong.levels = {2};
  Books none(1);
  REQUIRE(!nst::simulate(wrong, table, {90, 1, 0}, 1, keys.data(), 1, none.out()).ok());
  return true;
}

bool run_text(const std::string& text) {
  auto space = std::make_unique<nst::Space>();
  const nst::Status status = nst::parse_space(text, *space);
  REQUIRE(status.ok());
  if (!run_space(*space, 40, 5) || !simulations(*space)) {
    return false;
  }
  int accepted = 0;
  for (std::uint64_t i = 0; i < 1500; ++i) {
    nst::RowRandom random({11, 0}, i, nst::Purpose::stream);
    const std::string copy = damaged(text, random);
    const nst::Status read = nst::parse_space(copy, *space);
    REQUIRE(read.ok() || (!read.reason.empty() && (read.where > 0 || copy.size() > nst::kMaxText)));
    if (read.ok() && ++accepted <= 60 && !run_space(*space, 3, i)) {
      return false;
    }
  }
  REQUIRE(accepted > 0);
  return true;
}

}  // namespace

int main(int count, char** paths) {
  for (int i = 1; i < count; ++i) {
    std::ifstream file(paths[i], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!run_text(text)) {
      std::fprintf(stderr, "on %s\n", paths[i]);
      return 1;
    }
  }
  std::printf("%d texts\n", count - 1);
  return count > 1 ? 0 : 1;
}

// Runs the bookkeeping of a search without Python, under the sanitizers, on random arguments, and
// checks what holds for all of them.
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "nasturtium/mcts.hpp"
#include "nasturtium/pareto.hpp"
#include "nasturtium/population.hpp"
#include "nasturtium/rungs.hpp"
#include "nasturtium/select.hpp"
#include "require.hpp"

namespace nst = nasturtium;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Integers, fractions and infinities, many of them equal.
std::vector<double> values(nst::RowRandom& random, std::size_t count, std::uint32_t levels,
                           bool fractions) {
  std::vector<double> all(count);
  for (double& v : all) {
    v = random.below(levels);
    if (fractions) {
      v += random.below(1000) / 997.0;
    } else if (random.below(100) == 0) {
      v = kInf;
    }
  }
  return all;
}

bool fronts(nst::RowRandom& random, bool large) {
  const std::size_t m = 1 + random.below(6);
  const std::size_t n = large ? (m > 4 ? 150 : 1200) : random.below(60);
  const std::uint32_t levels = 1 + random.below(12);
  const std::vector<double> points = values(random, n * m, levels, random.below(4) == 0);
  std::vector<std::int64_t> ranks(n);
  std::vector<double> crowding(n), own(n), again(n);
  REQUIRE(nst::pareto_ranks(n, m, points.data(), ranks.data()).ok());
  REQUIRE(nst::crowding_distance(n, m, points.data(), ranks.data(), crowding.data()).ok());
  std::size_t first = 0;
  for (std::size_t i = 0; i < n; ++i) {
    REQUIRE(ranks[i] >= 0 && crowding[i] >= 0);
    first += ranks[i] == 0;
  }
  REQUIRE((first > 0) == (n > 0));

  const std::vector<double> reference(m, levels);
  double volume = -1;
  const bool fits = m >= 2;
  REQUIRE(nst::hypervolume(n, m, points.data(), reference.data(), volume).ok() == fits);
  if (fits && !large) {
    double sum = 0;
    for (unsigned threads : {1u, 3u}) {
      std::vector<double>& to = threads == 1 ? own : again;
      REQUIRE(
          nst::hypervolume_contributions(n, m, points.data(), reference.data(), to.data(), threads)
              .ok());
    }
    REQUIRE(own == again);
    for (const double part : own) {
      REQUIRE(part >= 0);
      sum += part;
    }
    REQUIRE(sum <= volume * (1 + 1e-9));
  }

  nst::ParetoArchive archive(m);
  std::vector<std::uint64_t> ids(n);
  std::vector<std::uint8_t> kept(n);
  REQUIRE(archive.add(n, points.data(), ids.data(), kept.data()).ok());
  REQUIRE(archive.ids().size() <= first && archive.points().size() == m * archive.ids().size());
  return true;
}

bool selectors(nst::RowRandom& random) {
  const std::uint64_t n = 1 + random.below(40);
  const std::vector<double> scores = values(random, n, 1 + random.below(9), true);
  const nst::Draws draws{{random.word(), 1}, random.word(), 1 + random.below(3)};
  std::vector<std::int64_t> out(30);
  const std::uint64_t size = 1 + random.below(static_cast<std::uint32_t>(n));
  const double* from = scores.data();
  for (const bool replace : {false, true}) {
    REQUIRE(nst::tournament(n, from, size, replace, draws, 30, out.data()).ok());
  }
  REQUIRE(nst::linear_rank(n, from, 1.5, draws, 30, out.data()).ok());
  REQUIRE(nst::truncation(n, from, size, draws, 30, out.data()).ok());
  REQUIRE(nst::truncation(n, from, n + 1, draws, 30, out.data()).code == nst::Code::limit);
  for (const std::int64_t row : out) {
    REQUIRE(row >= 0 && row < static_cast<std::int64_t>(n));
  }
  REQUIRE(nst::roulette(n, from, draws, 30, out.data()).code != nst::Code::row);
  return true;
}

bool trees(nst::RowRandom& random, std::uint32_t number) {
  std::vector<std::uint32_t> branching(1 + random.below(4));
  std::size_t leaves = 1;
  for (std::uint32_t& options : branching) {
    options = 1 + random.below(6);
    leaves *= options;
  }
  const std::vector<double> table = values(random, leaves, 5, true);
  nst::TreeRule rule;
  rule.formula = number % 2 ? nst::TreeRule::Formula::puct : nst::TreeRule::Formula::uct;
  rule.widen_factor = number % 3 == 0;
  rule.max_slots = number % 5 == 0 ? random.below(40) : rule.max_slots;
  nst::Tree tree, sum;
  REQUIRE(tree.run(table, 1, nullptr).code == nst::Code::limit);
  REQUIRE(tree.open(branching, rule, {random.word(), 0}).ok());
  REQUIRE(tree.run(table, random.below(800), nullptr).ok());
  const std::uint64_t before = tree.visits();
  std::vector<std::uint8_t> codes(7 * branching.size()), path;
  std::vector<std::uint32_t> lengths(7);
  std::vector<std::uint64_t> tickets(7);
  const std::vector<double> half(7, 0.5);
  REQUIRE(tree.select(7, codes.data(), lengths.data(), tickets.data()).ok());
  REQUIRE(tree.backup(3, tickets.data(), half.data()).ok());
  REQUIRE(tree.forget(4, tickets.data() + 3).ok());
  REQUIRE(tree.forget(1, tickets.data()).code == nst::Code::row);
  REQUIRE(tree.visits() == before + 3 && tree.pending() == 0);
  tree.best_path(path);
  REQUIRE(path.size() <= branching.size());
  REQUIRE(nst::root_parallel(table, branching, rule, {1, 2}, 4, 200, 2, sum).ok());
  REQUIRE(tree.merge(sum).ok() && tree.visits() == before + 803);
  std::vector<std::uint64_t> visits(branching[0]);
  std::vector<double> sums(branching[0]);
  REQUIRE(tree.children({}, visits.data(), sums.data()).ok());
  return tree.nodes() > 0;
}

bool schedulers(nst::RowRandom& random) {
  nst::Rungs rungs;
  const std::vector<std::uint32_t> etas(random.below(3), 2);
  REQUIRE(rungs.open(etas, 1).ok());
  for (std::uint64_t i = 0; i < 700; ++i) {
    const double rank = random.below(40);
    REQUIRE(rungs.add(0, i, random.below(9) > 0 ? &rank : nullptr).ok());
    std::uint64_t number = 0, rung = 0;
    while (rungs.next(false, number, rung)) {
      REQUIRE(rungs.promote(number, rung).ok() && !rungs.promote(number, rung).ok());
      REQUIRE(rungs.add(rung + 1, number, &rank).ok());
    }
  }
  nst::Hyperband hyperband;
  REQUIRE(hyperband.open(1 + random.below(50), 2 + random.below(3)).ok());
  nst::Hyperband::Job job;
  while (!hyperband.done()) {
    REQUIRE(hyperband.next(job));
    const double value = random.below(8) > 0 ? random.below(9) : std::nan("");
    REQUIRE(hyperband.tell(job.number, value).ok());
  }
  nst::AgeingQueue queue(1 + random.below(4));
  for (std::uint64_t i = 0; i < 9; ++i) {
    std::uint64_t died = 0;
    REQUIRE(!queue.born(i, died) || died + queue.capacity() == i);
  }
  return true;
}

}  // namespace

int main() {
  for (std::uint32_t i = 0; i < 300; ++i) {
    nst::RowRandom random({5, 0}, i, nst::Purpose::stream);
    if (!fronts(random, i % 50 == 0) || !selectors(random) || !trees(random, i) ||
        (i % 10 == 0 && !schedulers(random))) {
      std::fprintf(stderr, "at %u\n", i);
      return 1;
    }
  }
  std::printf("300 rounds\n");
  return 0;
}

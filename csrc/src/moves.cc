#include "nasturtium/moves.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "fill_code.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kMoveGrain = 16384;
constexpr int kSampleTries = 10000;
constexpr int kMutateTries = 100;
constexpr int kCrossoverTries = 100;

}  // namespace

// What the inner loops need beside the space.
struct MovePlan {
  explicit MovePlan(const Space& s) : space(s), width(s.width()) {
    int room = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const int cost = RowRandom::cost(s.counts[i]);
      if (cost > room) {
        starts.push_back(static_cast<std::uint32_t>(i));
        room = RowRandom::kRoom;
      }
      room -= cost;
    }
    if (starts.empty()) {
      starts.push_back(0);
    }
    starts.front() = 0;
    starts.push_back(static_cast<std::uint32_t>(width));
    for (std::size_t i = 0; i < width; ++i) {
      if (s.counts[i] > 1) {
        movable.push_back(static_cast<std::uint32_t>(i));
      }
    }
    for (std::size_t lane = 0; lane < kPhiloxLanes; ++lane) {
      for (const std::uint32_t count : s.counts) {
        last_options.push_back(static_cast<std::uint8_t>(count - 1));
      }
    }
  }

  // Whether all codes of the space are well-formed where options are in range, and valid.
  bool plain() const { return !space.conditional && space.constraints.empty(); }

  const Space& space;
  std::size_t width;
  // Without conditions, which decisions share a random word is known beforehand.
  std::vector<std::uint32_t> starts;
  std::vector<std::uint32_t> movable;      // decisions with more than one option
  std::vector<std::uint8_t> last_options;  // of each decision, for as many rows as Philox gives
};

struct MoveScratch {
  explicit MoveScratch(std::size_t width) : before(width), after(width), found() {}
  std::vector<std::uint8_t> before, after, found;
};

namespace {

// One code of a space without conditions.
void draw_all(const MovePlan& plan, RowRandom& random, std::uint8_t* code) {
  const std::uint32_t* counts = plan.space.counts.data();
  for (std::size_t group = 0; group + 1 < plan.starts.size(); ++group) {
    std::uint64_t fraction = random.word();
    for (std::size_t i = plan.starts[group]; i < plan.starts[group + 1]; ++i) {
      code[i] = static_cast<std::uint8_t>(RowRandom::digit(fraction, counts[i]));
    }
  }
}

// Codes of a plain space, as many rows at once as Philox gives words for.
void sample_plain(const MovePlan& plan, const Draws& draws, std::uint64_t begin, std::uint64_t end,
                  std::uint8_t* out) {
  const std::uint32_t* counts = plan.space.counts.data();
  std::uint64_t words[2 * kPhiloxLanes];
  for (std::uint64_t row = begin; row < end; row += kPhiloxLanes) {
    row_words(draws.key, draws.start + row, Purpose::sample, words);
    const std::size_t lanes = std::min<std::uint64_t>(kPhiloxLanes, end - row);
    std::uint8_t* code = out + row * plan.width;
    if (plan.starts.size() > 2) {
      for (std::size_t lane = 0; lane < lanes; ++lane, code += plan.width) {
        RowRandom random(draws.key, draws.start + row + lane, Purpose::sample, words + 2 * lane);
        draw_all(plan, random, code);
      }
      continue;
    }
    // One word a row. Decision by decision, since the digits of one row wait for each other.
    for (std::size_t i = 0; i < plan.width; ++i) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        code[lane * plan.width + i] =
            static_cast<std::uint8_t>(RowRandom::digit(words[2 * lane], counts[i]));
      }
    }
  }
}

// Recomputes the activity after position `from` changed: what becomes active is given by `fresh`,
// what becomes inactive holds 0.
template <typename Fresh>
void settle(const Space& space, std::size_t from, std::uint8_t* code, std::uint8_t* active,
            Fresh fresh) {
  for (std::size_t i = from + 1; i < space.width(); ++i) {
    if (!space.is_guarded[i]) {
      continue;
    }
    const bool on = holds(space.decisions[i].when, code, active);
    if (on != (active[i] != 0)) {
      active[i] = on;
      code[i] = on ? fresh(i) : std::uint8_t{0};
    }
  }
}

// The position of the k-th decision that is active and has a choice.
std::size_t pick(const MovePlan& plan, const std::uint8_t* active, std::uint32_t k) {
  std::size_t i = 0;
  for (;; ++i) {
    if (active[i] && plan.space.counts[i] > 1 && k-- == 0) {
      return i;
    }
  }
}

void change_one(const MovePlan& plan, RowRandom& random, std::uint32_t movable, std::uint8_t* code,
                std::uint8_t* active) {
  std::size_t at;
  if (movable == plan.width) {
    const Change change = draw_change(plan.space, [&](std::uint32_t m) { return random.below(m); });
    at = change.decision;
    code[at] = static_cast<std::uint8_t>(change.option(code[at]));
  } else {
    at = pick(plan, active, random.below(movable));
    const std::uint32_t other = random.below(plan.space.counts[at] - 1);
    code[at] = static_cast<std::uint8_t>(other + (other >= code[at]));
  }
  if (plan.space.is_parent[at]) {
    settle(plan.space, at, code, active,
           [&](std::size_t i) { return draw_option(plan.space, i, random); });
  }
}

Status mutate_row(const MovePlan& plan, RowRandom random, std::uint64_t row,
                  const std::uint8_t* code, std::uint8_t* out, MoveScratch& scratch) {
  const Space& space = plan.space;
  std::uint8_t* active = scratch.before.data();
  if (!well_formed(space, code, active)) {
    return bad_row(space, row, code);
  }
  std::uint32_t movable = static_cast<std::uint32_t>(plan.movable.size());
  if (space.conditional) {
    movable = 0;
    for (std::size_t i = 0; i < plan.width; ++i) {
      movable += active[i] && plan.space.counts[i] > 1;
    }
  }
  for (int tries = 0; movable > 0 && tries < kMutateTries; ++tries) {
    std::memcpy(out, code, plan.width);
    std::memcpy(scratch.after.data(), active, plan.width);
    change_one(plan, random, movable, out, scratch.after.data());
    if (satisfies(space, out, scratch.after.data())) {
      return {};
    }
  }
  // Valid neighbors are rare here: take one of the whole list, if there is any.
  scratch.found.clear();
  if (Status s = neighbors(space, code, scratch.found); !s.ok()) {
    return s;
  }
  const std::size_t count = scratch.found.size() / plan.width;
  if (count == 0) {
    return Status::fail(Code::exhausted, row, "the architecture has no valid neighbor");
  }
  const std::size_t chosen = random.below(static_cast<std::uint32_t>(count));
  std::memcpy(out, scratch.found.data() + chosen * plan.width, plan.width);
  return {};
}

// The same for a plain space, as many rows at once as Philox gives words for.
Status mutate_plain(const MovePlan& plan, const Draws& draws, std::uint64_t begin,
                    std::uint64_t end, const std::uint8_t* codes, std::uint8_t* out) {
  const auto movable = static_cast<std::uint32_t>(plan.movable.size());
  std::uint64_t words[2 * kPhiloxLanes];
  for (std::uint64_t row = begin; row < end; row += kPhiloxLanes) {
    const std::size_t lanes = std::min<std::uint64_t>(kPhiloxLanes, end - row);
    const std::size_t bytes = lanes * plan.width;
    const std::uint8_t* from = codes + row * plan.width;
    std::uint8_t* to = out + row * plan.width;
    std::uint8_t beyond = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      beyond |= static_cast<std::uint8_t>(from[i] > plan.last_options[i]);
      to[i] = from[i];
    }
    for (std::uint64_t wrong = row; beyond != 0; ++wrong) {
      const std::uint8_t* code = codes + wrong * plan.width;
      if (!std::equal(code, code + plan.width, plan.last_options.begin(), std::less_equal<>())) {
        return bad_row(plan.space, wrong, code);
      }
    }
    row_words(draws.key, draws.start + row, Purpose::mutate, words);
    for (std::size_t lane = 0; lane < lanes; ++lane, to += plan.width) {
      // Both draws fit into the row's first word: 12 bits and 8 bits at most.
      std::uint64_t fraction = words[2 * lane];
      const std::size_t at = plan.movable[RowRandom::digit(fraction, movable)];
      const std::uint32_t other = RowRandom::digit(fraction, plan.space.counts[at] - 1);
      to[at] = static_cast<std::uint8_t>(other + (other >= to[at]));
    }
  }
  return {};
}

Status crossover_row(const MovePlan& plan, RowRandom random, std::uint64_t row,
                     const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* out,
                     MoveScratch& scratch) {
  const Space& space = plan.space;
  std::uint8_t* active_a = scratch.before.data();
  std::uint8_t* active_b = scratch.after.data();
  for (const std::uint8_t* parent : {a, b}) {
    if (!well_formed(space, parent, parent == a ? active_a : active_b)) {
      return bad_row(space, row, parent);
    }
  }
  if (a == b) {
    std::memcpy(active_b, active_a, plan.width);
  }
  scratch.found.resize(plan.width);
  std::uint8_t* active = scratch.found.data();
  for (int tries = 0; tries < kCrossoverTries; ++tries) {
    fill_code(space, out, active, [&](std::size_t i) {
      if (!active_a[i] && !active_b[i]) {
        return draw_option(space, i, random);
      }
      const bool from_a = active_a[i] && (!active_b[i] || random.below(2) == 0);
      return from_a ? a[i] : b[i];
    });
    if (satisfies(space, out, active)) {
      return {};
    }
  }
  std::memcpy(out, a, plan.width);
  return {};
}

}  // namespace

Status sample(const Space& space, const Draws& draws, std::uint64_t n, std::uint8_t* out) {
  const MovePlan plan(space);
  return parallel_rows(n, draws.threads, kMoveGrain, [&](std::uint64_t begin, std::uint64_t end) {
    if (plan.plain()) {
      sample_plain(plan, draws, begin, end, out);
      return Status{};
    }
    std::vector<std::uint8_t> active(plan.width);
    RowSource source(draws.key, Purpose::sample);
    for (std::uint64_t row = begin; row < end; ++row) {
      RowRandom random = source.at(draws.start + row);
      std::uint8_t* code = out + row * plan.width;
      int tries = 0;
      do {
        if (tries++ == kSampleTries) {
          return Status::fail(Code::exhausted, row,
                              "10,000 draws in a row break the constraints: they leave too little");
        }
        fill_code(space, code, active.data(),
                  [&](std::size_t i) { return draw_option(space, i, random); });
      } while (!satisfies(space, code, active.data()));
    }
    return Status{};
  });
}

Status mutate(const Space& space, const Draws& draws, std::uint64_t n, const std::uint8_t* codes,
              std::uint8_t* out) {
  const MovePlan plan(space);
  return parallel_rows(n, draws.threads, kMoveGrain, [&](std::uint64_t begin, std::uint64_t end) {
    if (plan.plain() && !plan.movable.empty()) {
      return mutate_plain(plan, draws, begin, end, codes, out);
    }
    MoveScratch scratch(plan.width);
    RowSource source(draws.key, Purpose::mutate);
    for (std::uint64_t row = begin; row < end; ++row) {
      Status s = mutate_row(plan, source.at(draws.start + row), row, codes + row * plan.width,
                            out + row * plan.width, scratch);
      if (!s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

struct RowMutation::Parts {
  explicit Parts(const Space& space) : plan(space), scratch(space.width()) {}
  MovePlan plan;
  MoveScratch scratch;
};

RowMutation::RowMutation(const Space& space) : parts_(std::make_unique<Parts>(space)) {}
RowMutation::~RowMutation() = default;
RowMutation::RowMutation(RowMutation&&) noexcept = default;

Status RowMutation::operator()(RowRandom random, const std::uint8_t* code, std::uint8_t* out) {
  return mutate_row(parts_->plan, random, 0, code, out, parts_->scratch);
}

Status crossover(const Space& space, const Draws& draws, std::uint64_t n, const std::uint8_t* a,
                 const std::uint8_t* b, std::uint8_t* out) {
  const MovePlan plan(space);
  return parallel_rows(n, draws.threads, kMoveGrain, [&](std::uint64_t begin, std::uint64_t end) {
    MoveScratch scratch(plan.width);
    RowSource source(draws.key, Purpose::crossover);
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint64_t at = row * plan.width;
      Status s =
          crossover_row(plan, source.at(draws.start + row), row, a + at, b + at, out + at, scratch);
      if (!s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

Status neighbors(const Space& space, const std::uint8_t* code, std::vector<std::uint8_t>& out) {
  const std::size_t width = space.width();
  std::vector<std::uint8_t> active(width), next(width), next_active(width);
  if (!well_formed(space, code, active.data())) {
    return bad_row(space, 0, code);
  }
  for (std::size_t i = 0; i < width; ++i) {
    for (std::uint32_t v = 0; active[i] && v < space.counts[i]; ++v) {
      if (v == code[i]) {
        continue;
      }
      next.assign(code, code + width);
      next_active = active;
      next[i] = static_cast<std::uint8_t>(v);
      settle(space, i, next.data(), next_active.data(),
             [](std::size_t) { return std::uint8_t{0}; });
      if (satisfies(space, next.data(), next_active.data())) {
        out.insert(out.end(), next.begin(), next.end());
      }
    }
  }
  return {};
}

}  // namespace nasturtium

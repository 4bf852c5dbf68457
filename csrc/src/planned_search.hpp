#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "breeding.hpp"
#include "fresh_codes.hpp"
#include "nasturtium/rungs.hpp"

namespace nasturtium {

struct Draft {
  std::uint32_t code = 0;
  std::uint32_t rung = 0;
  std::int64_t parent = -1;
};

inline constexpr double kWorst = -std::numeric_limits<double>::infinity();

inline void rank_of(std::uint32_t, double score, double, ScoreRank& rank) { rank = ordered(score); }
inline void rank_of(std::uint32_t rung, double score, double size, RungRank& rank) {
  rank = score == kWorst ? RungRank{-1.0, kWorst, 0.0} : RungRank{double(rung), score, -size};
}

// The method of a plan with one seed: it proposes, and learns what came of its proposals.
template <typename Rank>
class PlannedSearch {
 public:
  // `alone`: each trial is told before the next is asked for.
  PlannedSearch(const SearchPlan& plan, const ResultTable& table, const SearchKeys& keys,
                bool alone)
      : plan_(plan),
        table_(table),
        keys_(keys),
        fresh_(plan, table, keys_, alone),
        breeding_(plan, table, keys_),
        explore_({keys.explore, 0}, Purpose::stream) {}

  Status open() {
    if (!plan_.halving) {
      return {};
    }
    first_.assign(table_.classes(), 0);
    return rungs_.open(plan_.etas, 2);
  }

  // Why something failed.
  const Status& failure() const { return failure_; }

  // The next proposal; nothing has changed where there is none for now.
  [[gnu::always_inline]] Found propose(Draft& draft) {
    if (plan_.halving && promoted(false, draft)) {
      return Found::yes;
    }
    draft = {0, plan_.rung, -1};
    const Found found = fresh_.empty() ? Found::no : fresh(draft);
    return found == Found::no && plan_.halving && promoted(true, draft) ? Found::yes : found;
  }

  // The proposal has its number; false where that failed.
  bool asked(std::uint32_t number, const Draft& draft) {
    if (plan_.halving) {
      codes_.push_back(draft.code);
      if (draft.rung != 0 && draft.parent >= 0) {
        failure_ = rungs_.promote(static_cast<std::uint64_t>(draft.parent), draft.rung - 1);
        return failure_.ok();
      }
      first_[table_.class_of(draft.code)] = number;
    }
    fresh_.proposed(draft.code);
    ++made_;
    return true;
  }

  [[gnu::always_inline]] bool told(std::uint32_t number, std::uint32_t code, std::uint32_t rung,
                                   double score) {
    Rank rank;
    rank_of(rung, score, plan_.by_rung ? table_.size(code) : 0.0, rank);
    if (plan_.halving) {
      if (!ranked(number, code, rung, score)) {
        return false;
      }
      if (rung != 0) {
        breeding_.raised(first_[table_.class_of(code)], rank);
        return true;
      }
    }
    fresh_.told(code);
    if (plan_.population != 0) {
      breeding_.born(number, code, rank);
    }
    return true;
  }

 private:
  [[gnu::noinline]] bool ranked(std::uint32_t number, std::uint32_t code, std::uint32_t rung,
                                double score) {
    const double standing[] = {score, -table_.size(code)};
    failure_ = rungs_.add(rung, number, score == kWorst ? nullptr : standing);
    return failure_.ok();
  }

  [[gnu::noinline]] bool promoted(bool every, Draft& draft) const {
    std::uint64_t number = 0, rung = 0;
    if (!rungs_.next(every, number, rung)) {
      return false;
    }
    draft = {codes_[number], static_cast<std::uint32_t>(rung) + 1,
             static_cast<std::int64_t>(number)};
    return true;
  }

  [[gnu::always_inline]] Found fresh(Draft& draft) {
    const bool grown = plan_.population != 0 && made_ >= plan_.initial && !breeding_.empty();
    const bool breeds = grown && !explores();
    if (breeds) {
      const Found found = breeding_.mutant(fresh_, now_, draft.code, draft.parent, failure_);
      if (found != Found::no) {
        now_.explored += plan_.explore != 0;
        return found;
      }
      draft.parent = -1;
    }
    return drawn(draft, grown && plan_.explore != 0, breeds);
  }

  // Whether the next choice between drawing and breeding is to draw.
  bool explores() {
    return plan_.explore != 0 &&
           static_cast<double>(*explore_.words(now_.explored) >> 11) * 0x1p-53 < plan_.explore;
  }

  // A start or a random code. `chosen`: a choice between drawing and breeding came before;
  // `refused`: all mutants were refused. What was drawn counts only where a code is found.
  [[gnu::noinline]] Found drawn(Draft& draft, bool chosen, bool refused) {
    const Counters before = now_;
    now_.explored += chosen;
    now_.selected += refused ? plan_.mutants : 0;
    now_.mutated += refused ? plan_.mutants : 0;
    while (now_.started < plan_.starts.size()) {
      draft.code = plan_.starts[now_.started++];
      if (fresh_.may(draft.code)) {
        return Found::yes;
      }
    }
    const Found found = fresh_.random(now_, draft.code, failure_);
    if (found == Found::no) {
      now_ = before;
    }
    return found;
  }

  const SearchPlan& plan_;
  const ResultTable& table_;
  const SearchKeys keys_;
  Counters now_;
  Status failure_;
  std::uint64_t made_ = 0;  // proposals that were not promoted
  FreshCodes fresh_;
  Breeding<Rank> breeding_;
  RowSource explore_;
  Rungs rungs_;
  std::vector<std::uint32_t> codes_;  // by number, where they may rise
  std::vector<std::uint32_t> first_;  // the number of the class's proposal at the lowest rung
};

}  // namespace nasturtium

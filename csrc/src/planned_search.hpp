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

inline void rank_of(std::uint32_t, double score, double, ScoreRank& rank) { rank = score; }
inline void rank_of(std::uint32_t rung, double score, double size, RungRank& rank) {
  rank = score == kWorst ? RungRank{-1.0, kWorst, 0.0} : RungRank{double(rung), score, -size};
}

// The method of a plan with one seed: it proposes, and learns what came of its proposals.
template <typename Rank>
class PlannedSearch {
 public:
  PlannedSearch(const SearchPlan& plan, const ResultTable& table, const SearchKeys& keys)
      : plan_(plan),
        table_(table),
        keys_(keys),
        fresh_(plan, table, keys_),
        breeding_(plan, table, keys_),
        explore_({keys.explore, 0}, Purpose::stream) {}

  Status open() {
    if (!plan_.halving) {
      return {};
    }
    first_.assign(table_.classes(), 0);
    return rungs_.open(plan_.etas, 2);
  }

  // The next proposal; `found` is false, and nothing has changed, where none is left for now.
  Status propose(Draft& draft, bool& found) {
    found = plan_.halving && promoted(false, draft);
    if (found) {
      return {};
    }
    const Counters before = now_;
    draft = {0, plan_.rung, -1};
    if (Status s = fresh(draft, found); !s.ok() || found) {
      return s;
    }
    now_ = before;
    found = plan_.halving && promoted(true, draft);
    return {};
  }

  // The proposal has its number.
  Status asked(std::uint32_t number, const Draft& draft) {
    if (plan_.halving) {
      codes_.push_back(draft.code);
      if (draft.rung != 0 && draft.parent >= 0) {
        return rungs_.promote(static_cast<std::uint64_t>(draft.parent), draft.rung - 1);
      }
      first_[table_.class_of(draft.code)] = number;
    }
    fresh_.proposed(draft.code);
    ++made_;
    return {};
  }

  Status told(std::uint32_t number, std::uint32_t code, std::uint32_t rung, double score) {
    Rank rank;
    rank_of(rung, score, table_.size(code), rank);
    if (plan_.halving) {
      const double standing[] = {score, -table_.size(code)};
      const double* counts = score == kWorst ? nullptr : standing;
      if (Status s = rungs_.add(rung, number, counts); !s.ok()) {
        return s;
      }
      if (rung != 0) {
        breeding_.raised(first_[table_.class_of(code)], rank);
        return {};
      }
    }
    fresh_.told(code);
    if (plan_.population != 0) {
      breeding_.born(number, code, rank);
    }
    return {};
  }

 private:
  bool promoted(bool every, Draft& draft) const {
    std::uint64_t number = 0, rung = 0;
    if (!rungs_.next(every, number, rung)) {
      return false;
    }
    draft = {codes_[number], static_cast<std::uint32_t>(rung) + 1,
             static_cast<std::int64_t>(number)};
    return true;
  }

  Status fresh(Draft& draft, bool& found) {
    found = false;
    if (fresh_.empty()) {
      return {};
    }
    if (breeds()) {
      if (Status s = breeding_.mutant(fresh_, now_, draft.code, draft.parent, found);
          !s.ok() || found) {
        return s;
      }
      draft.parent = -1;
    }
    while (now_.started < plan_.starts.size()) {
      draft.code = plan_.starts[now_.started++];
      if (fresh_.may(draft.code)) {
        found = true;
        return {};
      }
    }
    return fresh_.random(now_, draft.code, found);
  }

  bool breeds() {
    if (plan_.population == 0 || made_ < plan_.initial || breeding_.empty()) {
      return false;
    }
    if (plan_.explore == 0) {
      return true;
    }
    const std::uint64_t word = explore_.at(now_.explored++).word();
    return !(static_cast<double>(word >> 11) * 0x1p-53 < plan_.explore);
  }

  const SearchPlan& plan_;
  const ResultTable& table_;
  const SearchKeys keys_;
  Counters now_;
  std::uint64_t made_ = 0;  // proposals that were not promoted
  FreshCodes fresh_;
  Breeding<Rank> breeding_;
  RowSource explore_;
  Rungs rungs_;
  std::vector<std::uint32_t> codes_;  // by number, where they may rise
  std::vector<std::uint32_t> first_;  // the number of the class's proposal at the lowest rung
};

}  // namespace nasturtium

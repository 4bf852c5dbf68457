#include "nasturtium/simulate.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <vector>

#include "nasturtium/parallel.hpp"
#include "planned_search.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kMostTrials = 0x7FFFFFFF;

Status bad_plan(const char* reason) { return Status::fail(Code::limit, 0, reason); }

Status check_plan(const SearchPlan& plan, const ResultTable& table) {
  if (plan.levels.size() != (plan.halving ? plan.etas.size() + 1 : 1) ||
      plan.rung >= plan.levels.size() || (plan.halving && plan.rung != 0)) {
    return bad_plan("the rungs of the plan do not fit each other");
  }
  for (const std::uint32_t level : plan.levels) {
    if (level >= table.fidelities()) {
      return bad_plan("the table has no such fidelity");
    }
  }
  for (const std::uint32_t code : plan.starts) {
    if (code >= table.codes()) {
      return bad_plan("a start is no code of the table");
    }
  }
  if (plan.population > kMostTrials || plan.sample > kMostTrials || plan.tries > kMostTrials ||
      plan.mutants > kMostTrials || (plan.population != 0 && plan.sample == 0)) {
    return bad_plan("a number of the plan is out of range");
  }
  if (plan.halving && (plan.population == 0 || plan.repeats)) {
    return bad_plan("what rises has a population below it, and is proposed once");
  }
  return {};
}

// An evaluation; of two, the one whose result comes first is told first.
struct Event {
  double finished = 0;
  std::uint32_t worker = 0, number = 0, code = 0, rung = 0;

  bool operator>(const Event& other) const {
    return finished != other.finished ? finished > other.finished : worker > other.worker;
  }
};

// The earliest of a few events.
template <typename T>
class Earliest {
 public:
  bool empty() const { return heap_.empty(); }
  const T& front() const { return heap_.front(); }
  void push(const T& event) {
    heap_.push_back(event);
    if (heap_.size() > 1) {
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
  }
  T pop() {
    if (heap_.size() > 1) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
    const T first = heap_.back();
    heap_.pop_back();
    return first;
  }

 private:
  std::vector<T> heap_;
};

// One search, and what is kept of it.
template <typename Rank>
class Simulation {
 public:
  Simulation(const SearchPlan& plan, const ResultTable& table, const Schedule& schedule,
             const SearchKeys& keys, const SimulationOut& out, std::uint64_t row)
      : plan_(plan),
        table_(table),
        schedule_(schedule),
        search_(plan, table, keys,
                schedule.lag == 1 || (schedule.lag == 0 && schedule.workers == 1)),
        runs_({keys.evaluate, 0}, Purpose::stream),
        out_(out),
        row_(row) {}

  Status run() {
    if (Status s = search_.open(); !s.ok()) {
      return s;
    }
    const bool done = schedule_.lag != 0       ? in_order()
                      : schedule_.workers == 1 ? one_by_one()
                                               : as_they_come();
    if (!done) {
      return search_.failure();
    }
    out_.trials[row_] = told_;
    out_.clock[row_] = clock_;
    out_.best[row_] = best_;
    out_.best_code[row_] = best_code_;
    out_.best_score[row_] = best_score_;
    if (out_.codes != nullptr) {
      mark_rest();
    }
    return {};
  }

 private:
  // What lies behind the last trial, all of which were told.
  void mark_rest() {
    const std::uint64_t at = row_ * schedule_.budget + told_, count = schedule_.budget - told_;
    std::fill_n(out_.codes + at, count, -1);
    std::fill_n(out_.parents + at, count, -1);
    std::fill_n(out_.rungs + at, count, std::uint8_t{0});
    std::fill_n(out_.finished + at, count, std::numeric_limits<double>::quiet_NaN());
    std::fill_n(out_.order + at, count, -1);
  }

  // The next trial, which runs from `begin` on.
  [[gnu::always_inline]] Found ask(double begin, std::uint32_t worker, Event& event) {
    Draft draft;
    const Found found = search_.propose(draft);
    if (found != Found::yes) {
      return found;
    }
    const auto number = static_cast<std::uint32_t>(asked_++);
    if (!search_.asked(number, draft)) {
      return Found::failed;
    }
    const double cost = table_.cost(draft.code, plan_.levels[draft.rung]);
    event = {begin + cost, worker, number, draft.code, draft.rung};
    if (out_.codes != nullptr) {
      const std::uint64_t at = row_ * schedule_.budget + number;
      out_.codes[at] = static_cast<std::int32_t>(draft.code);
      out_.parents[at] = static_cast<std::int32_t>(draft.parent);
      out_.rungs[at] = static_cast<std::uint8_t>(draft.rung);
      out_.finished[at] = event.finished;
    }
    return Found::yes;
  }

  [[gnu::always_inline]] bool tell(const Event& event) {
    const std::uint64_t runs = table_.runs();
    const std::uint64_t run = runs == 1 ? 0 : *runs_.words(event.number) % runs;
    const double score = table_.score(event.code, plan_.levels[event.rung], run);
    if (out_.codes != nullptr) {
      out_.order[row_ * schedule_.budget + told_] = static_cast<std::int32_t>(event.number);
    }
    ++told_;
    clock_ = std::max(clock_, event.finished);
    if (score != kWorst && (best_ < 0 || event.rung > best_rung_ ||
                            (event.rung == best_rung_ && score > best_score_))) {
      best_ = event.number;
      best_code_ = event.code;
      best_rung_ = event.rung;
      best_score_ = score;
    }
    return search_.told(event.number, event.code, event.rung, score);
  }

  // As they come to one worker. These loops give whether nothing failed.
  bool one_by_one() {
    while (asked_ < schedule_.budget) {
      Event event;
      const Found found = ask(clock_, 0, event);
      if (found != Found::yes) {
        return found == Found::no;
      }
      if (!tell(event)) {
        return false;
      }
    }
    return true;
  }

  bool as_they_come() {
    Earliest<Event> running;
    std::vector<std::uint32_t> idle(schedule_.workers);  // the first of them last
    for (std::uint32_t worker = 0; worker < schedule_.workers; ++worker) {
      idle[worker] = schedule_.workers - 1 - worker;
    }
    for (;;) {
      while (!idle.empty() && asked_ < schedule_.budget) {
        Event event;
        const Found found = ask(clock_, idle.back(), event);
        if (found == Found::failed) {
          return false;
        }
        if (found == Found::no) {
          break;  // what is still missing may change that
        }
        idle.pop_back();
        running.push(event);
      }
      if (running.empty()) {
        return true;
      }
      const Event event = running.pop();
      if (!tell(event)) {
        return false;
      }
      idle.insert(std::find_if(idle.begin(), idle.end(),
                               [&](std::uint32_t other) { return other < event.worker; }),
                  event.worker);
    }
  }

  bool in_order() {
    struct Worker {
      double free;
      std::uint32_t number;
      bool operator>(const Worker& other) const {
        return free != other.free ? free > other.free : number > other.number;
      }
    };
    Earliest<Worker> workers;
    for (std::uint32_t worker = 0; worker < schedule_.workers; ++worker) {
      workers.push({0, worker});
    }
    std::deque<Event> missing;
    const auto tell_next = [&] {
      const Event event = missing.front();
      missing.pop_front();
      return tell(event);
    };
    while (asked_ < schedule_.budget) {
      bool next = missing.size() >= schedule_.lag;
      if (!next) {
        Event event;
        const Worker worker = workers.front();
        const Found found = ask(std::max(worker.free, clock_), worker.number, event);
        if (found == Found::failed || (found == Found::no && missing.empty())) {
          return found == Found::no;
        }
        next = found == Found::no;
        if (!next) {
          workers.pop();
          workers.push({event.finished, worker.number});
          missing.push_back(event);
        }
      }
      if (next && !tell_next()) {
        return false;
      }
    }
    while (!missing.empty()) {
      if (!tell_next()) {
        return false;
      }
    }
    return true;
  }

  const SearchPlan& plan_;
  const ResultTable& table_;
  const Schedule& schedule_;
  PlannedSearch<Rank> search_;
  RowSource runs_;
  const SimulationOut& out_;
  std::uint64_t row_;
  std::uint64_t asked_ = 0, told_ = 0;
  double clock_ = 0;
  std::int64_t best_ = -1;
  std::uint32_t best_code_ = 0, best_rung_ = 0;
  double best_score_ = kWorst;
};

}  // namespace

Status simulate(const SearchPlan& plan, const ResultTable& table, const Schedule& schedule,
                std::uint64_t n, const SearchKeys* keys, unsigned threads,
                const SimulationOut& out) {
  if (Status s = check_plan(plan, table); !s.ok()) {
    return s;
  }
  if (schedule.budget > kMostTrials || schedule.workers < 1 || schedule.workers > 65536) {
    return bad_plan("a simulation takes fewer than 2^31 trials and 1 to 65,536 workers");
  }
  return parallel_rows(n, threads, 1, [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      const auto one = [&]<typename Rank>(Rank) {
        return Simulation<Rank>(plan, table, schedule, keys[row], out, row).run();
      };
      if (Status s = plan.by_rung ? one(RungRank{}) : one(ScoreRank{}); !s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium

#include "nasturtium/variation.hpp"

#include <cstring>
#include <string>

#include "fill_code.hpp"
#include "nasturtium/parallel.hpp"
#include "nasturtium/rng.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kVaryGrain = 8192;
constexpr int kVaryTries = 100;
constexpr std::uint32_t kAlone = 0xFFFFFFFFu;

// Uniform in [0, 1), in steps of 2^-53.
double unit_draw(RowRandom& random) { return static_cast<double>(random.word() >> 11) * 0x1p-53; }

// A parent, or what a decision is to be taken from.
struct Parent {
  const std::uint8_t* code = nullptr;
  std::vector<std::uint8_t> active;

  bool read(const Space& space, const std::uint8_t* from) {
    code = from;
    return well_formed(space, code, active.data());
  }
};

struct Origin {
  const Parent* parent = nullptr;
  std::uint32_t at = 0;
};

// Units of the type of unit u before it.
std::size_t rank_of(const CrossoverRule& rule, const Parent& parent, std::size_t u) {
  const auto type = [&](std::size_t unit) { return rule.groups[unit].front(); };
  std::size_t rank = 0;
  for (std::size_t before = 0; before < u; ++before) {
    rank += parent.active[type(before)] && parent.code[type(before)] == parent.code[type(u)];
  }
  return rank;
}

// For each unit of `a` the one of `b` that it is aligned with, or kAlone.
void align_units(const CrossoverRule& rule, const Parent& a, const Parent& b,
                 std::vector<std::uint32_t>& partner) {
  const std::size_t units = rule.groups.size();
  partner.assign(units, kAlone);
  for (std::size_t u = 0; u < units; ++u) {
    const std::uint32_t type = rule.groups[u].front();
    if (!a.active[type]) {
      continue;
    }
    std::size_t rank = rank_of(rule, a, u);
    for (std::size_t v = 0; v < units && partner[u] == kAlone; ++v) {
      const std::uint32_t other = rule.groups[v].front();
      if (b.active[other] && b.code[other] == a.code[type] && rank-- == 0) {
        partner[u] = static_cast<std::uint32_t>(v);
      }
    }
  }
}

// Where each decision of the child is to come from, in one draw.
void choose_sources(const Space& space, const CrossoverRule& rule,
                    const std::vector<std::vector<std::uint32_t>>& stages,
                    const std::vector<std::uint32_t>& partner, const Parent& a, const Parent& b,
                    RowRandom& random, std::vector<Origin>& sources) {
  const std::size_t width = space.width();
  for (std::size_t i = 0; i < width; ++i) {
    sources[i] = {&a, static_cast<std::uint32_t>(i)};
  }
  switch (rule.kind) {
    case Crossing::one_point:
      if (width > 1) {
        const std::uint32_t cut = 1 + random.below(static_cast<std::uint32_t>(width - 1));
        for (std::uint32_t i = cut; i < width; ++i) {
          sources[i].parent = &b;
        }
      }
      break;
    case Crossing::stages:
      for (const std::vector<std::uint32_t>& stage : stages) {
        const bool from_b = random.below(2) != 0;
        for (const std::uint32_t i : stage) {
          sources[i].parent = from_b ? &b : &a;
        }
      }
      break;
    case Crossing::aligned:
      for (std::size_t u = 0; u < partner.size(); ++u) {
        if (partner[u] == kAlone || random.below(2) == 0) {
          continue;
        }
        for (std::size_t k = 0; k < rule.groups[u].size(); ++k) {
          sources[rule.groups[u][k]] = {&b, rule.groups[partner[u]][k]};
        }
      }
      break;
  }
}

bool same_options(const Decision& a, const Decision& b) { return a.options == b.options; }

Status check_groups(const Space& space, const CrossoverRule& rule) {
  std::vector<std::uint8_t> seen(space.width(), 0);
  for (const std::vector<std::uint32_t>& group : rule.groups) {
    if (group.empty()) {
      return Status::fail(Code::limit, 0, "a group of decisions is empty");
    }
    for (const std::uint32_t i : group) {
      if (i >= space.width() || seen[i]++ != 0) {
        return Status::fail(Code::limit, 0,
                            i >= space.width()
                                ? "a group names a decision that does not exist"
                                : "decision '" + space.decisions[i].name + "' is in two groups");
      }
    }
    const std::vector<std::uint32_t>& first = rule.groups.front();
    bool alike = rule.kind != Crossing::aligned || group.size() == first.size();
    for (std::size_t k = 0; rule.kind == Crossing::aligned && alike && k < group.size(); ++k) {
      alike = same_options(space.decisions[group[k]], space.decisions[first[k]]);
    }
    if (!alike) {
      return Status::fail(Code::limit, 0,
                          "the unit of decision '" + space.decisions[group[0]].name +
                              "' has other decisions or options than the first unit");
    }
  }
  return {};
}

}  // namespace

Status mutate_at_rate(const Space& space, const Draws& draws, std::uint64_t n,
                      const std::uint8_t* codes, const double* rates, std::uint8_t* out) {
  return parallel_rows(n, draws.threads, kVaryGrain, [&](std::uint64_t begin, std::uint64_t end) {
    Parent parent{nullptr, std::vector<std::uint8_t>(space.width())};
    std::vector<std::uint8_t> active(space.width());
    RowSource source(draws.key, Purpose::mutate);
    for (std::uint64_t row = begin; row < end; ++row) {
      const double rate = rates[row];
      if (!(rate >= 0 && rate <= 1)) {
        return Status::fail(Code::row, row, "a rate is from 0 to 1");
      }
      if (!parent.read(space, codes + row * space.width())) {
        return bad_row(space, row, parent.code);
      }
      RowRandom random = source.at(draws.start + row);
      std::uint8_t* child = out + row * space.width();
      bool valid = false;
      for (int tries = 0; !valid && tries < kVaryTries; ++tries) {
        fill_code(space, child, active.data(), [&](std::size_t i) {
          if (!parent.active[i]) {
            return draw_option(space, i, random);
          }
          const std::uint8_t old = parent.code[i];
          if (space.counts[i] < 2 || unit_draw(random) >= rate) {
            return old;
          }
          const std::uint32_t other = random.below(space.counts[i] - 1);
          return static_cast<std::uint8_t>(other + (other >= old));
        });
        valid = satisfies(space, child, active.data());
      }
      if (!valid) {
        std::memcpy(child, parent.code, space.width());
      }
    }
    return Status{};
  });
}

Status crossover_by(const Space& space, const CrossoverRule& rule, const Draws& draws,
                    std::uint64_t n, const std::uint8_t* a, const std::uint8_t* b,
                    std::uint8_t* out) {
  if (Status s = check_groups(space, rule); !s.ok()) {
    return s;
  }
  std::vector<std::vector<std::uint32_t>> stages = rule.groups;
  std::vector<std::uint8_t> grouped(space.width(), 0);
  for (const std::vector<std::uint32_t>& group : rule.groups) {
    for (const std::uint32_t i : group) {
      grouped[i] = 1;
    }
  }
  for (std::uint32_t i = 0; i < space.width(); ++i) {
    if (grouped[i] == 0) {
      stages.push_back({i});
    }
  }
  return parallel_rows(n, draws.threads, kVaryGrain, [&](std::uint64_t begin, std::uint64_t end) {
    Parent first{nullptr, std::vector<std::uint8_t>(space.width())}, second = first;
    std::vector<std::uint8_t> active(space.width());
    std::vector<std::uint32_t> partner;
    std::vector<Origin> sources(space.width());
    RowSource source(draws.key, Purpose::crossover);
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint64_t at = row * space.width();
      for (Parent* parent : {&first, &second}) {
        if (!parent->read(space, (parent == &first ? a : b) + at)) {
          return bad_row(space, row, parent->code);
        }
      }
      if (rule.kind == Crossing::aligned) {
        align_units(rule, first, second, partner);
      }
      RowRandom random = source.at(draws.start + row);
      bool valid = false;
      for (int tries = 0; !valid && tries < kVaryTries; ++tries) {
        choose_sources(space, rule, stages, partner, first, second, random, sources);
        fill_code(space, out + at, active.data(), [&](std::size_t i) {
          for (const Origin& x : {sources[i], Origin{&first, static_cast<std::uint32_t>(i)},
                                  Origin{&second, static_cast<std::uint32_t>(i)}}) {
            if (x.parent->active[x.at]) {
              return x.parent->code[x.at];
            }
          }
          return draw_option(space, i, random);
        });
        valid = satisfies(space, out + at, active.data());
      }
      if (!valid) {
        std::memcpy(out + at, a + at, space.width());
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium

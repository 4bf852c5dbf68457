#include "nasturtium/population.hpp"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bookkeeping.hpp"
#include "nasturtium/bandit.hpp"

namespace nasturtium::bind {
namespace books {
namespace {

using GuardedSteady = Guarded<SteadyState>;
using GuardedGenerations = Guarded<Generational>;
using GuardedSpecies = Guarded<Species>;
using GuardedBandit = Guarded<Bandit>;

std::optional<std::uint64_t> steady_born(GuardedSteady& population, std::uint64_t individual,
                                         double score) {
  return population.read([=](SteadyState& p) -> std::optional<std::uint64_t> {
    std::uint64_t died = 0;
    return p.born(individual, score, died) ? std::optional(died) : std::nullopt;
  });
}

template <typename Member>
py::tuple columns_of(const std::vector<Member>& members) {
  const auto n = static_cast<py::ssize_t>(members.size());
  Array<std::uint64_t> individuals(n);
  Array<double> scores(n);
  for (std::size_t i = 0; i < members.size(); ++i) {
    individuals.mutable_data()[i] = members[i].individual;
    scores.mutable_data()[i] = members[i].score;
  }
  return py::make_tuple(individuals, scores);
}

py::tuple steady_members(GuardedSteady& population) {
  return columns_of(population.read([](SteadyState& p) {
    std::vector<SteadyState::Member> members;
    p.members(members);
    return members;
  }));
}

void species_assign(GuardedSpecies& species, const Codes& codes, Array<std::uint32_t> out) {
  const std::uint64_t n = rows(codes, species.read([](Species& s) { return s.width(); }), "codes");
  same_rows(n, length(out, "out"));
  const std::uint8_t* from = codes.data();
  std::uint32_t* to = out.mutable_data();
  species.run([&](Species& s) {
    s.assign(n, from, to);
    return Status{};
  });
}

Codes species_founders(GuardedSpecies& species) {
  const auto [width, founders] =
      species.read([](Species& s) { return std::make_pair(s.width(), s.founders()); });
  const auto columns = static_cast<py::ssize_t>(width);
  return Codes({static_cast<py::ssize_t>(founders.size()) / columns, columns}, founders.data());
}

void share_scores(const Array<double>& scores, const Array<std::uint32_t>& species,
                  Array<double> out) {
  const std::uint64_t n = length(scores, "scores");
  same_rows(n, length(species, "species"));
  same_rows(n, length(out, "out"));
  const double* from = scores.data();
  const std::uint32_t* numbers = species.data();
  double* to = out.mutable_data();
  run([&] { return nasturtium::share_scores(n, from, numbers, to); });
}

void apportion(const Array<double>& weights, std::uint64_t total, Array<std::uint64_t> out) {
  const std::uint64_t k = length(weights, "weights");
  same_rows(k, length(out, "out"));
  const double* from = weights.data();
  std::uint64_t* to = out.mutable_data();
  run([&] { return nasturtium::apportion(k, from, total, to); });
}

std::unique_ptr<GuardedBandit> make_bandit(std::uint64_t arms, unsigned formula, double c,
                                           double gamma, std::uint64_t seed, std::uint32_t stream) {
  if (formula > 2) {
    refuse("there is no such formula");
  }
  auto bandit = std::make_unique<GuardedBandit>();
  bandit->run([&](Bandit& b) {
    return b.open(arms, {static_cast<BanditRule::Formula>(formula), c, gamma}, {seed, stream});
  });
  return bandit;
}

void bandit_choose(GuardedBandit& bandit, Array<std::uint32_t> arms, Array<double> probabilities) {
  const std::uint64_t n = length(arms, "arms");
  same_rows(n, length(probabilities, "probabilities"));
  std::uint32_t* to = arms.mutable_data();
  double* with = probabilities.mutable_data();
  bandit.run([&](Bandit& b) { return b.choose(n, to, with); });
}

void bandit_reward(GuardedBandit& bandit, const Array<std::uint32_t>& arms,
                   const Array<double>& probabilities, const Array<double>& values) {
  const std::uint64_t n = length(arms, "arms");
  same_rows(n, length(probabilities, "probabilities"));
  same_rows(n, length(values, "values"));
  const std::uint32_t* from = arms.data();
  const double *with = probabilities.data(), *rewards = values.data();
  bandit.run([&](Bandit& b) { return b.reward(n, from, with, rewards); });
}

void bandit_forget(GuardedBandit& bandit, const Array<std::uint32_t>& arms) {
  const std::uint64_t n = length(arms, "arms");
  const std::uint32_t* from = arms.data();
  bandit.run([&](Bandit& b) { return b.forget(n, from); });
}

// Pulls, known rewards and their sums.
py::tuple bandit_read(GuardedBandit& bandit) {
  std::vector<std::uint64_t> pulls, known;
  std::vector<double> sums;
  bandit.run([&](Bandit& b) {
    pulls.resize(b.arms());
    known.resize(b.arms());
    sums.resize(b.arms());
    b.read(pulls.data(), known.data(), sums.data());
    return Status{};
  });
  const auto n = static_cast<py::ssize_t>(pulls.size());
  return py::make_tuple(Array<std::uint64_t>(n, pulls.data()),
                        Array<std::uint64_t>(n, known.data()), Array<double>(n, sums.data()));
}

Array<double> bandit_probabilities(GuardedBandit& bandit) {
  const std::vector<double> each = bandit.read([](Bandit& b) {
    std::vector<double> found;
    b.probabilities(found);
    return found;
  });
  return Array<double>(static_cast<py::ssize_t>(each.size()), each.data());
}

void bind_steady_state(py::module_& m) {
  using namespace py::literals;
  py::class_<GuardedSteady>(m, "SteadyState")
      .def(py::init([](std::uint64_t size) {
             return std::make_unique<GuardedSteady>(SteadyState(size));
           }),
           "size"_a)
      .def("born", &steady_born, "individual"_a, "score"_a)
      .def("members", &steady_members)
      .def("state", &state_of<SteadyState>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, SteadyState(1)); },
          "state"_a)
      .def_property_readonly("capacity", [](GuardedSteady& population) {
        return population.read([](SteadyState& p) { return p.capacity(); });
      });
}

void bind_generational(py::module_& m) {
  using namespace py::literals;
  py::class_<GuardedGenerations>(m, "Generational")
      .def(py::init([](std::uint64_t size, std::uint64_t elites) {
             if (elites >= size) {
               refuse("the elites must be fewer than the population");
             }
             return std::make_unique<GuardedGenerations>(Generational(size, elites));
           }),
           "size"_a, "elites"_a)
      .def(
          "born",
          [](GuardedGenerations& population, std::uint64_t individual, double score) {
            return population.read([=](Generational& p) { return p.born(individual, score); });
          },
          "individual"_a, "score"_a)
      .def("members",
           [](GuardedGenerations& population) {
             return columns_of(population.read([](Generational& p) { return p.members(); }));
           })
      .def("state", &state_of<Generational>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, Generational(1, 0)); },
          "state"_a)
      .def_property_readonly("size",
                             [](GuardedGenerations& population) {
                               return population.read([](Generational& p) { return p.size(); });
                             })
      .def_property_readonly("elites",
                             [](GuardedGenerations& population) {
                               return population.read([](Generational& p) { return p.elites(); });
                             })
      .def_property_readonly("generation", [](GuardedGenerations& population) {
        return population.read([](Generational& p) { return p.generation(); });
      });
}

void bind_species(py::module_& m) {
  using namespace py::literals;
  py::class_<GuardedSpecies>(m, "Species")
      .def(py::init([](std::size_t width, std::uint64_t radius) {
             if (width < 1 || width > kMaxDecisions) {
               refuse("codes have 1 to 4,096 decisions");
             }
             return std::make_unique<GuardedSpecies>(Species(width, radius));
           }),
           "width"_a, "radius"_a)
      .def("assign", &species_assign, "codes"_a.noconvert(), "out"_a.noconvert())
      .def("founders", &species_founders)
      .def("state", &state_of<Species>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, Species(1, 0)); },
          "state"_a)
      .def_property_readonly("radius", [](GuardedSpecies& species) {
        return species.read([](Species& s) { return s.radius(); });
      });
  m.def("share_scores", &share_scores, "scores"_a.noconvert(), "species"_a.noconvert(),
        "out"_a.noconvert());
  m.def("apportion", &apportion, "weights"_a.noconvert(), "total"_a, "out"_a.noconvert());
}

void bind_bandit(py::module_& m) {
  using namespace py::literals;
  py::class_<GuardedBandit>(m, "Bandit")
      .def(py::init(&make_bandit), "arms"_a, "formula"_a, "c"_a, "gamma"_a, "seed"_a, "stream"_a)
      .def("choose", &bandit_choose, "arms"_a.noconvert(), "probabilities"_a.noconvert())
      .def("reward", &bandit_reward, "arms"_a.noconvert(), "probabilities"_a.noconvert(),
           "values"_a.noconvert())
      .def("forget", &bandit_forget, "arms"_a.noconvert())
      .def("read", &bandit_read)
      .def("probabilities", &bandit_probabilities)
      .def("state", &state_of<Bandit>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, Bandit()); }, "state"_a)
      .def_property_readonly("rule", [](GuardedBandit& bandit) {
        const BanditRule rule = bandit.read([](Bandit& b) { return b.rule(); });
        return py::make_tuple(static_cast<unsigned>(rule.formula), rule.c, rule.gamma);
      });
}

}  // namespace
}  // namespace books

void bind_population(py::module_& m) {
  books::bind_steady_state(m);
  books::bind_generational(m);
  books::bind_species(m);
  books::bind_bandit(m);
}

}  // namespace nasturtium::bind

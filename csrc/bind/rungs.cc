#include "nasturtium/rungs.hpp"

#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "bookkeeping.hpp"

namespace nasturtium::bind {
namespace books {
namespace {

using GuardedRungs = Guarded<Rungs>;
using GuardedStopping = Guarded<StoppingRungs>;
using GuardedHalving = Guarded<Halving>;
using GuardedHyperband = Guarded<Hyperband>;
using Place = std::pair<std::uint64_t, std::uint64_t>;

std::unique_ptr<GuardedRungs> make_rungs(const std::vector<std::uint32_t>& etas,
                                         std::size_t width) {
  auto rungs = std::make_unique<GuardedRungs>();
  rungs->run([&](Rungs& r) { return r.open(etas, width); });
  return rungs;
}

void rungs_add(GuardedRungs& rungs, std::uint64_t rung, std::uint64_t number,
               const std::optional<std::vector<double>>& rank) {
  if (rank && rank->size() != rungs.read([](Rungs& r) { return r.width(); })) {
    refuse("the rank does not have the width of the rungs");
  }
  rungs.run([&](Rungs& r) { return r.add(rung, number, rank ? rank->data() : nullptr); });
}

std::optional<Place> rungs_next(GuardedRungs& rungs, bool every) {
  return rungs.read([=](Rungs& r) -> std::optional<Place> {
    Place place;
    return r.next(every, place.first, place.second) ? std::optional(place) : std::nullopt;
  });
}

void rungs_promote(GuardedRungs& rungs, std::uint64_t number, std::uint64_t rung) {
  rungs.run([&](Rungs& r) { return r.promote(number, rung); });
}

std::vector<std::uint64_t> rungs_counts(GuardedRungs& rungs) {
  return rungs.read([](Rungs& r) {
    std::vector<std::uint64_t> counts(r.rungs());
    for (std::uint64_t k = 0; k < counts.size(); ++k) {
      counts[k] = r.count(k);
    }
    return counts;
  });
}

std::unique_ptr<GuardedStopping> make_stopping(const std::vector<std::uint32_t>& etas) {
  auto rungs = std::make_unique<GuardedStopping>();
  rungs->run([&](StoppingRungs& r) { return r.open(etas); });
  return rungs;
}

bool stopping_report(GuardedStopping& rungs, std::uint64_t rung, double value) {
  bool goes_on = false;
  rungs.run([&](StoppingRungs& r) { return r.report(rung, value, goes_on); });
  return goes_on;
}

std::unique_ptr<GuardedHalving> make_halving(const std::vector<std::uint64_t>& sizes) {
  auto halving = std::make_unique<GuardedHalving>();
  halving->run([&](Halving& h) { return h.open(sizes); });
  return halving;
}

std::optional<Place> halving_next(GuardedHalving& halving) {
  return halving.read([](Halving& h) -> std::optional<Place> {
    Place place;
    return h.next(place.first, place.second) ? std::optional(place) : std::nullopt;
  });
}

std::optional<std::pair<std::uint64_t, double>> halving_best(GuardedHalving& halving) {
  using Best = std::pair<std::uint64_t, double>;
  return halving.read([](Halving& h) -> std::optional<Best> {
    Best best;
    return h.best(best.first, best.second) ? std::optional(best) : std::nullopt;
  });
}

std::unique_ptr<GuardedHyperband> make_hyperband(std::uint64_t resource, std::uint64_t eta) {
  auto hyperband = std::make_unique<GuardedHyperband>();
  hyperband->run([&](Hyperband& h) { return h.open(resource, eta); });
  return hyperband;
}

using JobTuple = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, double>;

std::optional<JobTuple> hyperband_next(GuardedHyperband& hyperband) {
  return hyperband.read([](Hyperband& h) -> std::optional<JobTuple> {
    Hyperband::Job job;
    if (!h.next(job)) {
      return std::nullopt;
    }
    return JobTuple(job.number, job.bracket, job.rung, job.resource);
  });
}

using BracketTuple = std::tuple<std::vector<std::uint64_t>, std::vector<double>>;

std::vector<BracketTuple> brackets(std::uint64_t resource, std::uint64_t eta) {
  std::vector<Bracket> found;
  accept(nasturtium::hyperband_brackets(resource, eta, found));
  std::vector<BracketTuple> all;
  for (const Bracket& bracket : found) {
    all.emplace_back(bracket.sizes, bracket.resources);
  }
  return all;
}

}  // namespace
}  // namespace books

void bind_rungs(py::module_& m) {
  using namespace py::literals;
  using namespace books;
  py::class_<GuardedRungs>(m, "Rungs")
      .def(py::init(&make_rungs), "etas"_a, "width"_a)
      .def("add", &rungs_add, "rung"_a, "number"_a, "rank"_a)
      .def("next", &rungs_next, "every"_a)
      .def("promote", &rungs_promote, "number"_a, "rung"_a)
      .def("counts", &rungs_counts)
      .def("state", &state_of<Rungs>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, Rungs()); }, "state"_a);
  py::class_<GuardedStopping>(m, "StoppingRungs")
      .def(py::init(&make_stopping), "etas"_a)
      .def("report", &stopping_report, "rung"_a, "value"_a)
      .def("state", &state_of<StoppingRungs>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, StoppingRungs()); },
          "state"_a);
  py::class_<GuardedHalving>(m, "Halving")
      .def(py::init(&make_halving), "sizes"_a)
      .def("next", &halving_next)
      .def(
          "tell",
          [](GuardedHalving& halving, std::uint64_t number, double value) {
            halving.run([&](Halving& h) { return h.tell(number, value); });
          },
          "number"_a, "value"_a)
      .def("best", &halving_best)
      .def("state", &state_of<Halving>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, Halving()); }, "state"_a)
      .def_property_readonly("done", [](GuardedHalving& halving) {
        return halving.read([](Halving& h) { return h.done(); });
      });
  py::class_<GuardedHyperband>(m, "Hyperband")
      .def(py::init(&make_hyperband), "resource"_a, "eta"_a)
      .def("next", &hyperband_next)
      .def("state", &state_of<Hyperband>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, Hyperband()); }, "state"_a)
      .def_property_readonly(
          "resource",
          [](GuardedHyperband& hyperband) {
            return hyperband.read([](Hyperband& h) { return std::pair(h.resource(), h.eta()); });
          })
      .def(
          "tell",
          [](GuardedHyperband& hyperband, std::uint64_t number, double value) {
            hyperband.run([&](Hyperband& h) { return h.tell(number, value); });
          },
          "number"_a, "value"_a)
      .def_property_readonly("done", [](GuardedHyperband& hyperband) {
        return hyperband.read([](Hyperband& h) { return h.done(); });
      });
  m.def("hyperband_brackets", &brackets, "resource"_a, "eta"_a);
}

}  // namespace nasturtium::bind

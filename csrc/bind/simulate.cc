#include "nasturtium/simulate.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "bookkeeping.hpp"

namespace nasturtium::bind {
namespace books {
namespace {

// The table with the space that its codes belong to.
struct BoundTable {
  Space space;
  ResultTable table;
};

template <typename T>
std::span<const T> span_of(const Array<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

std::unique_ptr<BoundTable> make_table(const std::string& text, const Array<std::uint32_t>& classes,
                                       const Array<double>& scores, const Array<double>& costs,
                                       const std::optional<Array<double>>& sizes) {
  if (scores.ndim() != 3) {
    refuse("scores must have three axes");
  }
  auto bound = std::make_unique<BoundTable>();
  const auto fidelities = static_cast<std::uint64_t>(scores.shape(1));
  const auto runs = static_cast<std::uint64_t>(scores.shape(2));
  const auto known = span_of(classes);
  const auto results = span_of(scores), prices = span_of(costs);
  const auto numbers = sizes ? span_of(*sizes) : std::span<const double>();
  run([&] {
    if (Status s = parse_space(text, bound->space); !s.ok()) {
      return s;
    }
    return bound->table.open(bound->space, fidelities, runs, known, results, prices, numbers);
  });
  return bound;
}

static_assert(sizeof(SearchKeys) == 6 * sizeof(std::uint64_t));

// summary: trials uint64[n], clock float64[n], best int64[n], best_code uint32[n], best_score
// float64[n]; history: codes int32, parents int32, rungs uint8, finished float64, order int32,
// each [n, budget].
using Summary = std::tuple<Array<std::uint64_t>, Array<double>, Array<std::int64_t>,
                           Array<std::uint32_t>, Array<double>>;
using Histories = std::tuple<Array<std::int32_t>, Array<std::int32_t>, Array<std::uint8_t>,
                             Array<double>, Array<std::int32_t>>;

template <typename T>
T* rows_of(Array<T>& array, std::uint64_t n, std::uint64_t columns) {
  same_rows(rows(array, columns, "history"), n);
  return array.mutable_data();
}

template <typename T>
T* entries_of(Array<T>& array, std::uint64_t n) {
  same_rows(length(array, "summary"), n);
  return array.mutable_data();
}

void simulate(const SearchPlan& plan, const BoundTable& table, const Array<std::uint64_t>& keys,
              std::uint64_t budget, std::uint32_t workers, std::uint64_t lag, unsigned threads,
              Summary summary, std::optional<Histories> history) {
  const std::uint64_t n = rows(keys, 6, "keys");
  const auto* from = reinterpret_cast<const SearchKeys*>(keys.data());
  SimulationOut out;
  out.trials = entries_of(std::get<0>(summary), n);
  out.clock = entries_of(std::get<1>(summary), n);
  out.best = entries_of(std::get<2>(summary), n);
  out.best_code = entries_of(std::get<3>(summary), n);
  out.best_score = entries_of(std::get<4>(summary), n);
  if (history) {
    out.codes = rows_of(std::get<0>(*history), n, budget);
    out.parents = rows_of(std::get<1>(*history), n, budget);
    out.rungs = rows_of(std::get<2>(*history), n, budget);
    out.finished = rows_of(std::get<3>(*history), n, budget);
    out.order = rows_of(std::get<4>(*history), n, budget);
  }
  const Schedule schedule{budget, workers, lag};
  run([&] { return nasturtium::simulate(plan, table.table, schedule, n, from, threads, out); });
}

}  // namespace
}  // namespace books

void bind_simulate(py::module_& m) {
  using namespace py::literals;
  using namespace books;
  py::class_<BoundTable>(m, "ResultTable")
      .def(py::init(&make_table), "text"_a, "classes"_a.noconvert(), "scores"_a.noconvert(),
           "costs"_a.noconvert(), "sizes"_a.noconvert())
      .def_property_readonly("classes", [](const BoundTable& t) { return t.table.classes(); });
  py::class_<SearchPlan>(m, "SearchPlan")
      .def(py::init<>())
      .def_readwrite("levels", &SearchPlan::levels)
      .def_readwrite("rung", &SearchPlan::rung)
      .def_readwrite("starts", &SearchPlan::starts)
      .def_readwrite("repeats", &SearchPlan::repeats)
      .def_readwrite("tries", &SearchPlan::tries)
      .def_readwrite("small", &SearchPlan::small)
      .def_readwrite("population", &SearchPlan::population)
      .def_readwrite("sample", &SearchPlan::sample)
      .def_readwrite("initial", &SearchPlan::initial)
      .def_readwrite("mutants", &SearchPlan::mutants)
      .def_readwrite("explore", &SearchPlan::explore)
      .def_readwrite("by_rung", &SearchPlan::by_rung)
      .def_readwrite("halving", &SearchPlan::halving)
      .def_readwrite("etas", &SearchPlan::etas);
  m.def("simulate", &simulate, "plan"_a, "table"_a, "keys"_a.noconvert(), "budget"_a, "workers"_a,
        "lag"_a, "threads"_a, "summary"_a.noconvert(), "history"_a.noconvert());
}

}  // namespace nasturtium::bind

#include <new>

#include "common.hpp"
#include "nasturtium/version.hpp"

namespace nasturtium::bind {

namespace {

[[noreturn]] void raise_as(const char* type, const std::string& message) {
  const py::object error = py::module_::import("nasturtium.errors").attr(type);
  py::set_error(error, message.c_str());
  throw py::error_already_set();
}

}  // namespace

void raise(const std::string& message) { raise_as("SpaceError", message); }

void require(const Status& status) {
  switch (status.code) {
    case Code::ok:
      return;
    case Code::text:
      raise("space text, line " + std::to_string(status.where) + ": " + status.reason);
    case Code::limit:
      raise(status.reason);
    case Code::state:
      raise("state, byte " + std::to_string(status.where) + ": " + status.reason);
    case Code::budget:
      raise_as("GraphBudget", "row " + std::to_string(status.where) + ": " + status.reason);
    case Code::memory:
      throw std::bad_alloc();
    default:
      raise("row " + std::to_string(status.where) + ": " + status.reason);
  }
}

void same_rows(std::uint64_t a, std::uint64_t b) {
  if (a != b) {
    raise("the arrays have " + std::to_string(a) + " and " + std::to_string(b) + " rows");
  }
}

void apart(const void* in, const void* out, std::uint64_t bytes) {
  const auto a = reinterpret_cast<std::uintptr_t>(in);
  const auto b = reinterpret_cast<std::uintptr_t>(out);
  if (a < b + bytes && b < a + bytes) {
    raise("the result array overlaps an argument");
  }
}

}  // namespace nasturtium::bind

PYBIND11_MODULE(_core, m) {
  m.attr("__version__") = NASTURTIUM_VERSION;
  nasturtium::bind::bind_graphs(m);
  nasturtium::bind::bind_dags(m);
  nasturtium::bind::bind_hierarchy(m);
  nasturtium::bind::bind_mcts(m);
  nasturtium::bind::bind_pareto(m);
  nasturtium::bind::bind_population(m);
  nasturtium::bind::bind_repeat(m);
  nasturtium::bind::bind_rungs(m);
  nasturtium::bind::bind_select(m);
  nasturtium::bind::bind_simulate(m);
  nasturtium::bind::bind_space(m);
  nasturtium::bind::bind_state(m);
  nasturtium::bind::bind_nb101(m);
  nasturtium::bind::bind_encodings(m);
  nasturtium::bind::bind_distances(m);
}

#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>

#include "nasturtium/status.hpp"

// What the binding files share. Arrays are taken as they are, never converted or copied.
namespace nasturtium::bind {

namespace py = pybind11;

// A type of its own, so that pybind11 looks at an argument but asks numpy for no array of it: that
// would cost more than a small call.
template <typename T>
class Array : public py::array_t<T, py::array::c_style> {
  using Base = py::array_t<T, py::array::c_style>;

 public:
  using Base::Base;
};
using Codes = Array<std::uint8_t>;

// Raises nasturtium.errors.SpaceError.
[[noreturn]] void raise(const std::string& message);

// Raises where the status is a failure.
void require(const Status& status);

// The number of rows of an array with two axes, the second of length `columns`.
template <typename T>
std::uint64_t rows(const Array<T>& array, std::size_t columns, const char* name) {
  if (array.ndim() != 2 || array.shape(1) != static_cast<py::ssize_t>(columns)) {
    raise(std::string(name) + " must have two axes, the second of length " +
          std::to_string(columns));
  }
  return static_cast<std::uint64_t>(array.shape(0));
}

// The length of an array with one axis.
template <typename T>
std::uint64_t length(const Array<T>& array, const char* name) {
  if (array.ndim() != 1) {
    raise(std::string(name) + " must have one axis");
  }
  return static_cast<std::uint64_t>(array.shape(0));
}

void same_rows(std::uint64_t a, std::uint64_t b);

// Raises where `out`, of as many bytes as `in`, overlaps it.
void apart(const void* in, const void* out, std::uint64_t bytes);

// Runs a function without Python in it, without the GIL, and raises what it reports. What is
// `brief` is over before another thread would have taken the GIL.
template <typename F>
void run(F work, bool brief = false) {
  Status status;
  if (brief) {
    status = work();
  } else {
    py::gil_scoped_release release;
    status = work();
  }
  require(status);
}

void bind_graphs(py::module_& m);
void bind_dags(py::module_& m);
void bind_hierarchy(py::module_& m);
void bind_distances(py::module_& m);
void bind_encodings(py::module_& m);
void bind_mcts(py::module_& m);
void bind_pareto(py::module_& m);
void bind_repeat(py::module_& m);
void bind_population(py::module_& m);
void bind_rungs(py::module_& m);
void bind_select(py::module_& m);
void bind_simulate(py::module_& m);
void bind_space(py::module_& m);
void bind_state(py::module_& m);
void bind_nb101(py::module_& m);

}  // namespace nasturtium::bind

// Signatures name it as they would the base.
template <typename T>
struct pybind11::detail::handle_type_name<nasturtium::bind::Array<T>>
    : pybind11::detail::handle_type_name<pybind11::array_t<T, pybind11::array::c_style>> {};

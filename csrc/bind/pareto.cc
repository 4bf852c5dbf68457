#include "nasturtium/pareto.hpp"

#include "bookkeeping.hpp"
#include "quick.hpp"

namespace nasturtium::bind {
namespace books {

void refuse(const std::string& message) {
  const py::object error = py::module_::import("nasturtium.errors").attr("UserError");
  py::set_error(error, message.c_str());
  throw py::error_already_set();
}

void accept(const Status& status) {
  switch (status.code) {
    case Code::ok:
      return;
    case Code::row:
      refuse("row " + std::to_string(status.where) + ": " + status.reason);
    case Code::state:
      refuse("state, byte " + std::to_string(status.where) + ": " + status.reason);
    default:
      refuse(status.reason);
  }
}

namespace {

// The number of objectives, of an array with two axes.
std::size_t objectives(const Array<double>& points) {
  if (points.ndim() != 2) {
    refuse("points must have two axes");
  }
  return static_cast<std::size_t>(points.shape(1));
}

void pareto_ranks(const Array<double>& points, Array<std::int64_t> out) {
  const std::size_t m = objectives(points);
  const std::uint64_t n = rows(points, m, "points");
  same_rows(n, length(out, "out"));
  const double* from = points.data();
  std::int64_t* to = out.mutable_data();
  run([&] { return nasturtium::pareto_ranks(n, m, from, to); });
}

void crowding_distance(const Array<double>& points, const Array<std::int64_t>& ranks,
                       Array<double> out) {
  const std::size_t m = objectives(points);
  const std::uint64_t n = rows(points, m, "points");
  same_rows(n, length(ranks, "ranks"));
  same_rows(n, length(out, "out"));
  const double* from = points.data();
  const std::int64_t* by = ranks.data();
  double* to = out.mutable_data();
  run([&] { return nasturtium::crowding_distance(n, m, from, by, to); });
}

const double* reference_point(const Array<double>& reference, std::size_t m) {
  if (length(reference, "reference") != m) {
    refuse("the reference point must have one coordinate for each objective");
  }
  return reference.data();
}

double hypervolume(const Array<double>& points, const Array<double>& reference) {
  const std::size_t m = objectives(points);
  const std::uint64_t n = rows(points, m, "points");
  const double *from = points.data(), *to = reference_point(reference, m);
  double volume = 0;
  run([&] { return nasturtium::hypervolume(n, m, from, to, volume); });
  return volume;
}

void hypervolume_contributions(const Array<double>& points, const Array<double>& reference,
                               Array<double> out, unsigned threads) {
  const std::size_t m = objectives(points);
  const std::uint64_t n = rows(points, m, "points");
  same_rows(n, length(out, "out"));
  const double *from = points.data(), *limit = reference_point(reference, m);
  double* to = out.mutable_data();
  run([&] { return nasturtium::hypervolume_contributions(n, m, from, limit, to, threads); });
}

}  // namespace
}  // namespace books

void bind_pareto(py::module_& m) {
  using namespace py::literals;
  m.def("pareto_ranks", &books::pareto_ranks, "points"_a.noconvert(), "out"_a.noconvert());
  quicken<&books::pareto_ranks>(m, "pareto_ranks");
  m.def("crowding_distance", &books::crowding_distance, "points"_a.noconvert(),
        "ranks"_a.noconvert(), "out"_a.noconvert());
  m.def("hypervolume", &books::hypervolume, "points"_a.noconvert(), "reference"_a.noconvert());
  m.def("hypervolume_contributions", &books::hypervolume_contributions, "points"_a.noconvert(),
        "reference"_a.noconvert(), "out"_a.noconvert(), "threads"_a);
}

}  // namespace nasturtium::bind

#include <cstring>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "bookkeeping.hpp"
#include "common.hpp"
#include "nasturtium/distance.hpp"
#include "nasturtium/otmann.hpp"
#include "nasturtium/transport.hpp"
#include "nasturtium/tree_wasserstein.hpp"
#include "nasturtium/wl.hpp"
#include "program.hpp"

namespace nasturtium::bind {
namespace {

template <typename T>
Array<T> array_of(const std::vector<T>& values) {
  Array<T> out(static_cast<py::ssize_t>(values.size()));
  if (!values.empty()) {
    std::memcpy(out.mutable_data(), values.data(), values.size() * sizeof(T));
  }
  return out;
}

// Raises where `out` is not na x nb.
template <typename T>
void pairs(const Array<T>& out, std::uint64_t na, std::uint64_t nb) {
  same_rows(na, rows(out, nb, "out"));
}

void hamming_rows(const Compiled& program, const Codes& a, const Codes& b, Array<std::uint16_t> out,
                  unsigned threads) {
  const Space& space = program.space();
  const std::uint64_t na = rows(a, space.width(), "codes"), nb = rows(b, space.width(), "other");
  pairs(out, na, nb);
  const std::uint8_t *from_a = a.data(), *from_b = b.data();
  std::uint16_t* to = out.mutable_data();
  run([&] { return hamming(space, na, from_a, nb, from_b, to, threads); });
}

void manhattan_rows(const Array<double>& a, const Array<double>& b, Array<double> out,
                    unsigned threads) {
  if (a.ndim() != 2) {
    raise("the rows must have two axes");
  }
  const auto columns = static_cast<std::uint64_t>(a.shape(1));
  const auto na = static_cast<std::uint64_t>(a.shape(0));
  const std::uint64_t nb = rows(b, columns, "other");
  pairs(out, na, nb);
  const double *from_a = a.data(), *from_b = b.data();
  double* to = out.mutable_data();
  run([&] { return manhattan(columns, na, from_a, nb, from_b, to, threads); });
}

// A WLIndex that several Python threads may use: one adds, or any number read.
class SharedWL {
 public:
  SharedWL(const Compiled& program, unsigned rounds) : width_(program.space().width()) {
    run([&] { return index_.begin(program.space(), rounds); });
  }

  void add(const Codes& codes, unsigned threads) {
    const std::uint64_t n = rows(codes, width_, "codes");
    const std::uint8_t* from = codes.data();
    run([&] {
      const std::unique_lock lock(mutex_);
      return index_.add(n, from, threads);
    });
  }

  // The result of work(), for what takes no time.
  template <typename F>
  auto read(F work) const {
    py::gil_scoped_release release;
    const std::shared_lock lock(mutex_);
    return work();
  }

  std::uint64_t size() const {
    return read([&] { return index_.rows(); });
  }
  std::uint64_t features() const {
    return read([&] { return index_.features(); });
  }

  Array<std::int64_t> feature_rounds() const {
    const std::vector<std::int64_t> rounds = read([&] {
      std::vector<std::int64_t> all;
      for (std::uint64_t f = 0; f < index_.features(); ++f) {
        all.push_back(index_.round(f));
      }
      return all;
    });
    return array_of(rounds);
  }

  py::tuple histograms() const {
    WLHistograms found;
    run([&] {
      const std::shared_lock lock(mutex_);
      index_.histograms(found);
      return Status{};
    });
    return arrays(found);
  }

  py::tuple transform(const Codes& codes, unsigned threads) const {
    const std::uint64_t n = rows(codes, width_, "codes");
    const std::uint8_t* from = codes.data();
    WLHistograms found;
    run([&] {
      const std::shared_lock lock(mutex_);
      return index_.transform(n, from, found, threads);
    });
    return arrays(found);
  }

  void gram(Array<float> out, bool assignment, bool normalize, unsigned threads) const {
    float* to = out.mutable_data();
    const std::uint64_t n = out.ndim() == 2 ? static_cast<std::uint64_t>(out.shape(1)) : 0;
    pairs(out, n, n);
    run([&] {
      const std::shared_lock lock(mutex_);
      if (Status s = sized(n); !s.ok()) {
        return s;
      }
      return index_.gram(kernel(assignment), normalize, to, threads);
    });
  }

  void cross(const Codes& codes, Array<float> out, bool assignment, bool normalize,
             unsigned threads) const {
    const std::uint64_t n = rows(codes, width_, "codes");
    const std::uint64_t m = out.ndim() == 2 ? static_cast<std::uint64_t>(out.shape(1)) : 0;
    pairs(out, n, m);
    const std::uint8_t* from = codes.data();
    float* to = out.mutable_data();
    run([&] {
      const std::shared_lock lock(mutex_);
      if (Status s = sized(m); !s.ok()) {
        return s;
      }
      return index_.cross(kernel(assignment), normalize, n, from, to, threads);
    });
  }

  std::string motif(std::uint64_t feature) const {
    std::string text;
    run([&] {
      const std::shared_lock lock(mutex_);
      return index_.motif(feature, text);
    });
    return text;
  }

 private:
  static WLKernel kernel(bool assignment) {
    return assignment ? WLKernel::assignment : WLKernel::subtree;
  }

  static py::tuple arrays(const WLHistograms& found) {
    return py::make_tuple(array_of(found.starts), array_of(found.features), array_of(found.counts));
  }

  // Another thread may have added rows since the result array was made.
  Status sized(std::uint64_t columns) const {
    return columns == index_.rows()
               ? Status{}
               : Status::fail(Code::limit, 0,
                              "out has " + std::to_string(columns) + " columns for the " +
                                  std::to_string(index_.rows()) + " rows of the index");
  }

  std::size_t width_;
  mutable std::shared_mutex mutex_;
  WLIndex index_;
};

class TreeRows {
 public:
  TreeRows(const Compiled& program, const std::vector<std::int32_t>& groups, double leaf,
           double operations, double pairs, double entering, double leaving)
      : width_(program.space().width()) {
    const TreeWasserstein::Rule rule{groups, leaf, operations, pairs, entering, leaving};
    run([&] { return tree_.build(program.space(), rule); });
  }

  std::size_t columns() const { return tree_.columns(); }

  void embed(const Codes& codes, Array<double> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, width_, "codes");
    pairs(out, n, columns());
    const std::uint8_t* from = codes.data();
    double* to = out.mutable_data();
    run([&] { return tree_.embed(n, from, to, threads); });
  }

 private:
  std::size_t width_;
  TreeWasserstein tree_;
};

class LayerMatching {
 public:
  LayerMatching(const Compiled& program, const std::vector<double>& masses,
                const std::vector<double>& mismatch, double structure, double ends,
                double least_end, bool normalize)
      : width_(program.space().width()) {
    const Otmann::Rule rule{masses, mismatch, structure, ends, least_end, normalize};
    run([&] { return otmann_.build(program.space(), rule); });
  }

  void distances(const Codes& a, const std::optional<Codes>& b, Array<double> out,
                 unsigned threads) const {
    const std::uint64_t na = rows(a, width_, "codes");
    const std::uint64_t nb = b ? rows(*b, width_, "other") : na;
    pairs(out, na, nb);
    const std::uint8_t *from_a = a.data(), *from_b = b ? b->data() : nullptr;
    double* to = out.mutable_data();
    run([&] { return otmann_.distances(na, from_a, nb, from_b, to, threads); });
  }

 private:
  std::size_t width_;
  Otmann otmann_;
};

double transport(const Array<double>& supply, const Array<double>& demand,
                 const Array<double>& costs, std::optional<Array<double>> plan) {
  const std::uint64_t n = length(supply, "supply"), m = length(demand, "demand");
  pairs(costs, n, m);
  if (plan) {
    pairs(*plan, n, m);
  }
  const double *from = supply.data(), *to = demand.data(), *by = costs.data();
  double* moved = plan ? plan->mutable_data() : nullptr;
  double value = 0;
  Transport solver;
  books::run([&] { return solver.solve(n, m, from, to, by, value, moved); });
  return value;
}

void transport_batch(const Array<double>& supply, const Array<double>& demand,
                     const Array<double>& costs, Array<double> out, unsigned threads) {
  if (supply.ndim() != 2 || demand.ndim() != 2 || costs.ndim() != 3 ||
      costs.shape(0) != supply.shape(0) || demand.shape(0) != supply.shape(0) ||
      costs.shape(1) != supply.shape(1) || costs.shape(2) != demand.shape(1)) {
    books::refuse("supply is [k, n], demand [k, m] and costs [k, n, m]");
  }
  const auto count = static_cast<std::uint64_t>(supply.shape(0));
  same_rows(count, length(out, "out"));
  const auto n = static_cast<std::size_t>(supply.shape(1));
  const auto m = static_cast<std::size_t>(demand.shape(1));
  const double *from = supply.data(), *to = demand.data(), *by = costs.data();
  double* values = out.mutable_data();
  books::run([&] { return transport_values(count, n, m, from, to, by, values, threads); });
}

}  // namespace

void bind_distances(py::module_& m) {
  using namespace py::literals;
  m.def("hamming", &hamming_rows, "program"_a, "a"_a.noconvert(), "b"_a.noconvert(),
        "out"_a.noconvert(), "threads"_a);
  m.def("manhattan", &manhattan_rows, "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
        "threads"_a);
  m.def("transport", &transport, "supply"_a.noconvert(), "demand"_a.noconvert(),
        "costs"_a.noconvert(), "plan"_a.noconvert().none(true));
  m.def("transport_values", &transport_batch, "supply"_a.noconvert(), "demand"_a.noconvert(),
        "costs"_a.noconvert(), "out"_a.noconvert(), "threads"_a);
  py::class_<SharedWL>(m, "WLIndex")
      .def(py::init<const Compiled&, unsigned>(), "program"_a, "rounds"_a, py::keep_alive<1, 2>())
      .def("add", &SharedWL::add, "codes"_a.noconvert(), "threads"_a)
      .def_property_readonly("size", &SharedWL::size)
      .def_property_readonly("features", &SharedWL::features)
      .def("feature_rounds", &SharedWL::feature_rounds)
      .def("histograms", &SharedWL::histograms)
      .def("transform", &SharedWL::transform, "codes"_a.noconvert(), "threads"_a)
      .def("gram", &SharedWL::gram, "out"_a.noconvert(), "assignment"_a, "normalize"_a, "threads"_a)
      .def("cross", &SharedWL::cross, "codes"_a.noconvert(), "out"_a.noconvert(), "assignment"_a,
           "normalize"_a, "threads"_a)
      .def("motif", &SharedWL::motif, "feature"_a);
  py::class_<TreeRows>(m, "TreeWasserstein")
      .def(py::init<const Compiled&, const std::vector<std::int32_t>&, double, double, double,
                    double, double>(),
           "program"_a, "groups"_a, "leaf"_a, "operations"_a, "pairs"_a, "entering"_a, "leaving"_a,
           py::keep_alive<1, 2>())
      .def_property_readonly("columns", &TreeRows::columns)
      .def("embed", &TreeRows::embed, "codes"_a.noconvert(), "out"_a.noconvert(), "threads"_a);
  py::class_<LayerMatching>(m, "Otmann")
      .def(py::init<const Compiled&, const std::vector<double>&, const std::vector<double>&, double,
                    double, double, bool>(),
           "program"_a, "masses"_a, "mismatch"_a, "structure"_a, "ends"_a, "least_end"_a,
           "normalize"_a, py::keep_alive<1, 2>())
      .def("distances", &LayerMatching::distances, "a"_a.noconvert(), "b"_a.noconvert().none(true),
           "out"_a.noconvert(), "threads"_a);
}

}  // namespace nasturtium::bind

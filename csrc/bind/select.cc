#include "nasturtium/select.hpp"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bookkeeping.hpp"
#include "nasturtium/population.hpp"

namespace nasturtium::bind {
namespace books {
namespace {

using GuardedQueue = Guarded<AgeingQueue>;
using GuardedArchive = Guarded<ParetoArchive>;

// Runs select(n, scores, draws, count, out).
template <typename Select>
void pick_rows(const Array<double>& scores, Array<std::int64_t>& out, std::uint64_t seed,
               std::uint32_t stream, std::uint64_t start, unsigned threads, Select select) {
  const std::uint64_t n = length(scores, "scores"), count = length(out, "out");
  const double* from = scores.data();
  std::int64_t* to = out.mutable_data();
  const Draws draws{{seed, stream}, start, threads};
  run([&] { return select(n, from, draws, count, to); });
}

void tournament(const Array<double>& scores, Array<std::int64_t> out, std::uint64_t size,
                bool replace, std::uint64_t seed, std::uint32_t stream, std::uint64_t start,
                unsigned threads) {
  pick_rows(scores, out, seed, stream, start, threads,
            [&](auto n, auto from, auto& draws, auto count, auto to) {
              return nasturtium::tournament(n, from, size, replace, draws, count, to);
            });
}

void roulette(const Array<double>& weights, Array<std::int64_t> out, std::uint64_t seed,
              std::uint32_t stream, std::uint64_t start, unsigned threads) {
  pick_rows(weights, out, seed, stream, start, threads,
            [&](auto n, auto from, auto& draws, auto count, auto to) {
              return nasturtium::roulette(n, from, draws, count, to);
            });
}

void linear_rank(const Array<double>& scores, Array<std::int64_t> out, double pressure,
                 std::uint64_t seed, std::uint32_t stream, std::uint64_t start, unsigned threads) {
  pick_rows(scores, out, seed, stream, start, threads,
            [&](auto n, auto from, auto& draws, auto count, auto to) {
              return nasturtium::linear_rank(n, from, pressure, draws, count, to);
            });
}

void truncation(const Array<double>& scores, Array<std::int64_t> out, std::uint64_t keep,
                std::uint64_t seed, std::uint32_t stream, std::uint64_t start, unsigned threads) {
  pick_rows(scores, out, seed, stream, start, threads,
            [&](auto n, auto from, auto& draws, auto count, auto to) {
              return nasturtium::truncation(n, from, keep, draws, count, to);
            });
}

void best_rows(const Array<double>& scores, Array<std::int64_t> out) {
  const std::uint64_t n = length(scores, "scores"), keep = length(out, "out");
  const double* from = scores.data();
  std::int64_t* to = out.mutable_data();
  run([&] { return nasturtium::best_rows(n, from, keep, to); });
}

std::optional<std::uint64_t> queue_born(GuardedQueue& queue, std::uint64_t individual) {
  return queue.read([=](AgeingQueue& q) -> std::optional<std::uint64_t> {
    std::uint64_t died = 0;
    return q.born(individual, died) ? std::optional(died) : std::nullopt;
  });
}

Array<std::uint64_t> queue_members(GuardedQueue& queue) {
  const std::vector<std::uint64_t> members = queue.read([](AgeingQueue& q) {
    std::vector<std::uint64_t> all(q.size());
    for (std::uint64_t i = 0; i < q.size(); ++i) {
      all[i] = q[i];
    }
    return all;
  });
  return Array<std::uint64_t>(static_cast<py::ssize_t>(members.size()), members.data());
}

void archive_add(GuardedArchive& archive, const Array<double>& points,
                 const Array<std::uint64_t>& ids, Array<bool> kept) {
  const std::size_t m = archive.read([](ParetoArchive& a) { return a.objectives(); });
  const std::uint64_t n = rows(points, m, "points");
  same_rows(n, length(ids, "ids"));
  same_rows(n, length(kept, "kept"));
  const double* from = points.data();
  const std::uint64_t* numbers = ids.data();
  auto* to = reinterpret_cast<std::uint8_t*>(kept.mutable_data());
  archive.run([&](ParetoArchive& a) { return a.add(n, from, numbers, to); });
}

// The members' ids and their objectives.
py::tuple archive_members(GuardedArchive& archive) {
  const auto [ids, points] =
      archive.read([](ParetoArchive& a) { return std::make_pair(a.ids(), a.points()); });
  const std::size_t m = archive.read([](ParetoArchive& a) { return a.objectives(); });
  const auto n = static_cast<py::ssize_t>(ids.size());
  return py::make_tuple(Array<std::uint64_t>(n, ids.data()),
                        Array<double>({n, static_cast<py::ssize_t>(m)}, points.data()));
}

void bind_queues(py::module_& m) {
  using namespace py::literals;
  py::class_<GuardedQueue>(m, "AgeingQueue")
      .def(py::init([](std::uint64_t size) {
             return std::make_unique<GuardedQueue>(AgeingQueue(size));
           }),
           "size"_a)
      .def("born", &queue_born, "individual"_a)
      .def("members", &queue_members)
      .def("state", &state_of<AgeingQueue>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, AgeingQueue(1)); },
          "state"_a)
      .def_property_readonly("capacity",
                             [](GuardedQueue& queue) {
                               return queue.read([](AgeingQueue& q) { return q.capacity(); });
                             })
      .def("__len__",
           [](GuardedQueue& queue) { return queue.read([](AgeingQueue& q) { return q.size(); }); });
  py::class_<GuardedArchive>(m, "ParetoArchive")
      .def(py::init([](std::size_t objectives) {
             return std::make_unique<GuardedArchive>(ParetoArchive(objectives));
           }),
           "objectives"_a)
      .def("add", &archive_add, "points"_a.noconvert(), "ids"_a.noconvert(), "kept"_a.noconvert())
      .def("members", &archive_members)
      .def("state", &state_of<ParetoArchive>)
      .def_static(
          "load", [](const py::bytes& state) { return from_state(state, ParetoArchive(1)); },
          "state"_a)
      .def_property_readonly("objectives",
                             [](GuardedArchive& archive) {
                               return archive.read([](ParetoArchive& a) { return a.objectives(); });
                             })
      .def("__len__",
           [](GuardedArchive& archive) {
             return archive.read([](ParetoArchive& a) { return a.ids().size(); });
           })
      .def_property_readonly("bytes", [](GuardedArchive& archive) {
        return archive.read([](ParetoArchive& a) { return a.bytes(); });
      });
}

}  // namespace
}  // namespace books

void bind_select(py::module_& m) {
  using namespace py::literals;
  m.def("tournament", &books::tournament, "scores"_a.noconvert(), "out"_a.noconvert(), "size"_a,
        "replace"_a, "seed"_a, "stream"_a, "start"_a, "threads"_a);
  m.def("roulette", &books::roulette, "weights"_a.noconvert(), "out"_a.noconvert(), "seed"_a,
        "stream"_a, "start"_a, "threads"_a);
  m.def("linear_rank", &books::linear_rank, "scores"_a.noconvert(), "out"_a.noconvert(),
        "pressure"_a, "seed"_a, "stream"_a, "start"_a, "threads"_a);
  m.def("truncation", &books::truncation, "scores"_a.noconvert(), "out"_a.noconvert(), "keep"_a,
        "seed"_a, "stream"_a, "start"_a, "threads"_a);
  m.def("best_rows", &books::best_rows, "scores"_a.noconvert(), "out"_a.noconvert());
  books::bind_queues(m);
}

}  // namespace nasturtium::bind

#include <string>
#include <vector>

#include "common.hpp"
#include "nasturtium/keys.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/pareto.hpp"
#include "program.hpp"

// Functions of the core in a loop without Python in it: what a call from Python is compared with.
namespace nasturtium::bind {
namespace {

template <typename F>
void repeat(std::uint64_t times, F work) {
  run([&] {
    for (std::uint64_t i = 0; i < times; ++i) {
      if (Status s = work(i); !s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

void repeat_move(const Compiled& program, const std::string& operation, const Codes& codes,
                 std::uint64_t times) {
  const Space& space = program.space();
  const std::uint64_t n = rows(codes, space.width(), "codes");
  const std::uint8_t* from = codes.data();
  std::vector<std::uint8_t> made(n * space.width());
  std::vector<std::uint64_t> keys(2 * n);
  if (operation == "sample") {
    repeat(times, [&](std::uint64_t i) { return sample(space, {{i, 0}, 0, 1}, n, made.data()); });
  } else if (operation == "mutate") {
    repeat(times,
           [&](std::uint64_t i) { return mutate(space, {{i, 0}, 0, 1}, n, from, made.data()); });
  } else if (operation == "keys" && n == 1) {
    KeyMaker maker(space, Convention::function);
    repeat(times, [&](std::uint64_t) { return maker.make(from, keys.data()); });
  } else if (operation == "keys") {
    repeat(times, [&](std::uint64_t) {
      return nasturtium::keys(space, Convention::function, n, from, keys.data(), 1);
    });
  } else {
    raise("operation '" + operation + "' is none of sample, mutate, keys");
  }
}

void repeat_ranks(const Array<double>& points, std::uint64_t times) {
  if (points.ndim() != 2) {
    raise("points must have two axes");
  }
  const auto n = static_cast<std::uint64_t>(points.shape(0));
  const auto m = static_cast<std::size_t>(points.shape(1));
  const double* from = points.data();
  std::vector<std::int64_t> ranks(n);
  repeat(times, [&](std::uint64_t) { return pareto_ranks(n, m, from, ranks.data()); });
}

}  // namespace

void bind_repeat(py::module_& m) {
  using namespace py::literals;
  m.def("repeat_move", &repeat_move, "program"_a, "operation"_a, "codes"_a.noconvert(), "times"_a);
  m.def("repeat_ranks", &repeat_ranks, "points"_a.noconvert(), "times"_a);
}

}  // namespace nasturtium::bind

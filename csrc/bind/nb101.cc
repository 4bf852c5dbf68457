#include "nasturtium/nb101.hpp"

#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <vector>

#include "common.hpp"
#include "nasturtium/book_state.hpp"
#include "nasturtium/key_map.hpp"

namespace nasturtium::bind {
namespace {

using Words = Array<std::uint64_t>;

// The number of rows of a result of `columns` entries for each of n cells.
template <typename T>
void result_rows(const Words& cells, Array<T>& out, std::size_t columns) {
  const std::uint64_t n = length(cells, "cells");
  same_rows(n, columns == 1 ? length(out, "out") : rows(out, columns, "out"));
}

// Raises where the result overlaps the cells, but for being the same array of one word a row.
template <typename T>
void result_apart(const Words& cells, const Array<T>& out) {
  const auto from = reinterpret_cast<std::uintptr_t>(cells.data());
  const auto to = reinterpret_cast<std::uintptr_t>(out.data());
  const auto from_end = from + static_cast<std::uintptr_t>(cells.nbytes());
  const auto to_end = to + static_cast<std::uintptr_t>(out.nbytes());
  const bool same = from == to && from_end == to_end;
  if (from < to_end && to < from_end && !same) {
    raise("the result array overlaps the cells");
  }
}

// Binds a function of cells that writes `Columns` entries a row.
template <typename T, std::size_t Columns, typename F>
auto cell_rows(F work) {
  return [work](const Words& cells, Array<T> out, unsigned threads) {
    result_rows(cells, out, Columns);
    result_apart(cells, out);
    const auto n = static_cast<std::uint64_t>(cells.shape(0));
    const std::uint64_t* from = cells.data();
    T* to = out.mutable_data();
    run([&] { return work(n, from, to, threads); });
  };
}

void nb101_valid(const Words& cells, Array<bool> out, unsigned threads) {
  result_rows(cells, out, 1);
  result_apart(cells, out);
  const auto n = static_cast<std::uint64_t>(cells.shape(0));
  const std::uint64_t* from = cells.data();
  auto* to = reinterpret_cast<std::uint8_t*>(out.mutable_data());
  run([&] { return nb101::valid(n, from, to, threads); });
}

template <typename T>
void nb101_paths(const Words& cells, Array<T> out, unsigned threads) {
  const std::uint64_t n = length(cells, "cells");
  if (out.ndim() != 2) {
    raise("out must have two axes");
  }
  same_rows(n, static_cast<std::uint64_t>(out.shape(0)));
  result_apart(cells, out);
  const auto columns = static_cast<std::size_t>(out.shape(1));
  const std::uint64_t* from = cells.data();
  T* to = out.mutable_data();
  run([&] { return nb101::path_one_hot(n, from, columns, to, threads); });
}

template <typename T>
void nb101_adjacency(const Words& cells, Array<T> out, unsigned threads) {
  result_rows(cells, out, nb101::kAdjacency);
  result_apart(cells, out);
  const auto n = static_cast<std::uint64_t>(cells.shape(0));
  const std::uint64_t* from = cells.data();
  T* to = out.mutable_data();
  run([&] { return nb101::adjacency_one_hot(n, from, to, threads); });
}

void nb101_path_numbers(const Words& cells, Array<std::int16_t> out, unsigned threads) {
  const std::uint64_t n = length(cells, "cells");
  if (out.ndim() != 2) {
    raise("out must have two axes");
  }
  same_rows(n, static_cast<std::uint64_t>(out.shape(0)));
  result_apart(cells, out);
  const auto most = static_cast<std::size_t>(out.shape(1));
  const std::uint64_t* from = cells.data();
  std::int16_t* to = out.mutable_data();
  run([&] { return nb101::path_categorical(n, from, most, to, threads); });
}

void nb101_decode(const Array<float>& values, Words out, unsigned threads) {
  const std::uint64_t n = rows(values, nb101::kContinuous, "rows");
  same_rows(n, length(out, "out"));
  const float* from = values.data();
  std::uint64_t* to = out.mutable_data();
  run([&] { return nb101::decode_continuous(n, from, to, threads); });
}

void nb101_sample(Words out, std::uint64_t seed, std::uint32_t stream, std::uint64_t start,
                  unsigned threads) {
  const std::uint64_t n = length(out, "out");
  std::uint64_t* to = out.mutable_data();
  run([&] { return nb101::sample({{seed, stream}, start, threads}, n, to); });
}

void nb101_mutate(const Words& cells, Words out, std::uint64_t seed, std::uint32_t stream,
                  std::uint64_t start, unsigned threads) {
  result_rows(cells, out, 1);
  result_apart(cells, out);
  const auto n = static_cast<std::uint64_t>(cells.shape(0));
  const std::uint64_t* from = cells.data();
  std::uint64_t* to = out.mutable_data();
  run([&] { return nb101::mutate({{seed, stream}, start, threads}, n, from, to); });
}

Words nb101_enumerate(unsigned vertices) {
  std::uint64_t total = 0;
  run([&] { return nb101::count(vertices, total); });
  Words out(static_cast<py::ssize_t>(total));
  std::uint64_t* to = out.mutable_data();
  run([&] { return nb101::enumerate(vertices, to); });
  return out;
}

// A KeyMap that several Python threads may use: one inserts, or any number find.
class SharedKeyMap {
 public:
  void reserve(std::uint64_t keys) {
    run([&] {
      const std::unique_lock lock(mutex_);
      return map_.reserve(keys);
    });
  }

  void insert(const Words& keys, Words numbers, Array<bool> fresh) {
    const std::uint64_t n = rows(keys, 2, "keys");
    same_rows(n, length(numbers, "numbers"));
    same_rows(n, length(fresh, "fresh"));
    result_apart(keys, numbers);
    result_apart(keys, fresh);
    const std::uint64_t* from = keys.data();
    std::uint64_t* to = numbers.mutable_data();
    auto* is_new = reinterpret_cast<std::uint8_t*>(fresh.mutable_data());
    run([&] {
      const std::unique_lock lock(mutex_);
      return map_.insert(n, from, to, is_new);
    });
  }

  void find(const Words& keys, Words numbers, unsigned threads) const {
    const std::uint64_t n = rows(keys, 2, "keys");
    same_rows(n, length(numbers, "numbers"));
    result_apart(keys, numbers);
    const std::uint64_t* from = keys.data();
    std::uint64_t* to = numbers.mutable_data();
    run([&] {
      const std::shared_lock lock(mutex_);
      return map_.find(n, from, to, threads);
    });
  }

  // Whoever holds the lock never waits for the GIL, so that these may wait for it with the GIL.
  std::uint64_t size() const {
    const std::shared_lock lock(mutex_);
    return map_.size();
  }

  std::uint64_t bytes() const {
    const std::shared_lock lock(mutex_);
    return map_.bytes();
  }

  py::bytes state() const {
    std::vector<std::uint8_t> bytes;
    run([&] {
      const std::shared_lock lock(mutex_);
      return save_state(map_, bytes);
    });
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void load(const py::bytes& state) {
    const std::string_view view = state;
    const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(view.data()),
                                              view.size());
    run([&] {
      const std::unique_lock lock(mutex_);
      return map_.size() == 0 ? load_state(bytes, map_)
                              : Status::fail(Code::limit, 0, "the map holds keys");
    });
  }

  Words keys() const {
    const std::shared_lock lock(mutex_);
    Words out({static_cast<py::ssize_t>(map_.size()), py::ssize_t{2}});
    if (map_.size() > 0) {
      std::memcpy(out.mutable_data(), map_.keys(), 2 * sizeof(std::uint64_t) * map_.size());
    }
    return out;
  }

 private:
  mutable std::shared_mutex mutex_;
  KeyMap map_;
};

void bind_key_map(py::module_& m) {
  using namespace py::literals;
  py::class_<SharedKeyMap>(m, "KeyMap")
      .def(py::init<>())
      .def("reserve", &SharedKeyMap::reserve, "keys"_a)
      .def("insert", &SharedKeyMap::insert, "keys"_a.noconvert(), "numbers"_a.noconvert(),
           "fresh"_a.noconvert())
      .def("find", &SharedKeyMap::find, "keys"_a.noconvert(), "numbers"_a.noconvert(), "threads"_a)
      .def("keys", &SharedKeyMap::keys)
      .def("state", &SharedKeyMap::state)
      .def("load", &SharedKeyMap::load, "state"_a)
      .def_property_readonly("size", &SharedKeyMap::size)
      .def_property_readonly("bytes", &SharedKeyMap::bytes);
}

}  // namespace

void bind_nb101(py::module_& m) {
  using namespace py::literals;
  using std::uint64_t, std::uint8_t;
  const auto cells = "cells"_a.noconvert();
  const auto out = "out"_a.noconvert();
  const auto threads = "threads"_a;
  m.def("nb101_valid", &nb101_valid, cells, out, threads);
  m.def("nb101_prune", cell_rows<uint64_t, 1>(&nb101::prune), cells, out, threads);
  m.def("nb101_canonical", cell_rows<uint64_t, 1>(&nb101::canonical), cells, out, threads);
  m.def("nb101_canonical_by_search", cell_rows<uint64_t, 1>(&nb101::canonical_by_search), cells,
        out, threads);
  m.def("nb101_keys", cell_rows<uint64_t, 2>(&nb101::keys), cells, out, threads);
  m.def("nb101_hashes", cell_rows<uint8_t, nb101::kDigestBytes>(&nb101::hashes), cells, out,
        threads);
  m.def("nb101_path_bits", cell_rows<uint64_t, nb101::kPathWords>(&nb101::path_bits), cells, out,
        threads);
  m.def("nb101_paths", &nb101_paths<float>, cells, out, threads);
  m.def("nb101_paths", &nb101_paths<uint8_t>, cells, out, threads);
  m.def("nb101_adjacency", &nb101_adjacency<float>, cells, out, threads);
  m.def("nb101_adjacency", &nb101_adjacency<uint8_t>, cells, out, threads);
  m.def("nb101_path_categorical", &nb101_path_numbers, cells, out, threads);
  m.def("nb101_adjacency_categorical",
        cell_rows<std::int16_t, nb101::kCategorical>(&nb101::adjacency_categorical), cells, out,
        threads);
  m.def("nb101_adjacency_continuous",
        cell_rows<float, nb101::kContinuous>(&nb101::adjacency_continuous), cells, out, threads);
  m.def("nb101_decode_continuous", &nb101_decode, "rows"_a.noconvert(), out, threads);
  m.def("nb101_sample", &nb101_sample, out, "seed"_a, "stream"_a, "start"_a, threads);
  m.def("nb101_mutate", &nb101_mutate, cells, out, "seed"_a, "stream"_a, "start"_a, threads);
  m.def("nb101_enumerate", &nb101_enumerate, "vertices"_a);
  m.def(
      "nb101_count",
      [](unsigned vertices) {
        uint64_t total = 0;
        run([&] { return nb101::count(vertices, total); });
        return total;
      },
      "vertices"_a);
  m.def("nb101_table_seconds", [] {
    double seconds = 0;
    run([&] { return nb101::table_seconds(seconds); });
    return seconds;
  });
  bind_key_map(m);
}

}  // namespace nasturtium::bind

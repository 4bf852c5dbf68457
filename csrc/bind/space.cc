#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common.hpp"
#include "nasturtium/canonical.hpp"
#include "nasturtium/encode.hpp"
#include "nasturtium/keys.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/rng.hpp"
#include "nasturtium/variation.hpp"
#include "program.hpp"
#include "quick.hpp"

namespace nasturtium::bind {
namespace {

Draws draws(std::uint64_t seed, std::uint32_t stream, std::uint64_t start, unsigned threads) {
  return {{seed, stream}, start, threads};
}

class Program : public Compiled {
 public:
  explicit Program(const std::string& text) {
    run([&] { return parse_space(text, space_); });
    one_hot_width_ = nasturtium::one_hot_width(space_);
  }

  std::size_t width() const { return space_.width(); }
  std::size_t one_hot_width() const { return one_hot_width_; }

  // Whether an object is an array of codes, uint8[n, d], that is taken as it is.
  py::bool_ takes(const py::object& object) const {
    Exact<Codes> codes;
    return py::bool_(codes.load(object.ptr()) && codes.value().ndim() == 2 &&
                     codes.value().shape(1) == static_cast<py::ssize_t>(width()));
  }

  void sample(Codes out, std::uint64_t seed, std::uint32_t stream, std::uint64_t start,
              unsigned threads) const {
    const std::uint64_t n = rows(out, width(), "out");
    std::uint8_t* to = out.mutable_data();
    run([&] { return nasturtium::sample(space_, draws(seed, stream, start, threads), n, to); },
        brief(n));
  }

  // With rates, each active decision of a row changes with the row's.
  void mutate(const Codes& codes, const std::optional<Array<double>>& rates, Codes out,
              std::uint64_t seed, std::uint32_t stream, std::uint64_t start,
              unsigned threads) const {
    const std::uint64_t n = rows(codes, width(), "codes");
    same_rows(n, rows(out, width(), "out"));
    same_rows(n, rates ? length(*rates, "rates") : n);
    const std::uint8_t* from = codes.data();
    const double* by = rates ? rates->data() : nullptr;
    std::uint8_t* to = out.mutable_data();
    apart(from, to, n * width());
    const Draws how = draws(seed, stream, start, threads);
    run(
        [&] {
          return by == nullptr ? nasturtium::mutate(space_, how, n, from, to)
                               : nasturtium::mutate_at_rate(space_, how, n, from, by, to);
        },
        brief(n));
  }

  void crossover(const Codes& a, const Codes& b, Codes out, const std::string& kind,
                 std::vector<std::vector<std::uint32_t>> groups, std::uint64_t seed,
                 std::uint32_t stream, std::uint64_t start, unsigned threads) const {
    const std::uint64_t n = rows(a, width(), "a");
    same_rows(n, rows(b, width(), "b"));
    same_rows(n, rows(out, width(), "out"));
    std::uint8_t* to = out.mutable_data();
    const std::uint8_t *from_a = a.data(), *from_b = b.data();
    apart(from_a, to, n * width());
    apart(from_b, to, n * width());
    const Crossing crossing = kind == "one_point" ? Crossing::one_point
                              : kind == "stages"  ? Crossing::stages
                                                  : Crossing::aligned;
    const CrossoverRule rule{crossing, std::move(groups)};
    const Draws how = draws(seed, stream, start, threads);
    run([&] {
      return kind == "uniform" ? nasturtium::crossover(space_, how, n, from_a, from_b, to)
                               : crossover_by(space_, rule, how, n, from_a, from_b, to);
    });
  }

  Codes neighbors(const Codes& code) const {
    const std::uint8_t* from = one(code);
    return collect(
        [&](std::vector<std::uint8_t>& out) { return nasturtium::neighbors(space_, from, out); });
  }

  Codes enumerate(std::uint64_t total) const {
    return collect(
        [&](std::vector<std::uint8_t>& out) { return nasturtium::enumerate(space_, total, out); });
  }

  // Codes, and the digits to go on from, or None.
  py::tuple enumerate_range(const std::optional<Codes>& from, const std::optional<Codes>& to,
                            std::uint64_t most) const {
    const std::uint8_t* begin = from ? one(*from) : nullptr;
    const std::uint8_t* end = to ? one(*to) : nullptr;
    std::vector<std::uint8_t> next;
    Codes found = collect([&](std::vector<std::uint8_t>& out) {
      return nasturtium::enumerate_range(space_, begin, end, most, out, next);
    });
    if (next.empty()) {
      return py::make_tuple(found, py::none());
    }
    return py::make_tuple(found, Codes(static_cast<py::ssize_t>(next.size()), next.data()));
  }

  void check(const Codes& code) const {
    const std::uint8_t* from = one(code);
    if (const Status s = nasturtium::check(space_, from); !s.ok()) {
      raise("no architecture of '" + space_.name + "': " + s.reason);
    }
  }

  void valid(const Codes& codes, Array<bool> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, width(), "codes");
    if (out.ndim() != 1) {
      raise("out must have one axis");
    }
    same_rows(n, static_cast<std::uint64_t>(out.shape(0)));
    const std::uint8_t* from = codes.data();
    auto* to = reinterpret_cast<std::uint8_t*>(out.mutable_data());
    run([&] { return valid_rows(space_, n, from, to, threads); });
  }

  void active(const Codes& codes, Array<bool> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, width(), "codes");
    same_rows(n, rows(out, width(), "out"));
    const std::uint8_t* from = codes.data();
    auto* to = reinterpret_cast<std::uint8_t*>(out.mutable_data());
    run([&] { return active_rows(space_, n, from, to, threads); });
  }

  void live(const Codes& codes, Array<bool> nodes, Array<bool> edges, unsigned threads) const {
    const std::uint64_t n = rows(codes, width(), "codes");
    same_rows(n, rows(nodes, space_.nodes.size(), "nodes"));
    same_rows(n, rows(edges, space_.edges.size(), "edges"));
    const std::uint8_t* from = codes.data();
    auto* to_nodes = reinterpret_cast<std::uint8_t*>(nodes.mutable_data());
    auto* to_edges = reinterpret_cast<std::uint8_t*>(edges.mutable_data());
    run([&] { return live_rows(space_, n, from, to_nodes, to_edges, threads); });
  }

  // Into `out`, or into a new array.
  Array<std::uint64_t> keys(const Codes& codes, const std::string& rule,
                            const std::optional<Array<std::uint64_t>>& out,
                            unsigned threads) const {
    const Convention convention = convention_of(rule);
    const std::uint64_t n = rows(codes, width(), "codes");
    Array<std::uint64_t> made = out ? *out : Array<std::uint64_t>({codes.shape(0), py::ssize_t{2}});
    same_rows(n, rows(made, 2, "out"));
    const std::uint8_t* from = codes.data();
    std::uint64_t* to = made.mutable_data();
    if (brief(n)) {
      require(few_keys(convention, n, from, to));
    } else {
      run([&] { return nasturtium::keys(space_, convention, n, from, to, threads); });
    }
    return made;
  }

  // The key of one code as text.
  py::str key(const Codes& code, const std::string& rule) const {
    const Convention convention = convention_of(rule);
    const std::uint8_t* from = one(code);
    std::uint64_t words[2];
    if (brief(1)) {
      require(few_keys(convention, 1, from, words));
    } else {
      run([&] { return nasturtium::keys(space_, convention, 1, from, words, 1); });
    }
    char text[32];
    for (std::size_t i = 0; i < sizeof text; ++i) {
      text[i] = "0123456789abcdef"[words[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    return {text, sizeof text};
  }

  template <typename T>
  void one_hot(const Codes& codes, Array<T> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, width(), "codes");
    same_rows(n, rows(out, one_hot_width_, "out"));
    const std::uint8_t* from = codes.data();
    T* to = out.mutable_data();
    run([&] { return nasturtium::one_hot(space_, n, from, to, threads); });
  }

  void categorical(const Codes& codes, Array<std::int16_t> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, width(), "codes");
    same_rows(n, rows(out, width(), "out"));
    const std::uint8_t* from = codes.data();
    std::int16_t* to = out.mutable_data();
    run([&] { return nasturtium::categorical(space_, n, from, to, threads); });
  }

 private:
  // Whether work on so many rows is over soon, also where the canonical form takes a search.
  bool brief(std::uint64_t n) const { return n <= 4 && width() <= 64 && space_.nodes.size() <= 16; }

  static Convention convention_of(const std::string& rule) {
    Convention convention;
    if (!find_convention(rule, convention)) {
      raise("unknown convention '" + rule + "'");
    }
    return convention;
  }

  // With the GIL, which keeps other threads from the maker. What failed is not used again.
  Status few_keys(Convention convention, std::uint64_t n, const std::uint8_t* from,
                  std::uint64_t* to) const {
    std::unique_ptr<KeyMaker>& kept = makers_[static_cast<std::size_t>(convention)];
    std::unique_ptr<KeyMaker> maker = std::move(kept);
    if (maker == nullptr) {
      maker = std::make_unique<KeyMaker>(space_, convention);
    }
    for (std::uint64_t row = 0; row < n; ++row) {
      if (Status s = maker->make(from + row * width(), to + 2 * row); !s.ok()) {
        s.where = row;
        return s;
      }
    }
    kept = std::move(maker);
    return {};
  }

  const std::uint8_t* one(const Codes& code) const {
    if (code.ndim() != 1 || code.shape(0) != static_cast<py::ssize_t>(width())) {
      raise("a code must have one axis of length " + std::to_string(width()));
    }
    return code.data();
  }

  template <typename F>
  Codes collect(F work) const {
    std::vector<std::uint8_t> found;
    run([&] { return work(found); });
    const auto n = static_cast<py::ssize_t>(found.size() / width());
    Codes out({n, static_cast<py::ssize_t>(width())});
    if (!found.empty()) {
      std::memcpy(out.mutable_data(), found.data(), found.size());
    }
    return out;
  }

  std::size_t one_hot_width_ = 0;
  mutable std::array<std::unique_ptr<KeyMaker>, kConventions> makers_;
};

void random_words(Array<std::uint64_t> out, std::uint64_t seed, std::uint32_t stream,
                  std::uint64_t counter) {
  std::uint64_t* to = out.mutable_data();
  const auto size = static_cast<std::size_t>(out.size());
  py::gil_scoped_release release;
  nasturtium::random_words({to, size}, {seed, stream}, counter);
}

// labels: uint64[n]; edges: uint64[m, 3] of source, destination, label.
py::tuple canonical_graph(const Array<std::uint64_t>& labels, const Array<std::uint64_t>& edges,
                          std::uint64_t budget) {
  if (labels.ndim() != 1 || labels.shape(0) > static_cast<py::ssize_t>(kMaxNodes)) {
    raise("labels must have one axis of at most 64 entries");
  }
  const auto n = static_cast<std::size_t>(labels.shape(0));
  const std::uint64_t count = rows(edges, 3, "edges");
  auto graph = std::make_unique<Digraph>();
  graph->clear(n);
  std::copy_n(labels.data(), n, graph->labels.begin());
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t* edge = edges.data() + 3 * i;
    if (edge[0] >= n || edge[1] >= n) {
      raise("an edge names a vertex that does not exist");
    }
    graph->add_edge(edge[0], edge[1], edge[2]);
  }
  Canonizer canonizer;
  std::vector<std::uint64_t> form;
  run([&] { return canonizer.run(*graph, form, budget); });
  Array<std::int64_t> order(static_cast<py::ssize_t>(n));
  std::copy_n(canonizer.order().begin(), n, order.mutable_data());
  Array<std::uint64_t> words(static_cast<py::ssize_t>(form.size()));
  std::copy(form.begin(), form.end(), words.mutable_data());
  return py::make_tuple(order, words, canonizer.visited());
}

void bind_program(py::module_& m) {
  using namespace py::literals;
  py::class_<Compiled>(m, "Compiled");
  py::class_<Program, Compiled> program(m, "Program");
  program.def(py::init<const std::string&>(), "text"_a)
      .def_property_readonly("decisions", &Program::width)
      .def_property_readonly("one_hot_width", &Program::one_hot_width)
      .def("takes", &Program::takes, "object"_a)
      .def("sample", &Program::sample, "out"_a.noconvert(), "seed"_a, "stream"_a, "start"_a,
           "threads"_a)
      .def("mutate", &Program::mutate, "codes"_a.noconvert(), "rates"_a.noconvert(),
           "out"_a.noconvert(), "seed"_a, "stream"_a, "start"_a, "threads"_a)
      .def("crossover", &Program::crossover, "a"_a.noconvert(), "b"_a.noconvert(),
           "out"_a.noconvert(), "kind"_a, "groups"_a, "seed"_a, "stream"_a, "start"_a, "threads"_a)
      .def("neighbors", &Program::neighbors, "code"_a.noconvert())
      .def("enumerate", &Program::enumerate, "total"_a)
      .def("enumerate_range", &Program::enumerate_range, "begin"_a.noconvert(), "end"_a.noconvert(),
           "most"_a)
      .def("check", &Program::check, "code"_a.noconvert())
      .def("valid", &Program::valid, "codes"_a.noconvert(), "out"_a.noconvert(), "threads"_a)
      .def("active", &Program::active, "codes"_a.noconvert(), "out"_a.noconvert(), "threads"_a)
      .def("live", &Program::live, "codes"_a.noconvert(), "nodes"_a.noconvert(),
           "edges"_a.noconvert(), "threads"_a)
      .def("keys", &Program::keys, "codes"_a.noconvert(), "rule"_a, "out"_a.noconvert(),
           "threads"_a)
      .def("key", &Program::key, "code"_a.noconvert(), "rule"_a)
      .def("one_hot", &Program::one_hot<float>, "codes"_a.noconvert(), "out"_a.noconvert(),
           "threads"_a)
      .def("one_hot", &Program::one_hot<std::uint8_t>, "codes"_a.noconvert(), "out"_a.noconvert(),
           "threads"_a)
      .def("categorical", &Program::categorical, "codes"_a.noconvert(), "out"_a.noconvert(),
           "threads"_a);
  quicken<&Program::takes>(program, "takes");
  quicken<&Program::sample>(program, "sample");
  quicken<&Program::mutate>(program, "mutate");
  quicken<&Program::keys>(program, "keys");
  quicken<&Program::key>(program, "key");
}

}  // namespace

void bind_space(py::module_& m) {
  using namespace py::literals;
  bind_program(m);
  m.def(
      "philox",
      [](PhiloxCounter counter, PhiloxKey key) {
        const PhiloxCounter v = nasturtium::philox(counter, key);
        return py::make_tuple(v[0], v[1], v[2], v[3]);
      },
      "counter"_a, "key"_a);
  m.def("random_words", &random_words, "out"_a.noconvert(), "seed"_a, "stream"_a, "counter"_a);
  m.def("canonical_graph", &canonical_graph, "labels"_a.noconvert(), "edges"_a.noconvert(),
        "budget"_a);
}

}  // namespace nasturtium::bind

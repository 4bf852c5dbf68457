#include <string>
#include <vector>

#include "common.hpp"
#include "nasturtium/encode.hpp"
#include "nasturtium/graph_arrays.hpp"
#include "nasturtium/labels.hpp"
#include "nasturtium/pack.hpp"
#include "nasturtium/paths.hpp"
#include "program.hpp"

namespace nasturtium::bind {
namespace {

using Words = Array<std::uint64_t>;

void one_hot_bits(const Compiled& program, const Codes& codes, Words out, unsigned threads) {
  const Space& space = program.space();
  const std::uint64_t n = rows(codes, space.width(), "codes");
  same_rows(n, rows(out, (one_hot_width(space) + 63) / 64, "out"));
  const std::uint8_t* from = codes.data();
  std::uint64_t* to = out.mutable_data();
  run([&] { return nasturtium::one_hot_bits(space, n, from, to, threads); });
}

void conditional_tree(const Compiled& program, const Codes& codes, float fill, Array<float> out,
                      unsigned threads) {
  const Space& space = program.space();
  const std::uint64_t n = rows(codes, space.width(), "codes");
  same_rows(n, rows(out, 2 * space.width(), "out"));
  const std::uint8_t* from = codes.data();
  float* to = out.mutable_data();
  run([&] { return nasturtium::conditional_tree(space, n, from, fill, to, threads); });
}

void decode_scores(const Compiled& program, const Array<float>& scores, Codes out,
                   unsigned threads) {
  const Space& space = program.space();
  const std::uint64_t n = rows(scores, one_hot_width(space), "scores");
  same_rows(n, rows(out, space.width(), "out"));
  const float* from = scores.data();
  std::uint8_t* to = out.mutable_data();
  run([&] { return nasturtium::decode_scores(space, n, from, to, threads); });
}

std::uint64_t packed_range(const Compiled& program) {
  std::uint64_t range = 0;
  require(nasturtium::packed_range(program.space(), range));
  return range;
}

void pack_codes(const Compiled& program, const Codes& codes, Words out, unsigned threads) {
  const Space& space = program.space();
  const std::uint64_t n = rows(codes, space.width(), "codes");
  same_rows(n, length(out, "out"));
  const std::uint8_t* from = codes.data();
  std::uint64_t* to = out.mutable_data();
  run([&] { return nasturtium::pack(space, n, from, to, threads); });
}

void unpack_codes(const Compiled& program, const Words& packed, Codes out, unsigned threads) {
  const Space& space = program.space();
  const std::uint64_t n = length(packed, "packed");
  same_rows(n, rows(out, space.width(), "out"));
  const std::uint64_t* from = packed.data();
  std::uint8_t* to = out.mutable_data();
  run([&] { return nasturtium::unpack(space, n, from, to, threads); });
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::weighted:
      return "weighted";
    case Kind::weightless:
      return "weightless";
    case Kind::identity:
      return "identity";
    case Kind::zero:
      return "zero";
    case Kind::concat:
      break;
  }
  return "concat";
}

// The labels of a space's nodes and edges: (text, kind), in the order of their numbers.
py::list labels_of(const Compiled& program) {
  Labels labels;
  require(labels.build(program.space()));
  py::list out;
  for (const Labels::Name& label : labels.all()) {
    out.append(py::make_tuple(label.text, name_of(label.kind)));
  }
  return out;
}

class Paths {
 public:
  Paths(const Compiled& program, bool zeros) : space_(program.space()) {
    run([&] { return encoder_.build(space_, zeros); });
  }

  std::size_t columns() const { return encoder_.columns(); }

  std::vector<std::string> sequence(std::size_t column) const {
    if (column >= encoder_.columns()) {
      raise("there are " + std::to_string(encoder_.columns()) + " columns, and no number " +
            std::to_string(column));
    }
    std::vector<std::string> texts;
    for (const std::uint32_t label : encoder_.sequence(column)) {
      texts.push_back(encoder_.labels().all()[label].text);
    }
    return texts;
  }

  void bits(const Codes& codes, Words out, unsigned threads) const {
    const std::uint64_t n = rows(codes, space_.width(), "codes");
    same_rows(n, rows(out, encoder_.words(), "out"));
    const std::uint8_t* from = codes.data();
    std::uint64_t* to = out.mutable_data();
    run([&] { return encoder_.bits(n, from, to, threads); });
  }

  template <typename T>
  void one_hot(const Codes& codes, Array<T> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, space_.width(), "codes");
    const std::size_t columns = second_axis(out);
    same_rows(n, static_cast<std::uint64_t>(out.shape(0)));
    const std::uint8_t* from = codes.data();
    T* to = out.mutable_data();
    run([&] { return encoder_.one_hot(n, from, columns, to, threads); });
  }

  void categorical(const Codes& codes, Array<std::int32_t> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, space_.width(), "codes");
    const std::size_t most = second_axis(out);
    same_rows(n, static_cast<std::uint64_t>(out.shape(0)));
    const std::uint8_t* from = codes.data();
    std::int32_t* to = out.mutable_data();
    run([&] { return encoder_.categorical(n, from, most, to, threads); });
  }

 private:
  template <typename T>
  static std::size_t second_axis(const Array<T>& out) {
    if (out.ndim() != 2) {
      raise("out must have two axes");
    }
    return static_cast<std::size_t>(out.shape(1));
  }

  const Space& space_;
  PathEncoder encoder_;
};

class Arrays {
 public:
  Arrays(const Compiled& program, bool operations, bool prune) : space_(program.space()) {
    run([&] { return arrays_.build(space_, operations, prune); });
  }

  std::size_t vertices() const { return arrays_.vertices(); }
  std::vector<std::uint32_t> parts() const { return arrays_.parts(); }

  template <typename T>
  void fill(const Codes& codes, Array<T> adjacency, Array<std::int16_t> node_labels,
            Array<std::int16_t> edge_labels, Array<bool> present, unsigned threads) const {
    const std::uint64_t n = rows(codes, space_.width(), "codes");
    cubes(n, adjacency, "adjacency");
    cubes(n, edge_labels, "edge_labels");
    same_rows(n, rows(node_labels, vertices(), "node_labels"));
    same_rows(n, rows(present, vertices(), "mask"));
    const GraphArrays::Out<T> out{adjacency.mutable_data(), node_labels.mutable_data(),
                                  edge_labels.mutable_data(),
                                  reinterpret_cast<std::uint8_t*>(present.mutable_data())};
    const std::uint8_t* from = codes.data();
    run([&] { return arrays_.fill(n, from, out, threads); });
  }

  void counts(const Codes& codes, Array<std::int32_t> out, unsigned threads) const {
    const std::uint64_t n = rows(codes, space_.width(), "codes");
    same_rows(n, rows(out, arrays_.labels().size(), "out"));
    const std::uint8_t* from = codes.data();
    std::int32_t* to = out.mutable_data();
    run([&] { return arrays_.counts(n, from, to, threads); });
  }

 private:
  template <typename T>
  void cubes(std::uint64_t n, const Array<T>& array, const char* name) const {
    const auto v = static_cast<py::ssize_t>(vertices());
    if (array.ndim() != 3 || array.shape(0) != static_cast<py::ssize_t>(n) || array.shape(1) != v ||
        array.shape(2) != v) {
      raise(std::string(name) + " must have " + std::to_string(n) + " times " + std::to_string(v) +
            " times " + std::to_string(v) + " entries");
    }
  }

  const Space& space_;
  GraphArrays arrays_;
};

}  // namespace

void bind_encodings(py::module_& m) {
  using namespace py::literals;
  m.def("one_hot_bits", &one_hot_bits, "program"_a, "codes"_a.noconvert(), "out"_a.noconvert(),
        "threads"_a);
  m.def("conditional_tree", &conditional_tree, "program"_a, "codes"_a.noconvert(), "fill"_a,
        "out"_a.noconvert(), "threads"_a);
  m.def("decode_scores", &decode_scores, "program"_a, "scores"_a.noconvert(), "out"_a.noconvert(),
        "threads"_a);
  m.def("packed_range", &packed_range, "program"_a);
  m.def("pack_codes", &pack_codes, "program"_a, "codes"_a.noconvert(), "out"_a.noconvert(),
        "threads"_a);
  m.def("unpack_codes", &unpack_codes, "program"_a, "packed"_a.noconvert(), "out"_a.noconvert(),
        "threads"_a);
  m.def("labels", &labels_of, "program"_a);
  py::class_<Paths>(m, "Paths")
      .def(py::init<const Compiled&, bool>(), "program"_a, "zeros"_a, py::keep_alive<1, 2>())
      .def_property_readonly("columns", &Paths::columns)
      .def("sequence", &Paths::sequence, "column"_a)
      .def("bits", &Paths::bits, "codes"_a.noconvert(), "out"_a.noconvert(), "threads"_a)
      .def("one_hot", &Paths::one_hot<float>, "codes"_a.noconvert(), "out"_a.noconvert(),
           "threads"_a)
      .def("one_hot", &Paths::one_hot<std::uint8_t>, "codes"_a.noconvert(), "out"_a.noconvert(),
           "threads"_a)
      .def("categorical", &Paths::categorical, "codes"_a.noconvert(), "out"_a.noconvert(),
           "threads"_a);
  py::class_<Arrays>(m, "GraphArrays")
      .def(py::init<const Compiled&, bool, bool>(), "program"_a, "operations"_a, "prune"_a,
           py::keep_alive<1, 2>())
      .def_property_readonly("vertices", &Arrays::vertices)
      .def("parts", &Arrays::parts)
      .def("fill", &Arrays::fill<float>, "codes"_a.noconvert(), "adjacency"_a.noconvert(),
           "node_labels"_a.noconvert(), "edge_labels"_a.noconvert(), "present"_a.noconvert(),
           "threads"_a)
      .def("fill", &Arrays::fill<std::uint8_t>, "codes"_a.noconvert(), "adjacency"_a.noconvert(),
           "node_labels"_a.noconvert(), "edge_labels"_a.noconvert(), "present"_a.noconvert(),
           "threads"_a)
      .def("counts", &Arrays::counts, "codes"_a.noconvert(), "out"_a.noconvert(), "threads"_a);
}

}  // namespace nasturtium::bind

#include "c_api_guard.hpp"
#include "nasturtium/c_api.h"
#include "nasturtium/encode.hpp"
#include "nasturtium/graph_arrays.hpp"
#include "nasturtium/paths.hpp"

// Encoders read their space: each has a copy of its own.
struct nst_paths {
  nasturtium::Space space;
  nasturtium::PathEncoder value;
};

struct nst_arrays {
  nasturtium::Space space;
  nasturtium::GraphArrays value;
};

namespace nasturtium::c_api {
namespace {

// Makes an encoder of a space; build(handle) returns a status.
template <typename Handle, typename F>
nst_status make_encoder(const nst_space* space, std::initializer_list<std::uint32_t> flags,
                        Handle** out, nst_error* error, F build) noexcept {
  return make_handle(out, {}, error, [&](Handle& made) -> Outcome {
    if (space == nullptr) {
      return refused("the space is NULL");
    }
    for (const std::uint32_t flag : flags) {
      if (flag > 1) {
        return refused("a flag is neither 0 nor 1");
      }
    }
    made.space = space->space;
    return outcome(build(made));
  });
}

}  // namespace
}  // namespace nasturtium::c_api

namespace nst = nasturtium;
using nasturtium::c_api::Array;
using nasturtium::c_api::make_encoder;
using nasturtium::c_api::on_rows;
using nasturtium::c_api::product;

nst_status nst_space_one_hot_bits(const nst_space* space, uint64_t n, const uint8_t* codes,
                                  uint32_t threads, uint64_t* out, nst_error* error) noexcept {
  const Array to(out, product(n, (nst_space_one_hot_width(space) + 63) / 64));
  return on_rows(space, n, {codes}, {to}, error,
                 [&](const nst::Space& s) { return nst::one_hot_bits(s, n, codes, out, threads); });
}

nst_status nst_paths_create(const nst_space* space, uint32_t zeros, nst_paths** out,
                            nst_error* error) noexcept {
  return make_encoder(space, {zeros}, out, error,
                      [&](nst_paths& made) { return made.value.build(made.space, zeros == 1); });
}

void nst_paths_destroy(nst_paths* paths) noexcept { delete paths; }

uint64_t nst_paths_columns(const nst_paths* paths) noexcept {
  return paths == nullptr ? 0 : paths->value.columns();
}

nst_status nst_paths_bits(const nst_paths* paths, uint64_t n, const uint8_t* codes,
                          uint32_t threads, uint64_t* out, nst_error* error) noexcept {
  const Array to(out, product(n, (nst_paths_columns(paths) + 63) / 64));
  return on_rows(paths, n, {codes}, {to}, error,
                 [&](const nst::Space&) { return paths->value.bits(n, codes, out, threads); });
}

nst_status nst_paths_one_hot(const nst_paths* paths, uint64_t n, const uint8_t* codes,
                             uint64_t columns, uint32_t threads, float* out,
                             nst_error* error) noexcept {
  if (paths != nullptr && (columns == 0 || columns > paths->value.columns())) {
    return nst::c_api::tell(error, NST_ERROR_ARGUMENT, 0, "there are not so many columns");
  }
  return on_rows(
      paths, n, {codes}, {Array(out, product(n, columns))}, error, [&](const nst::Space&) {
        return paths->value.one_hot(n, codes, static_cast<std::size_t>(columns), out, threads);
      });
}

nst_status nst_arrays_create(const nst_space* space, uint32_t operations, uint32_t prune,
                             nst_arrays** out, nst_error* error) noexcept {
  return make_encoder(space, {operations, prune}, out, error, [&](nst_arrays& made) {
    return made.value.build(made.space, operations == 1, prune == 1);
  });
}

void nst_arrays_destroy(nst_arrays* arrays) noexcept { delete arrays; }

uint64_t nst_arrays_vertices(const nst_arrays* arrays) noexcept {
  return arrays == nullptr ? 0 : arrays->value.vertices();
}

uint64_t nst_arrays_labels(const nst_arrays* arrays) noexcept {
  return arrays == nullptr ? 0 : arrays->value.labels().size();
}

nst_status nst_arrays_fill(const nst_arrays* arrays, uint64_t n, const uint8_t* codes,
                           uint32_t threads, float* adjacency, int16_t* node_labels,
                           int16_t* edge_labels, uint8_t* present, nst_error* error) noexcept {
  const std::uint64_t vertices = product(n, nst_arrays_vertices(arrays));
  const std::uint64_t pairs = product(vertices, nst_arrays_vertices(arrays));
  return on_rows(arrays, n, {codes},
                 {Array(adjacency, pairs), Array(node_labels, vertices), Array(edge_labels, pairs),
                  Array(present, vertices)},
                 error, [&](const nst::Space&) {
                   const nst::GraphArrays::Out<float> out{adjacency, node_labels, edge_labels,
                                                          present};
                   return arrays->value.fill(n, codes, out, threads);
                 });
}

nst_status nst_arrays_counts(const nst_arrays* arrays, uint64_t n, const uint8_t* codes,
                             uint32_t threads, int32_t* out, nst_error* error) noexcept {
  return on_rows(arrays, n, {codes}, {Array(out, product(n, nst_arrays_labels(arrays)))}, error,
                 [&](const nst::Space&) { return arrays->value.counts(n, codes, out, threads); });
}

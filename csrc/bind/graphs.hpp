#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common.hpp"
#include "nasturtium/graph_batch.hpp"

// How batches of graphs that the core makes are handed to Python.
namespace nasturtium::bind {

template <typename To, typename From>
Array<To> column_of(const std::vector<From>& values) {
  Array<To> out(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

// The arrays of a `GraphBatch`: offsets, rows, labels, edge labels or None.
py::tuple tuple_of(const GraphStore& store);

}  // namespace nasturtium::bind

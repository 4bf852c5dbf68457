#pragma once
// What the binding files share: the tables of every instruction set, and addresses as pointers.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "aggregated/cpu.hpp"
#include "cell/cpu.hpp"
#include "depthwise/cpu.hpp"
#include "mix/cpu.hpp"
#include "mixed_op/cpu.hpp"
#include "parts/cpu.hpp"
#include "separable/cpu.hpp"

namespace py = pybind11;

namespace nasturtium::kernels {

#define NASTURTIUM_TABLES(isa)                           \
  namespace isa {                                        \
  extern const DepthwiseTable depthwise, depthwise_last; \
  extern const MixedTable mixed_op;                      \
  extern const MixTable normalize_and_mix;               \
  extern const BankTable separable_bank;                 \
  extern const CellTable searched_cell;                  \
  extern const PartsTable channel_parts;                 \
  extern const AggregateTable aggregated_kernel;         \
  }
#ifdef NASTURTIUM_X86
NASTURTIUM_TABLES(v2)
NASTURTIUM_TABLES(v3)
NASTURTIUM_TABLES(v4)
#else
NASTURTIUM_TABLES(generic)
#endif
#undef NASTURTIUM_TABLES

struct Isa {
  std::string name;
  const DepthwiseTable *depthwise, *depthwise_last;
  const MixedTable* mixed;
  const MixTable* mix;
  const BankTable* bank;
  const CellTable* cell;
  const PartsTable* parts;
  const AggregateTable* aggregate;
};

// What this processor can run, the best last.
inline const std::vector<Isa>& available() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> list;
#ifdef NASTURTIUM_X86
    __builtin_cpu_init();
    list.push_back({"x86-64-v2", &v2::depthwise, &v2::depthwise_last, &v2::mixed_op,
                    &v2::normalize_and_mix, &v2::separable_bank, &v2::searched_cell,
                    &v2::channel_parts, &v2::aggregated_kernel});
    if (__builtin_cpu_supports("x86-64-v3"))
      list.push_back({"x86-64-v3", &v3::depthwise, &v3::depthwise_last, &v3::mixed_op,
                      &v3::normalize_and_mix, &v3::separable_bank, &v3::searched_cell,
                      &v3::channel_parts, &v3::aggregated_kernel});
    if (__builtin_cpu_supports("x86-64-v4"))
      list.push_back({"x86-64-v4", &v4::depthwise, &v4::depthwise_last, &v4::mixed_op,
                      &v4::normalize_and_mix, &v4::separable_bank, &v4::searched_cell,
                      &v4::channel_parts, &v4::aggregated_kernel});
#else
    list.push_back({"generic", &generic::depthwise, &generic::depthwise_last, &generic::mixed_op,
                    &generic::normalize_and_mix, &generic::separable_bank, &generic::searched_cell,
                    &generic::channel_parts, &generic::aggregated_kernel});
#endif
    return list;
  }();
  return isas;
}

inline const Isa& find(const std::string& name) {
  if (name.empty()) return available().back();
  for (const Isa& isa : available())
    if (isa.name == name) return isa;
  throw py::value_error("this processor has no instruction set '" + name + "'");
}

template <class T>
T* pointer(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

using Addresses = std::vector<std::uintptr_t>;

template <class T>
std::vector<T*> pointers(const Addresses& addresses) {
  std::vector<T*> found;
  for (const std::uintptr_t address : addresses) found.push_back(pointer<T>(address));
  return found;
}

// The operators of mixed edges (bind_mixed.cc), of whole cells (bind_cell.cc), and sums of kernels
// (bind_aggregated.cc).
void define_mixed(py::module_& module);
void define_cell(py::module_& module);
void define_aggregated(py::module_& module);

}  // namespace nasturtium::kernels

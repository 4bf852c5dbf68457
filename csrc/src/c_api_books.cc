#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "c_api_guard.hpp"
#include "nasturtium/book_state.hpp"
#include "nasturtium/c_api.h"

// Part of the binary interface.
static_assert(sizeof(nst_tree_rule) == 56 && alignof(nst_tree_rule) == 8);
static_assert(std::is_standard_layout_v<nst_tree_rule>);

struct nst_map {
  nasturtium::KeyMap value;
};

struct nst_population {
  nasturtium::AgeingQueue value{1};
};

struct nst_tree {
  nasturtium::Tree value;
};

namespace nasturtium::c_api {
namespace {

template <typename Handle>
nst_status save_handle(const Handle* handle, std::uint8_t* out, std::size_t capacity,
                       std::size_t* size, nst_error* error) noexcept {
  return write_state(handle, {}, out, capacity, size, error,
                     [&](std::vector<std::uint8_t>& to) { return save_state(handle->value, to); });
}

template <typename Handle>
nst_status load_handle(const std::uint8_t* bytes, std::size_t size, Handle** out,
                       nst_error* error) noexcept {
  return make_handle(out, {Array(bytes, size)}, error, [&](Handle& made) {
    return outcome(load_state(std::span(bytes, size), made.value));
  });
}

// Runs work on a handle's value, where the handle and the arrays are sound.
template <typename Handle, typename F>
nst_status with(Handle* handle, nst_error* error, std::initializer_list<Array> in,
                std::initializer_list<Array> out, F work) noexcept {
  return guarded(error, [&]() -> Outcome {
    if (handle == nullptr) {
      return refused("the handle is NULL");
    }
    if (const char* why = mistake(in, out)) {
      return refused(why);
    }
    return work(handle->value);
  });
}

}  // namespace
}  // namespace nasturtium::c_api

namespace nst = nasturtium;
using nasturtium::c_api::Array;
using nasturtium::c_api::make_handle;
using nasturtium::c_api::Outcome;
using nasturtium::c_api::outcome;
using nasturtium::c_api::product;
using nasturtium::c_api::refused;
using nasturtium::c_api::with;

nst_status nst_map_create(nst_map** out, nst_error* error) noexcept {
  return make_handle(out, {}, error, [](nst_map&) { return Outcome{}; });
}

void nst_map_destroy(nst_map* map) noexcept { delete map; }

std::uint64_t nst_map_size(const nst_map* map) noexcept {
  return map == nullptr ? 0 : map->value.size();
}

nst_status nst_map_insert(nst_map* map, uint64_t n, const uint64_t* keys, uint64_t* numbers,
                          uint8_t* fresh, nst_error* error) noexcept {
  return with(map, error, {Array(keys, product(n, 2))}, {Array(numbers, n), Array(fresh, n)},
              [&](nst::KeyMap& m) { return outcome(m.insert(n, keys, numbers, fresh)); });
}

nst_status nst_map_find(const nst_map* map, uint64_t n, const uint64_t* keys, uint32_t threads,
                        uint64_t* numbers, nst_error* error) noexcept {
  return with(map, error, {Array(keys, product(n, 2))}, {Array(numbers, n)},
              [&](const nst::KeyMap& m) { return outcome(m.find(n, keys, numbers, threads)); });
}

nst_status nst_map_save(const nst_map* map, uint8_t* out, size_t capacity, size_t* size,
                        nst_error* error) noexcept {
  return nst::c_api::save_handle(map, out, capacity, size, error);
}

nst_status nst_map_load(const uint8_t* bytes, size_t size, nst_map** out,
                        nst_error* error) noexcept {
  return nst::c_api::load_handle(bytes, size, out, error);
}

nst_status nst_population_create(uint64_t most, nst_population** out, nst_error* error) noexcept {
  return make_handle(out, {}, error, [&](nst_population& made) -> Outcome {
    if (most == 0) {
      return refused("a population holds at least one individual");
    }
    made.value = nst::AgeingQueue(most);
    return {};
  });
}

void nst_population_destroy(nst_population* population) noexcept { delete population; }

std::uint64_t nst_population_size(const nst_population* population) noexcept {
  return population == nullptr ? 0 : population->value.size();
}

nst_status nst_population_born(nst_population* population, uint64_t individual, uint64_t* died,
                               uint8_t* gone, nst_error* error) noexcept {
  return with(population, error, {}, {Array(died, 1), Array(gone, 1)},
              [&](nst::AgeingQueue& queue) -> Outcome {
                *died = 0;
                *gone = queue.born(individual, *died) ? 1 : 0;
                return {};
              });
}

nst_status nst_population_members(const nst_population* population, uint64_t* out,
                                  uint64_t capacity, uint64_t* length, nst_error* error) noexcept {
  return with(population, error, {}, {Array(out, capacity), Array(length, 1)},
              [&](const nst::AgeingQueue& queue) {
                std::vector<std::uint64_t> members(queue.size());
                for (std::uint64_t i = 0; i < queue.size(); ++i) {
                  members[i] = queue[i];
                }
                return nst::c_api::write_all(std::span<const std::uint64_t>(members), out, capacity,
                                             length);
              });
}

nst_status nst_population_save(const nst_population* population, uint8_t* out, size_t capacity,
                               size_t* size, nst_error* error) noexcept {
  return nst::c_api::save_handle(population, out, capacity, size, error);
}

nst_status nst_population_load(const uint8_t* bytes, size_t size, nst_population** out,
                               nst_error* error) noexcept {
  return nst::c_api::load_handle(bytes, size, out, error);
}

nst_status nst_tree_create(const uint32_t* branching, size_t depth, const nst_tree_rule* rule,
                           uint64_t seed, uint32_t stream, nst_tree** out,
                           nst_error* error) noexcept {
  const std::initializer_list<Array> in = {Array(branching, depth), Array(rule, 1)};
  return make_handle(out, in, error, [&](nst_tree& made) -> Outcome {
    if (rule->puct > 1 || rule->reserved != 0) {
      return refused("puct is 0 or 1, and what is reserved is 0");
    }
    nst::TreeRule own;
    own.formula = rule->puct == 1 ? nst::TreeRule::Formula::puct : nst::TreeRule::Formula::uct;
    own.c = rule->c;
    own.first_play = rule->first_play;
    own.pending = rule->pending;
    own.widen_factor = rule->widen_factor;
    own.widen_exponent = rule->widen_exponent;
    own.max_slots = rule->max_nodes == 0 ? own.max_slots : rule->max_nodes;
    return outcome(made.value.open(std::span(branching, depth), own, {seed, stream}));
  });
}

void nst_tree_destroy(nst_tree* tree) noexcept { delete tree; }

std::uint64_t nst_tree_visits(const nst_tree* tree) noexcept {
  return tree == nullptr ? 0 : tree->value.visits();
}

nst_status nst_tree_run(nst_tree* tree, const double* values, uint64_t n, uint64_t simulations,
                        nst_error* error) noexcept {
  return with(tree, error, {Array(values, n)}, {}, [&](nst::Tree& t) {
    const auto size = static_cast<std::size_t>(n);
    return outcome(t.run(std::span(values, size), simulations, nullptr));
  });
}

nst_status nst_tree_select(nst_tree* tree, uint64_t n, uint8_t* codes, uint32_t* lengths,
                           uint64_t* tickets, nst_error* error) noexcept {
  const std::uint64_t depth = tree == nullptr ? 0 : tree->value.branching().size();
  return with(tree, error, {},
              {Array(codes, product(n, depth)), Array(lengths, n), Array(tickets, n)},
              [&](nst::Tree& t) { return outcome(t.select(n, codes, lengths, tickets)); });
}

nst_status nst_tree_backup(nst_tree* tree, uint64_t n, const uint64_t* tickets,
                           const double* values, nst_error* error) noexcept {
  return with(tree, error, {Array(tickets, n), Array(values, n)}, {},
              [&](nst::Tree& t) { return outcome(t.backup(n, tickets, values)); });
}

nst_status nst_tree_forget(nst_tree* tree, uint64_t n, const uint64_t* tickets,
                           nst_error* error) noexcept {
  return with(tree, error, {Array(tickets, n)}, {},
              [&](nst::Tree& t) { return outcome(t.forget(n, tickets)); });
}

nst_status nst_tree_children(const nst_tree* tree, const uint8_t* path, size_t length,
                             uint64_t* visits, double* sums, nst_error* error) noexcept {
  const bool inside = tree != nullptr && length < tree->value.branching().size();
  const std::uint64_t options = inside ? tree->value.branching()[length] : 0;
  return with(tree, error, {Array(path, length)}, {Array(visits, options), Array(sums, options)},
              [&](const nst::Tree& t) {
                return outcome(t.children(std::span(path, length), visits, sums));
              });
}

nst_status nst_tree_best_path(const nst_tree* tree, uint8_t* out, uint64_t capacity,
                              uint64_t* length, nst_error* error) noexcept {
  return with(tree, error, {}, {Array(out, capacity), Array(length, 1)}, [&](const nst::Tree& t) {
    std::vector<std::uint8_t> path;
    t.best_path(path);
    return nst::c_api::write_all(std::span<const std::uint8_t>(path), out, capacity, length);
  });
}

nst_status nst_tree_save(const nst_tree* tree, uint8_t* out, size_t capacity, size_t* size,
                         nst_error* error) noexcept {
  return nst::c_api::save_handle(tree, out, capacity, size, error);
}

nst_status nst_tree_load(const uint8_t* bytes, size_t size, nst_tree** out,
                         nst_error* error) noexcept {
  return nst::c_api::load_handle(bytes, size, out, error);
}

// Lets every allocation of every C function fail, one after the other: each must give
// NST_ERROR_MEMORY (or succeed by other means), keep nothing, and leave the process alive.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "alloc.hpp"
#include "nasturtium/c_api.h"

namespace {

nst_error* g_error = nullptr;
std::uint64_t g_failures = 0;

// Runs `call`, which gives back what it takes, with its k-th allocation failing, alone and with all
// behind it. Beyond the first hundred, k grows by a quarter.
template <typename F>
bool exhaust(const char* what, F call) {
  for (const bool all : {false, true}) {
    for (std::uint64_t k = 1;; k += 1 + (k > 100 ? k / 4 : 0)) {
      const std::uint64_t before = alloc::live;
      alloc::arm(k, all);
      const nst_status status = call();
      const bool fired = alloc::disarm();
      const bool told = status != NST_ERROR_MEMORY ||
                        std::strcmp(nst_error_message(g_error), "out of memory") == 0;
      const bool expected = status == NST_OK || (fired && status == NST_ERROR_MEMORY);
      if (!told || !expected || alloc::live != before) {
        std::fprintf(stderr, "%s, allocation %llu: %s, %s, %lld bytes kept\n", what,
                     static_cast<unsigned long long>(k), nst_status_name(status),
                     nst_error_message(g_error), static_cast<long long>(alloc::live - before));
        return false;
      }
      g_failures += status == NST_ERROR_MEMORY;
      if (!fired) {
        break;
      }
    }
  }
  return true;
}

bool moves(const nst_space* space, std::uint64_t n, std::uint32_t threads) {
  const std::size_t width = nst_space_width(space);
  const nst_draws draws = {1, 0, 0, threads};
  std::vector<std::uint8_t> a(n * width), b(n * width), c(n * width), flags(n);
  std::vector<float> hot(n * nst_space_one_hot_width(space));
  std::vector<std::int16_t> numbers(n * width);
  return nst_space_sample(space, &draws, n, a.data(), g_error) == NST_OK &&
         nst_space_mutate(space, &draws, n, a.data(), b.data(), g_error) == NST_OK &&
         exhaust("sample", [&] { return nst_space_sample(space, &draws, n, c.data(), g_error); }) &&
         exhaust("mutate",
                 [&] { return nst_space_mutate(space, &draws, n, a.data(), c.data(), g_error); }) &&
         exhaust("crossover",
                 [&] {
                   return nst_space_crossover(space, &draws, n, a.data(), b.data(), c.data(),
                                              g_error);
                 }) &&
         exhaust(
             "valid",
             [&] { return nst_space_valid(space, n, a.data(), threads, flags.data(), g_error); }) &&
         exhaust(
             "one_hot",
             [&] { return nst_space_one_hot(space, n, a.data(), threads, hot.data(), g_error); }) &&
         exhaust("categorical", [&] {
           return nst_space_categorical(space, n, a.data(), threads, numbers.data(), g_error);
         });
}

bool keys(const nst_space* space, std::uint64_t n, std::uint32_t threads) {
  const nst_draws draws = {2, 0, 0, 1};
  std::vector<std::uint8_t> codes(n * nst_space_width(space));
  std::vector<std::uint64_t> out(2 * n);
  if (nst_space_sample(space, &draws, n, codes.data(), g_error) != NST_OK) {
    return false;
  }
  for (const char* rule : {"genotype", "pruned", "graph", "function", "string"}) {
    const auto call = [&] {
      return nst_space_keys(space, rule, n, codes.data(), threads, out.data(), g_error);
    };
    // A space without a graph has no strings.
    if (call() == NST_OK && !exhaust(rule, call)) {
      return false;
    }
  }
  return true;
}

bool states(const nst_space* space, const std::string& text) {
  const std::size_t width = nst_space_width(space);
  const nst_draws draws = {3, 0, 0, 1};
  std::vector<std::uint8_t> codes(5 * width), back(5 * width);
  std::size_t size = 0;
  std::uint64_t rows = 0;
  if (nst_space_sample(space, &draws, 5, codes.data(), g_error) != NST_OK ||
      nst_codes_save(space, 5, codes.data(), nullptr, 0, &size, g_error) != NST_OK ||
      nst_space_neighbors(space, codes.data(), nullptr, 0, &rows, g_error) != NST_OK) {
    return false;
  }
  std::vector<std::uint8_t> batch(size), around(rows * width);
  const auto save_codes = [&] {
    return nst_codes_save(space, 5, codes.data(), batch.data(), batch.size(), &size, g_error);
  };
  std::vector<std::uint8_t> whole(text.size() + 40);
  const auto save = [&] {
    return nst_space_save(space, whole.data(), whole.size(), &size, g_error);
  };
  if (save_codes() != NST_OK || save() != NST_OK) {
    return false;
  }
  return exhaust("neighbors",
                 [&] {
                   return nst_space_neighbors(space, codes.data(), around.data(),
                                              around.size() / width, &rows, g_error);
                 }) &&
         exhaust("check", [&] { return nst_space_check(space, codes.data(), g_error); }) &&
         exhaust("save codes", save_codes) &&
         exhaust("load codes",
                 [&] {
                   return nst_codes_load(space, batch.data(), batch.size(), back.data(), 5, &rows,
                                         g_error);
                 }) &&
         exhaust("save", save) &&
         exhaust("load",
                 [&] {
                   nst_space* made = nullptr;
                   const nst_status s = nst_space_load(whole.data(), whole.size(), &made, g_error);
                   nst_space_destroy(made);
                   return s;
                 }) &&
         exhaust("create", [&] {
           nst_space* made = nullptr;
           const nst_status s = nst_space_create(text.data(), text.size(), &made, g_error);
           nst_space_destroy(made);
           return s;
         });
}

// Each book of a search, from its making to its state and back.
bool books() {
  const std::uint64_t keys[] = {1, 2, 3, 4, 1, 2};
  std::uint64_t numbers[3], died = 0, length = 0, tickets[2], visits[2];
  std::uint8_t fresh[3], gone = 0, codes[6], path[3];
  std::uint32_t lengths[2];
  double sums[2];
  const std::uint32_t branching[] = {2, 2, 2};
  const double values[] = {0, 1, 2, 3, 4, 5, 6, 7};
  const nst_tree_rule rule = {1, 0, 0, 0, 0.5, 0, 1, 0};
  std::vector<std::uint8_t> state(4096);
  std::size_t size = 0;
  const auto map = [&] {
    nst_map *made = nullptr, *again = nullptr;
    nst_status s = nst_map_create(&made, g_error);
    s = s != NST_OK ? s : nst_map_insert(made, 3, keys, numbers, fresh, g_error);
    s = s != NST_OK ? s : nst_map_find(made, 3, keys, 1, numbers, g_error);
    s = s != NST_OK ? s : nst_map_save(made, state.data(), state.size(), &size, g_error);
    s = s != NST_OK ? s : nst_map_load(state.data(), size, &again, g_error);
    nst_map_destroy(made);
    nst_map_destroy(again);
    return s;
  };
  const auto population = [&] {
    nst_population *made = nullptr, *again = nullptr;
    nst_status s = nst_population_create(2, &made, g_error);
    for (std::uint64_t i = 0; i < 4; ++i) {
      s = s != NST_OK ? s : nst_population_born(made, i, &died, &gone, g_error);
    }
    s = s != NST_OK ? s : nst_population_members(made, numbers, 3, &length, g_error);
    s = s != NST_OK ? s : nst_population_save(made, state.data(), state.size(), &size, g_error);
    s = s != NST_OK ? s : nst_population_load(state.data(), size, &again, g_error);
    nst_population_destroy(made);
    nst_population_destroy(again);
    return s;
  };
  const auto tree = [&] {
    nst_tree *made = nullptr, *again = nullptr;
    nst_status s = nst_tree_create(branching, 3, &rule, 1, 2, &made, g_error);
    s = s != NST_OK ? s : nst_tree_run(made, values, 8, 20, g_error);
    s = s != NST_OK ? s : nst_tree_select(made, 2, codes, lengths, tickets, g_error);
    s = s != NST_OK ? s : nst_tree_backup(made, 1, tickets, values, g_error);
    s = s != NST_OK ? s : nst_tree_children(made, nullptr, 0, visits, sums, g_error);
    s = s != NST_OK ? s : nst_tree_best_path(made, path, 3, &length, g_error);
    s = s != NST_OK ? s : nst_tree_save(made, state.data(), state.size(), &size, g_error);
    s = s != NST_OK ? s : nst_tree_load(state.data(), size, &again, g_error);
    s = s != NST_OK ? s : nst_tree_forget(again, 1, tickets + 1, g_error);
    nst_tree_destroy(made);
    nst_tree_destroy(again);
    return s;
  };
  // What is made once and stays is made before memory runs out.
  return map() == NST_OK && population() == NST_OK && tree() == NST_OK && exhaust("map", map) &&
         exhaust("population", population) && exhaust("tree", tree);
}

// Graphs, and the encoders of a space.
bool encoders(const nst_space* space) {
  const nst_draws draws = {4, 0, 0, 1};
  std::vector<std::uint8_t> codes(3 * nst_space_width(space)), present(3 * 4096);
  std::vector<std::uint64_t> words(1 << 16);
  std::vector<float> numbers(3 << 18);
  std::vector<std::int16_t> nodes(3 * 4096), edges(3 << 18);
  std::vector<std::int32_t> counts(1 << 16);
  if (nst_space_sample(space, &draws, 3, codes.data(), g_error) != NST_OK) {
    return false;
  }
  const auto bits = [&] {
    return nst_space_one_hot_bits(space, 3, codes.data(), 1, words.data(), g_error);
  };
  const auto paths = [&] {
    nst_paths* made = nullptr;
    nst_status s = nst_paths_create(space, 1, &made, g_error);
    s = s != NST_OK ? s : nst_paths_bits(made, 3, codes.data(), 1, words.data(), g_error);
    s = s != NST_OK ? s : nst_paths_one_hot(made, 3, codes.data(), 1, 1, numbers.data(), g_error);
    nst_paths_destroy(made);
    return s;
  };
  const auto arrays = [&] {
    nst_arrays* made = nullptr;
    nst_status s = nst_arrays_create(space, 1, 1, &made, g_error);
    s = s != NST_OK ? s
                    : nst_arrays_fill(made, 3, codes.data(), 1, numbers.data(), nodes.data(),
                                      edges.data(), present.data(), g_error);
    s = s != NST_OK ? s : nst_arrays_counts(made, 3, codes.data(), 1, counts.data(), g_error);
    nst_arrays_destroy(made);
    return s;
  };
  // A space without a graph has neither.
  return exhaust("one_hot_bits", bits) && (paths() != NST_OK || exhaust("paths", paths)) &&
         (arrays() != NST_OK || exhaust("arrays", arrays));
}

bool graphs() {
  const nst_graph_sizes sizes = {2, 7, 1, 6};
  const std::int64_t offsets[] = {0, 4, 7}, sources[] = {0, 0}, sinks[] = {-1, -1};
  const std::uint64_t rows[] = {6, 8, 8, 0, 2, 4, 0}, labels[] = {1, 2, 2, 3, 1, 2, 3};
  const std::uint64_t marks[] = {1, 1, 1, 1, 0, 0};
  std::int64_t order[7];
  std::uint64_t keys[4];
  const auto batch = [&] {
    nst_graphs *made = nullptr, *pruned = nullptr;
    nst_graph_sizes found;
    nst_status s = nst_graphs_create(&sizes, offsets, rows, labels, marks, &made, g_error);
    s = s != NST_OK ? s : nst_graphs_keys(made, 1, 0, 1, keys, g_error);
    s = s != NST_OK ? s : nst_graphs_orders(made, 1, 0, 1, order, g_error);
    s = s != NST_OK ? s : nst_graphs_prune(made, sources, sinks, 1, &pruned, g_error);
    s = s != NST_OK ? s : nst_graphs_sizes(pruned, &found, g_error);
    nst_graphs_destroy(made);
    nst_graphs_destroy(pruned);
    return s;
  };
  return batch() == NST_OK && exhaust("graphs", batch);
}

// With `large`, batches that are spread over threads too.
bool run(const char* path, bool large) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  nst_space* space = nullptr;
  if (nst_space_create(text.data(), text.size(), &space, g_error) != NST_OK) {
    return false;
  }
  const bool good = moves(space, 5, 1) && keys(space, 2, 1) && states(space, text) &&
                    encoders(space) && (!large || (moves(space, 33000, 3) && keys(space, 520, 3)));
  nst_space_destroy(space);
  return good;
}

}  // namespace

int main(int count, char** paths) {
  alloc::arm(1, true);
  const nst_status none = nst_error_create(&g_error);
  if (!alloc::disarm() || none != NST_ERROR_MEMORY || g_error != nullptr ||
      nst_error_create(&g_error) != NST_OK) {
    return 1;
  }
  if (!books() || !graphs()) {
    std::fprintf(stderr, "books and graphs: %s\n", nst_error_message(g_error));
    return 1;
  }
  for (int i = 1; i < count; ++i) {
    if (!run(paths[i], i == 1)) {
      std::fprintf(stderr, "on %s: %s\n", paths[i], nst_error_message(g_error));
      return 1;
    }
  }
  nst_error_destroy(g_error);
  std::printf("%d texts, %llu failures told\n", count - 1,
              static_cast<unsigned long long>(g_failures));
  return g_failures > 0 ? 0 : 1;
}

// Runs the batches of graphs without Python, under the sanitizers: every operation on wired,
// mutated and damaged batches; classes of families; hierarchies.
#include <cstdio>
#include <numeric>
#include <vector>

#include "nasturtium/dag_classes.hpp"
#include "nasturtium/edit_distance.hpp"
#include "nasturtium/graph_batch.hpp"
#include "nasturtium/graph_moves.hpp"
#include "nasturtium/hierarchy.hpp"
#include "nasturtium/random_graphs.hpp"
#include "nasturtium/rng.hpp"
#include "require.hpp"

namespace nst = nasturtium;

namespace {

// A batch with its memory; exactly as long as it says, so that the sanitizer sees the end.
struct Held {
  std::vector<std::int64_t> offsets;
  std::vector<std::uint64_t> rows, labels, edge_labels;
  std::uint64_t words = 1;

  explicit Held(const nst::GraphStore& store)
      : offsets(store.offsets()),
        rows(store.vertices() * store.words()),
        labels(store.labels()),
        edge_labels(store.edge_labels()),
        words(store.words()) {
    store.write_rows(words, rows.data());
  }

  nst::GraphBatch view() const {
    const bool marked = !edge_labels.empty();
    return {offsets.size() - 1,
            words,
            offsets.data(),
            labels.size(),
            rows.data(),
            labels.data(),
            marked ? edge_labels.data() : nullptr,
            edge_labels.size()};
  }
};

bool refused(const nst::Status& s) {
  return s.ok() || s.code == nst::Code::row || s.code == nst::Code::limit ||
         s.code == nst::Code::budget || s.code == nst::Code::exhausted;
}

nst::MoveOptions all_verbs() {
  nst::MoveOptions options;
  options.weights.fill(1);
  options.steps = {2, 1};
  options.labels = {5, 6, 7};
  options.most_vertices = 80;
  options.most_in = 6;
  options.units = {{5}, 4, 64};
  return options;
}

// Every operation; whatever the arrays hold, a status comes back.
bool all_operations(const Held& held, bool valid, std::uint64_t seed) {
  const nst::GraphBatch batch = held.view();
  const auto fine = [valid](const nst::Status& s) { return valid ? s.ok() : refused(s); };
  const nst::CanonicalOptions options{true, 3000, 2};
  std::vector<std::uint64_t> keys(2 * batch.size), again(2 * batch.size);
  std::vector<std::int64_t> order(batch.vertices), ends(batch.size, 0), last(batch.size, -1);
  std::vector<std::uint32_t> counts, factors;
  REQUIRE(fine(nst::check_graphs(batch, false, 2)));
  REQUIRE(refused(nst::check_graphs(batch, true, 2)));
  REQUIRE(fine(nst::canonical_keys(batch, options, keys.data())));
  const bool ordered = nst::canonical_orders(batch, options, order.data()).ok();
  REQUIRE(ordered || !valid);
  REQUIRE(fine(nst::automorphism_factors(batch, options, counts, factors)));
  nst::GraphStore forms, pruned, grown;
  if (ordered) {
    REQUIRE(nst::reorder(batch, order.data(), 2, forms).ok());
    const Held moved(forms);
    REQUIRE(nst::canonical_keys(moved.view(), options, again.data()).ok());
    REQUIRE(keys == again);
  }
  REQUIRE(refused(nst::prune_graphs(batch, ends.data(), last.data(), 2, pruned)));
  REQUIRE(fine(nst::mutate_graphs(batch, all_verbs(), {{seed, 0}, 0, 2}, grown)));
  std::vector<double> lower(batch.size), upper(batch.size);
  nst::EditOptions few;
  few.budget = 20;
  REQUIRE(fine(nst::edit_bounds(batch, batch, few, lower.data(), upper.data())));
  REQUIRE(refused(nst::edit_distances(batch, batch, few, upper.data())));
  return true;
}

bool wired(nst::Wiring wiring, std::uint32_t nodes, Held& held) {
  nst::WiringOptions options;
  options.wiring = wiring;
  options.nodes = nodes;
  nst::GraphStore store;
  REQUIRE(nst::random_graphs(options, {{7, nodes}, 3, 2}, 40, store).ok());
  held = Held(store);
  return all_operations(held, true, 1);
}

bool networks() {
  Held held{nst::GraphStore()};
  for (const std::uint32_t nodes : {5u, 20u, 62u, 63u, 90u}) {
    for (const nst::Wiring wiring :
         {nst::Wiring::erdos_renyi, nst::Wiring::watts_strogatz, nst::Wiring::barabasi_albert}) {
      REQUIRE(wired(wiring, nodes, held));
    }
  }
  REQUIRE(wired(nst::Wiring::barabasi_albert, 30, held));
  for (std::uint64_t step = 0; step < 40; ++step) {
    nst::GraphStore store;
    REQUIRE(nst::mutate_graphs(held.view(), all_verbs(), {{3, 0}, step, 2}, store).ok());
    held = Held(store);
  }
  return all_operations(held, true, 2);
}

// Arrays that are changed in one place.
bool damaged() {
  nst::WiringOptions options;
  options.nodes = 12;
  nst::GraphStore store, grown;
  REQUIRE(nst::random_graphs(options, {{7, 1}, 0, 1}, 6, store).ok());
  Held plain(store);
  plain.edge_labels.assign(store.edges(), 3);
  nst::RowRandom random({11, 0}, 0, nst::Purpose::stream);
  for (int i = 0; i < 3000; ++i) {
    Held held = plain;
    const std::uint64_t odd[] = {0, 1, random.below(100), ~std::uint64_t{0}, random.word()};
    const std::uint64_t value = odd[random.below(5)];
    switch (random.below(5)) {
      case 0:
        held.offsets[random.below(7)] = static_cast<std::int64_t>(value);
        break;
      case 1:
        held.rows[random.below(static_cast<std::uint32_t>(held.rows.size()))] ^= value;
        break;
      case 2:
        held.edge_labels.pop_back();
        break;
      case 3:
        held.labels[0] = value;
        break;
      default:
        held.words = random.below(2) ? 0 : 65;
    }
    REQUIRE(all_operations(held, false, 3));
  }
  return true;
}

bool classes() {
  for (const bool terminals : {false, true}) {
    nst::DagFamily family;
    family.least = family.most = 5;
    family.labels = family.edge_labels = terminals ? 2 : 1;
    family.most_edges = 6;
    family.terminals = terminals;
    nst::DagClasses made;
    REQUIRE(made.begin(family).ok());
    std::vector<std::uint64_t> counts(made.branches());
    REQUIRE(made.count(0, made.branches(), 3, counts.data()).ok());
    nst::GraphStore all, some;
    REQUIRE(made.list(0, made.branches(), 2, all).ok());
    const auto total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    REQUIRE(total == all.size() && total > 100);
    std::vector<std::uint64_t> numbers(50);
    REQUIRE(nst::draw_numbers({{1, 2}, 3, 2}, total, 50, numbers.data()).ok());
    REQUIRE(made.take(counts, 50, numbers.data(), 2, some).ok() && some.size() == 50);
    numbers[7] = total;
    const nst::Status none = made.take(counts, 50, numbers.data(), 2, some);
    REQUIRE(none.code == nst::Code::row && none.where == 7);
    counts.back() += 1;
    numbers.assign(1, total);
    REQUIRE(made.take(counts, 1, numbers.data(), 1, some).code == nst::Code::limit);
    REQUIRE(made.count(1, 0, 1, counts.data()).code == nst::Code::limit);
    family.most = 17;
    REQUIRE(made.begin(family).code == nst::Code::limit);
  }
  return nst::draw_numbers({{1, 2}, 3, 1}, 0, 0, nullptr).code == nst::Code::exhausted;
}

bool hierarchies() {
  const nst::Hierarchy hierarchy{3, 1, {{2, 3}, {3, 4}, {1, 3}}};
  const std::size_t width = nst::hierarchy_width(hierarchy);
  REQUIRE(width == 2 * 3 + 3 * 6 + 3);
  std::vector<std::uint8_t> codes(200 * width), made(200 * width);
  REQUIRE(nst::trivial_codes(hierarchy, 200, codes.data()).ok());
  REQUIRE(
      nst::relabel_codes(hierarchy, {{1, 0}, 0, 2}, 50, true, 200, codes.data(), made.data()).ok());
  nst::GraphStore flat;
  REQUIRE(nst::flatten_codes(hierarchy, 200, made.data(), 2, flat).ok() && flat.size() == 200);
  const Held held(flat);
  REQUIRE(nst::check_graphs(held.view(), false, 1).ok());
  nst::RowRandom random({13, 0}, 0, nst::Purpose::stream);
  for (int i = 0; i < 300; ++i) {
    for (std::uint8_t& byte : made) {
      byte = static_cast<std::uint8_t>(random.below(i % 2 ? 3 : 256));
    }
    nst::GraphStore none;
    REQUIRE(refused(nst::flatten_codes(hierarchy, 200, made.data(), 1, none)));
    REQUIRE(refused(
        nst::relabel_codes(hierarchy, {{1, 0}, 0, 1}, 3, false, 200, made.data(), codes.data())));
  }
  return true;
}

}  // namespace

int main() {
  if (!networks() || !damaged() || !classes() || !hierarchies()) {
    return 1;
  }
  std::puts("done");
  return 0;
}

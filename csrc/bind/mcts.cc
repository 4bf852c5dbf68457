#include "nasturtium/mcts.hpp"

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bookkeeping.hpp"

namespace nasturtium::bind {
namespace books {
namespace {

using GuardedTree = Guarded<Tree>;

TreeRule tree_rule(bool puct, double c, double first_play, double pending, double widen_factor,
                   double widen_exponent, std::uint64_t max_slots) {
  return {puct ? TreeRule::Formula::puct : TreeRule::Formula::uct,
          c,
          first_play,
          pending,
          widen_factor,
          widen_exponent,
          max_slots};
}

using Classes = std::optional<Array<std::uint32_t>>;

std::span<const std::uint32_t> span_of_classes(const Classes& classes) {
  return classes ? std::span(classes->data(), static_cast<std::size_t>(classes->size()))
                 : std::span<const std::uint32_t>();
}

std::unique_ptr<GuardedTree> make_tree(const std::vector<std::uint32_t>& branching,
                                       const TreeRule& rule, std::uint64_t seed,
                                       std::uint32_t stream, const Classes& classes) {
  auto tree = std::make_unique<GuardedTree>();
  const std::span<const std::uint32_t> numbers = span_of_classes(classes);
  tree->run([&](Tree& t) { return t.open(branching, rule, {seed, stream}, numbers); });
  return tree;
}

void tree_run(GuardedTree& tree, const Array<double>& table, std::uint64_t simulations,
              std::optional<Array<std::uint64_t>> leaves) {
  std::uint64_t* to = nullptr;
  if (leaves) {
    same_rows(simulations, length(*leaves, "leaves"));
    to = leaves->mutable_data();
  }
  const std::span<const double> values(table.data(), static_cast<std::size_t>(table.size()));
  tree.run([&](Tree& t) { return t.run(values, simulations, to); });
}

void tree_select(GuardedTree& tree, Array<std::uint8_t> codes, Array<std::uint32_t> lengths,
                 Array<std::uint64_t> tickets) {
  const std::size_t depths = tree.read([](Tree& t) { return t.branching().size(); });
  const std::uint64_t n = rows(codes, depths, "codes");
  same_rows(n, length(lengths, "lengths"));
  same_rows(n, length(tickets, "tickets"));
  std::uint8_t* to_codes = codes.mutable_data();
  std::uint32_t* to_lengths = lengths.mutable_data();
  std::uint64_t* to_tickets = tickets.mutable_data();
  tree.run([&](Tree& t) { return t.select(n, to_codes, to_lengths, to_tickets); });
}

void tree_backup(GuardedTree& tree, const Array<std::uint64_t>& tickets,
                 const Array<double>& values) {
  const std::uint64_t n = length(tickets, "tickets");
  same_rows(n, length(values, "values"));
  const std::uint64_t* from = tickets.data();
  const double* with = values.data();
  tree.run([&](Tree& t) { return t.backup(n, from, with); });
}

void tree_forget(GuardedTree& tree, const Array<std::uint64_t>& tickets) {
  const std::uint64_t n = length(tickets, "tickets");
  const std::uint64_t* from = tickets.data();
  tree.run([&](Tree& t) { return t.forget(n, from); });
}

std::span<const std::uint8_t> tree_path(const Array<std::uint8_t>& path) {
  return {path.data(), static_cast<std::size_t>(length(path, "path"))};
}

void tree_set_priors(GuardedTree& tree, const Array<std::uint8_t>& path,
                     const Array<double>& priors) {
  const std::span<const std::uint8_t> way = tree_path(path);
  const std::span<const double> values(priors.data(),
                                       static_cast<std::size_t>(length(priors, "priors")));
  tree.run([&](Tree& t) { return t.set_priors(way, values); });
}

py::tuple tree_children(GuardedTree& tree, const Array<std::uint8_t>& path) {
  const std::span<const std::uint8_t> way = tree_path(path);
  std::vector<std::uint64_t> visits(Tree::kMaxBranching);
  std::vector<double> sums(Tree::kMaxBranching);
  tree.run([&](Tree& t) {
    Status status = t.children(way, visits.data(), sums.data());
    if (status.ok()) {
      visits.resize(t.branching()[way.size()]);
    }
    return status;
  });
  const auto n = static_cast<py::ssize_t>(visits.size());
  return py::make_tuple(Array<std::uint64_t>(n, visits.data()), Array<double>(n, sums.data()));
}

void tree_merge(GuardedTree& tree, GuardedTree& other) {
  if (&tree == &other) {
    refuse("a tree does not merge with itself");
  }
  // A copy, so that no call ever holds two trees.
  const Tree from = other.read([](Tree& t) { return t; });
  tree.run([&](Tree& t) { return t.merge(from); });
}

Array<std::uint8_t> tree_best_path(GuardedTree& tree) {
  const std::vector<std::uint8_t> path = tree.read([](Tree& t) {
    std::vector<std::uint8_t> best;
    t.best_path(best);
    return best;
  });
  return Array<std::uint8_t>(static_cast<py::ssize_t>(path.size()), path.data());
}

std::unique_ptr<GuardedTree> tree_root_parallel(const Array<double>& table,
                                                const std::vector<std::uint32_t>& branching,
                                                const TreeRule& rule, std::uint64_t seed,
                                                std::uint32_t stream, std::uint32_t trees,
                                                std::uint64_t simulations, unsigned threads,
                                                const Classes& classes) {
  auto tree = std::make_unique<GuardedTree>();
  const std::span<const double> values(table.data(), static_cast<std::size_t>(table.size()));
  const std::span<const std::uint32_t> numbers = span_of_classes(classes);
  tree->run([&](Tree& t) {
    return root_parallel(values, branching, rule, {seed, stream}, trees, simulations, threads, t,
                         numbers);
  });
  return tree;
}

}  // namespace
}  // namespace books

void bind_mcts(py::module_& m) {
  using namespace py::literals;
  using books::GuardedTree;
  py::class_<TreeRule>(m, "TreeRule")
      .def(py::init(&books::tree_rule), "puct"_a, "c"_a, "first_play"_a, "pending"_a,
           "widen_factor"_a, "widen_exponent"_a, "max_slots"_a);
  py::class_<GuardedTree>(m, "Tree")
      .def(py::init(&books::make_tree), "branching"_a, "rule"_a, "seed"_a, "stream"_a,
           "classes"_a.noconvert())
      .def("run", &books::tree_run, "table"_a.noconvert(), "simulations"_a, "leaves"_a.noconvert())
      .def("select", &books::tree_select, "codes"_a.noconvert(), "lengths"_a.noconvert(),
           "tickets"_a.noconvert())
      .def("backup", &books::tree_backup, "tickets"_a.noconvert(), "values"_a.noconvert())
      .def("forget", &books::tree_forget, "tickets"_a.noconvert())
      .def("set_priors", &books::tree_set_priors, "path"_a.noconvert(), "priors"_a.noconvert())
      .def("children", &books::tree_children, "path"_a.noconvert())
      .def("merge", &books::tree_merge, "other"_a)
      .def("best_path", &books::tree_best_path)
      .def("state", &books::state_of<Tree>)
      .def_static(
          "load", [](const py::bytes& state) { return books::from_state(state, Tree()); },
          "state"_a)
      .def_property_readonly(
          "branching",
          [](GuardedTree& tree) { return tree.read([](Tree& t) { return t.branching(); }); })
      .def("classes",
           [](GuardedTree& tree) {
             const auto all = tree.read([](Tree& t) { return t.classes(); });
             return Array<std::uint32_t>(static_cast<py::ssize_t>(all.size()), all.data());
           })
      .def_property_readonly("rule",
                             [](GuardedTree& tree) {
                               const TreeRule rule = tree.read([](Tree& t) { return t.rule(); });
                               return py::make_tuple(rule.formula == TreeRule::Formula::puct,
                                                     rule.c, rule.first_play, rule.pending,
                                                     rule.widen_factor, rule.widen_exponent,
                                                     rule.max_slots);
                             })
      .def_property_readonly(
          "visits", [](GuardedTree& tree) { return tree.read([](Tree& t) { return t.visits(); }); })
      .def_property_readonly(
          "pending",
          [](GuardedTree& tree) { return tree.read([](Tree& t) { return t.pending(); }); })
      .def_property_readonly(
          "nodes", [](GuardedTree& tree) { return tree.read([](Tree& t) { return t.nodes(); }); })
      .def_property_readonly(
          "bytes", [](GuardedTree& tree) { return tree.read([](Tree& t) { return t.bytes(); }); });
  m.def("root_parallel", &books::tree_root_parallel, "table"_a.noconvert(), "branching"_a, "rule"_a,
        "seed"_a, "stream"_a, "trees"_a, "simulations"_a, "threads"_a, "classes"_a.noconvert());
}

}  // namespace nasturtium::bind

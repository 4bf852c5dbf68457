#include "nasturtium/edit_distance.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "assignment.hpp"
#include "edit_pair.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kPairGrain = 4;

class Editor {
 public:
  explicit Editor(const EditOptions& options) : options_(options), pair_(options.costs) {}

  void take(const EdgeList& a, const EdgeList& b) {
    pair_.take(a, b);
    image_.assign(first_.n, kNowhere);
    placed_.assign(first_.n, 0);
    taken_.assign(second_.n, 0);
    order_.resize(first_.n);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::vector<std::size_t> degree(first_.n, 0);
    for (std::size_t v = 0; v < first_.n; ++v) {
      for (std::size_t w = 0; w < first_.n; ++w) {
        degree[v] += (first_.at(v, w) != 0) + (first_.at(w, v) != 0);
      }
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&degree](std::size_t v, std::size_t w) { return degree[v] > degree[w]; });
    best_ = std::numeric_limits<double>::infinity();
    visited_ = 0;
  }

  void bounds(double& lower, double& upper) {
    lower = bound();
    upper = best_;
    lower = std::min(lower, upper);  // sums in different orders round differently
  }

  bool distance(double& out) {
    const double lower = bound();
    const bool within = lower >= best_ || search(0, 0);
    out = best_;
    return within;
  }

 private:
  // The labels of each free vertex's edges to free ones: out, then in.
  using Lists = std::vector<std::vector<std::uint32_t>>;
  static void free_lists(const LabeledMatrix& m, const std::vector<std::uint8_t>& gone,
                         Lists& lists) {
    lists.resize(std::max(lists.size(), 2 * m.n));
    for (std::size_t v = 0; v < m.n; ++v) {
      for (std::size_t side = 0; side < 2 && !gone[v]; ++side) {
        auto& list = lists[2 * v + side];
        list.clear();
        for (std::size_t w = 0; w < m.n; ++w) {
          const std::uint32_t label = side == 0 ? m.at(v, w) : m.at(w, v);
          if (label != 0 && !gone[w]) {
            list.push_back(label);
          }
        }
        std::sort(list.begin(), list.end());
      }
    }
  }

  double half_edges(const Lists& lists, std::size_t v) const {
    return 0.5 * pair_.costs().edge *
           static_cast<double>(lists[2 * v].size() + lists[2 * v + 1].size());
  }

  // Edges between v of `first_` and placed vertices, against those between w and their images.
  double decided(std::size_t v, std::size_t w) const {
    double sum = 0;
    for (std::size_t x = 0; x < first_.n; ++x) {
      if (placed_[x]) {
        const std::size_t y = image_[x];
        const bool there = y != kNowhere && w != kNowhere;
        sum += pair_.edge_cost(first_.at(v, x), there ? second_.at(w, y) : 0);
        sum += pair_.edge_cost(first_.at(x, v), there ? second_.at(y, w) : 0);
      }
    }
    return sum;
  }

  // Edges between w of `second_`, inserted, and images.
  double inserted(std::size_t w) const {
    double sum = 0;
    for (std::size_t y = 0; y < second_.n; ++y) {
      if (taken_[y]) {
        sum += pair_.edge_cost(0, second_.at(w, y)) + pair_.edge_cost(0, second_.at(y, w));
      }
    }
    return sum;
  }

  // Placing v at w, or nowhere (kNowhere).
  double step_cost(std::size_t v, std::size_t w) const {
    const bool there = w != kNowhere;
    return (there ? pair_.vertex_cost(v, w) : pair_.costs().vertex) + decided(v, w) +
           pair_.edge_cost(first_.at(v, v), there ? second_.at(w, w) : 0);
  }

  // At least what completing the current placement costs, beside what it has cost; tries the
  // assignment as a whole.
  double bound() {
    double sum = cost_of_none();
    // With all vertices deleted and inserted as the base, an assignment can only save. There are
    // never fewer columns than rows.
    fill_savings();
    assignment_.solve(rows_.size(), columns_.size(), savings_.data());
    guess_ = image_;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::size_t j = assignment_.column(i);
      const double saving = savings_[i * columns_.size() + j];
      sum += saving;
      guess_[rows_[i]] = saving < 0 ? columns_[j] : kNowhere;
    }
    best_ = std::min(best_, pair_.whole_cost(guess_));
    return sum;
  }

  // What deleting and inserting all free vertices costs at least, in sum and each.
  double cost_of_none() {
    free_lists(first_, placed_, first_lists_);
    free_lists(second_, taken_, second_lists_);
    rows_.clear();
    columns_.clear();
    double sum = 0;
    deleting_.assign(first_.n, 0);
    for (std::size_t v = 0; v < first_.n; ++v) {
      if (!placed_[v]) {
        rows_.push_back(v);
        deleting_[v] = pair_.costs().vertex + decided(v, kNowhere) + half_edges(first_lists_, v);
        sum += deleting_[v];
      }
    }
    inserting_.assign(second_.n, 0);
    for (std::size_t w = 0; w < second_.n; ++w) {
      if (!taken_[w]) {
        columns_.push_back(w);
        inserting_[w] = pair_.costs().vertex + inserted(w) + half_edges(second_lists_, w);
        sum += inserting_[w];
      }
    }
    return sum;
  }

  // What assigning each free vertex to each other one saves at most, 0 or less.
  void fill_savings() {
    savings_.assign(rows_.size() * columns_.size(), 0);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      for (std::size_t j = 0; j < columns_.size(); ++j) {
        const std::size_t v = rows_[i], w = columns_[j];
        const double out = pair_.list_cost(first_lists_[2 * v], second_lists_[2 * w]);
        const double in = pair_.list_cost(first_lists_[2 * v + 1], second_lists_[2 * w + 1]);
        const double cost = pair_.vertex_cost(v, w) + decided(v, w) + 0.5 * (out + in);
        savings_[i * columns_.size() + j] = std::min(0.0, cost - deleting_[v] - inserting_[w]);
      }
    }
  }

  struct Child {
    double bound, cost;
    std::size_t image;
  };

  // False where the budget is used up.
  bool search(std::size_t depth, double cost) {
    if (depth == first_.n) {
      return true;  // bound() has tried this placement as a whole
    }
    const std::size_t v = order_[depth];
    std::vector<Child> children;
    for (std::size_t i = 0; i <= second_.n; ++i) {
      const std::size_t w = i < second_.n ? i : kNowhere;
      if (w != kNowhere && taken_[w]) {
        continue;
      }
      if (++visited_ > options_.budget) {
        return false;
      }
      const double own = cost + step_cost(v, w);
      place(v, w, true);
      const double below = own + bound();
      place(v, w, false);
      if (below < best_) {
        children.push_back({below, own, w});
      }
    }
    std::stable_sort(children.begin(), children.end(),
                     [](const Child& a, const Child& b) { return a.bound < b.bound; });
    for (const Child& child : children) {
      if (child.bound >= best_) {
        break;
      }
      place(v, child.image, true);
      const bool within = search(depth + 1, child.cost);
      place(v, child.image, false);
      if (!within) {
        return false;
      }
    }
    return true;
  }

  void place(std::size_t v, std::size_t w, bool there) {
    placed_[v] = there;
    image_[v] = there ? w : kNowhere;
    if (w != kNowhere) {
      taken_[w] = there;
    }
  }

  const EditOptions& options_;
  EditPair pair_;
  const LabeledMatrix &first_ = pair_.first(), &second_ = pair_.second();
  std::vector<std::size_t> order_, image_, guess_, rows_, columns_;
  std::vector<std::uint8_t> placed_, taken_;
  std::vector<double> deleting_, inserting_, savings_;
  Lists first_lists_, second_lists_;
  Assignment assignment_;
  double best_ = 0;
  std::uint64_t visited_ = 0;
};

using PairWork = std::function<Status(std::uint64_t, Editor&)>;

Status for_each_pair(const GraphBatch& a, const GraphBatch& b, const EditOptions& options,
                     std::size_t most, const PairWork& work) {
  const EditCosts& c = options.costs;
  for (const double cost : {c.vertex, c.vertex_label, c.edge, c.edge_label}) {
    if (!(cost >= 0) || std::isinf(cost)) {
      return Status::fail(Code::limit, 0, "costs of edits are finite and not negative");
    }
  }
  if (a.size != b.size) {
    return Status::fail(Code::limit, 0, "the batches differ in their number of graphs");
  }
  GraphReader first(a), second(b);
  for (GraphReader* reader : {&first, &second}) {
    if (Status s = reader->check(); !s.ok()) {
      return s;
    }
  }
  return parallel_rows(
      a.size, options.threads, kPairGrain, [&](std::uint64_t begin, std::uint64_t end) {
        Editor editor(options);
        EdgeList from, to;
        for (std::uint64_t row = begin; row < end; ++row) {
          Status s = first.read(row, from);
          if (s.ok()) {
            s = second.read(row, to);
          }
          if (s.ok() && std::max(from.n, to.n) > most) {
            s = Status::fail(Code::row, row,
                             "graphs have at most " + std::to_string(most) + " vertices here");
          }
          if (s.ok()) {
            editor.take(from, to);
            s = work(row, editor);
          }
          if (!s.ok()) {
            return s;
          }
        }
        return Status{};
      });
}

}  // namespace

Status edit_distances(const GraphBatch& a, const GraphBatch& b, const EditOptions& options,
                      double* out) {
  return for_each_pair(a, b, options, kMaxEditVertices, [&](std::uint64_t row, Editor& editor) {
    if (editor.distance(out[row])) {
      return Status{};
    }
    return Status::fail(Code::budget, row,
                        "the exact edit distance takes more than " +
                            std::to_string(options.budget) + " search nodes");
  });
}

Status edit_bounds(const GraphBatch& a, const GraphBatch& b, const EditOptions& options,
                   double* lower, double* upper) {
  return for_each_pair(a, b, options, kMaxBoundVertices, [&](std::uint64_t row, Editor& editor) {
    editor.bounds(lower[row], upper[row]);
    return Status{};
  });
}

}  // namespace nasturtium

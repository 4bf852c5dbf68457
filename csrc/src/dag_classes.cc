#include "nasturtium/dag_classes.hpp"

#include <atomic>
#include <numeric>
#include <string>
#include <utility>

#include "dag_search.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

// The search is split at the first number of vertices with so many graphs, or before there could
// be more than are kept.
constexpr std::size_t kDagBranches = 512;
constexpr double kMostDagBranches = 1 << 18;

Status check_family(const DagFamily& family) {
  if (family.most > kMaxDagVertices || family.least > family.most ||
      family.least < (family.terminals ? 2u : 1u)) {
    return Status::fail(Code::limit, 0,
                        "graphs have 1 to 16 vertices, with an input and an output 2 to 16");
  }
  if (family.labels == 0 || family.labels > 65536 || family.edge_labels == 0 ||
      family.edge_labels > kMaxDagMarks) {
    return Status::fail(Code::limit, 0, "there are 1 to 65,536 labels and 1 to 256 of edges");
  }
  return {};
}

// work(i, search) for the numbers below n, on threads that take the next one when they are done:
// branches differ in size. The failure of the least number is returned.
template <typename F>
Status share_out(std::size_t n, unsigned threads, const DagFamily& family, F work) {
  std::vector<Status> results(n);
  std::atomic<std::size_t> next{0};
  const unsigned workers = std::max(threads, 1u);
  Status status = parallel_rows(workers, workers, 1, [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t worker = begin; worker < end; ++worker) {
      DagSearch search(family);
      for (std::size_t i = next++; i < n; i = next++) {
        results[i] = work(i, search);
      }
    }
    return Status{};
  });
  for (std::size_t i = 0; i < n && status.ok(); ++i) {
    status = std::move(results[i]);
  }
  return status;
}

// A number that is asked for, as its place in a branch and among what is asked.
struct Wanted {
  std::size_t branch = 0, at = 0;
  std::uint64_t place = 0;
};

// Where the numbers are, by branch and place; false with the first that is none.
bool find_places(const std::vector<std::uint64_t>& counts, std::uint64_t n,
                 const std::uint64_t* numbers, std::vector<Wanted>& wanted, std::uint64_t& wrong) {
  std::vector<std::uint64_t> ends(counts.size());
  std::partial_sum(counts.begin(), counts.end(), ends.begin());
  wanted.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto found = std::upper_bound(ends.begin(), ends.end(), numbers[i]);
    if (found == ends.end()) {
      wrong = i;
      return false;
    }
    const auto branch = static_cast<std::size_t>(found - ends.begin());
    wanted[i] = {branch, i, numbers[i] - (*found - counts[branch])};
  }
  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return a.branch != b.branch ? a.branch < b.branch : a.place < b.place;
  });
  return true;
}

}  // namespace

struct DagClasses::Parts {
  // A graph of the search with all that grows from it, or alone.
  struct Branch {
    DagNode node;
    bool whole = false;
  };

  DagFamily family;
  std::vector<Branch> branches;

  // The branches: graphs of few vertices alone, then those of more with all that grows from them.
  Status split() {
    DagSearch search(family);
    std::vector<DagNode> level{search.root()};
    while (!level.empty() && level.size() < kDagBranches && bound(level) < kMostDagBranches) {
      std::vector<DagNode> next;
      for (const DagNode& node : level) {
        Status status = search.grow(node, [&](const DagNode& child) { next.push_back(child); });
        if (!status.ok()) {
          return status;
        }
        branches.push_back({node, false});
      }
      level = std::move(next);
    }
    for (const DagNode& node : level) {
      branches.push_back({node, true});
    }
    return {};
  }

  // At most so many graphs have one of these without their last vertex.
  double bound(const std::vector<DagNode>& level) const {
    double most = static_cast<double>(level.size()) * family.labels;
    for (std::uint32_t v = 0; v < level.front().n; ++v) {
      most *= family.edge_labels + 1.0;
    }
    return most;
  }

  // The graphs of one branch that are wanted, each in its place.
  Status pick(DagSearch& search, const Wanted* first, const Wanted* last,
              std::vector<EdgeList>& made) const {
    std::uint64_t place = 0;
    auto visit = [&](const DagNode& node) {
      for (; first != last && first->place == place; ++first) {
        search.to_edges(node, made[first->at]);
      }
      ++place;
      return first != last;
    };
    const auto& branch = branches[first->branch];
    Status status = search.walk(branch.node, branch.whole, visit);
    if (status.ok() && first != last) {
      return Status::fail(Code::limit, 0, "the counts are not those of the branches");
    }
    return status;
  }
};

DagClasses::DagClasses() : parts_(std::make_unique<Parts>()) {}
DagClasses::~DagClasses() = default;
DagClasses::DagClasses(DagClasses&&) noexcept = default;
DagClasses& DagClasses::operator=(DagClasses&&) noexcept = default;

Status DagClasses::begin(const DagFamily& family) {
  *parts_ = {};
  if (Status s = check_family(family); !s.ok()) {
    return s;
  }
  parts_->family = family;
  return parts_->split();
}

std::size_t DagClasses::branches() const { return parts_->branches.size(); }

Status DagClasses::count(std::size_t first, std::size_t last, unsigned threads,
                         std::uint64_t* out) const {
  if (first > last || last > branches()) {
    return Status::fail(Code::limit, 0, "there are no such branches");
  }
  return share_out(last - first, threads, parts_->family, [&](std::size_t i, DagSearch& search) {
    std::uint64_t found = 0;
    auto visit = [&](const DagNode&) {
      ++found;
      return true;
    };
    const auto& branch = parts_->branches[first + i];
    Status status = search.walk(branch.node, branch.whole, visit);
    out[i] = found;
    return status;
  });
}

Status DagClasses::list(std::size_t first, std::size_t last, unsigned threads,
                        GraphStore& out) const {
  if (first > last || last > branches()) {
    return Status::fail(Code::limit, 0, "there are no such branches");
  }
  std::vector<GraphStore> found(last - first);
  Status status =
      share_out(last - first, threads, parts_->family, [&](std::size_t i, DagSearch& search) {
        EdgeList graph;
        auto visit = [&](const DagNode& node) {
          search.to_edges(node, graph);
          found[i].add(graph);
          return true;
        };
        const auto& branch = parts_->branches[first + i];
        return search.walk(branch.node, branch.whole, visit);
      });
  for (std::size_t i = 0; i < found.size() && status.ok(); ++i) {
    out.append(found[i]);
  }
  return status;
}

Status DagClasses::take(const std::vector<std::uint64_t>& counts, std::uint64_t n,
                        const std::uint64_t* numbers, unsigned threads, GraphStore& out) const {
  if (counts.size() != branches()) {
    return Status::fail(Code::limit, 0, "there is one count for each branch");
  }
  std::vector<Wanted> wanted;
  std::uint64_t wrong = 0;
  if (!find_places(counts, n, numbers, wanted, wrong)) {
    return Status::fail(Code::row, wrong,
                        "there is no graph of number " + std::to_string(numbers[wrong]));
  }
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (i == 0 || wanted[i].branch != wanted[i - 1].branch) {
      starts.push_back(i);
    }
  }
  const std::size_t groups = starts.size();
  starts.push_back(wanted.size());
  std::vector<EdgeList> made(n);
  Status status = share_out(groups, threads, parts_->family, [&](std::size_t i, DagSearch& search) {
    return parts_->pick(search, wanted.data() + starts[i], wanted.data() + starts[i + 1], made);
  });
  for (std::size_t i = 0; i < made.size() && status.ok(); ++i) {
    out.add(made[i]);
  }
  return status;
}

Status draw_numbers(const Draws& draws, std::uint64_t size, std::uint64_t n, std::uint64_t* out) {
  if (size == 0) {
    return Status::fail(Code::exhausted, 0, "there is nothing to draw from");
  }
  return parallel_rows(n, draws.threads, 16384, [&](std::uint64_t begin, std::uint64_t end) {
    RowSource source(draws.key, Purpose::sample);
    for (std::uint64_t row = begin; row < end; ++row) {
      // The bias is below size / 2^64.
      const Wide product = static_cast<Wide>(source.words(draws.start + row)[0]) * size;
      out[row] = static_cast<std::uint64_t>(product >> 64);
    }
    return Status{};
  });
}

}  // namespace nasturtium

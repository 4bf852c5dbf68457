#include <algorithm>
#include <utility>

#include "nasturtium/mcts.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kMostLeaves = std::uint64_t{1} << 24;

// Numbers rows of `width` words in the order in which they first come; `distinct` keeps one of
// each.
void number_rows(const std::vector<std::uint32_t>& rows, std::size_t width,
                 std::vector<std::uint32_t>& numbers, std::vector<std::uint32_t>& distinct) {
  const std::size_t n = rows.size() / width;
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) {
    order[i] = static_cast<std::uint32_t>(i);
  }
  const auto row = [&](std::uint32_t i) { return rows.data() + std::size_t{i} * width; };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const auto [x, y] = std::mismatch(row(a), row(a) + width, row(b));
    return x == row(a) + width ? a < b : *x < *y;
  });
  // Of equal rows the first one stands for all.
  std::vector<std::uint32_t> leader(n);
  for (std::size_t i = 0; i < n; ++i) {
    const bool same = i > 0 && std::equal(row(order[i]), row(order[i]) + width, row(order[i - 1]));
    leader[order[i]] = same ? leader[order[i - 1]] : order[i];
  }
  numbers.resize(n);
  distinct.clear();
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (leader[i] == i) {
      numbers[i] = count++;
      distinct.insert(distinct.end(), row(leader[i]), row(leader[i]) + width);
    } else {
      numbers[i] = numbers[leader[i]];
    }
  }
}

}  // namespace

// From the leaves up: ways down are one position where each option leads them to one position.
Status Tree::find_positions(std::span<const std::uint32_t> classes) {
  if (strides_.empty() || strides_[0] * branching_[0] > kMostLeaves ||
      classes.size() != strides_[0] * branching_[0]) {
    return Status::fail(Code::limit, 0, "there must be one class for each of at most 2^24 leaves");
  }
  classes_.assign(classes.begin(), classes.end());
  positions_.assign(branching_.size(), {});
  std::vector<std::uint32_t> rows = classes_, numbers;
  for (std::size_t depth = branching_.size(); depth-- > 0;) {
    Positions& here = positions_[depth];
    number_rows(rows, branching_[depth], numbers, here.next);
    here.blocks.assign(here.next.size() / branching_[depth], 0);
    rows = numbers;
  }
  return {};
}

std::uint32_t Tree::position_behind(std::span<const std::uint8_t> path) const {
  std::uint32_t position = 0;
  for (std::size_t depth = 0; depth < path.size() && !positions_.empty(); ++depth) {
    position = positions_[depth].next[position * branching_[depth] + path[depth]];
  }
  return position;
}

std::uint32_t Tree::children_of(std::uint32_t at, std::span<const std::uint8_t> path) const {
  if (slots_[at].children != 0 || positions_.empty() || path.size() == branching_.size()) {
    return slots_[at].children;
  }
  return positions_[path.size()].blocks[position_behind(path)];
}

}  // namespace nasturtium

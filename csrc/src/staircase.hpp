#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace nasturtium {

// Points of a plane of which none dominates another: y ascends and z descends. They lie in blocks,
// so that an insertion moves little.
class Staircase {
 public:
  // Whether some point has both coordinates at most y and z.
  bool covers(double y, double z) const {
    const auto block = std::upper_bound(first_.begin(), first_.end(), y) - first_.begin();
    if (block == 0) {
      return false;
    }
    const std::vector<Step>& steps = blocks_[static_cast<std::size_t>(block - 1)];
    const auto after = std::upper_bound(steps.begin(), steps.end(), y,
                                        [](double value, const Step& s) { return value < s.y; });
    return (after - 1)->z <= z;
  }

  // Adds a point that nothing covers; what it covers goes.
  void insert(double y, double z) {
    if (blocks_.empty()) {
      blocks_.emplace_back(1, Step{y, z});
      first_.push_back(y);
      return;
    }
    const auto before = std::lower_bound(first_.begin(), first_.end(), y) - first_.begin();
    const auto at = static_cast<std::size_t>(std::max<std::ptrdiff_t>(before - 1, 0));
    std::vector<Step>& steps = blocks_[at];
    const auto place = std::lower_bound(steps.begin(), steps.end(), y,
                                        [](const Step& s, double value) { return s.y < value; });
    const auto end =
        std::partition_point(place, steps.end(), [=](const Step& s) { return s.z >= z; });
    if (end == steps.end()) {
      uncover(at + 1, z);
    }
    if (end == place) {
      steps.insert(place, Step{y, z});
    } else {
      *place = Step{y, z};
      steps.erase(place + 1, end);
    }
    first_[at] = steps.front().y;
    if (steps.size() > kBlock) {
      halve(at);
    }
  }

 private:
  struct Step {
    double y, z;
  };
  static constexpr std::size_t kBlock = 256;

  // Drops the leading steps of the blocks from `block` on that are covered at z.
  void uncover(std::size_t block, double z) {
    std::size_t kept = block;
    for (; kept < blocks_.size(); ++kept) {
      std::vector<Step>& steps = blocks_[kept];
      const auto end =
          std::partition_point(steps.begin(), steps.end(), [=](const Step& s) { return s.z >= z; });
      if (end != steps.end()) {
        steps.erase(steps.begin(), end);
        first_[kept] = steps.front().y;
        break;
      }
    }
    const auto from = static_cast<std::ptrdiff_t>(block), to = static_cast<std::ptrdiff_t>(kept);
    blocks_.erase(blocks_.begin() + from, blocks_.begin() + to);
    first_.erase(first_.begin() + from, first_.begin() + to);
  }

  void halve(std::size_t at) {
    const auto half = static_cast<std::ptrdiff_t>(blocks_[at].size() / 2);
    std::vector<Step> rest(blocks_[at].begin() + half, blocks_[at].end());
    blocks_[at].erase(blocks_[at].begin() + half, blocks_[at].end());
    const auto next = static_cast<std::ptrdiff_t>(at + 1);
    first_.insert(first_.begin() + next, rest.front().y);
    blocks_.insert(blocks_.begin() + next, std::move(rest));
  }

  std::vector<std::vector<Step>> blocks_;
  std::vector<double> first_;  // the first y of each block
};

}  // namespace nasturtium

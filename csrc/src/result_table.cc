#include <algorithm>
#include <cmath>
#include <limits>

#include "nasturtium/moves.hpp"
#include "nasturtium/simulate.hpp"

namespace nasturtium {
namespace {

Status bad_table(const char* reason) { return Status::fail(Code::limit, 0, reason); }

}  // namespace

// Lists the codes and says where each one stands.
Status ResultTable::number_codes() {
  const Space& space = *space_;
  std::uint64_t product = 1;
  strides_.assign(space.width(), 0);
  for (std::size_t i = space.width(); i-- > 0;) {
    strides_[i] = static_cast<std::uint32_t>(product);
    product *= space.counts[i];
    if (product > kMaxCodes) {
      return bad_table("the decisions' options multiply to more than 2^24: too many for a table");
    }
  }
  all_choices_ = std::all_of(space.counts.begin(), space.counts.end(),
                             [](std::uint32_t count) { return count > 1; });
  digits_.clear();
  places_.clear();
  if (Status s = enumerate(space, kMaxCodes, digits_); !s.ok()) {
    return s;
  }
  if (space.conditional || !space.constraints.empty()) {
    std::vector<std::uint32_t> places(product, kNoCode);
    for (std::size_t i = 0; i * space.width() < digits_.size(); ++i) {
      places[number_of(digits_.data() + i * space.width())] = static_cast<std::uint32_t>(i);
    }
    places_ = std::move(places);
  }
  if (plain() && space.width() <= 8) {
    packed_.assign(digits_.size() / space.width(), 0);
    for (std::size_t i = 0; i < digits_.size(); ++i) {
      packed_[i / space.width()] |= std::uint64_t{digits_[i]} << (8 * (i % space.width()));
    }
  }
  return {};
}

Status ResultTable::open(const Space& space, std::uint64_t fidelities, std::uint64_t runs,
                         std::span<const std::uint32_t> classes, std::span<const double> scores,
                         std::span<const double> costs, std::span<const double> sizes) {
  *this = ResultTable();
  space_ = &space;
  if (Status s = number_codes(); !s.ok()) {
    return s;
  }
  const std::size_t n = digits_.size() / space.width();
  if (n == 0 || fidelities == 0 || fidelities > 256 || runs == 0) {
    return bad_table("a table takes at least one code, 1 to 256 fidelities and at least one run");
  }
  if (classes.size() != n || scores.size() / n / fidelities != runs ||
      scores.size() % (n * fidelities) != 0 || costs.size() != n * fidelities ||
      (!sizes.empty() && sizes.size() != n)) {
    return bad_table("the table's arrays do not have one row for each valid code of the space");
  }
  for (const double cost : costs) {
    if (!(cost >= 0) || std::isinf(cost)) {
      return bad_table("a cost of the table is negative or not finite");
    }
  }
  std::uint32_t most = 0;
  for (const std::uint32_t c : classes) {
    most = std::max(most, c);
  }
  if (most >= n) {
    return bad_table("a class of the table is not below the number of codes");
  }
  fidelities_ = fidelities;
  runs_ = runs;
  class_count_ = most + 1;
  classes_.assign(classes.begin(), classes.end());
  scores_.assign(scores.begin(), scores.end());
  for (double& score : scores_) {
    score = std::isfinite(score) ? score : -std::numeric_limits<double>::infinity();
  }
  flat_ = true;
  for (std::size_t i = fidelities; i < costs.size(); ++i) {
    flat_ = flat_ && costs[i] == costs[i - fidelities];
  }
  costs_.assign(costs.begin(),
                flat_ ? costs.begin() + static_cast<std::ptrdiff_t>(fidelities) : costs.end());
  sizes_.assign(sizes.begin(), sizes.end());
  for (double& size : sizes_) {
    size = std::isfinite(size) ? size : 0.0;
  }
  return {};
}

}  // namespace nasturtium

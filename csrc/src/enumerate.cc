#include <algorithm>

#include "nasturtium/moves.hpp"

namespace nasturtium {
namespace {

// Well-formed codes in lexicographic order.
class Odometer {
 public:
  explicit Odometer(const Space& space)
      : space_(space), code_(space.width(), 0), active_(space.width()) {
    activity(space, code_.data(), active_.data());
  }

  const std::vector<std::uint8_t>& code() const { return code_; }
  bool valid() const { return satisfies(space_, code_.data(), active_.data()); }

  // The next code that differs in one of the first `most` digits; false where there is none.
  bool advance(std::size_t most) {
    std::size_t at = most;
    while (at > 0 && !(active_[at - 1] && code_[at - 1] + 1u < space_.counts[at - 1])) {
      --at;
    }
    if (at == 0) {
      return false;
    }
    ++code_[at - 1];
    std::fill(code_.begin() + static_cast<std::ptrdiff_t>(at), code_.end(), std::uint8_t{0});
    if (space_.conditional) {
      activity(space_, code_.data(), active_.data());
    }
    return true;
  }

  // The first code that is not before these digits; false where there is none.
  bool seek(const std::uint8_t* digits) {
    std::fill(code_.begin(), code_.end(), std::uint8_t{0});
    for (std::size_t i = 0; i < code_.size(); ++i) {
      activity(space_, code_.data(), active_.data());
      const std::uint32_t count = active_[i] ? space_.counts[i] : 1;
      if (digits[i] >= count) {
        return advance(i);
      }
      code_[i] = digits[i];
    }
    activity(space_, code_.data(), active_.data());
    return true;
  }

 private:
  const Space& space_;
  std::vector<std::uint8_t> code_, active_;
};

}  // namespace

Status enumerate(const Space& space, std::uint64_t limit, std::vector<std::uint8_t>& out) {
  Odometer odometer(space);
  std::uint64_t seen = 0;
  do {
    if (++seen > limit) {
      return Status::fail(Code::limit, 0, "more codes than the limit of the enumeration");
    }
    if (odometer.valid()) {
      out.insert(out.end(), odometer.code().begin(), odometer.code().end());
    }
  } while (odometer.advance(space.width()));
  return {};
}

Status enumerate_range(const Space& space, const std::uint8_t* from, const std::uint8_t* to,
                       std::uint64_t most, std::vector<std::uint8_t>& out,
                       std::vector<std::uint8_t>& next) {
  next.clear();
  Odometer odometer(space);
  if (from != nullptr && !odometer.seek(from)) {
    return {};
  }
  const auto& code = odometer.code();
  std::uint64_t seen = 0;
  do {
    if (to != nullptr &&
        !std::lexicographical_compare(code.begin(), code.end(), to, to + space.width())) {
      return {};
    }
    if (seen++ == most) {
      next = code;
      return {};
    }
    if (odometer.valid()) {
      out.insert(out.end(), code.begin(), code.end());
    }
  } while (odometer.advance(space.width()));
  return {};
}

}  // namespace nasturtium

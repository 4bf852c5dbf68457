#pragma once

#include <algorithm>
#include <array>
#include <vector>

namespace nasturtium {

// What is left of a rectangle from (x, y) when quadrants are cut away. Their corners are steps
// from (right, y) to (x, top); x descends and y ascends.
class Remainder {
  using Corner = std::array<double, 2>;

 public:
  // Begins with steps that are known, in their order, and ends them at the top.
  void open(double x, double y, double right) {
    x_ = x;
    area_ = 0;
    steps_.assign(1, {right, y});
  }
  void step(double a, double b) {
    Corner& last = steps_.back();
    if (b == last[1]) {
      last[0] = a;
    } else {
      area_ += (last[0] - x_) * (b - last[1]);
      steps_.push_back({a, b});
    }
  }
  void close(double top) {
    area_ += (steps_.back()[0] - x_) * (top - steps_.back()[1]);
    steps_.push_back({x_, top});
  }

  double area() const { return area_; }
  // Nothing is left at or beyond these.
  double right() const { return steps_.front()[0]; }
  double top() const { return steps_.back()[1]; }

  // Cuts away all at or beyond (a, b), which lies in the rectangle; returns the area of that.
  double cut(double a, double b) {
    auto at = std::upper_bound(steps_.begin(), steps_.end(), b,
                               [](double value, const Corner& s) { return value < s[1]; }) -
              1;
    if ((*at)[0] <= a) {
      return 0;
    }
    double from = (*at)[0], level = b, taken = 0;
    auto end = at + 1;
    for (; end != steps_.end(); ++end) {
      taken += (from - a) * ((*end)[1] - level);
      if ((*end)[0] < a) {
        break;
      }
      from = (*end)[0];
      level = (*end)[1];
    }
    if ((*at)[1] != b) {
      ++at;
    }
    if (at == end) {
      steps_.insert(at, Corner{a, b});
    } else {
      *at = Corner{a, b};
      steps_.erase(at + 1, end);
    }
    area_ -= taken;
    return taken;
  }

 private:
  std::vector<Corner> steps_;
  double x_ = 0, area_ = 0;
};

}  // namespace nasturtium

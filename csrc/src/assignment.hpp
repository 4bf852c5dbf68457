#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace nasturtium {

// The cheapest assignment of rows to different columns, rows <= columns: shortest augmenting paths
// with potentials (Hungarian method), rows^2 columns steps.
class Assignment {
 public:
  // `cost` holds rows x columns numbers; afterwards column(i) is that of row i.
  void solve(std::size_t rows, std::size_t columns, const double* cost) {
    constexpr double kFar = std::numeric_limits<double>::infinity();
    row_price_.assign(rows + 1, 0);
    column_price_.assign(columns + 1, 0);
    row_of_.assign(columns + 1, 0);  // rows from 1 on; 0: free
    before_.assign(columns + 1, 0);
    for (std::size_t row = 1; row <= rows; ++row) {
      row_of_[0] = row;
      std::size_t at = 0;
      distance_.assign(columns + 1, kFar);
      done_.assign(columns + 1, 0);
      do {
        done_[at] = 1;
        const std::size_t i = row_of_[at];
        const double* own = cost + (i - 1) * columns;
        double least = kFar;
        std::size_t next = 0;
        for (std::size_t j = 1; j <= columns; ++j) {
          if (done_[j]) {
            continue;
          }
          const double reduced = own[j - 1] - row_price_[i] - column_price_[j];
          if (reduced < distance_[j]) {
            distance_[j] = reduced;
            before_[j] = at;
          }
          if (distance_[j] < least) {
            least = distance_[j];
            next = j;
          }
        }
        for (std::size_t j = 0; j <= columns; ++j) {
          if (done_[j]) {
            row_price_[row_of_[j]] += least;
            column_price_[j] -= least;
          } else {
            distance_[j] -= least;
          }
        }
        at = next;
      } while (row_of_[at] != 0);
      for (; at != 0; at = before_[at]) {
        row_of_[at] = row_of_[before_[at]];
      }
    }
    column_.resize(rows);
    for (std::size_t j = 1; j <= columns; ++j) {
      if (row_of_[j] != 0) {
        column_[row_of_[j] - 1] = j - 1;
      }
    }
  }

  std::size_t column(std::size_t row) const { return column_[row]; }

 private:
  std::vector<double> row_price_, column_price_, distance_;
  std::vector<std::size_t> row_of_, before_, column_;
  std::vector<unsigned char> done_;
};

}  // namespace nasturtium

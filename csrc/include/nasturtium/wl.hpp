#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nasturtium/key_map.hpp"
#include "nasturtium/labels.hpp"
#include "nasturtium/operation_graph.hpp"

// Weisfeiler-Lehman features of operation graphs, and the kernels that count them: Shervashidze,
// Schweitzer, van Leeuwen, Mehlhorn, Borgwardt, "Weisfeiler-Lehman graph kernels", JMLR 2011; Ru,
// Wan, Dong, Osborne, "Interpretable neural architecture search via Bayesian optimization with
// Weisfeiler-Lehman kernels", ICLR 2021.
namespace nasturtium {

// The colors of a graph's vertices, one round after the other. A color of 64 bits stands for the
// label in round 0, and then for the vertex's own color and the two multisets of the colors that
// enter it and that it enters.
class WLColors {
 public:
  void begin(const OperationGraph& graph);
  void refine(const OperationGraph& graph);
  const std::vector<std::uint64_t>& colors() const { return colors_; }

 private:
  std::vector<std::uint64_t> colors_, entering_, leaving_;
};

enum class WLKernel : std::uint8_t {
  subtree,     // sum over features of the product of the counts
  assignment,  // sum over features of the lesser count: Kriege, Giscard, Wilson, NIPS 2016
};

// Rows of feature counts: row i is the entries starts[i] ... starts[i + 1] - 1.
struct WLHistograms {
  std::vector<std::uint64_t> starts{0};
  std::vector<std::int32_t> features, counts;
};

// The codes added so far, their features of rounds 0 to `rounds`, and the kernels among them.
// Features are numbered as they first come in. Not synchronized.
class WLIndex {
 public:
  static constexpr unsigned kMaxRounds = 16;

  // The space must outlive the index. Code::limit where it has no graph, or for too many rounds.
  Status begin(const Space& space, unsigned rounds);

  // Nothing is added where a row is refused.
  Status add(std::uint64_t n, const std::uint8_t* codes, unsigned threads);

  std::uint64_t rows() const { return starts_.size() - 1; }
  std::uint64_t features() const { return examples_.size(); }
  unsigned round(std::uint64_t feature) const {
    return static_cast<unsigned>(map_.keys()[2 * feature + 1]);
  }

  void histograms(WLHistograms& out) const;

  // The same of codes that are not added; features that the index lacks are left out.
  Status transform(std::uint64_t n, const std::uint8_t* codes, WLHistograms& out,
                   unsigned threads) const;

  // The kernel among all rows, rows() x rows(); normalized to 1 on the diagonal on request.
  Status gram(WLKernel kernel, bool normalize, float* out, unsigned threads) const;

  // The kernel between codes that are not added and all rows, n x rows(). A row costs O(rows()).
  Status cross(WLKernel kernel, bool normalize, std::uint64_t n, const std::uint8_t* codes,
               float* out, unsigned threads) const;

  // The motif that a feature stands for, as text: an operation in round 0, and later the operation
  // with the motifs of the round before that enter it and that it enters.
  Status motif(std::uint64_t feature, std::string& out) const;

 private:
  struct Entry {
    std::uint32_t feature = 0, row = 0, count = 0;
    std::uint32_t previous = 0;  // one more than the entry before with this feature, or 0
  };
  // Distinct (color, round) of some rows with their counts, starts as in WLHistograms.
  struct Colored {
    std::vector<std::uint64_t> starts, keys;
    std::vector<std::uint32_t> counts;
    // Where the threads write their rows, as long as they can be.
    std::vector<std::uint64_t> room_keys;
    std::vector<std::uint32_t> room_counts, sizes;
  };

  template <typename Sum>
  struct Columns;

  std::uint64_t block_rows(unsigned threads) const;
  Status color(std::uint64_t n, const std::uint8_t* codes, Colored& out, unsigned threads) const;
  double own_value(WLKernel kernel, std::uint64_t row) const;
  template <typename Sum, typename Combine>
  void gram_block(const Columns<Sum>& columns, std::uint64_t first, bool normalize,
                  std::vector<Sum>& sums, float* out) const;
  template <typename Sum, typename Combine>
  Status gram_of(WLKernel kernel, bool normalize, float* out, unsigned threads) const;

  // What a feature adds to k(x, x).
  static double self(WLKernel kernel, double count) {
    return kernel == WLKernel::subtree ? count * count : count;
  }

  const Space* space_ = nullptr;
  unsigned rounds_ = 0;
  std::uint64_t most_entries_ = 0;  // of a row
  Labels labels_;
  KeyMap map_;
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint64_t> starts_{0};  // for each row its first entry
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> heads_;     // for each feature one more than its last entry
  std::vector<std::uint32_t> seen_in_;   // for each feature the number of rows
  std::vector<std::uint32_t> examples_;  // for each feature the first row
};

}  // namespace nasturtium

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nasturtium/labels.hpp"

namespace nasturtium {

// The path encoding of a space's graph: White, Neiswanger, Savani, "BANANAS: Bayesian optimization
// with neural architectures for neural architecture search", AAAI 2021.
//
// A path from input to output is read as the labels on it, without those of input and output and
// without parts that are always an identity. A column is a sequence of labels that some declared
// path can have; columns are ordered by length, then by the labels' numbers. With `zeros`, paths
// through an operation of kind zero count, as in the published encodings of edge-labelled cells.
class PathEncoder {
 public:
  static constexpr std::size_t kMaxColumns = std::size_t{1} << 20;

  // The space must outlive the encoder. Code::limit where it has no graph or too many sequences.
  Status build(const Space& space, bool zeros);

  std::size_t columns() const { return columns_.size(); }
  std::size_t words() const { return (columns_.size() + 63) / 64; }

  // The labels of a column's sequence.
  std::vector<std::uint32_t> sequence(std::size_t column) const;
  const Labels& labels() const { return labels_; }

  // Column c is bit c % 64 of word c / 64 of a row.
  Status bits(std::uint64_t n, const std::uint8_t* codes, std::uint64_t* out,
              unsigned threads) const;

  // 0 and 1, the first `columns` of them.
  Status one_hot(std::uint64_t n, const std::uint8_t* codes, std::size_t columns, float* out,
                 unsigned threads) const;
  Status one_hot(std::uint64_t n, const std::uint8_t* codes, std::size_t columns, std::uint8_t* out,
                 unsigned threads) const;

  // The columns that are 1, ascending, the first `most` of them; -1 behind the last.
  Status categorical(std::uint64_t n, const std::uint8_t* codes, std::size_t most,
                     std::int32_t* out, unsigned threads) const;

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  // A sequence of labels, its places in the tree of all sequences.
  struct Prefix {
    std::uint32_t parent = kNone, label = 0, column = kNone;
  };
  struct Place;
  class Grower;
  struct Scratch;

  std::uint32_t child(std::uint32_t prefix, std::int32_t label) const {
    return children_[prefix * labels_.size() + static_cast<std::size_t>(label)];
  }
  template <typename F>
  void walk(const std::uint8_t* code, Scratch& scratch, F see) const;
  template <typename Begin, typename F, typename End>
  Status rows(std::uint64_t n, const std::uint8_t* codes, unsigned threads, Begin begin, F see,
              End end) const;
  template <typename T>
  Status fill(std::uint64_t n, const std::uint8_t* codes, std::size_t columns, T* out,
              unsigned threads) const;

  const Space* space_ = nullptr;
  bool zeros_ = true;
  Labels labels_;
  std::vector<std::uint32_t> edges_by_src_, edges_from_;  // the edges out of node v: a range
  std::vector<Prefix> prefixes_;
  std::vector<std::uint32_t> children_;
  std::vector<std::uint32_t> columns_;  // for each column its prefix
};

}  // namespace nasturtium

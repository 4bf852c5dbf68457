#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/labels.hpp"
#include "nasturtium/operation_graph.hpp"

namespace nasturtium {

// The OTMANN distance: Kandasamy, Neiswanger, Schneider, Poczos, Xing, "Neural architecture search
// with Bayesian optimisation and optimal transport", NeurIPS 2018.
//
// Layers are the vertices of the operation graph. A layer's mass is its label's; input and output
// each have `ends` times the mass of all others together, at least `least_end`. The distance is the
// least cost of matching the masses of two graphs: unit mass of two layers costs the labels'
// mismatch plus `structure` times the mean difference of the layers' path lengths; mass that is not
// matched costs 1. Path lengths are the shortest, the longest and that of a random walk, to the
// input and to the output, in all layers, in weighted and in other ones: 18 of them. Inputs match
// inputs only, outputs outputs.
class Otmann {
 public:
  // A mismatch from which on not to match is always as cheap.
  static constexpr double kApart = 4;

  struct Rule {
    std::vector<double> masses;  // for each label, above 0
    std::vector<double>
        mismatch;  // labels x labels, symmetric, 0 on the diagonal, infinity is fine
    double structure = 0.5, ends = 0.1, least_end = 0.1;
    bool normalize = false;  // divide by the mass of both graphs
  };

  // The space must outlive it. Code::limit where it has no graph, or a bad rule.
  Status build(const Space& space, const Rule& rule);

  // All rows of `a` against all of `b`, na x nb; `b` null: against `a` itself, symmetric.
  Status distances(std::uint64_t na, const std::uint8_t* a, std::uint64_t nb, const std::uint8_t* b,
                   double* out, unsigned threads) const;

 private:
  static constexpr std::size_t kLengths = 18;
  struct Layer {
    std::uint32_t label = 0;  // or the number of labels for the input, one more for the output
    double mass = 0;
    double lengths[kLengths];
  };
  struct Net {
    std::vector<Layer> layers;
    double mass = 0;
  };
  struct Scratch;

  Status nets(std::uint64_t n, const std::uint8_t* codes, std::vector<Net>& out,
              unsigned threads) const;
  void lengths(const OperationGraph& graph, Net& net) const;
  double mismatch(std::uint32_t a, std::uint32_t b) const;
  Status distance(const Net& a, const Net& b, Scratch& scratch, double& out) const;

  const Space* space_ = nullptr;
  Rule rule_;
  Labels labels_;
};

}  // namespace nasturtium

#pragma once

#include <cstdint>

#include "nasturtium/graph_batch.hpp"
#include "nasturtium/moves.hpp"

namespace nasturtium {

// Randomly wired networks: Xie, Kirillov, Girshick, He, "Exploring randomly wired neural networks
// for image recognition", ICCV 2019. An undirected random graph whose edges then go from the vertex
// with the lower number to the other, between an input that feeds every vertex nothing enters, and
// an output that takes every vertex nothing leaves.
enum class Wiring : std::uint8_t {
  erdos_renyi,      // every pair with probability `chance`
  watts_strogatz,   // a ring of `neighbors` / 2 to each side, each edge rewired with `chance`
  barabasi_albert,  // vertices one by one, each joined to `neighbors` by their degrees
};

struct WiringOptions {
  Wiring wiring = Wiring::erdos_renyi;
  std::uint32_t nodes = 32;  // without input and output
  std::uint32_t neighbors = 4;
  double chance = 0.2;
  std::uint64_t label = 0, input_label = 1, output_label = 2;
};

// Appends n graphs of nodes + 2 vertices, the input first and the output last. Graph i is a
// function of (draws.key, draws.start + i). Code::limit where the options allow no graph.
Status random_graphs(const WiringOptions& options, const Draws& draws, std::uint64_t n,
                     GraphStore& out);

}  // namespace nasturtium

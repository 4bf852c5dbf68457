#pragma once

#include <cstddef>
#include <cstdint>

#include "nasturtium/moves.hpp"
#include "nasturtium/status.hpp"

// The cell of NAS-Bench-101: Ying, Klein, Real, Christiansen, Murphy, Hutter, "NAS-Bench-101:
// Towards Reproducible Neural Architecture Search", ICML 2019.
//
// A cell is one word:
//   bits  0-20  the strict upper triangle, column by column: bit j (j - 1) / 2 + i is the edge from
//               vertex i to vertex j, i < j
//   bits 21-30  the operations of vertices 1 to 5, two bits each: 0 conv3x3-bn-relu,
//               1 conv1x1-bn-relu, 2 maxpool3x3
//   bits 31-33  the number of vertices, 2 to 7
// Vertex 0 is the input, the last one the output. The bits of vertices that the cell lacks are 0,
// and so are those above bit 33. Words that break this are refused with Code::row, and so are cells
// without a path from input to output where a function needs one.
//
// Results may not overlap the cells, but where both are one word a row they may be the same array.
namespace nasturtium::nb101 {

constexpr unsigned kVertices = 7;
constexpr unsigned kEdges = 9;
constexpr unsigned kInner = 5;
constexpr unsigned kSlots = 21;
constexpr unsigned kOperationsAt = 21;
constexpr unsigned kCountAt = 31;
constexpr std::size_t kPaths = 364;     // 3^0 + 3^1 + ... + 3^5
constexpr std::size_t kPathWords = 6;   // words of 64 bits that hold them
constexpr std::size_t kAdjacency = 36;  // 21 slots and 5 times 3 operations
constexpr std::size_t kDigestBytes = 16;

// One byte a row: 1 where the word is a cell with a path from input to output and, without what
// lies on no such path, at most 9 edges.
Status valid(std::uint64_t n, const std::uint64_t* cells, std::uint8_t* out, unsigned threads);

// The cells without the vertices and edges that lie on no path from input to output; the vertices
// that are left keep their order.
Status prune(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out, unsigned threads);

// The canonical cells: pruned, and of all orders of the inner vertices in which every edge goes to
// a later vertex the one with the least triangle, and of these the one with the least operations,
// both read as numbers. Equal exactly where the pruned cells are isomorphic. By a table of 2 MiB
// (table_seconds); pruned cells of more than 9 edges are not in it and take canonical_by_search.
Status canonical(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out, unsigned threads);

// The same without a table, by trying those orders.
Status canonical_by_search(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out,
                           unsigned threads);

// 128 bits of the canonical cell, two words a row: MurmurHash3_x64_128 of that word.
Status keys(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out, unsigned threads);

// The hash that names a cell in the published table, 16 bytes a row: a vertex starts with the MD5
// of the text "(out-degree, in-degree, label)", label -1 for the input, -2 for the output, else
// the operation; as many times as there are vertices, it takes the MD5 of its in-neighbors' hashes,
// sorted, "|", its out-neighbors', sorted, "|", and its own, all in hexadecimal; the cell's hash is
// the MD5 of the sorted list as Python prints it. Of the pruned cell.
Status hashes(std::uint64_t n, const std::uint64_t* cells, std::uint8_t* out, unsigned threads);

// n valid cells of 7 vertices: a fair coin for each of the 21 slots and uniform operations, drawn
// again until valid, as the paper's authors do. Not pruned.
Status sample(const Draws& draws, std::uint64_t n, std::uint64_t* out);

// Each cell as it is, not pruned, with one decision changed: a slot, or one inner vertex's
// operation to one of the two others. The decision is uniform, drawn again until the result is
// valid. Code::exhausted where no change gives a valid cell, as for a cell of two vertices.
Status mutate(const Draws& draws, std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out);

// The number of canonical valid cells of at most `vertices` vertices, 2 to 7: 1, 7, 91, 2532,
// 64542, 423624.
Status count(unsigned vertices, std::uint64_t& out);

// All of them, by number of vertices, then triangle, then operations, into count(vertices) words.
Status enumerate(unsigned vertices, std::uint64_t* out);

// Which of the 364 sequences of operations lie on some path from input to output; sequences are
// ordered by length, then lexicographically. Bit p % 64 of word p / 64 of a row's six words.
Status path_bits(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out, unsigned threads);

// The same as 0 and 1, of the first `columns` sequences, 1 to 364.
Status path_one_hot(std::uint64_t n, const std::uint64_t* cells, std::size_t columns, float* out,
                    unsigned threads);
Status path_one_hot(std::uint64_t n, const std::uint64_t* cells, std::size_t columns,
                    std::uint8_t* out, unsigned threads);

// The cell as it is, not pruned, in 36 columns of 0 and 1: the 21 slots in the order of the bits,
// where a smaller cell's output stands at vertex 6, then three columns for each inner vertex's
// operation; all 0 for a vertex that the cell lacks.
Status adjacency_one_hot(std::uint64_t n, const std::uint64_t* cells, float* out, unsigned threads);
Status adjacency_one_hot(std::uint64_t n, const std::uint64_t* cells, std::uint8_t* out,
                         unsigned threads);

// The sequences of path_bits by number, ascending, the first `most` of a row; -1 behind the last.
Status path_categorical(std::uint64_t n, const std::uint64_t* cells, std::size_t most,
                        std::int16_t* out, unsigned threads);

constexpr std::size_t kCategorical = 26;  // 21 edges and 5 operations
constexpr std::size_t kContinuous = 27;   // 21 scores, the number of edges, 5 operations

// The cell as it is, not pruned, in 26 columns: the slots of its edges, ascending, where a smaller
// cell's output stands at vertex 6, and -1 behind the last; then the inner vertices' operations, -1
// for a vertex that the cell lacks.
Status adjacency_categorical(std::uint64_t n, const std::uint64_t* cells, std::int16_t* out,
                             unsigned threads);

// The same in 27 columns of real numbers: for each slot a score, 1 where there is an edge and else
// 0; the number of edges k; the operations as above.
Status adjacency_continuous(std::uint64_t n, const std::uint64_t* cells, float* out,
                            unsigned threads);

// The cells of such rows: edges are the k slots with the greatest scores, of equal ones the first;
// k and operations are rounded. Refused with Code::row are numbers out of range, operations behind
// a missing one, and edges at missing vertices.
Status decode_continuous(std::uint64_t n, const float* rows, std::uint64_t* out, unsigned threads);

// How long it took to build the table that valid, canonical, keys, sample and mutate look things
// up in; builds it where that has not happened. The first of them to be called pays it.
Status table_seconds(double& out);

}  // namespace nasturtium::nb101

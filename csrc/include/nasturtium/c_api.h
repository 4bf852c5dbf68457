/* The core for programs in C, and for whatever can call C.
 *
 * Handles are opaque. No exception crosses this header and nothing aborts: every function that can
 * fail returns a status, and writes more about it to the nst_error that it is given (or to none,
 * where that is NULL). NULL, misaligned or overlapping arguments are refused with
 * NST_ERROR_ARGUMENT, and running out of memory is NST_ERROR_MEMORY; an array may be NULL where it
 * has no elements. After a failure the contents of output arrays are unspecified, and output
 * handles are NULL.
 *
 * A space is immutable: any number of threads may use one at a time. An nst_error belongs to one
 * call at a time. Threads that a function starts have ended when it returns, so that a process may
 * fork between calls.
 *
 * A batch of codes is n rows of nst_space_width() bytes. A function that fills an array of unknown
 * length takes its capacity and always writes the length needed: ask first with capacity 0 and
 * NULL, which is no failure, then call again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "nasturtium/version.hpp" /* one macro, NASTURTIUM_VERSION: C reads it too */

/* Raised when a function, a struct or a number of this header goes or changes its meaning; what is
 * added leaves it as it is. Programs compare it with nst_abi_version(). */
#define NST_ABI_VERSION 1

#if defined(__GNUC__)
#define NST_API __attribute__((visibility("default")))
#else
#define NST_API
#endif

#if defined(__cplusplus)
#define NST_NOEXCEPT noexcept
extern "C" {
#else
#define NST_NOEXCEPT
#endif

typedef int32_t nst_status;
enum {
  NST_OK = 0,
  NST_ERROR_TEXT = 1,      /* a space's text is refused; nst_error_where: the line, from 1 */
  NST_ERROR_ROW = 2,       /* a row is no code of the space; where: the row */
  NST_ERROR_EXHAUSTED = 3, /* no valid result was found for a row; where: the row */
  NST_ERROR_LIMIT = 4,     /* a size limit of the library or of the call */
  NST_ERROR_BUDGET = 5,    /* an exact key takes too many search nodes; where: the row */
  NST_ERROR_STATE = 6,     /* the bytes of a state are refused; where: the byte */
  NST_ERROR_MEMORY = 7,    /* out of memory */
  NST_ERROR_ARGUMENT = 8,  /* NULL, misaligned, overlapping, out of range, an unknown name */
  NST_ERROR_CAPACITY = 9,  /* the array is too short; where: the length needed */
  NST_ERROR_INTERNAL = 10  /* a mistake in this library */
};

typedef struct nst_space nst_space;
typedef struct nst_error nst_error;

/* Row i of a random operation is a function of (seed, stream, start + i) and of the parents' rows:
 * neither the size of batches nor threads change it. 0 threads are taken as 1. */
typedef struct nst_draws {
  uint64_t seed;
  uint64_t start;
  uint32_t stream;
  uint32_t threads;
} nst_draws;

/* The version and ABI of the library, to be compared with the header's. */
NST_API const char* nst_version(void) NST_NOEXCEPT;
NST_API uint32_t nst_abi_version(void) NST_NOEXCEPT;

/* The name of a status, such as "NST_ERROR_ROW"; of no status, "NST_ERROR_INTERNAL". */
NST_API const char* nst_status_name(nst_status status) NST_NOEXCEPT;

/* What a call had to say: every call that is given it writes it anew. The message is in English,
 * of one line, at most 511 bytes, "" after a success; it lives until the next call or destroy. */
NST_API nst_status nst_error_create(nst_error** out) NST_NOEXCEPT;
NST_API void nst_error_destroy(nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_error_status(const nst_error* error) NST_NOEXCEPT;
NST_API uint64_t nst_error_where(const nst_error* error) NST_NOEXCEPT;
NST_API const char* nst_error_message(const nst_error* error) NST_NOEXCEPT;

/* Compiles the text form (`length` bytes, no terminating zero needed). */
NST_API nst_status nst_space_create(const char* text, size_t length, nst_space** out,
                                    nst_error* error) NST_NOEXCEPT;
NST_API void nst_space_destroy(nst_space* space) NST_NOEXCEPT;

/* Strings belong to the space and end with a zero. Of no space or no such decision or option:
 * NULL or 0. The one-hot width is the sum of the decisions' numbers of options. */
NST_API const char* nst_space_name(const nst_space* space) NST_NOEXCEPT;
NST_API const char* nst_space_text(const nst_space* space) NST_NOEXCEPT;
NST_API size_t nst_space_width(const nst_space* space) NST_NOEXCEPT;
NST_API size_t nst_space_one_hot_width(const nst_space* space) NST_NOEXCEPT;
NST_API const char* nst_space_decision(const nst_space* space, size_t decision) NST_NOEXCEPT;
NST_API size_t nst_space_options(const nst_space* space, size_t decision) NST_NOEXCEPT;
NST_API const char* nst_space_option(const nst_space* space, size_t decision,
                                     size_t option) NST_NOEXCEPT;

/* n valid codes; each active decision is uniform over its options, refused codes are redrawn. */
NST_API nst_status nst_space_sample(const nst_space* space, const nst_draws* draws, uint64_t n,
                                    uint8_t* out, nst_error* error) NST_NOEXCEPT;

/* Each row with one active decision changed: valid, and different from the row. */
NST_API nst_status nst_space_mutate(const nst_space* space, const nst_draws* draws, uint64_t n,
                                    const uint8_t* codes, uint8_t* out,
                                    nst_error* error) NST_NOEXCEPT;

/* Each decision from either parent by a fair coin, or drawn where it is active in neither. */
NST_API nst_status nst_space_crossover(const nst_space* space, const nst_draws* draws, uint64_t n,
                                       const uint8_t* a, const uint8_t* b, uint8_t* out,
                                       nst_error* error) NST_NOEXCEPT;

/* The valid codes that differ from one in one active decision. Capacity and length are in rows. */
NST_API nst_status nst_space_neighbors(const nst_space* space, const uint8_t* code, uint8_t* out,
                                       uint64_t capacity, uint64_t* rows,
                                       nst_error* error) NST_NOEXCEPT;

/* All valid codes in lexicographic order, where at most `limit` codes have to be looked at. */
NST_API nst_status nst_space_enumerate(const nst_space* space, uint64_t limit, uint8_t* out,
                                       uint64_t capacity, uint64_t* rows,
                                       nst_error* error) NST_NOEXCEPT;

/* One byte per row: 1 where it is a valid code, else 0. */
NST_API nst_status nst_space_valid(const nst_space* space, uint64_t n, const uint8_t* codes,
                                   uint32_t threads, uint8_t* out, nst_error* error) NST_NOEXCEPT;

/* NST_OK for one valid code, else NST_ERROR_ROW with the reason. */
NST_API nst_status nst_space_check(const nst_space* space, const uint8_t* code,
                                   nst_error* error) NST_NOEXCEPT;

/* Keys of 128 bits, two words a row: equal where the architectures are the same under the
 * convention, "genotype", "pruned", "graph" or "function" (or NAS-Bench-201's "string" and
 * "string_skip"). They are the same in every version and on every platform. */
NST_API nst_status nst_space_keys(const nst_space* space, const char* convention, uint64_t n,
                                  const uint8_t* codes, uint32_t threads, uint64_t* out,
                                  nst_error* error) NST_NOEXCEPT;

/* n rows of nst_space_one_hot_width() columns, 0 or 1; an inactive decision is all 0. */
NST_API nst_status nst_space_one_hot(const nst_space* space, uint64_t n, const uint8_t* codes,
                                     uint32_t threads, float* out, nst_error* error) NST_NOEXCEPT;

/* n rows of option numbers, -1 where inactive. */
NST_API nst_status nst_space_categorical(const nst_space* space, uint64_t n, const uint8_t* codes,
                                         uint32_t threads, int16_t* out,
                                         nst_error* error) NST_NOEXCEPT;

/* The columns of one_hot as bits, (nst_space_one_hot_width() + 63) / 64 words a row: column c is
 * bit c % 64 of word c / 64. */
NST_API nst_status nst_space_one_hot_bits(const nst_space* space, uint64_t n, const uint8_t* codes,
                                          uint32_t threads, uint64_t* out,
                                          nst_error* error) NST_NOEXCEPT;

/* The paths from input to output that a code has, as the labels on them (paths.hpp). Where `zeros`
 * is 1, those through a zero operation count too. The handle keeps what it needs of the space. */
typedef struct nst_paths nst_paths;
NST_API nst_status nst_paths_create(const nst_space* space, uint32_t zeros, nst_paths** out,
                                    nst_error* error) NST_NOEXCEPT;
NST_API void nst_paths_destroy(nst_paths* paths) NST_NOEXCEPT;
NST_API uint64_t nst_paths_columns(const nst_paths* paths) NST_NOEXCEPT;

/* Of n codes: the columns as bits, (nst_paths_columns() + 63) / 64 words a row, or the first
 * `columns` of them as 0 and 1. */
NST_API nst_status nst_paths_bits(const nst_paths* paths, uint64_t n, const uint8_t* codes,
                                  uint32_t threads, uint64_t* out, nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_paths_one_hot(const nst_paths* paths, uint64_t n, const uint8_t* codes,
                                     uint64_t columns, uint32_t threads, float* out,
                                     nst_error* error) NST_NOEXCEPT;

/* The graphs of codes as arrays of one shape (graph_arrays.hpp): a vertex for each declared node,
 * or where `operations` is 1 for each part that can carry an operation; where `prune` is 1 without
 * what lies on no path from input to output. The handle keeps what it needs of the space. */
typedef struct nst_arrays nst_arrays;
NST_API nst_status nst_arrays_create(const nst_space* space, uint32_t operations, uint32_t prune,
                                     nst_arrays** out, nst_error* error) NST_NOEXCEPT;
NST_API void nst_arrays_destroy(nst_arrays* arrays) NST_NOEXCEPT;
NST_API uint64_t nst_arrays_vertices(const nst_arrays* arrays) NST_NOEXCEPT;
NST_API uint64_t nst_arrays_labels(const nst_arrays* arrays) NST_NOEXCEPT;

/* Of n codes and V vertices: `adjacency` n x V x V of 0 and 1, `node_labels` n x V and
 * `edge_labels` n x V x V of label numbers from 1 on, 0 where there is nothing, `present` n x V. */
NST_API nst_status nst_arrays_fill(const nst_arrays* arrays, uint64_t n, const uint8_t* codes,
                                   uint32_t threads, float* adjacency, int16_t* node_labels,
                                   int16_t* edge_labels, uint8_t* present,
                                   nst_error* error) NST_NOEXCEPT;

/* How often each label occurs in n codes, n x nst_arrays_labels(). */
NST_API nst_status nst_arrays_counts(const nst_arrays* arrays, uint64_t n, const uint8_t* codes,
                                     uint32_t threads, int32_t* out, nst_error* error) NST_NOEXCEPT;

/* A batch of directed graphs of any sizes up to 4,096 vertices; immutable. Graph g has the vertices
 * offsets[g] to offsets[g + 1] of all. Bit w % 64 of rows[v * words + w / 64] is the edge from
 * vertex v of all to vertex w of its graph; labels are any numbers, those of edges stand in the
 * order of the bits. */
typedef struct nst_graphs nst_graphs;
typedef struct nst_graph_sizes {
  uint64_t graphs;
  uint64_t vertices;
  uint64_t words;
  uint64_t edges;
} nst_graph_sizes;

/* Copies graphs + 1 offsets, vertices x words rows, a label for each vertex and each edge. Edge
 * labels may be NULL, for all 0; `edges` is then not looked at. NST_ERROR_ROW with the first graph,
 * NST_ERROR_LIMIT with arrays, that break these rules. */
NST_API nst_status nst_graphs_create(const nst_graph_sizes* sizes, const int64_t* offsets,
                                     const uint64_t* rows, const uint64_t* labels,
                                     const uint64_t* edge_labels, nst_graphs** out,
                                     nst_error* error) NST_NOEXCEPT;
NST_API void nst_graphs_destroy(nst_graphs* graphs) NST_NOEXCEPT;
NST_API nst_status nst_graphs_sizes(const nst_graphs* graphs, nst_graph_sizes* out,
                                    nst_error* error) NST_NOEXCEPT;

/* Writes arrays as long as nst_graphs_sizes says. */
NST_API nst_status nst_graphs_read(const nst_graphs* graphs, int64_t* offsets, uint64_t* rows,
                                   uint64_t* labels, uint64_t* edge_labels,
                                   nst_error* error) NST_NOEXCEPT;

/* Keys of 128 bits of the exact canonical forms, two words a graph: equal for isomorphic graphs,
 * labels included. Where `directed` is 0, graphs must have each edge in both directions.
 * NST_ERROR_BUDGET with the first graph that takes more than `budget` search nodes, 0 for 100,000.
 * And for each vertex of all, the vertex of its graph at that place of the canonical form. */
NST_API nst_status nst_graphs_keys(const nst_graphs* graphs, uint32_t directed, uint64_t budget,
                                   uint32_t threads, uint64_t* out, nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_graphs_orders(const nst_graphs* graphs, uint32_t directed, uint64_t budget,
                                     uint32_t threads, int64_t* out, nst_error* error) NST_NOEXCEPT;

/* The graphs without vertices that lie on no path from source to sink, one of each a graph; a
 * number below 0 counts from the end. */
NST_API nst_status nst_graphs_prune(const nst_graphs* graphs, const int64_t* sources,
                                    const int64_t* sinks, uint32_t threads, nst_graphs** out,
                                    nst_error* error) NST_NOEXCEPT;

/* n words of the blocks counter, counter + 1, ... (two words a block) of Philox-4x32-10. */
NST_API nst_status nst_random_words(uint64_t seed, uint32_t stream, uint64_t counter, uint64_t n,
                                    uint64_t* out, nst_error* error) NST_NOEXCEPT;

/* A space as bytes, and back: versioned and checksummed (state.hpp states the format). Damaged and
 * hostile bytes are refused. Capacity and size are in bytes. */
NST_API nst_status nst_space_save(const nst_space* space, uint8_t* out, size_t capacity,
                                  size_t* size, nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_space_load(const uint8_t* bytes, size_t size, nst_space** out,
                                  nst_error* error) NST_NOEXCEPT;

/* The same for n codes. They load into a space with the same name and decisions only; capacity and
 * rows of the second are in rows. */
NST_API nst_status nst_codes_save(const nst_space* space, uint64_t n, const uint8_t* codes,
                                  uint8_t* out, size_t capacity, size_t* size,
                                  nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_codes_load(const nst_space* space, const uint8_t* bytes, size_t size,
                                  uint8_t* out, uint64_t capacity, uint64_t* rows,
                                  nst_error* error) NST_NOEXCEPT;

/* The books of a search: a map of keys, a population in which the oldest dies, a search tree. One
 * call at a time may use a handle of these, but any number may find in one map. Each saves to bytes
 * and loads from them as spaces do (book_state.hpp states the formats). */
typedef struct nst_map nst_map;
typedef struct nst_population nst_population;
typedef struct nst_tree nst_tree;

/* Numbers keys of two words 0, 1, 2, ... in the order in which they first come. */
NST_API nst_status nst_map_create(nst_map** out, nst_error* error) NST_NOEXCEPT;
NST_API void nst_map_destroy(nst_map* map) NST_NOEXCEPT;
NST_API uint64_t nst_map_size(const nst_map* map) NST_NOEXCEPT;

/* For each key its number, and a byte that is 1 where it was new. After NST_ERROR_LIMIT the map
 * holds the keys of the rows before nst_error_where(). */
NST_API nst_status nst_map_insert(nst_map* map, uint64_t n, const uint64_t* keys, uint64_t* numbers,
                                  uint8_t* fresh, nst_error* error) NST_NOEXCEPT;

/* For each key its number, or 2^64 - 1. */
NST_API nst_status nst_map_find(const nst_map* map, uint64_t n, const uint64_t* keys,
                                uint32_t threads, uint64_t* numbers, nst_error* error) NST_NOEXCEPT;

NST_API nst_status nst_map_save(const nst_map* map, uint8_t* out, size_t capacity, size_t* size,
                                nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_map_load(const uint8_t* bytes, size_t size, nst_map** out,
                                nst_error* error) NST_NOEXCEPT;

/* A population of at most `most` individuals, numbers, in which the oldest dies. */
NST_API nst_status nst_population_create(uint64_t most, nst_population** out,
                                         nst_error* error) NST_NOEXCEPT;
NST_API void nst_population_destroy(nst_population* population) NST_NOEXCEPT;
NST_API uint64_t nst_population_size(const nst_population* population) NST_NOEXCEPT;

/* Adds the youngest; `gone` is 1 where the oldest, `died`, dies for it. */
NST_API nst_status nst_population_born(nst_population* population, uint64_t individual,
                                       uint64_t* died, uint8_t* gone,
                                       nst_error* error) NST_NOEXCEPT;

/* The living, oldest first. */
NST_API nst_status nst_population_members(const nst_population* population, uint64_t* out,
                                          uint64_t capacity, uint64_t* length,
                                          nst_error* error) NST_NOEXCEPT;

NST_API nst_status nst_population_save(const nst_population* population, uint8_t* out,
                                       size_t capacity, size_t* size,
                                       nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_population_load(const uint8_t* bytes, size_t size, nst_population** out,
                                       nst_error* error) NST_NOEXCEPT;

/* How a tree chooses (mcts.hpp): UCT, or PUCT where `puct` is 1. Widening needs a factor above 0;
 * max_nodes 0 stands for as many as there can be; `reserved` is 0. */
typedef struct nst_tree_rule {
  double c;
  double first_play;
  double pending;
  double widen_factor;
  double widen_exponent;
  uint64_t max_nodes;
  uint32_t puct;
  uint32_t reserved;
} nst_tree_rule;

/* A tree over `depth` decisions, decision i with branching[i] options, 1 to 256. */
NST_API nst_status nst_tree_create(const uint32_t* branching, size_t depth,
                                   const nst_tree_rule* rule, uint64_t seed, uint32_t stream,
                                   nst_tree** out, nst_error* error) NST_NOEXCEPT;
NST_API void nst_tree_destroy(nst_tree* tree) NST_NOEXCEPT;
NST_API uint64_t nst_tree_visits(const nst_tree* tree) NST_NOEXCEPT;

/* Whole simulations against the values of all n leaves, the first decision the most significant. */
NST_API nst_status nst_tree_run(nst_tree* tree, const double* values, uint64_t n,
                                uint64_t simulations, nst_error* error) NST_NOEXCEPT;

/* n leaves, n rows of `depth` decisions, of which lengths[i] are in the tree; they are pending
 * until their tickets come back with their values, or are forgotten. */
NST_API nst_status nst_tree_select(nst_tree* tree, uint64_t n, uint8_t* codes, uint32_t* lengths,
                                   uint64_t* tickets, nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_tree_backup(nst_tree* tree, uint64_t n, const uint64_t* tickets,
                                   const double* values, nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_tree_forget(nst_tree* tree, uint64_t n, const uint64_t* tickets,
                                   nst_error* error) NST_NOEXCEPT;

/* Visits and sums of values of the children behind a path of decisions, one entry an option of the
 * next decision. */
NST_API nst_status nst_tree_children(const nst_tree* tree, const uint8_t* path, size_t length,
                                     uint64_t* visits, double* sums, nst_error* error) NST_NOEXCEPT;

/* The most visited child of each node from the root on. */
NST_API nst_status nst_tree_best_path(const nst_tree* tree, uint8_t* out, uint64_t capacity,
                                      uint64_t* length, nst_error* error) NST_NOEXCEPT;

NST_API nst_status nst_tree_save(const nst_tree* tree, uint8_t* out, size_t capacity, size_t* size,
                                 nst_error* error) NST_NOEXCEPT;
NST_API nst_status nst_tree_load(const uint8_t* bytes, size_t size, nst_tree** out,
                                 nst_error* error) NST_NOEXCEPT;

#if defined(__cplusplus)
}
#endif

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

/* Declares a space, samples and mutates it, counts what its architectures compute, encodes them and
 * keeps codes as bytes, and tells graphs apart: in C, without Python. */

#include <nasturtium/c_api.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kText[] =
    "nasturtium-space 1\n"
    "space triangle\n"
    "decision a \"none\" \"skip\" \"conv3\"\n"
    "decision b \"none\" \"skip\" \"conv3\"\n"
    "decision c \"none\" \"skip\" \"conv3\"\n"
    "zero \"none\"\n"
    "identity \"skip\" \"sum\"\n"
    "node in \"input\"\n"
    "node mid \"sum\"\n"
    "node out \"sum\"\n"
    "edge in mid $a\n"
    "edge mid out $b\n"
    "edge in out $c\n"
    "connected\n"
    "end\n";

enum { kRows = 1000 };

static int compare_keys(const void* a, const void* b) { return memcmp(a, b, 16); }

/* How many codes the space has, and how many different functions they compute. */
static nst_status count(const nst_space* space, uint64_t* codes, uint64_t* functions,
                        nst_error* error) {
  *functions = 0;
  nst_status status = nst_space_enumerate(space, 1000, NULL, 0, codes, error);
  if (status != NST_OK) return status;
  uint8_t* all = malloc(*codes * nst_space_width(space));
  uint64_t* keys = malloc(*codes * 16);
  status = all != NULL && keys != NULL ? NST_OK : NST_ERROR_MEMORY;
  if (status == NST_OK) status = nst_space_enumerate(space, 1000, all, *codes, codes, error);
  if (status == NST_OK) status = nst_space_keys(space, "function", *codes, all, 1, keys, error);
  if (status == NST_OK) {
    qsort(keys, *codes, 16, compare_keys);
    for (uint64_t i = 0; i < *codes; ++i) {
      *functions += i == 0 || compare_keys(keys + 2 * i - 2, keys + 2 * i) != 0;
    }
  }
  free(all);
  free(keys);
  return status;
}

/* Draws codes, changes each, keeps them as bytes and reads them again. */
static nst_status walk(const nst_space* space, uint64_t* good, size_t* size, nst_error* error) {
  static uint8_t codes[kRows * 3], mutants[kRows * 3], back[kRows * 3], valid[kRows], bytes[4096];
  const nst_draws draws = {.seed = 7, .threads = 2};
  uint64_t rows = 0;
  nst_status status = nst_space_sample(space, &draws, kRows, codes, error);
  if (status == NST_OK) status = nst_space_mutate(space, &draws, kRows, codes, mutants, error);
  if (status == NST_OK) status = nst_space_valid(space, kRows, mutants, 1, valid, error);
  if (status == NST_OK) {
    status = nst_codes_save(space, kRows, mutants, bytes, sizeof(bytes), size, error);
  }
  if (status == NST_OK) status = nst_codes_load(space, bytes, *size, back, kRows, &rows, error);
  *good = 0;
  for (size_t i = 0; i < rows; ++i) {
    *good += valid[i] && memcmp(codes + 3 * i, mutants + 3 * i, 3) != 0 &&
             memcmp(back + 3 * i, mutants + 3 * i, 3) == 0;
  }
  return status;
}

/* How many paths all codes together have, as bits of the path encoding. */
static nst_status paths(const nst_space* space, uint64_t* found, nst_error* error) {
  const nst_draws draws = {.seed = 9, .threads = 1};
  static uint8_t codes[kRows * 3];
  static uint64_t bits[kRows];
  nst_paths* encoder = NULL;
  nst_status status = nst_paths_create(space, 0, &encoder, error);
  if (status == NST_OK && nst_paths_columns(encoder) > 64) status = NST_ERROR_INTERNAL;
  if (status == NST_OK) status = nst_space_sample(space, &draws, kRows, codes, error);
  if (status == NST_OK) status = nst_paths_bits(encoder, kRows, codes, 1, bits, error);
  uint64_t seen = 0;
  for (size_t i = 0; status == NST_OK && i < kRows; ++i) seen |= bits[i];
  for (*found = 0; seen != 0; seen &= seen - 1) ++*found;
  nst_paths_destroy(encoder);
  return status;
}

/* A diamond twice, the second time with its middle vertices exchanged and one that is dead: the
 * same graphs once the dead vertex is gone. */
static nst_status diamonds(int* same, nst_error* error) {
  const nst_graph_sizes sizes = {.graphs = 2, .vertices = 9, .words = 1};
  const int64_t offsets[] = {0, 4, 9}, first[] = {0, 0}, last[] = {3, 4};
  const uint64_t labels[] = {1, 5, 6, 2, 1, 6, 5, 7, 2};
  const uint64_t rows[] = {6, 8, 8, 0, 14, 16, 16, 0, 0};
  nst_graphs *batch = NULL, *live = NULL;
  uint64_t keys[4];
  nst_status status = nst_graphs_create(&sizes, offsets, rows, labels, NULL, &batch, error);
  if (status == NST_OK) status = nst_graphs_prune(batch, first, last, 1, &live, error);
  if (status == NST_OK) status = nst_graphs_keys(live, 1, 0, 1, keys, error);
  *same = status == NST_OK && memcmp(keys, keys + 2, 16) == 0;
  nst_graphs_destroy(batch);
  nst_graphs_destroy(live);
  return status;
}

int main(void) {
  nst_error* error = NULL;
  nst_space* space = NULL;
  if (nst_abi_version() != NST_ABI_VERSION || nst_error_create(&error) != NST_OK) {
    return 1;
  }
  uint64_t codes = 0, functions = 0, good = 0;
  size_t size = 0;
  nst_status status = nst_space_create(kText, strlen(kText), &space, error);
  if (status == NST_OK && nst_space_width(space) != 3) status = NST_ERROR_INTERNAL;
  if (status == NST_OK) status = count(space, &codes, &functions, error);
  uint64_t seen = 0;
  int same = 0;
  if (status == NST_OK) status = walk(space, &good, &size, error);
  if (status == NST_OK) status = paths(space, &seen, error);
  if (status == NST_OK) status = diamonds(&same, error);
  if (status == NST_OK) {
    printf("%s: %" PRIu64 " codes, %" PRIu64 " functions, %" PRIu64
           " of %d mutants valid, %zu bytes, %" PRIu64 " paths, diamonds %s\n",
           nst_version(), codes, functions, good, kRows, size, seen, same ? "equal" : "different");
  } else {
    fprintf(stderr, "%s: %s\n", nst_status_name(status), nst_error_message(error));
  }
  nst_space_destroy(space);
  nst_error_destroy(error);
  return status == NST_OK ? 0 : 1;
}

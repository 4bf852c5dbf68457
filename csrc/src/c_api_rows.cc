#include <vector>

#include "c_api_guard.hpp"
#include "nasturtium/c_api.h"
#include "nasturtium/encode.hpp"
#include "nasturtium/keys.hpp"
#include "nasturtium/rng.hpp"

namespace nasturtium::c_api {
namespace {

// On codes with random numbers.
template <typename F>
nst_status on_draws(const nst_space* space, const nst_draws* draws, std::uint64_t n,
                    std::initializer_list<const std::uint8_t*> in, std::uint8_t* out,
                    nst_error* error, F work) noexcept {
  if (const char* why = mistake({Array(draws, 1)}, {})) {
    return tell(error, NST_ERROR_ARGUMENT, 0, why);
  }
  const Array to(out, product(n, nst_space_width(space)));
  return on_rows(space, n, in, {to}, error,
                 [&](const Space& s) { return work(s, draws_of(*draws)); });
}

}  // namespace
}  // namespace nasturtium::c_api

namespace nst = nasturtium;
using nasturtium::c_api::Array;
using nasturtium::c_api::list_rows;
using nasturtium::c_api::on_draws;
using nasturtium::c_api::on_rows;
using nasturtium::c_api::product;

nst_status nst_space_sample(const nst_space* space, const nst_draws* draws, uint64_t n,
                            uint8_t* out, nst_error* error) noexcept {
  return on_draws(space, draws, n, {}, out, error, [&](const nst::Space& s, const nst::Draws& d) {
    return nst::sample(s, d, n, out);
  });
}

nst_status nst_space_mutate(const nst_space* space, const nst_draws* draws, uint64_t n,
                            const uint8_t* codes, uint8_t* out, nst_error* error) noexcept {
  return on_draws(
      space, draws, n, {codes}, out, error,
      [&](const nst::Space& s, const nst::Draws& d) { return nst::mutate(s, d, n, codes, out); });
}

nst_status nst_space_crossover(const nst_space* space, const nst_draws* draws, uint64_t n,
                               const uint8_t* a, const uint8_t* b, uint8_t* out,
                               nst_error* error) noexcept {
  return on_draws(
      space, draws, n, {a, b}, out, error,
      [&](const nst::Space& s, const nst::Draws& d) { return nst::crossover(s, d, n, a, b, out); });
}

nst_status nst_space_neighbors(const nst_space* space, const uint8_t* code, uint8_t* out,
                               uint64_t capacity, uint64_t* rows, nst_error* error) noexcept {
  return list_rows(space, Array(code, nst_space_width(space)), out, capacity, rows, error,
                   [&](const nst::Space& s, std::vector<std::uint8_t>& found) {
                     return nst::neighbors(s, code, found);
                   });
}

nst_status nst_space_enumerate(const nst_space* space, uint64_t limit, uint8_t* out,
                               uint64_t capacity, uint64_t* rows, nst_error* error) noexcept {
  return list_rows(space, Array(out, 0), out, capacity, rows, error,
                   [&](const nst::Space& s, std::vector<std::uint8_t>& found) {
                     return nst::enumerate(s, limit, found);
                   });
}

nst_status nst_space_valid(const nst_space* space, uint64_t n, const uint8_t* codes,
                           uint32_t threads, uint8_t* out, nst_error* error) noexcept {
  return on_rows(space, n, {codes}, {Array(out, n)}, error,
                 [&](const nst::Space& s) { return nst::valid_rows(s, n, codes, out, threads); });
}

nst_status nst_space_check(const nst_space* space, const uint8_t* code, nst_error* error) noexcept {
  return on_rows(space, 1, {code}, {}, error,
                 [&](const nst::Space& s) { return nst::check(s, code); });
}

nst_status nst_space_keys(const nst_space* space, const char* convention, uint64_t n,
                          const uint8_t* codes, uint32_t threads, uint64_t* out,
                          nst_error* error) noexcept {
  nst::Convention rule{};
  if (convention == nullptr || !nst::find_convention(convention, rule)) {
    return nst::c_api::tell(error, NST_ERROR_ARGUMENT, 0,
                            "the convention is none of genotype, pruned, graph, function, string "
                            "and string_skip");
  }
  return on_rows(space, n, {codes}, {Array(out, product(n, 2))}, error,
                 [&](const nst::Space& s) { return nst::keys(s, rule, n, codes, out, threads); });
}

nst_status nst_space_one_hot(const nst_space* space, uint64_t n, const uint8_t* codes,
                             uint32_t threads, float* out, nst_error* error) noexcept {
  const Array to(out, product(n, nst_space_one_hot_width(space)));
  return on_rows(space, n, {codes}, {to}, error,
                 [&](const nst::Space& s) { return nst::one_hot(s, n, codes, out, threads); });
}

nst_status nst_space_categorical(const nst_space* space, uint64_t n, const uint8_t* codes,
                                 uint32_t threads, int16_t* out, nst_error* error) noexcept {
  const Array to(out, product(n, nst_space_width(space)));
  return on_rows(space, n, {codes}, {to}, error,
                 [&](const nst::Space& s) { return nst::categorical(s, n, codes, out, threads); });
}

nst_status nst_random_words(uint64_t seed, uint32_t stream, uint64_t counter, uint64_t n,
                            uint64_t* out, nst_error* error) noexcept {
  return nst::c_api::guarded(error, [&]() -> nst::c_api::Outcome {
    if (const char* why = nst::c_api::mistake({}, {Array(out, n)})) {
      return nst::c_api::refused(why);
    }
    if (n != 0) {
      nst::random_words({out, n}, {seed, stream}, counter);
    }
    return {};
  });
}

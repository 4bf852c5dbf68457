#include "nasturtium/c_api.h"

#include <iterator>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "c_api_guard.hpp"
#include "nasturtium/state.hpp"

// Part of the binary interface.
static_assert(sizeof(nst_draws) == 24 && alignof(nst_draws) == 8);
static_assert(std::is_standard_layout_v<nst_draws>);

namespace nasturtium::c_api {

nst_status number_of(Code code) {
  switch (code) {
    case Code::ok:
      return NST_OK;
    case Code::text:
      return NST_ERROR_TEXT;
    case Code::row:
      return NST_ERROR_ROW;
    case Code::exhausted:
      return NST_ERROR_EXHAUSTED;
    case Code::limit:
      return NST_ERROR_LIMIT;
    case Code::budget:
      return NST_ERROR_BUDGET;
    case Code::state:
      return NST_ERROR_STATE;
    case Code::memory:
      return NST_ERROR_MEMORY;
  }
  return NST_ERROR_INTERNAL;
}

const char* mistake(std::initializer_list<Array> in, std::initializer_list<Array> out) {
  for (const auto& arrays : {in, out}) {
    for (const Array& array : arrays) {
      if (array.bytes == 0) {
        continue;
      }
      if (array.data == 0) {
        return "an argument is NULL";
      }
      if (array.bytes > kMaxBytes || array.bytes > ~array.data) {
        return "an argument is longer than memory can be";
      }
      if (array.data % array.alignment != 0) {
        return "an argument is not aligned to its type";
      }
    }
  }
  const auto overlap = [](const Array& a, const Array& b) {
    return a.bytes != 0 && b.bytes != 0 && a.data < b.data + b.bytes && b.data < a.data + a.bytes;
  };
  for (auto to = out.begin(); to != out.end(); ++to) {
    for (const Array& from : in) {
      if (overlap(*to, from)) {
        return "a result overlaps an argument";
      }
    }
    for (auto other = out.begin(); other != to; ++other) {
      if (overlap(*to, *other)) {
        return "two results overlap";
      }
    }
  }
  return nullptr;
}

Outcome write_rows(std::size_t width, std::span<const std::uint8_t> found, std::uint8_t* out,
                   std::uint64_t capacity, std::uint64_t* rows) {
  *rows = found.size() / width;
  if (out == nullptr && capacity == 0) {
    return {};
  }
  if (capacity < *rows) {
    return {NST_ERROR_CAPACITY, *rows, "there are " + std::to_string(*rows) + " rows"};
  }
  std::copy(found.begin(), found.end(), out);
  return {};
}

namespace {

// A space that was compiled from this text.
Outcome described(nst_space& made, std::string_view text, Status compiled) {
  if (!compiled.ok()) {
    return outcome(std::move(compiled));
  }
  made.text = text;
  for (const std::uint32_t count : made.space.counts) {
    made.one_hot_width += count;
  }
  return {};
}

const Decision* decision_of(const nst_space* space, std::size_t decision) {
  return space != nullptr && decision < space->space.width() ? &space->space.decisions[decision]
                                                             : nullptr;
}

}  // namespace
}  // namespace nasturtium::c_api

namespace nst = nasturtium;
using nasturtium::c_api::Array;
using nasturtium::c_api::list_rows;
using nasturtium::c_api::make_handle;
using nasturtium::c_api::Outcome;
using nasturtium::c_api::outcome;
using nasturtium::c_api::product;
using nasturtium::c_api::write_state;

const char* nst_version(void) noexcept { return NASTURTIUM_VERSION; }

std::uint32_t nst_abi_version(void) noexcept { return NST_ABI_VERSION; }

const char* nst_status_name(nst_status status) noexcept {
  static constexpr const char* kNames[] = {"NST_OK",
                                           "NST_ERROR_TEXT",
                                           "NST_ERROR_ROW",
                                           "NST_ERROR_EXHAUSTED",
                                           "NST_ERROR_LIMIT",
                                           "NST_ERROR_BUDGET",
                                           "NST_ERROR_STATE",
                                           "NST_ERROR_MEMORY",
                                           "NST_ERROR_ARGUMENT",
                                           "NST_ERROR_CAPACITY",
                                           "NST_ERROR_INTERNAL"};
  static_assert(std::size(kNames) == NST_ERROR_INTERNAL + 1);
  if (status < NST_OK || status > NST_ERROR_INTERNAL) {
    status = NST_ERROR_INTERNAL;
  }
  return kNames[status];
}

nst_status nst_error_create(nst_error** out) noexcept {
  if (out == nullptr) {
    return NST_ERROR_ARGUMENT;
  }
  *out = new (std::nothrow) nst_error;
  return *out == nullptr ? NST_ERROR_MEMORY : NST_OK;
}

void nst_error_destroy(nst_error* error) noexcept { delete error; }

nst_status nst_error_status(const nst_error* error) noexcept {
  if (error == nullptr) {
    return NST_ERROR_ARGUMENT;
  }
  return error->status;
}

std::uint64_t nst_error_where(const nst_error* error) noexcept {
  return error == nullptr ? 0 : error->where;
}

const char* nst_error_message(const nst_error* error) noexcept {
  return error == nullptr ? "" : error->message;
}

nst_status nst_space_create(const char* text, size_t length, nst_space** out,
                            nst_error* error) noexcept {
  return make_handle(out, {Array(text, length)}, error, [&](nst_space& made) {
    const std::string_view view(length == 0 ? "" : text, length);
    return nst::c_api::described(made, view, nst::parse_space(view, made.space));
  });
}

void nst_space_destroy(nst_space* space) noexcept { delete space; }

const char* nst_space_name(const nst_space* space) noexcept {
  return space == nullptr ? nullptr : space->space.name.c_str();
}

const char* nst_space_text(const nst_space* space) noexcept {
  return space == nullptr ? nullptr : space->text.c_str();
}

size_t nst_space_width(const nst_space* space) noexcept {
  return space == nullptr ? 0 : space->space.width();
}

size_t nst_space_one_hot_width(const nst_space* space) noexcept {
  return space == nullptr ? 0 : space->one_hot_width;
}

const char* nst_space_decision(const nst_space* space, size_t decision) noexcept {
  const nst::Decision* found = nst::c_api::decision_of(space, decision);
  return found == nullptr ? nullptr : found->name.c_str();
}

size_t nst_space_options(const nst_space* space, size_t decision) noexcept {
  const nst::Decision* found = nst::c_api::decision_of(space, decision);
  return found == nullptr ? 0 : found->options.size();
}

const char* nst_space_option(const nst_space* space, size_t decision, size_t option) noexcept {
  const nst::Decision* found = nst::c_api::decision_of(space, decision);
  return found == nullptr || option >= found->options.size() ? nullptr
                                                             : found->options[option].text.c_str();
}

nst_status nst_space_save(const nst_space* space, uint8_t* out, size_t capacity, size_t* size,
                          nst_error* error) noexcept {
  return write_state(space, {}, out, capacity, size, error, [&](std::vector<std::uint8_t>& to) {
    return nst::save_space(space->text, to);
  });
}

nst_status nst_space_load(const uint8_t* bytes, size_t size, nst_space** out,
                          nst_error* error) noexcept {
  return make_handle(out, {Array(bytes, size)}, error, [&](nst_space& made) {
    std::string_view text;
    nst::Status loaded = nst::load_space({bytes, size}, made.space, text);
    return nst::c_api::described(made, text, std::move(loaded));
  });
}

nst_status nst_codes_save(const nst_space* space, uint64_t n, const uint8_t* codes, uint8_t* out,
                          size_t capacity, size_t* size, nst_error* error) noexcept {
  const std::uint64_t bytes = space == nullptr ? 0 : product(n, space->space.width());
  return write_state(
      space, {Array(codes, bytes)}, out, capacity, size, error,
      [&](std::vector<std::uint8_t>& to) { return nst::save_codes(space->space, n, codes, to); });
}

nst_status nst_codes_load(const nst_space* space, const uint8_t* bytes, size_t size, uint8_t* out,
                          uint64_t capacity, uint64_t* rows, nst_error* error) noexcept {
  return list_rows(space, Array(bytes, size), out, capacity, rows, error,
                   [&](const nst::Space& s, std::vector<std::uint8_t>& found) {
                     std::span<const std::uint8_t> codes;
                     nst::Status loaded = nst::load_codes(s, {bytes, size}, codes);
                     found.assign(codes.begin(), codes.end());
                     return loaded;
                   });
}

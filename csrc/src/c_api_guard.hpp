#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nasturtium/c_api.h"
#include "nasturtium/moves.hpp"
#include "nasturtium/space.hpp"
#include "nasturtium/status.hpp"

// What the C functions share. The message has its place from the start, so that running out of
// memory can be told.
struct nst_error {
  nst_status status = NST_OK;
  std::uint64_t where = 0;
  char message[512] = {};
};

struct nst_space {
  nasturtium::Space space;
  std::string text;
  std::size_t one_hot_width = 0;
};

namespace nasturtium::c_api {

// No array is larger: more than a process can address, and far from where sums wrap around.
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 47;

// The product where it is at most kMaxBytes, else more than that.
constexpr std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > kMaxBytes / a ? kMaxBytes + 1 : a * b;
}

struct Outcome {
  nst_status status = NST_OK;
  std::uint64_t where = 0;
  std::string reason;
};

inline Outcome refused(const char* reason) { return {NST_ERROR_ARGUMENT, 0, reason}; }

nst_status number_of(Code code);

inline Outcome outcome(Status status) {
  return {number_of(status.code), status.where, std::move(status.reason)};
}

inline nst_status tell(nst_error* error, nst_status status, std::uint64_t where,
                       std::string_view reason) noexcept {
  if (error != nullptr) {
    error->status = status;
    error->where = where;
    const std::size_t size = std::min(reason.size(), sizeof(error->message) - 1);
    std::copy_n(reason.data(), size, error->message);
    error->message[size] = '\0';
  }
  return status;
}

// Runs work, which returns an Outcome, and lets nothing that it throws pass.
template <typename F>
nst_status guarded(nst_error* error, F work) noexcept {
  try {
    const Outcome result = work();
    return tell(error, result.status, result.where, result.reason);
  } catch (const std::bad_alloc&) {
    return tell(error, NST_ERROR_MEMORY, 0, "out of memory");
  } catch (...) {
    return tell(error, NST_ERROR_INTERNAL, 0, "an exception that was not expected");
  }
}

// An array argument: `count` elements, saturated as by product.
struct Array {
  template <typename T>
  Array(const T* elements, std::uint64_t count)
      : data(reinterpret_cast<std::uintptr_t>(elements)),
        bytes(product(count, sizeof(T))),
        alignment(alignof(T)) {}

  std::uintptr_t data;
  std::uint64_t bytes;
  std::size_t alignment;
};

// Why the arrays cannot be used together, or nullptr.
const char* mistake(std::initializer_list<Array> in, std::initializer_list<Array> out);

// Writes the number of rows, and the rows where there is room; no array of capacity 0 asks only.
Outcome write_rows(std::size_t width, std::span<const std::uint8_t> found, std::uint8_t* out,
                   std::uint64_t capacity, std::uint64_t* rows);

// The same for numbers.
template <typename T, typename Length>
Outcome write_all(std::span<const T> found, T* out, std::uint64_t capacity, Length* length) {
  *length = static_cast<Length>(found.size());
  if (out == nullptr && capacity == 0) {
    return {};
  }
  if (capacity < found.size()) {
    return {NST_ERROR_CAPACITY, found.size(),
            "there are " + std::to_string(found.size()) + ", more than the array holds"};
  }
  std::copy(found.begin(), found.end(), out);
  return {};
}

// Makes a handle out of what comes in; open(handle) reports whether it is one.
template <typename Handle, typename F>
nst_status make_handle(Handle** out, std::initializer_list<Array> in, nst_error* error,
                       F open) noexcept {
  return guarded(error, [&]() -> Outcome {
    if (const char* why = mistake({}, {Array(out, 1)})) {
      return refused(why);
    }
    *out = nullptr;
    if (const char* why = mistake(in, {Array(out, 1)})) {
      return refused(why);
    }
    auto made = std::make_unique<Handle>();
    Outcome result = open(*made);
    if (result.status == NST_OK) {
      *out = made.release();
    }
    return result;
  });
}

// Runs work on n codes of a handle's space: they come in, arrays go out.
template <typename Handle, typename F>
nst_status on_rows(const Handle* handle, std::uint64_t n,
                   std::initializer_list<const std::uint8_t*> in, std::initializer_list<Array> out,
                   nst_error* error, F work) noexcept {
  return guarded(error, [&]() -> Outcome {
    if (handle == nullptr) {
      return refused("the handle is NULL");
    }
    const std::uint64_t bytes = product(n, handle->space.width());
    const char* why = mistake({}, out);
    for (auto codes = in.begin(); why == nullptr && codes != in.end(); ++codes) {
      why = mistake({Array(*codes, bytes)}, out);
    }
    if (why != nullptr) {
      return refused(why);
    }
    return n == 0 ? Outcome{} : outcome(work(handle->space));
  });
}

// The same for what finds codes, whose number is not known.
template <typename F>
nst_status list_rows(const nst_space* space, Array in, std::uint8_t* out, std::uint64_t capacity,
                     std::uint64_t* rows, nst_error* error, F work) noexcept {
  return guarded(error, [&]() -> Outcome {
    if (space == nullptr || rows == nullptr) {
      return refused("the space or the place for the number of rows is NULL");
    }
    const std::size_t width = space->space.width();
    if (const char* why = mistake({in}, {Array(out, product(capacity, width)), Array(rows, 1)})) {
      return refused(why);
    }
    *rows = 0;
    std::vector<std::uint8_t> found;
    if (Status s = work(space->space, found); !s.ok()) {
      return outcome(std::move(s));
    }
    return write_rows(width, found, out, capacity, rows);
  });
}

// Writes the state that save(bytes) makes of a handle and what comes in.
template <typename F>
nst_status write_state(const void* handle, std::initializer_list<Array> in, std::uint8_t* out,
                       std::size_t capacity, std::size_t* size, nst_error* error, F save) noexcept {
  return guarded(error, [&]() -> Outcome {
    if (handle == nullptr || size == nullptr) {
      return refused("the handle or the place for the size is NULL");
    }
    if (const char* why = mistake(in, {Array(out, capacity), Array(size, 1)})) {
      return refused(why);
    }
    std::vector<std::uint8_t> bytes;
    if (Status s = save(bytes); !s.ok()) {
      return outcome(std::move(s));
    }
    return write_all(std::span<const std::uint8_t>(bytes), out, capacity, size);
  });
}

inline Draws draws_of(const nst_draws& d) { return {{d.seed, d.stream}, d.start, d.threads}; }

}  // namespace nasturtium::c_api

#pragma once

#include <mutex>
#include <string>
#include <utility>

#include "common.hpp"

// What the bindings of the bookkeeping of a search share.
namespace nasturtium::bind::books {

// Raises nasturtium.errors.UserError.
[[noreturn]] void refuse(const std::string& message);

// Raises UserError where the status is a failure.
void accept(const Status& status);

// Runs a function without Python in it, without the GIL, and raises what it reports.
template <typename F>
void run(F work) {
  Status status;
  {
    py::gil_scoped_release release;
    status = work();
  }
  accept(status);
}

// A value that changes: one call at a time, whichever threads they come from.
template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  // Runs work(value) without the GIL, and raises what it reports.
  template <typename F>
  void run(F work) {
    books::run([&] {
      const std::lock_guard<std::mutex> lock(mutex_);
      return work(value_);
    });
  }

  // The result of work(value), for what takes no time.
  template <typename F>
  auto read(F work) {
    py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(mutex_);
    return work(value_);
  }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace nasturtium::bind::books

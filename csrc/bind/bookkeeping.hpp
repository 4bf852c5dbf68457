#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common.hpp"
#include "nasturtium/book_state.hpp"

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

template <typename T>
py::bytes state_of(Guarded<T>& value) {
  std::vector<std::uint8_t> state;
  value.run([&](T& v) { return save_state(v, state); });
  return {reinterpret_cast<const char*>(state.data()), state.size()};
}

// What a state was taken from; `made` is any value of the type.
template <typename T>
std::unique_ptr<Guarded<T>> from_state(const py::bytes& state, T made) {
  const std::string_view view = state;
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(view.data()),
                                            view.size());
  auto value = std::make_unique<Guarded<T>>(std::move(made));
  value->run([&](T& v) { return load_state(bytes, v); });
  return value;
}

}  // namespace nasturtium::bind::books

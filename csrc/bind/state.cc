#include "nasturtium/state.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "common.hpp"
#include "nasturtium/c_api.h"
#include "nasturtium/keys.hpp"

namespace nasturtium::bind {
namespace {

// The bytes stay alive and unchanged while the argument does.
std::span<const std::uint8_t> span_of(const py::bytes& data) {
  const std::string_view view = data;
  return {reinterpret_cast<const std::uint8_t*>(view.data()), view.size()};
}

py::bytes bytes_of(std::span<const std::uint8_t> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

Space compiled(const std::string& text) {
  Space space;
  run([&] { return parse_space(text, space); });
  return space;
}

py::bytes save_space(const std::string& text) {
  std::vector<std::uint8_t> state;
  run([&] { return nasturtium::save_space(text, state); });
  return bytes_of(state);
}

py::bytes load_space(const py::bytes& state) {
  const std::span<const std::uint8_t> from = span_of(state);
  Space space;
  std::string_view text;
  run([&] { return nasturtium::load_space(from, space, text); });
  return {text.data(), text.size()};
}

py::bytes save_codes(const std::string& text, const Codes& codes) {
  const Space space = compiled(text);
  const std::uint64_t n = rows(codes, space.width(), "codes");
  const std::uint8_t* from = codes.data();
  std::vector<std::uint8_t> state;
  run([&] { return nasturtium::save_codes(space, n, from, state); });
  return bytes_of(state);
}

Codes load_codes(const std::string& text, const py::bytes& state) {
  const Space space = compiled(text);
  const std::span<const std::uint8_t> from = span_of(state);
  std::span<const std::uint8_t> found;
  run([&] { return nasturtium::load_codes(space, from, found); });
  const auto width = static_cast<py::ssize_t>(space.width());
  Codes out({static_cast<py::ssize_t>(found.size()) / width, width});
  std::copy(found.begin(), found.end(), out.mutable_data());
  return out;
}

py::tuple murmur128(const py::bytes& data, std::uint64_t seed) {
  std::uint64_t key[2];
  nasturtium::murmur128(span_of(data), seed, key);
  return py::make_tuple(key[0], key[1]);
}

}  // namespace

void bind_state(py::module_& m) {
  using namespace py::literals;
  m.attr("abi_version") = nst_abi_version();
  m.def("save_space", &save_space, "text"_a);
  m.def("load_space", &load_space, "state"_a);
  m.def("save_codes", &save_codes, "text"_a, "codes"_a.noconvert());
  m.def("load_codes", &load_codes, "text"_a, "state"_a);
  m.def("murmur128", &murmur128, "data"_a, "seed"_a);
}

}  // namespace nasturtium::bind

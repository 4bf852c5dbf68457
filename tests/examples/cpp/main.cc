// Declares a space, samples and mutates it, counts what its architectures compute, and keeps codes
// as bytes.

#include <nasturtium/keys.hpp>
#include <nasturtium/moves.hpp>
#include <nasturtium/space.hpp>
#include <nasturtium/state.hpp>
#include <nasturtium/version.hpp>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace nst = nasturtium;

constexpr const char* kText = R"(nasturtium-space 1
space triangle
decision a "none" "skip" "conv3"
decision b "none" "skip" "conv3"
decision c "none" "skip" "conv3"
zero "none"
identity "skip" "sum"
node in "input"
node mid "sum"
node out "sum"
edge in mid $a
edge mid out $b
edge in out $c
connected
end
)";

int main() {
  nst::Space space;
  if (const nst::Status status = nst::parse_space(kText, space); !status.ok()) {
    std::cerr << "line " << status.where << ": " << status.reason << '\n';
    return 1;
  }
  std::vector<std::uint8_t> all;
  if (!nst::enumerate(space, 1000, all).ok()) return 1;
  const std::uint64_t rows = all.size() / space.width();
  std::vector<std::uint64_t> words(2 * rows);
  if (!nst::keys(space, nst::Convention::function, rows, all.data(), words.data(), 1).ok())
    return 1;
  std::set<std::pair<std::uint64_t, std::uint64_t>> functions;
  for (std::uint64_t i = 0; i < rows; ++i) functions.emplace(words[2 * i], words[2 * i + 1]);

  const std::uint64_t n = 1000;
  std::vector<std::uint8_t> codes(n * space.width()), mutants(codes), valid(n);
  if (!nst::sample(space, {{7, 0}, 0, 2}, n, codes.data()).ok()) return 1;
  if (!nst::mutate(space, {{7, 0}, 0, 2}, n, codes.data(), mutants.data()).ok()) return 1;
  if (!nst::valid_rows(space, n, mutants.data(), valid.data(), 1).ok()) return 1;
  std::uint64_t good = 0;
  for (const std::uint8_t v : valid) good += v;

  std::vector<std::uint8_t> state;
  std::span<const std::uint8_t> back;
  if (!nst::save_codes(space, n, mutants.data(), state).ok()) return 1;
  if (!nst::load_codes(space, state, back).ok()) return 1;
  if (!std::equal(back.begin(), back.end(), mutants.begin(), mutants.end())) return 1;
  std::cout << NASTURTIUM_VERSION << ": " << rows << " codes, " << functions.size()
            << " functions, " << good << " of " << n << " mutants valid, " << state.size()
            << " bytes\n";
}

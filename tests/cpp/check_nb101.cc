// Runs the NAS-Bench-101 cell and the key map without Python, under the sanitizers: every operation
// on drawn cells, on random cells of every size, and on words that are no cells; MD5's known
// answers.
#include <array>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "md5.hpp"
#include "nasturtium/key_map.hpp"
#include "nasturtium/nb101.hpp"
#include "nasturtium/rng.hpp"
#include "require.hpp"

namespace nst = nasturtium;

namespace {

using Words = std::vector<std::uint64_t>;

// The test suite of RFC 1321, and lengths around the ends of blocks against each other.
bool known_digests() {
  const std::pair<std::string, std::string> answers[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
       "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"},
  };
  constexpr std::size_t kStride = 192;
  for (const auto& [text, hex] : answers) {
    std::vector<std::uint8_t> messages(kStride * nst::kMd5Lanes);
    for (std::size_t lane = 0; lane < nst::kMd5Lanes; ++lane) {
      std::memcpy(messages.data() + lane * kStride, text.data(), text.size());
      nst::md5_pad(messages.data() + lane * kStride, text.size());
    }
    std::array<nst::Md5Digest, nst::kMd5Lanes> digests;
    nst::md5(messages.data(), kStride, nst::md5_blocks(text.size()), digests.data());
    for (const nst::Md5Digest& digest : digests) {
      std::string found;
      for (unsigned i = 0; i < 16; ++i) {
        char byte[3];
        std::snprintf(byte, sizeof byte, "%02x", digest[i / 4] >> 8 * (i % 4) & 0xFF);
        found += byte;
      }
      REQUIRE(found == hex);
    }
  }
  return true;
}

// Every operation; `valid`: the words are valid cells of seven vertices.
bool all_operations(const Words& cells, bool valid) {
  const std::uint64_t n = cells.size();
  Words out(n), wide(6 * n);
  std::vector<std::uint8_t> bytes(n * nst::nb101::kPaths);
  std::vector<float> floats(n * nst::nb101::kPaths);
  const auto fine = [valid](const nst::Status& s) {
    return s.ok() || (!valid && (s.code == nst::Code::row || s.code == nst::Code::exhausted));
  };
  REQUIRE(nst::nb101::valid(n, cells.data(), bytes.data(), 2).ok());
  for (std::uint64_t i = 0; i < n && valid; ++i) {
    REQUIRE(bytes[i] == 1);
  }
  REQUIRE(fine(nst::nb101::prune(n, cells.data(), out.data(), 2)));
  const nst::Status found = nst::nb101::canonical_by_search(n, cells.data(), out.data(), 2);
  REQUIRE(fine(found));
  Words again(n);
  REQUIRE(nst::nb101::canonical(n, cells.data(), again.data(), 2).ok() == found.ok());
  REQUIRE(!found.ok() || out == again);
  REQUIRE(fine(nst::nb101::keys(n, cells.data(), wide.data(), 2)));
  REQUIRE(fine(nst::nb101::hashes(n, cells.data(), bytes.data(), 2)));
  REQUIRE(fine(nst::nb101::mutate({{3, 1}, 5, 2}, n, cells.data(), out.data())));
  REQUIRE(fine(nst::nb101::path_bits(n, cells.data(), wide.data(), 2)));
  REQUIRE(fine(nst::nb101::path_one_hot(n, cells.data(), 364, bytes.data(), 2)));
  REQUIRE(fine(nst::nb101::path_one_hot(n, cells.data(), 40, floats.data(), 2)));
  REQUIRE(fine(nst::nb101::adjacency_one_hot(n, cells.data(), bytes.data(), 2)));
  REQUIRE(fine(nst::nb101::adjacency_one_hot(n, cells.data(), floats.data(), 2)));
  return true;
}

std::uint64_t random_cell(nst::RowRandom& random) {
  const std::uint64_t count = 2 + random.below(6);
  std::uint64_t cell = count << nst::nb101::kCountAt;
  cell |= random.below(std::uint32_t{1} << (count * (count - 1) / 2));
  for (std::uint64_t v = 0; v + 2 < count; ++v) {
    cell |= std::uint64_t{random.below(3)} << (nst::nb101::kOperationsAt + 2 * v);
  }
  return cell;
}

bool cells() {
  Words drawn(5000);
  REQUIRE(nst::nb101::sample({{7, 0}, 0, 2}, drawn.size(), drawn.data()).ok());
  REQUIRE(all_operations(drawn, true));
  nst::RowRandom random({7, 1}, 0, nst::Purpose::stream);
  for (int i = 0; i < 1000; ++i) {
    std::uint64_t cell = random_cell(random);
    REQUIRE(all_operations({cell}, false));
    REQUIRE(all_operations({cell ^ std::uint64_t{1} << random.below(40)}, false));
    REQUIRE(all_operations({random.word()}, false));
  }
  for (unsigned vertices = 2; vertices <= 7; ++vertices) {
    std::uint64_t count = 0;
    REQUIRE(nst::nb101::count(vertices, count).ok());
    Words all(count);
    REQUIRE(nst::nb101::enumerate(vertices, all.data()).ok());
  }
  std::uint64_t count = 0;
  REQUIRE(nst::nb101::count(8, count).code == nst::Code::limit);
  return true;
}

bool key_map() {
  nst::KeyMap map;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> known;
  nst::RowRandom random({7, 2}, 0, nst::Purpose::stream);
  for (int batch = 0; batch < 300; ++batch) {
    const std::uint64_t n = random.below(200);
    Words keys(2 * n), numbers(n), found(n);
    std::vector<std::uint8_t> fresh(n);
    for (std::uint64_t& word : keys) {
      word = random.below(4) == 0 ? random.word() : random.below(60);
    }
    REQUIRE(map.find(n, keys.data(), found.data(), 2).ok());
    REQUIRE(map.insert(n, keys.data(), numbers.data(), fresh.data()).ok());
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::pair key{keys[2 * i], keys[2 * i + 1]};
      REQUIRE(found[i] == nst::KeyMap::kAbsent || known.at(key) == found[i]);
      REQUIRE(fresh[i] == (known.count(key) == 0));
      const auto [at, is_new] = known.try_emplace(key, known.size());
      REQUIRE(numbers[i] == at->second);
      REQUIRE(map.keys()[2 * numbers[i]] == key.first);
    }
  }
  REQUIRE(map.size() == known.size());
  REQUIRE(map.reserve(~std::uint64_t{0}).code == nst::Code::limit);
  return true;
}

}  // namespace

int main() {
  if (!known_digests() || !cells() || !key_map()) {
    return 1;
  }
  std::printf("done\n");
  return 0;
}

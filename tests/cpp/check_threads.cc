// Several threads use one space at a time, each with batches on several threads of its own. To be
// run under ThreadSanitizer; every result must be the one of a single thread.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "nasturtium/c_api.h"

namespace {

constexpr std::uint64_t kRows = 40000;  // above the grain of the moves
constexpr std::uint64_t kKeys = 600;    // above the grain of the keys
constexpr int kUsers = 2;

struct Results {
  std::vector<std::uint8_t> codes, mutants, children, valid, state;
  std::vector<float> hot;
  std::vector<std::uint64_t> graph, function, words;

  bool operator==(const Results&) const = default;
};

// Everything that a program does with a space, through the C header.
bool compute(const nst_space* space, std::uint32_t threads, Results& to) {
  const std::size_t width = nst_space_width(space);
  const nst_draws draws = {9, 1000, 2, threads};
  to.codes.resize(kRows * width);
  to.mutants.resize(kRows * width);
  to.children.resize(kRows * width);
  to.valid.resize(kRows);
  to.hot.resize(kRows * nst_space_one_hot_width(space));
  to.graph.resize(2 * kKeys);
  to.function.resize(2 * kKeys);
  to.words.resize(1001);
  const std::uint8_t* codes = to.codes.data();
  std::size_t size = 0;
  std::uint64_t rows = 0;
  const bool good =
      nst_space_sample(space, &draws, kRows, to.codes.data(), nullptr) == NST_OK &&
      nst_space_mutate(space, &draws, kRows, codes, to.mutants.data(), nullptr) == NST_OK &&
      nst_space_crossover(space, &draws, kRows, codes, to.mutants.data(), to.children.data(),
                          nullptr) == NST_OK &&
      nst_space_valid(space, kRows, to.children.data(), threads, to.valid.data(), nullptr) ==
          NST_OK &&
      nst_space_one_hot(space, kRows, codes, threads, to.hot.data(), nullptr) == NST_OK &&
      nst_space_keys(space, "graph", kKeys, codes, threads, to.graph.data(), nullptr) == NST_OK &&
      nst_space_keys(space, "function", kKeys, codes, threads, to.function.data(), nullptr) ==
          NST_OK &&
      nst_random_words(1, 2, 3, to.words.size(), to.words.data(), nullptr) == NST_OK &&
      nst_codes_save(space, kKeys, codes, nullptr, 0, &size, nullptr) == NST_OK;
  if (!good) {
    return false;
  }
  to.state.resize(size);
  std::vector<std::uint8_t> back(kKeys * width);
  return nst_codes_save(space, kKeys, codes, to.state.data(), size, &size, nullptr) == NST_OK &&
         nst_codes_load(space, to.state.data(), size, back.data(), kKeys, &rows, nullptr) ==
             NST_OK &&
         rows == kKeys && std::memcmp(back.data(), codes, back.size()) == 0;
}

bool run(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  nst_space* space = nullptr;
  if (nst_space_create(text.data(), text.size(), &space, nullptr) != NST_OK) {
    return false;
  }
  Results alone;
  std::atomic<int> equal{0};
  bool good = compute(space, 1, alone);
  std::vector<std::thread> users;
  for (int i = 0; i < kUsers; ++i) {
    users.emplace_back([&] {
      Results own;
      equal += compute(space, 4, own) && own == alone;
      // Compiling shares nothing either.
      nst_space* another = nullptr;
      equal += nst_space_create(text.data(), text.size(), &another, nullptr) == NST_OK;
      nst_space_destroy(another);
    });
  }
  for (std::thread& user : users) {
    user.join();
  }
  good = good && equal == 2 * kUsers;
  nst_space_destroy(space);
  return good;
}

// That this program sees a race: two threads write one variable.
int control() {
  int shared = 0;
  std::thread other([&shared] { ++shared; });
  ++shared;
  other.join();
  return shared == 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::strcmp(arguments[1], "control") == 0) {
    return control();
  }
  for (int i = 1; i < count; ++i) {
    if (!run(arguments[i])) {
      std::fprintf(stderr, "on %s\n", arguments[i]);
      return 1;
    }
  }
  std::printf("%d texts\n", count - 1);
  return count > 1 ? 0 : 1;
}

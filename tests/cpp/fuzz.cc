// Feeds damaged inputs to every parser and decoder, through C++ and through C:
//
//     fuzz COUNT SEED TEXT...
//
// Each execution is a function of the seed and its number. It fails on whatever a sanitizer
// reports, on a wrong status, on more memory than the input explains, on memory that is kept, and
// where what was accepted does not come back the same.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alloc.hpp"
#include "mutator.hpp"
#include "nasturtium/book_state.hpp"
#include "nasturtium/c_api.h"
#include "nasturtium/keys.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/pack.hpp"
#include "nasturtium/paths.hpp"
#include "nasturtium/space.hpp"
#include "nasturtium/state.hpp"
#include "nasturtium/wl.hpp"
#include "require.hpp"

namespace nst = nasturtium;
using mutator::bytes_of;

namespace {

struct Source {
  std::string text;
  std::unique_ptr<nst::Space> space;
  nst_space* handle = nullptr;
  std::string space_state, codes_state;
};

struct Tally {
  std::uint64_t texts = 0, states = 0, codes = 0, books = 0;  // accepted
};

std::string string_of(const std::vector<std::uint8_t>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

bool sound(const nst::Status& status) {
  return status.ok() ? status.reason.empty()
                     : !status.reason.empty() && status.reason.size() < 1000 &&
                           status.reason.find('\n') == std::string::npos;
}

// Every operation on two codes of a space that was accepted, and its states.
bool use(const nst::Space& space, const std::string& text) {
  const std::size_t width = space.width();
  std::vector<std::uint8_t> codes(2 * width), out(2 * width);
  const nst::Status drawn = nst::sample(space, {{3, 0}, 0, 1}, 2, codes.data());
  REQUIRE(drawn.ok() || drawn.code == nst::Code::exhausted);
  if (!drawn.ok()) {
    return true;
  }
  const nst::Status moved = nst::mutate(space, {{4, 0}, 0, 1}, 2, codes.data(), out.data());
  REQUIRE(moved.ok() || moved.code == nst::Code::exhausted);
  REQUIRE(nst::crossover(space, {{5, 0}, 0, 1}, 1, codes.data(), codes.data() + width, out.data())
              .ok());
  std::uint64_t keys[4];
  for (int rule = 0; rule < 6; ++rule) {
    const auto convention = static_cast<nst::Convention>(rule);
    const nst::Status s = nst::keys(space, convention, 2, codes.data(), keys, 1);
    REQUIRE(s.ok() || s.code == nst::Code::limit || s.code == nst::Code::budget);
  }
  std::uint64_t packed[2];
  const nst::Status small = nst::pack(space, 2, codes.data(), packed, 1);
  REQUIRE(small.ok() || small.code == nst::Code::limit);
  if (small.ok()) {
    REQUIRE(nst::unpack(space, 2, packed, out.data(), 1).ok() && out == codes);
    const std::uint64_t wild[] = {nst::mix(packed[0]), ~packed[1]};
    const nst::Status read = nst::unpack(space, 2, wild, out.data(), 1);
    REQUIRE(read.ok() || read.code == nst::Code::row);
  }
  nst::PathEncoder paths;
  const nst::Status built = paths.build(space, true);
  REQUIRE(built.ok() || built.code == nst::Code::limit);
  if (built.ok()) {
    std::vector<std::uint64_t> bits(2 * paths.words());
    REQUIRE(paths.bits(2, codes.data(), bits.data(), 1).ok());
  }
  nst::WLIndex index;
  if (index.begin(space, 1).ok()) {
    std::string motif;
    REQUIRE(index.add(2, codes.data(), 1).ok());
    const nst::Status named = index.motif(index.features() - 1, motif);
    REQUIRE(named.ok() || named.code == nst::Code::limit);
  }
  std::vector<std::uint8_t> state;
  REQUIRE(nst::save_codes(space, 2, codes.data(), state).ok());
  REQUIRE(state.size() == nst::codes_state_size(space, 2));
  std::span<const std::uint8_t> back;
  REQUIRE(nst::load_codes(space, state, back).ok());
  REQUIRE(std::equal(back.begin(), back.end(), codes.begin(), codes.end()));
  state.clear();
  REQUIRE(nst::save_space(text, state).ok());
  nst::Space again;
  std::string_view found;
  REQUIRE(nst::load_space(state, again, found).ok() && found == text);
  return true;
}

bool try_text(const std::string& input, Tally& tally) {
  const alloc::Watch watch;
  {
    auto space = std::make_unique<nst::Space>();
    const nst::Status status = nst::parse_space(input, *space);
    REQUIRE(watch.within(input.size()));
    REQUIRE(sound(status));
    REQUIRE(status.ok() || status.code == nst::Code::limit || status.where > 0);
    nst_space* handle = nullptr;
    const nst_status same = nst_space_create(input.data(), input.size(), &handle, nullptr);
    REQUIRE((same == NST_OK) == status.ok() && (handle != nullptr) == status.ok());
    nst_space_destroy(handle);
    if (status.ok() && ++tally.texts % 8 == 0 && !use(*space, input)) {
      return false;
    }
  }
  REQUIRE(watch.nothing_left());
  return true;
}

bool try_space_state(const std::string& input, Tally& tally) {
  const alloc::Watch watch;
  {
    auto space = std::make_unique<nst::Space>();
    std::string_view text;
    const nst::Status status = nst::load_space(bytes_of(input), *space, text);
    REQUIRE(watch.within(input.size()));
    REQUIRE(sound(status));
    const auto* data = reinterpret_cast<const std::uint8_t*>(input.data());
    nst_space* handle = nullptr;
    const nst_status same = nst_space_load(data, input.size(), &handle, nullptr);
    REQUIRE((same == NST_OK) == status.ok() && (handle != nullptr) == status.ok());
    REQUIRE(status.ok() || same == NST_ERROR_STATE || same == NST_ERROR_TEXT ||
            same == NST_ERROR_LIMIT);
    nst_space_destroy(handle);
    if (status.ok()) {
      ++tally.states;
      std::vector<std::uint8_t> again;
      REQUIRE(nst::save_space(text, again).ok() && string_of(again) == input);
    }
  }
  REQUIRE(watch.nothing_left());
  return true;
}

bool try_codes_state(const std::string& input, const Source& source, Tally& tally) {
  const alloc::Watch watch;
  {
    std::span<const std::uint8_t> codes;
    const nst::Status status = nst::load_codes(*source.space, bytes_of(input), codes);
    REQUIRE(watch.within(input.size() + source.text.size()));
    REQUIRE(sound(status));
    REQUIRE(status.ok() || status.code == nst::Code::state || status.code == nst::Code::row);
    const auto* data = reinterpret_cast<const std::uint8_t*>(input.data());
    std::vector<std::uint8_t> room(input.size());
    std::uint64_t rows = 0;
    const std::size_t width = source.space->width();
    const nst_status same = nst_codes_load(source.handle, data, input.size(), room.data(),
                                           input.size() / width, &rows, nullptr);
    REQUIRE((same == NST_OK) == status.ok());
    if (status.ok()) {
      ++tally.codes;
      REQUIRE(rows == codes.size() / width);
      REQUIRE(std::equal(codes.begin(), codes.end(), room.begin()));
      std::vector<std::uint8_t> again;
      REQUIRE(nst::save_codes(*source.space, rows, codes.data(), again).ok());
      REQUIRE(string_of(again) == input);
    }
  }
  REQUIRE(watch.nothing_left());
  return true;
}

// States of the bookkeeping, by their kind.
using Books = std::vector<std::string>;

template <typename Value>
void keep(const Value& value, Books& books) {
  std::vector<std::uint8_t> state;
  if (nst::save_state(value, state).ok()) {
    books.push_back(string_of(state));
  }
}

bool make_books(Books& books) {
  std::uint64_t died = 0;
  nst::AgeingQueue queue(3);
  nst::SteadyState steady(3);
  nst::Generational generations(3, 1);
  for (std::uint64_t i = 0; i < 7; ++i) {
    queue.born(i, died);
    steady.born(i, static_cast<double>(i % 3), died);
    generations.born(i, static_cast<double>(i % 3));
  }
  nst::ParetoArchive archive(3);
  const double points[] = {1, 2, 3, 3, 2, 1, 2, 2, 2};
  const std::uint64_t ids[] = {4, 5, 6};
  std::uint8_t kept[3];
  REQUIRE(archive.add(3, points, ids, kept).ok());
  const std::uint32_t etas[] = {2, 3};
  nst::Rungs rungs;
  nst::StoppingRungs stopping;
  REQUIRE(rungs.open(etas, 2).ok() && stopping.open(etas).ok());
  for (std::uint64_t i = 0; i < 6; ++i) {
    bool goes_on = false;
    REQUIRE(rungs.add(0, i, points + i).ok());
    REQUIRE(stopping.report(i % 2, points[i], goes_on).ok());
  }
  REQUIRE(rungs.promote(3, 0).ok() && rungs.add(1, 3, points).ok());
  nst::Halving halving;
  nst::Hyperband hyperband;
  const std::uint64_t sizes[] = {4, 2};
  REQUIRE(halving.open(sizes).ok() && hyperband.open(4, 2).ok());
  std::uint64_t number = 0, rung = 0;
  nst::Hyperband::Job job;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(halving.next(number, rung) && hyperband.next(job));
  }
  REQUIRE(halving.tell(1, 0.5).ok() && hyperband.tell(2, 0.5).ok());
  nst::TreeRule rule;
  rule.formula = nst::TreeRule::Formula::puct;
  const std::uint32_t branching[] = {2, 3};
  const double table[] = {0, 1, 2, 3, 4, 5};
  nst::Tree tree;
  REQUIRE(tree.open(branching, rule, {1, 2}).ok() && tree.run(table, 5, nullptr).ok());
  std::uint8_t codes[4];
  std::uint32_t lengths[2];
  std::uint64_t tickets[2];
  REQUIRE(tree.select(2, codes, lengths, tickets).ok());
  nst::KeyMap map;
  const std::uint64_t keys[] = {1, 2, 3, 4};
  std::uint64_t numbers[2];
  REQUIRE(map.insert(2, keys, numbers, kept).ok());
  nst::Species species(3, 1);
  const std::uint8_t founders[] = {0, 0, 0, 1, 1, 1};
  std::uint32_t places[2];
  species.assign(2, founders, places);
  nst::Bandit bandit;
  double p[2];
  REQUIRE(bandit.open(2, {nst::BanditRule::Formula::exp3, 1, 0.5}, {3, 4}).ok());
  REQUIRE(bandit.choose(2, places, p).ok() && bandit.reward(1, places, p, table).ok());
  keep(queue, books);
  keep(archive, books);
  keep(rungs, books);
  keep(stopping, books);
  keep(halving, books);
  keep(hyperband, books);
  keep(tree, books);
  keep(map, books);
  keep(steady, books);
  keep(generations, books);
  keep(species, books);
  keep(bandit, books);
  REQUIRE(books.size() == 12);
  return true;
}

template <typename Value>
bool try_value(const std::string& input, Value& value, Tally& tally) {
  const alloc::Watch watch;
  const nst::Status status = nst::load_state(bytes_of(input), value);
  REQUIRE(watch.within(input.size()));
  REQUIRE(sound(status));
  REQUIRE(status.ok() || status.code == nst::Code::state);
  if (status.ok()) {
    ++tally.books;
    std::vector<std::uint8_t> again;
    REQUIRE(nst::save_state(value, again).ok() && string_of(again) == input);
  }
  return true;
}

template <typename Value, typename... Arguments>
bool try_book(const std::string& input, Tally& tally, Arguments... arguments) {
  const alloc::Watch watch;
  {
    Value value(arguments...);
    if (!try_value(input, value, tally)) {
      return false;
    }
  }
  REQUIRE(watch.nothing_left());
  return true;
}

bool try_books(std::size_t kind, const std::string& input, Tally& tally) {
  switch (kind) {
    case 0:
      return try_book<nst::AgeingQueue>(input, tally, 1);
    case 1:
      return try_book<nst::ParetoArchive>(input, tally, 1);
    case 2:
      return try_book<nst::Rungs>(input, tally);
    case 3:
      return try_book<nst::StoppingRungs>(input, tally);
    case 4:
      return try_book<nst::Halving>(input, tally);
    case 5:
      return try_book<nst::Hyperband>(input, tally);
    case 6:
      return try_book<nst::Tree>(input, tally);
    case 7:
      return try_book<nst::KeyMap>(input, tally);
    case 8:
      return try_book<nst::SteadyState>(input, tally, 1);
    case 9:
      return try_book<nst::Generational>(input, tally, 1, 0);
    case 10:
      return try_book<nst::Species>(input, tally, 1, 0);
    default:
      return try_book<nst::Bandit>(input, tally);
  }
}

bool execute_book(std::uint64_t seed, std::uint64_t number, const Books& books, Tally& tally) {
  mutator::Random random({seed, 1}, number, nst::Purpose::stream);
  const std::size_t kind = mutator::below(random, books.size());
  std::string input = books[kind];
  const std::string splice = books[mutator::below(random, books.size())];
  for (std::uint32_t changes = 1 + random.below(random.below(4) ? 2 : 6); changes > 0; --changes) {
    mutator::change(input, splice, random);
  }
  if (random.below(8) != 0) {
    mutator::reseal(input);
  }
  return try_books(kind, input, tally);
}

bool execute(std::uint64_t seed, std::uint64_t number, const std::vector<Source>& sources,
             Tally& tally) {
  mutator::Random random({seed, 0}, number, nst::Purpose::stream);
  const Source& source = sources[mutator::below(random, sources.size())];
  const Source& other = sources[mutator::below(random, sources.size())];
  const std::uint32_t target = random.below(4);
  const auto input_of = [target](const Source& s) {
    return target < 2 ? s.text : target == 2 ? s.space_state : s.codes_state;
  };
  std::string input = input_of(source);
  const std::string splice = input_of(other);
  for (std::uint32_t changes = 1 + random.below(random.below(4) ? 2 : 6); changes > 0; --changes) {
    mutator::change(input, splice, random);
  }
  if (target >= 2 && random.below(4) != 0) {
    mutator::reseal(input);
  }
  return target < 2    ? try_text(input, tally)
         : target == 2 ? try_space_state(input, tally)
                       : try_codes_state(input, source, tally);
}

// Texts of that size, each of one thing over and over.
bool bombs(std::size_t size) {
  const char* const kPieces[] = {
      "decision a 1",      " 1", " \"a\"",        "\n", " ", " when a 1", "\nzero \"x\"",
      "\nforbid when a 1", " a", "\nnode n \"s\""};
  const char* const kHeads[] = {
      "", "nasturtium-space 1\nspace s\ndecision a 1 2\n",
      "nasturtium-space 1\nspace s\ndecision a 1 2\nat_most 0 1",
      "nasturtium-space 1\nspace s\ndecision a 1 2\nforbid when a 1 when a",
      "nasturtium-space 1\nspace s\ndecision a 1 2\nnode n"};
  for (const char* head : kHeads) {
    for (const char* piece : kPieces) {
      std::string text = head;
      while (text.size() + 32 < size) {
        text += piece;
      }
      text += "\nend\n";
      Tally tally;
      REQUIRE(try_text(text, tally));
      std::vector<std::uint8_t> state;
      nst::StateWriter writer(nst::StateKind::space, state);
      writer.bytes(bytes_of(text));
      writer.finish();
      REQUIRE(try_space_state(string_of(state), tally));
    }
  }
  std::string much(nst::kMaxText + 1, 'a');
  Tally tally;
  return try_text(much, tally);
}

// Numbers come back as they were, and reading beyond the end gives zeros and a failure.
bool numbers() {
  std::vector<std::uint8_t> state = {1, 2, 3};
  const double odd = -0.0;
  nst::StateWriter writer(nst::StateKind::codes, state);
  writer.u32(0x89ABCDEF);
  writer.u64(0x0123456789ABCDEF);
  writer.f64(odd);
  writer.u64(3);
  writer.bytes(bytes_of("abc"));
  writer.finish();
  const auto whole = std::span<const std::uint8_t>(state).subspan(3);
  nst::StateReader reader;
  REQUIRE(!reader.open(whole, nst::StateKind::space).ok());
  REQUIRE(reader.open(whole, nst::StateKind::codes).ok());
  REQUIRE(reader.u32() == 0x89ABCDEF && reader.u64() == 0x0123456789ABCDEF);
  REQUIRE(std::signbit(reader.f64()) && !reader.finish().ok());
  REQUIRE(reader.count(1) == 3 && reader.bytes(3)[2] == 'c' && reader.finish().ok());
  REQUIRE(reader.u64() == 0 && reader.bytes(1).empty() && !reader.ok());
  REQUIRE(reader.finish().where == nst::kStateHeader + 31);
  REQUIRE(reader.open(whole, nst::StateKind::codes).ok() && reader.bytes(20).size() == 20);
  REQUIRE(reader.count(2) == 0 && !reader.finish().ok());  // 3 of 2 bytes, and 3 bytes are left
  return true;
}

bool read_source(const char* path, Source& source) {
  std::ifstream file(path, std::ios::binary);
  source.text.assign(std::istreambuf_iterator<char>(file), {});
  source.space = std::make_unique<nst::Space>();
  REQUIRE(nst::parse_space(source.text, *source.space).ok());
  REQUIRE(nst_space_create(source.text.data(), source.text.size(), &source.handle, nullptr) ==
          NST_OK);
  std::vector<std::uint8_t> state;
  REQUIRE(nst::save_space(source.text, state).ok());
  source.space_state = string_of(state);
  std::vector<std::uint8_t> codes(7 * source.space->width());
  REQUIRE(nst::sample(*source.space, {{1, 0}, 0, 1}, 7, codes.data()).ok());
  state.clear();
  REQUIRE(nst::save_codes(*source.space, 7, codes.data(), state).ok());
  source.codes_state = string_of(state);
  return use(*source.space, source.text);
}

// That this program sees what it is there to see: a decoder that reads beyond its input, and one
// that allocates by a length it has not checked.
int control(const std::string& what) {
  std::vector<std::uint8_t> input(24, 1);
  if (what == "overflow") {
    volatile std::size_t at = input.size();
    return input.data()[at];
  }
  const alloc::Watch watch;
  const std::vector<std::uint8_t> rows(std::size_t{1} << 22);
  return watch.within(input.size()) || rows[7] != 0 ? 0 : 3;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 3 && std::string(arguments[1]) == "control") {
    return control(arguments[2]);
  }
  if (count < 4) {
    std::fprintf(stderr, "fuzz COUNT SEED TEXT...\n");
    return 2;
  }
  const std::uint64_t executions = std::strtoull(arguments[1], nullptr, 10);
  const std::uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
  std::vector<Source> sources(static_cast<std::size_t>(count) - 3);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (!read_source(arguments[i + 3], sources[i])) {
      return 1;
    }
  }
  // As large as texts can be, where there is time for it.
  if (!numbers() || !bombs(executions < 100000 ? nst::kMaxText / 32 : nst::kMaxText)) {
    return 1;
  }
  Tally tally;
  Books books;
  if (!make_books(books)) {
    return 1;
  }
  for (std::uint64_t i = 0; i < executions; ++i) {
    if (!(i % 3 == 0 ? execute_book(seed, i, books, tally) : execute(seed, i, sources, tally))) {
      std::fprintf(stderr, "execution %llu of seed %llu\n", static_cast<unsigned long long>(i),
                   static_cast<unsigned long long>(seed));
      return 1;
    }
  }
  for (const Source& source : sources) {
    nst_space_destroy(source.handle);
  }
  std::printf(
      "%llu executions; accepted: %llu texts, %llu spaces, %llu batches of codes, %llu books\n",
      static_cast<unsigned long long>(executions), static_cast<unsigned long long>(tally.texts),
      static_cast<unsigned long long>(tally.states), static_cast<unsigned long long>(tally.codes),
      static_cast<unsigned long long>(tally.books));
  return tally.texts > 0 && tally.states > 0 && tally.codes > 0 && tally.books > 0 ? 0 : 1;
}

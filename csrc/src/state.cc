#include "nasturtium/state.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "bytes.hpp"
#include "nasturtium/keys.hpp"
#include "nasturtium/moves.hpp"

namespace nasturtium {
namespace {

constexpr std::array<std::uint8_t, 8> kStateMagic = {0x89, 'N', 'S', 'T', '\r', '\n', 0x1A, '\n'};

template <typename Word>
void append_word(Word value, std::vector<std::uint8_t>& out) {
  std::array<std::uint8_t, sizeof(Word)> bytes;
  store_word(value, bytes.data());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Status refused_at(std::uint64_t where, const char* reason) {
  return Status::fail(Code::state, where, reason);
}

Status require_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes) {
  std::vector<std::uint8_t> active(space.width());
  for (std::uint64_t row = 0; row < n; ++row) {
    const std::uint8_t* code = codes + row * space.width();
    if (!well_formed(space, code, active.data())) {
      return bad_row(space, row, code);
    }
  }
  return {};
}

}  // namespace

StateWriter::StateWriter(StateKind kind, std::vector<std::uint8_t>& out)
    : out_(out), begin_(out.size()) {
  bytes(kStateMagic);
  u32(kStateVersion);
  u32(static_cast<std::uint32_t>(kind));
  u64(0);  // the length, which finish fills in
}

void StateWriter::u32(std::uint32_t value) { append_word(value, out_); }

void StateWriter::u64(std::uint64_t value) { append_word(value, out_); }

void StateWriter::f64(double value) { append_word(std::bit_cast<std::uint64_t>(value), out_); }

void StateWriter::bytes(std::span<const std::uint8_t> values) {
  out_.insert(out_.end(), values.begin(), values.end());
}

void StateWriter::finish() {
  const std::uint64_t length = out_.size() - begin_ - kStateHeader;
  store_word(length, out_.data() + begin_ + 16);
  std::uint64_t sum[2];
  murmur128(std::span<const std::uint8_t>(out_).subspan(begin_), 0, sum);
  u64(sum[0]);
  u64(sum[1]);
}

Status StateReader::open(std::span<const std::uint8_t> state, StateKind kind) {
  *this = StateReader();
  if (state.size() < kStateOverhead) {
    return refused_at(state.size(), "the bytes are too few for a state: they are cut off");
  }
  if (!std::equal(kStateMagic.begin(), kStateMagic.end(), state.begin())) {
    return refused_at(0, "the bytes are no state of this library");
  }
  const auto version = load_word<std::uint32_t>(state.data() + 8);
  if (version == 0 || version > kStateVersion) {
    return Status::fail(Code::state, 8,
                        "version " + std::to_string(version) + " of the format; this library " +
                            "reads up to " + std::to_string(kStateVersion));
  }
  const auto length = load_word<std::uint64_t>(state.data() + 16);
  if (length != state.size() - kStateOverhead) {
    return refused_at(16, "the length is not that of the bytes: they are cut off or damaged");
  }
  const std::size_t end = state.size() - 16;
  std::uint64_t sum[2];
  murmur128(state.first(end), 0, sum);
  if (load_word<std::uint64_t>(state.data() + end) != sum[0] ||
      load_word<std::uint64_t>(state.data() + end + 8) != sum[1]) {
    return refused_at(end, "the checksum does not fit: the bytes are damaged");
  }
  const auto found = load_word<std::uint32_t>(state.data() + 12);
  if (found != static_cast<std::uint32_t>(kind)) {
    return Status::fail(Code::state, 12,
                        "a state of kind " + std::to_string(found) + ", not " +
                            std::to_string(static_cast<std::uint32_t>(kind)));
  }
  payload_ = state.subspan(kStateHeader, state.size() - kStateOverhead);
  return {};
}

void StateReader::fail(const char* reason) {
  if (ok()) {
    reason_ = reason;
    where_ = kStateHeader + at_;
  }
}

const std::uint8_t* StateReader::take(std::uint64_t size) {
  if (ok() && size > left()) {
    fail("the payload ends too early");
  }
  if (!ok()) {
    return nullptr;
  }
  const std::uint8_t* from = payload_.data() + at_;
  at_ += static_cast<std::size_t>(size);
  return from;
}

std::uint32_t StateReader::u32() {
  const std::uint8_t* from = take(4);
  return from == nullptr ? 0 : load_word<std::uint32_t>(from);
}

std::uint64_t StateReader::u64() {
  const std::uint8_t* from = take(8);
  return from == nullptr ? 0 : load_word<std::uint64_t>(from);
}

double StateReader::f64() { return std::bit_cast<double>(u64()); }

std::uint64_t StateReader::count(std::uint64_t item) {
  const std::uint64_t n = u64();
  if (n > left() / std::max<std::uint64_t>(1, item)) {
    fail("more items than the bytes that are left could hold");
  }
  return ok() ? n : 0;
}

std::span<const std::uint8_t> StateReader::bytes(std::uint64_t size) {
  const std::uint8_t* from = take(size);
  return from == nullptr ? std::span<const std::uint8_t>()
                         : std::span(from, static_cast<std::size_t>(size));
}

Status StateReader::finish() const {
  if (!ok()) {
    return refused_at(where_, reason_);
  }
  return left() == 0 ? Status{} : refused_at(kStateHeader + at_, "bytes are left in the payload");
}

void declaration_key(const Space& space, std::uint64_t out[2]) {
  std::vector<std::uint64_t> words = {space.name_hash, space.width()};
  for (const Decision& decision : space.decisions) {
    words.push_back(hash_text(decision.name, 4));
    words.push_back(decision.options.size());
    for (const Token& option : decision.options) {
      words.push_back(option.hash);
    }
    words.push_back(decision.when.size());
    for (const Condition& condition : decision.when) {
      words.push_back(condition.decision);
      words.insert(words.end(), condition.options.bits.begin(), condition.options.bits.end());
    }
  }
  murmur128(words, 0, out);
}

Status save_space(std::string_view text, std::vector<std::uint8_t>& out) {
  Space space;
  if (Status s = parse_space(text, space); !s.ok()) {
    return s;
  }
  StateWriter writer(StateKind::space, out);
  writer.bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  writer.finish();
  return {};
}

Status load_space(std::span<const std::uint8_t> state, Space& space, std::string_view& text) {
  StateReader reader;
  if (Status s = reader.open(state, StateKind::space); !s.ok()) {
    return s;
  }
  const std::span<const std::uint8_t> payload = reader.bytes(reader.left());
  text = {reinterpret_cast<const char*>(payload.data()), payload.size()};
  return parse_space(text, space);
}

Status save_codes(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                  std::vector<std::uint8_t>& out) {
  if (Status s = require_rows(space, n, codes); !s.ok()) {
    return s;
  }
  const std::size_t size = static_cast<std::size_t>(n) * space.width();
  out.reserve(out.size() + kStateOverhead + 24 + size);
  std::uint64_t key[2];
  declaration_key(space, key);
  StateWriter writer(StateKind::codes, out);
  writer.u64(key[0]);
  writer.u64(key[1]);
  writer.u64(n);
  writer.bytes({codes, size});
  writer.finish();
  return {};
}

Status load_codes(const Space& space, std::span<const std::uint8_t> state,
                  std::span<const std::uint8_t>& codes) {
  codes = {};
  StateReader reader;
  if (Status s = reader.open(state, StateKind::codes); !s.ok()) {
    return s;
  }
  std::uint64_t key[2];
  declaration_key(space, key);
  const std::uint64_t first = reader.u64(), second = reader.u64();
  if (reader.ok() && (first != key[0] || second != key[1])) {
    return refused_at(kStateHeader, "the codes are of another space");
  }
  const std::uint64_t n = reader.count(space.width());
  const std::span<const std::uint8_t> rows = reader.bytes(n * space.width());
  if (Status s = reader.finish(); !s.ok()) {
    return s;
  }
  if (Status s = require_rows(space, n, rows.data()); !s.ok()) {
    return s;
  }
  codes = rows;
  return {};
}

}  // namespace nasturtium

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nasturtium {

// MD5 (RFC 1321) of several messages at once; a name for things, nothing that is safe.
constexpr std::size_t kMd5Lanes = 8;
constexpr std::size_t kMd5Block = 64;

// A digest as four words; its bytes are theirs, the lowest first.
using Md5Digest = std::array<std::uint32_t, 4>;

// The blocks that a message of so many bytes takes with its padding.
constexpr std::size_t md5_blocks(std::size_t length) { return (length + 8) / kMd5Block + 1; }

// Writes the padding behind a message of `length` bytes. The bytes from there to the end of its
// last block must be 0.
void md5_pad(std::uint8_t* message, std::size_t length);

// The digests of kMd5Lanes padded messages of `blocks` blocks each; message i starts at
// messages + i * stride.
void md5(const std::uint8_t* messages, std::size_t stride, std::size_t blocks, Md5Digest* out);

}  // namespace nasturtium

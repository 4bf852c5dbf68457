#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace nasturtium {

enum class Code : std::uint8_t {
  ok,
  text,       // the text form is refused; `where` is the line, from 1
  row,        // a row is no code of the space; `where` is the row
  exhausted,  // no valid result was found for a row; `where` is the row
  limit,      // a size limit of the library
  budget,     // the exact canonical form took more search nodes than allowed; `where` is the row
  state,      // the bytes of a state are refused; `where` is the byte
  memory,     // out of memory
};

// What a function reports instead of throwing or aborting.
struct [[nodiscard]] Status {
  Code code = Code::ok;
  std::uint64_t where = 0;
  std::string reason;

  bool ok() const { return code == Code::ok; }

  static Status fail(Code code, std::uint64_t where, std::string reason) {
    return Status{code, where, std::move(reason)};
  }
};

}  // namespace nasturtium

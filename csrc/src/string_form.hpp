#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "nasturtium/space.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// The string rule of NAS-Bench-201's authors: a node's string is the sorted, '+'-joined list of
// "(input)@operation"; a skip is its input's string, and with the rule on zeros '#' stands for a
// zero operation or input. The order is that of the strings, a skipped sum is sorted as one string,
// and
// '#' stays in sums.
//
// What did not change since the code before is kept, so that codes in lexicographic order cost
// little more than the last node's string; that one is hashed as it is joined and never written.
class StringForm {
 public:
  static constexpr std::size_t kMaxString = std::size_t{1} << 16;

  StringForm(const Space& space, bool zeros)
      : zeros_(zeros),
        in_(space.nodes.size()),
        strings_(space.nodes.size()),
        changed_(space.nodes.size()) {
    for (const Edge& edge : space.edges) {
      const LabelPart& part = edge.label[0];
      In in;
      in.src = edge.src;
      in.decision = part.decision;
      if (part.decision < 0) {
        in.options = {part.constant};
      } else {
        in.options = space.decisions[static_cast<std::size_t>(part.decision)].options;
      }
      in.terms.resize(in.options.size());
      in_[edge.dst].push_back(std::move(in));
    }
  }

  // The hash_text of the last node's string under the seeds 1 and 2.
  Status hash(const std::uint8_t* code, std::uint64_t out[2]) {
    changed_[0] = !begun_;
    if (!begun_) {
      strings_[0].assign(1, '0');
      hash_ = {hash_text(strings_[0], 1), hash_text(strings_[0], 2)};
    }
    for (std::size_t v = 1; v < in_.size(); ++v) {
      if (!collect(v, code)) {
        changed_[v] = !begun_;
        continue;
      }
      std::size_t size = terms_.empty() ? 0 : terms_.size() - 1;
      for (const Term* term : terms_) {
        size += term->text.size();
      }
      if (size > kMaxString) {
        begun_ = false;
        return Status::fail(Code::limit, 0, "the string of a node is longer than 64 KiB");
      }
      if (v + 1 == in_.size()) {
        join_hash(size);
      } else {
        join(v);
      }
      drop_long(v, code);
    }
    begun_ = true;
    out[0] = hash_[0];
    out[1] = hash_[1];
    return {};
  }

 private:
  using States = std::array<std::uint64_t, 2>;
  struct Term {
    bool known = false;
    std::string text;
    States states{};  // of the hashes behind it, where it is the first
  };
  // An edge into a node, with its terms by option under the source's present string.
  struct In {
    std::uint32_t src = 0;
    std::int32_t decision = -1;
    std::uint32_t option = 0;
    std::vector<Token> options;
    std::vector<Term> terms;
  };

  static constexpr std::size_t kKept = 512;  // characters of a source whose terms are kept

  static std::uint32_t option_of(const In& in, const std::uint8_t* code) {
    return in.decision < 0 ? 0u : code[static_cast<std::size_t>(in.decision)];
  }

  // The node's terms, sorted; false where they are those of the code before.
  bool collect(std::size_t v, const std::uint8_t* code) {
    bool any = !begun_;
    for (In& in : in_[v]) {
      if (changed_[in.src]) {
        any = true;
        for (Term& term : in.terms) {
          term.known = false;
        }
      }
      const std::uint32_t option = option_of(in, code);
      any = any || option != in.option;
      in.option = option;
    }
    terms_.clear();
    for (std::size_t i = 0; any && i < in_[v].size(); ++i) {
      In& in = in_[v][i];
      Term& term = in.terms[in.option];
      if (!term.known) {
        make(in, term);
      }
      terms_.push_back(&term);
    }
    std::sort(terms_.begin(), terms_.end(),
              [](const Term* a, const Term* b) { return a->text < b->text; });
    return any;
  }

  void make(const In& in, Term& term) const {
    const std::string& input = strings_[in.src];
    const Token& op = in.options[in.option];
    term.text.clear();
    if (zeros_ && (op.kind == Kind::zero || input == "#")) {
      term.text.push_back('#');
    } else if (op.kind == Kind::identity) {
      term.text = input;
    } else {
      term.text.reserve(input.size() + op.text.size() + 3);
      term.text.push_back('(');
      term.text += input;
      term.text += ")@";
      term.text += op.text;
    }
    term.states = {text_hash_begin(1), text_hash_begin(2)};
    feed(term.text, term.states);
    term.known = true;
  }

  static void feed(const std::string& text, States& states) {
    std::uint64_t a = states[0], b = states[1];
    for (const char c : text) {
      a = text_hash_next(a, c);
      b = text_hash_next(b, c);
    }
    states = {a, b};
  }

  void join_hash(std::size_t size) {
    States states = {text_hash_begin(1), text_hash_begin(2)};
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      if (i == 0) {
        states = terms_[0]->states;
        continue;
      }
      states = {text_hash_next(states[0], '+'), text_hash_next(states[1], '+')};
      feed(terms_[i]->text, states);
    }
    hash_ = {text_hash_end(states[0], size), text_hash_end(states[1], size)};
  }

  void join(std::size_t v) {
    joined_.clear();
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      if (i > 0) {
        joined_.push_back('+');
      }
      joined_ += terms_[i]->text;
    }
    changed_[v] = !begun_ || joined_ != strings_[v];
    std::swap(joined_, strings_[v]);
  }

  // Long terms are not kept: there may be thousands of them.
  void drop_long(std::size_t v, const std::uint8_t* code) {
    for (In& in : in_[v]) {
      if (strings_[in.src].size() > kKept) {
        in.terms[option_of(in, code)] = Term{};
      }
    }
  }

  bool zeros_;
  bool begun_ = false;               // the code before was hashed
  std::vector<std::vector<In>> in_;  // by node
  std::vector<std::string> strings_;
  std::vector<std::uint8_t> changed_;
  std::vector<const Term*> terms_;
  std::string joined_;
  States hash_{};
};

}  // namespace nasturtium

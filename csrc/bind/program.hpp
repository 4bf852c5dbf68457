#pragma once

#include "common.hpp"
#include "nasturtium/space.hpp"

namespace nasturtium::bind {

// A compiled space that other bound objects read; they keep it alive.
class Compiled {
 public:
  const Space& space() const { return space_; }

 protected:
  Space space_;
};

}  // namespace nasturtium::bind

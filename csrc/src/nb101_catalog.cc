#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "nb101_table.hpp"

namespace nasturtium::nb101 {
namespace {

constexpr std::uint32_t kNoClass = ~std::uint32_t{0};

// Appends, in ascending order, the triangles in which every inner vertex has an edge from an
// earlier vertex and one to a later vertex, which puts it between input and output. The columns
// above j are chosen, the vertices in `used` have an edge to a later one.
void full_triangles(unsigned j, std::uint32_t triangle, std::uint32_t used, unsigned edges,
                    std::vector<std::uint32_t>& out) {
  if (j == 0) {
    out.push_back(triangle);
    return;
  }
  for (std::uint32_t in = 1; in <= ones(j); ++in) {
    const unsigned now = edges + static_cast<unsigned>(std::popcount(in));
    const bool next_is_used = j == 1 || ((used | in) >> (j - 1) & 1) != 0;
    if (now + (j - 1) <= kEdges && next_is_used) {
      full_triangles(j - 1, triangle | in << start_of(j), used | in, now, out);
    }
  }
}

void fill_group(Group& group) {
  for (std::uint32_t code = 0; code < kOperationCodes; ++code) {
    if ((code & code >> 1 & 0x155) != 0) {
      continue;
    }
    std::uint32_t least = code;
    for (const Places& place : group.members) {
      least = std::min(least, permuted(code, place, kVertices));
    }
    group.least[code] = static_cast<std::uint16_t>(least);
    if (least == code) {
      group.representatives.push_back(static_cast<std::uint16_t>(code));
    }
  }
}

// The number of the group of these automorphisms of a cell of `count` vertices.
std::uint32_t group_of(Catalog& made, std::vector<Places> members, unsigned count) {
  for (Places& place : members) {
    for (unsigned v = count - 1; v < kVertices; ++v) {
      place[v] = static_cast<std::uint8_t>(v);
    }
  }
  std::sort(members.begin(), members.end());
  const auto known = std::find_if(made.groups.begin(), made.groups.end(),
                                  [&](const Group& g) { return g.members == members; });
  if (known == made.groups.end()) {
    Group& group = made.groups.emplace_back();
    group.members = std::move(members);
    fill_group(group);
    return static_cast<std::uint32_t>(made.groups.size() - 1);
  }
  return static_cast<std::uint32_t>(known - made.groups.begin());
}

// The classes of cells of `count` vertices. Triangles come in ascending order, so that the first
// one of a class is its least; its orders are the others.
void add_classes(Catalog& made, unsigned count) {
  std::vector<std::uint32_t> triangles;
  full_triangles(count - 1, 0, 0, 0, triangles);
  std::vector<Labeled> labeled(triangles.size());
  for (std::size_t i = 0; i < triangles.size(); ++i) {
    labeled[i].triangle = triangles[i];
    labeled[i].count = count;
    labeled[i].number = kNoClass;
  }
  std::vector<Places> automorphisms;
  for (std::size_t i = 0; i < triangles.size(); ++i) {
    if (labeled[i].number != kNoClass) {
      continue;
    }
    const auto number = static_cast<std::uint32_t>(made.classes.size());
    automorphisms.clear();
    for_each_order(triangles[i], count, [&](std::uint32_t image, const Places& place) {
      const auto at = std::lower_bound(triangles.begin(), triangles.end(), image);
      Labeled& other = labeled[static_cast<std::size_t>(at - triangles.begin())];
      if (other.number == kNoClass) {
        other.number = number;
        for (unsigned v = 1; v + 1 < count; ++v) {
          other.place[place[v]] = static_cast<std::uint8_t>(v);
        }
      }
      if (image == triangles[i]) {
        automorphisms.push_back(place);
      }
    });
    made.classes.push_back(
        {cell_of({triangles[i], 0, count}), group_of(made, automorphisms, count)});
  }
  made.labeled.insert(made.labeled.end(), labeled.begin(), labeled.end());
}

const Catalog* make_catalog() {
  try {
    auto made = std::make_unique<Catalog>();
    for (unsigned count = 2; count <= kVertices; ++count) {
      add_classes(*made, count);
    }
    return made.release();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

// Never freed: threads may still use it while the process ends.
const Catalog* catalog() {
  static const Catalog* const built = make_catalog();
  return built;
}

std::size_t representatives(const Catalog& catalog, const Class& unlabeled) {
  const std::vector<std::uint16_t>& all = catalog.groups[unlabeled.group].representatives;
  const unsigned inner = parts_of(unlabeled.cell).count - 2;
  return static_cast<std::size_t>(
      std::lower_bound(all.begin(), all.end(), std::uint32_t{1} << 2 * inner) - all.begin());
}

Status count(unsigned vertices, std::uint64_t& out) {
  const Catalog* made = catalog();
  if (made == nullptr) {
    return no_memory();
  }
  if (vertices < 2 || vertices > kVertices) {
    return Status::fail(Code::limit, 0, "cells of NAS-Bench-101 have 2 to 7 vertices");
  }
  out = 0;
  for (const Class& unlabeled : made->classes) {
    if (parts_of(unlabeled.cell).count <= vertices) {
      out += representatives(*made, unlabeled);
    }
  }
  return {};
}

Status enumerate(unsigned vertices, std::uint64_t* out) {
  std::uint64_t total = 0;
  if (Status s = count(vertices, total); !s.ok()) {
    return s;
  }
  const Catalog& made = *catalog();
  for (const Class& unlabeled : made.classes) {
    if (parts_of(unlabeled.cell).count > vertices) {
      break;
    }
    const std::uint16_t* codes = made.groups[unlabeled.group].representatives.data();
    const std::size_t size = representatives(made, unlabeled);
    for (std::size_t i = 0; i < size; ++i) {
      out[i] = unlabeled.cell | std::uint64_t{codes[i]} << kOperationsAt;
    }
    out += size;
  }
  return {};
}

}  // namespace nasturtium::nb101

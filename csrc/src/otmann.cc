#include "nasturtium/otmann.hpp"

#include <algorithm>
#include <cmath>

#include "nasturtium/parallel.hpp"
#include "nasturtium/transport.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kNetGrain = 256;
constexpr std::uint64_t kOtmannGrain = 4;
constexpr std::size_t kClasses = 3;  // all layers, weighted ones, others

// What a vertex adds to the length of a path, by class. Input and output are of the first only.
double step(const OperationGraph::Vertex& vertex, bool end, std::size_t of_class) {
  const bool weighted = vertex.kind == Kind::weighted;
  return of_class == 0 || (!end && weighted == (of_class == 1)) ? 1 : 0;
}

// The lengths of the paths that come together at a vertex.
struct Meeting {
  double count = 0;
  double shortest[kClasses] = {}, longest[kClasses] = {}, sum[kClasses] = {};

  void add(const double* of, double times) {
    for (std::size_t c = 0; c < kClasses; ++c) {
      shortest[c] = count == 0 ? of[c] : std::min(shortest[c], of[c]);
      longest[c] = count == 0 ? of[kClasses + c] : std::max(longest[c], of[kClasses + c]);
      sum[c] = (count == 0 ? 0 : sum[c]) + times * of[2 * kClasses + c];
    }
    count += times;
  }

  void write(double* to) const {
    for (std::size_t c = 0; c < kClasses; ++c) {
      to[c] = count == 0 ? 0 : shortest[c];
      to[kClasses + c] = count == 0 ? 0 : longest[c];
      to[2 * kClasses + c] = count == 0 ? 0 : sum[c] / count;
    }
  }
};

}  // namespace

struct Otmann::Scratch {
  Transport transport;
  std::vector<double> supply, demand, costs;
};

Status Otmann::build(const Space& space, const Rule& rule) {
  space_ = &space;
  rule_ = rule;
  if (Status s = labels_.build(space); !s.ok()) {
    return s;
  }
  const std::size_t k = labels_.size();
  bool ok = rule.masses.size() == k && rule.mismatch.size() == k * k;
  for (std::size_t i = 0; i < k && ok; ++i) {
    ok = rule.masses[i] > 0 && std::isfinite(rule.masses[i]) && rule.mismatch[i * k + i] == 0;
    for (std::size_t j = 0; j < k && ok; ++j) {
      ok = rule.mismatch[i * k + j] >= 0 && rule.mismatch[i * k + j] == rule.mismatch[j * k + i];
    }
  }
  for (const double value : {rule.structure, rule.ends, rule.least_end}) {
    ok = ok && value >= 0 && std::isfinite(value);
  }
  return ok ? Status{}
            : Status::fail(Code::limit, 0,
                           "OTMANN takes a mass above 0 for each label, a symmetric mismatch of at "
                           "least 0 with 0 on its diagonal, and finite factors of at least 0");
}

void Otmann::lengths(const OperationGraph& graph, Net& net) const {
  const std::size_t n = graph.vertices.size();
  const std::vector<OperationGraph::Arc>& arcs = graph.arcs;
  const auto own = [&](std::size_t v, std::size_t c) {
    return step(graph.vertices[v], v == 0 || v + 1 == n, c);
  };
  // Arcs are sorted by where they go to: forward the paths to a vertex are done before it is read,
  // and so are, backward, the paths from it.
  std::vector<Meeting> back(n);
  std::size_t at = 0;
  for (std::size_t v = 0; v < n; ++v) {
    Meeting meeting;
    for (; at < arcs.size() && arcs[at].to == v; ++at) {
      meeting.add(net.layers[arcs[at].from].lengths, static_cast<double>(arcs[at].times));
    }
    double* to = net.layers[v].lengths;
    meeting.write(to);
    for (std::size_t i = 0; i < 3 * kClasses && meeting.count > 0; ++i) {
      to[i] += own(v, i % kClasses);
    }
  }
  at = arcs.size();
  for (std::size_t v = n; v-- > 0;) {
    double* to = net.layers[v].lengths + 3 * kClasses;
    back[v].write(to);
    double with_own[3 * kClasses];
    for (std::size_t i = 0; i < 3 * kClasses; ++i) {
      with_own[i] = to[i] + own(v, i % kClasses);
    }
    for (; at > 0 && arcs[at - 1].to == v; --at) {
      back[arcs[at - 1].from].add(with_own, static_cast<double>(arcs[at - 1].times));
    }
  }
}

Status Otmann::nets(std::uint64_t n, const std::uint8_t* codes, std::vector<Net>& out,
                    unsigned threads) const {
  out.assign(n, {});
  return parallel_rows(n, threads, kNetGrain, [&](std::uint64_t begin, std::uint64_t end) {
    OperationGraphs maker;
    if (Status s = maker.begin(*space_, {}); !s.ok()) {
      return s;
    }
    OperationGraph graph;
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space_->width();
      if (Status s = maker.make(row, code, graph); !s.ok()) {
        return s;
      }
      Net& net = out[row];
      net.layers.resize(graph.vertices.size());
      double processing = 0;
      for (std::size_t v = 1; v + 1 < graph.vertices.size(); ++v) {
        const auto label =
            static_cast<std::uint32_t>(labels_.of(graph.vertices[v].part, code, maker.active()));
        net.layers[v].label = label;
        net.layers[v].mass = rule_.masses[label];
        processing += rule_.masses[label];
      }
      const double end_mass = std::max(rule_.ends * processing, rule_.least_end);
      const auto inputs = static_cast<std::uint32_t>(labels_.size());
      net.layers.front().label = inputs;
      net.layers.back().label = inputs + 1;
      net.layers.front().mass = net.layers.back().mass = end_mass;
      net.mass = processing + 2 * end_mass;
      lengths(graph, net);
    }
    return Status{};
  });
}

double Otmann::mismatch(std::uint32_t a, std::uint32_t b) const {
  const std::size_t k = labels_.size();
  if (a >= k || b >= k) {
    return a == b ? 0 : kApart;
  }
  return std::min(rule_.mismatch[a * k + b], kApart);
}

Status Otmann::distance(const Net& a, const Net& b, Scratch& scratch, double& out) const {
  const std::size_t n = a.layers.size() + 1, m = b.layers.size() + 1;
  scratch.supply.clear();
  scratch.demand.clear();
  scratch.costs.clear();
  for (const Layer& layer : a.layers) {
    scratch.supply.push_back(layer.mass);
  }
  for (const Layer& layer : b.layers) {
    scratch.demand.push_back(layer.mass);
  }
  // A last layer on either side takes what is not matched.
  scratch.supply.push_back(b.mass);
  scratch.demand.push_back(a.mass);
  for (const Layer& x : a.layers) {
    for (const Layer& y : b.layers) {
      double cost = mismatch(x.label, y.label);
      if (cost < kApart) {
        double difference = 0;
        for (std::size_t i = 0; i < kLengths; ++i) {
          difference += std::abs(x.lengths[i] - y.lengths[i]);
        }
        cost = std::min(cost + rule_.structure * difference / double{kLengths}, kApart);
      }
      scratch.costs.push_back(cost);
    }
    scratch.costs.push_back(1);
  }
  scratch.costs.insert(scratch.costs.end(), m - 1, 1.0);
  scratch.costs.push_back(0);
  Status s = scratch.transport.solve(n, m, scratch.supply.data(), scratch.demand.data(),
                                     scratch.costs.data(), out);
  out = rule_.normalize && a.mass + b.mass > 0 ? out / (a.mass + b.mass) : out;
  return s;
}

Status Otmann::distances(std::uint64_t na, const std::uint8_t* a, std::uint64_t nb,
                         const std::uint8_t* b, double* out, unsigned threads) const {
  std::vector<Net> from, other;
  if (Status s = nets(na, a, from, threads); !s.ok()) {
    return s;
  }
  if (b != nullptr) {
    if (Status s = nets(nb, b, other, threads); !s.ok()) {
      return s;
    }
    return parallel_rows(na, threads, kOtmannGrain, [&](std::uint64_t begin, std::uint64_t end) {
      Scratch scratch;
      for (std::uint64_t i = begin; i < end; ++i) {
        for (std::uint64_t j = 0; j < nb; ++j) {
          if (Status s = distance(from[i], other[j], scratch, out[i * nb + j]); !s.ok()) {
            return s;
          }
        }
      }
      return Status{};
    });
  }
  // Later rows have less to do, so a thread takes pairs of an early and a late one.
  return parallel_rows((na + 1) / 2, threads, kOtmannGrain,
                       [&](std::uint64_t begin, std::uint64_t end) {
                         Scratch scratch;
                         for (std::uint64_t k = begin; k < end; ++k) {
                           for (const std::uint64_t i : {k, na - 1 - k}) {
                             out[i * na + i] = 0;
                             for (std::uint64_t j = i + 1; j < na; ++j) {
                               double value = 0;
                               if (Status s = distance(from[i], from[j], scratch, value); !s.ok()) {
                                 return s;
                               }
                               out[i * na + j] = out[j * na + i] = value;
                             }
                           }
                         }
                         return Status{};
                       });
}

}  // namespace nasturtium

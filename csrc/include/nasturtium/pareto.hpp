#pragma once

#include <cstddef>
#include <cstdint>

#include "nasturtium/status.hpp"

namespace nasturtium {

// Several objectives, all of them minimized: points are n rows of m doubles. A point dominates
// another one where it is nowhere larger and somewhere smaller, so equal points share their rank.
// NaN is refused (Code::row); infinite coordinates are ordered like others.

// Rank 0 is what nothing dominates, rank k what is dominated by points of rank below k only.
// One or two objectives: O(n log n). Three: O(n log(fronts) log(front)). More: O(m n^2) at worst,
// by binary search over the fronts (Zhang, Tian, Cheng, Jin, "An efficient approach to
// nondominated sorting for evolutionary multiobjective optimization", IEEE TEC 19(2), 2015).
Status pareto_ranks(std::uint64_t n, std::size_t m, const double* points, std::int64_t* out);

// The crowding distance within each rank (Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist
// multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002): for each objective the gap
// between a point's two neighbors over the range of its front; both ends get infinity. Equal values
// stand in the order of rows. An objective that is constant on a front counts nothing there, ends
// included; fronts of one or two points are infinite. A gap that reaches an infinite value is
// infinite (between equal ones 0), and the range is that of the finite values. O(m n log n).
Status crowding_distance(std::uint64_t n, std::size_t m, const double* points,
                         const std::int64_t* ranks, double* out);

// The exact volume that n points of 2 to 6 objectives dominate up to the reference point. Points
// that are not smaller than it everywhere count nothing. The reference must be finite and no
// coordinate minus infinity. Two and three objectives: O(n log n); three by the sweep of Beume,
// Fonseca, Lopez-Ibanez, Paquete, Vahrenhold, "On the complexity of computing the hypervolume
// indicator", IEEE TEC 13(5), 2009. More: each point adds what the earlier ones leave of it, by the
// limiting sets of While, Bradstreet, Barone, "A fast way of calculating exact hypervolumes", IEEE
// TEC 16(1), 2012, O(n^(m-2)) at worst.
Status hypervolume(std::uint64_t n, std::size_t m, const double* points, const double* reference,
                   double& out);

// What each point adds to all others, dominated ones included; 0 for points that are dominated or
// repeated. Two objectives: O(n log n); more: n times the limiting set's volume, on threads.
Status hypervolume_contributions(std::uint64_t n, std::size_t m, const double* points,
                                 const double* reference, double* out, unsigned threads);

}  // namespace nasturtium

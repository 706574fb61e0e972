#include "rays/greens_lanes.h"

#include "core/simd.h"

namespace sonoray::greens::SONORAY_LEVEL {
namespace {

using Number = lanes::Wide;
constexpr int columns = sector + 1;
constexpr float unreached = 1e30f;

typedef simd::Float<8> Row;  // the quantities of a node, or points
static_assert(quantities == 8, "a vector");

SONORAY_INLINE unsigned bits_of(simd::Int<8> mask) {
#if defined(__AVX2__)
  return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask)));
#else
  unsigned bits = 0;
  for (int l = 0; l < 8; ++l) bits |= (mask[l] & 1u) << l;
  return bits;
#endif
}

/// Which of 8 points lie in the triangle, as in Triangle::holds.
SONORAY_INLINE unsigned held(const Triangle& t, Row x, Row z, Row& wb, Row& wc) {
  const Row dx = x - t.a->x, dz = z - t.a->z;
  wb = dx * (t.cz * t.inverse) - dz * (t.cx * t.inverse);
  wc = dz * (t.bx * t.inverse) - dx * (t.bz * t.inverse);
  return bits_of((wb >= -rounding_margin) & (wc >= -rounding_margin) & (wb + wc <= 1 + rounding_margin));
}

SONORAY_INLINE Row blend_row(const Node& node, float weight, float x, float z) {
  const float dx = x - node.x, dz = z - node.z;
  Row v = simd::load<Row>(node.value) + simd::load<Row>(node.along_x) * dx + simd::load<Row>(node.along_z) * dz;
  const float more = dx * v[slope_x] + dz * v[slope_z];
  v[excess] += more;
  return weight * v;
}

/// Where the results of a source go.
struct Target {
  const Buckets& buckets;
  Record* records;
  float* absorption;
  std::uint8_t* caustics;
  bool any_caustic;

  SONORAY_INLINE void put(const Triangle& t, std::int32_t k, float wb, float wc) {
    const float x = buckets.x[k], z = buckets.z[k], wa = 1 - wb - wc;
    const Row sum = blend_row(*t.a, wa, x, z) + blend_row(*t.b, wb, x, z) + blend_row(*t.c, wc, x, z);
    if (sum[excess] >= records[k].value[excess]) return;
    for (int i = 0; i < 4; ++i) records[k].value[i] = sum[i];
    if (absorption) absorption[k] = sum[absorbed];
    const float passed = t.passed(wb, wc);
    if (passed > 0) any_caustic = true;
    caustics[k] = static_cast<std::uint8_t>(passed < 255 ? passed : 255.0f);
  }

  /// All points of a few neighbouring triangles.
  SONORAY_INLINE void fill(const Triangle* triangles, int count) {
    const Window w = window_of(buckets, triangles, count);
    for (int i = w.first[0]; i <= w.last[0] && w.first[1] <= w.last[1]; ++i) {
      const std::int32_t* const row = buckets.start + std::int64_t(i) * buckets.n[1];
      const std::int32_t end = row[w.last[1] + 1];
      for (std::int32_t k = row[w.first[1]]; k < end; k += 8) {
        const Row x = simd::load<Row>(buckets.x + k), z = simd::load<Row>(buckets.z + k);
        const unsigned there = end - k < 8 ? (1u << (end - k)) - 1 : 255u;
        for (int t = 0; t < count; ++t) {
          Row wb, wc;
          for (unsigned bits = held(triangles[t], x, z, wb, wc) & there; bits != 0; bits &= bits - 1) {
            const int l = __builtin_ctz(bits);
            put(triangles[t], k + l, wb[l], wc[l]);
          }
        }
      }
    }
  }
};

template <bool plain>
void trace(const Plan& plan, const Sector& part, const Room& room, Work& work, double& parted) {
  for (int column = part.known ? 1 : 0; column < columns; column += lanes::count<Number>) {
    const int left = columns - column, count = left < lanes::count<Number> ? left : lanes::count<Number>;
    const int steps = trace_fan<Number, plain>(plan, part.fan, part.number * sector + column, count, room.nodes,
                                               columns, column, part.last, parted);
    work.steps += std::int64_t(count) * steps;
    work.rays += count;
  }
}

}  // namespace

void greens_clear(const Plan& plan, int slot, const Room& room) {
  const std::int64_t n = plan.buckets.n_points;
  Record* const records = room.records + slot * n;
  for (std::int64_t k = 0; k < n; ++k) records[k].value[excess] = unreached;
}

void greens_trace(const Plan& plan, const Sector& part, const Room& room, Work& work, double& parted) {
  const bool plain = !plan.medium.travel && !plan.medium.absorption;
  plain ? trace<true>(plan, part, room, work, parted) : trace<false>(plan, part, room, work, parted);
}

void greens_raster(const Plan& plan, const Sector& part, int slot, const Room& room, Work& work) {
  const std::int32_t* const last = part.last;
  const std::int64_t n = plan.buckets.n_points;
  Target target{plan.buckets, room.records + slot * n, room.absorption ? room.absorption + slot * n : nullptr,
                room.caustics + slot * n, false};
  int longest = 0;
  for (int i = 0; i < columns; ++i) longest = last[i] > longest ? last[i] : longest;
  for (int j = 1; j < longest; ++j) {
    const int apart = interval(plan, part.fan, j), next = interval(plan, part.fan, j + 1);
    for (int i = 0; i < sector; i += apart) {
      Triangle triangles[3];
      const int n_triangles = triangles_of(room.nodes, columns, last, j, i, apart, next, triangles);
      if (n_triangles > 0) target.fill(triangles, n_triangles);
    }
  }
  work.caustics |= target.any_caustic;
}

/// Writes whole lines of the results: at each point all sources of the block.
void greens_gather(const Plan& plan, const Fan* fans, int count, std::int64_t first, const Room& room, const Job& job) {
  const std::int64_t n = plan.buckets.n_points, stride = job.excess.shape[1];
  const float slowness = static_cast<float>(1.0 / job.speed);
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t i = plan.buckets.original[k], at = i * stride + first;
    for (int s = 0; s < count; ++s) {
      Record record = room.records[s * n + k];
      std::uint8_t passed = room.caustics[s * n + k];
      float gathered = room.absorption ? room.absorption[s * n + k] : 0.0f;
      const float dx = plan.buckets.x[k] - static_cast<float>(fans[s].x[0] - plan.center[0]);
      const float dz = plan.buckets.z[k] - static_cast<float>(fans[s].x[1] - plan.center[1]);
      bool reached = record.value[excess] < unreached;
      if (dx * dx + dz * dz < static_cast<float>(plan.near * plan.near)) {
        const double ex = job.points(i, 0) - fans[s].x[0], ez = job.points(i, 1) - fans[s].x[1];
        const double r = __builtin_sqrt(ex * ex + ez * ez);
        straight(plan, fans[s], job.points.data + 2 * i, r, record, room.absorption ? &gathered : nullptr);
        passed = 0;
        reached = r > 1e-9;  // in the source itself the field is infinite
      }
      job.excess.data[at + s] = reached ? slowness * record.value[excess] : 0.0f;
      job.focusing.data[at + s] = reached ? focusing_of(record.value[tube]) : 0.0f;
      job.take_off.data[at + s] = reached ? record.value[take_off] : 0.0f;
      job.arrival.data[at + s] = reached ? record.value[arrival] : 0.0f;
      if (room.absorption) job.absorption.data[at + s] = reached ? gathered : 0.0f;
      if (passed && reached) job.caustics.data[at + s] = passed;
    }
  }
}

}  // namespace sonoray::greens::SONORAY_LEVEL

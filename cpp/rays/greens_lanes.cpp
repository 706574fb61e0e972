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
  wb = dx * t.cz - dz * t.cx;
  wc = dz * t.bx - dx * t.bz;
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
    for (int i = w.first[0]; i <= w.last[0]; ++i)
      __builtin_prefetch(records + buckets.start[std::int64_t(i) * buckets.n[1] + w.first[1]], 1);
    for (int i = w.first[0]; i <= w.last[0]; ++i) {
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
void trace(const Plan& plan, const Sector& part, const Room& room, Work& work) {
  work.parted = false;
  for (int column = part.known ? 1 : 0; column < columns && !work.parted; column += lanes::count<Number>) {
    const int left = columns - column, count = left < lanes::count<Number> ? left : lanes::count<Number>;
    const int steps = trace_fan<Number, plain>(plan, part.fan, part.number * sector + column, count, room.nodes,
                                               columns, column, part.last, part.widest, work.parted);
    work.steps += std::int64_t(count) * steps;
    work.rays += count;
  }
}

}  // namespace

void greens_clear(const Plan& plan, int slot, const Room& room) {
  const std::int64_t n = plan.buckets.n_points;
  Record* const records = room.records + slot * n;
  for (std::int64_t k = 0; k < n; ++k) records[k].value[excess] = unreached;
  for (std::int64_t k = 0; k < n; ++k) room.caustics[slot * n + k] = 0;
}

void greens_trace(const Plan& plan, const Sector& part, const Room& room, Work& work) {
  plan.medium.absorption ? trace<false>(plan, part, room, work) : trace<true>(plan, part, room, work);
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

/// Points next to the source.
void greens_near(const Plan& plan, const Fan& fan, int slot, const Room& room, const Job& job) {
  const Buckets& buckets = plan.buckets;
  const std::int64_t n = buckets.n_points;
  const Window w = window_at(buckets, fan.x[0] - plan.center[0], fan.x[1] - plan.center[1], plan.near);
  for (int i = w.first[0]; i <= w.last[0]; ++i) {
    const std::int32_t* const row = buckets.start + std::int64_t(i) * buckets.n[1];
    for (std::int32_t k = row[w.first[1]]; k < row[w.last[1] + 1]; ++k) {
      const double* const x = job.points.data + 2 * std::int64_t(buckets.original[k]);
      const double dx = x[0] - fan.x[0], dz = x[1] - fan.x[1], r = __builtin_sqrt(dx * dx + dz * dz);
      if (r > plan.near) continue;
      const std::int64_t at = slot * n + k;
      straight(plan, fan, x, r, room.records[at], room.absorption ? room.absorption + at : nullptr);
      if (r < 1e-9) room.records[at].value[excess] = unreached;  // in the source the field is infinite
      room.caustics[at] = 0;
    }
  }
}

/// Writes whole lines of the results: at each point all sources of the block.
void greens_gather(const Plan& plan, int count, std::int64_t first, const Room& room, const Job& job) {
  const std::int64_t n = plan.buckets.n_points, stride = job.excess.shape[1];
  const float slowness = static_cast<float>(1.0 / job.speed);
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t at = plan.buckets.original[k] * stride + first;
    for (int s = 0; s < count; ++s) {
      const Record& record = room.records[s * n + k];
      const bool reached = record.value[excess] < unreached;
      job.excess.data[at + s] = reached ? slowness * record.value[excess] : 0.0f;
      job.focusing.data[at + s] = reached ? focusing_of(record.value[tube]) : 0.0f;
      job.take_off.data[at + s] = reached ? record.value[take_off] : 0.0f;
      job.arrival.data[at + s] = reached ? record.value[arrival] : 0.0f;
    }
  }
  if (room.absorption)
    for (std::int64_t k = 0; k < n; ++k)
      for (int s = 0; s < count; ++s)
        job.absorption.data[plan.buckets.original[k] * stride + first + s] =
            room.records[s * n + k].value[excess] < unreached ? room.absorption[s * n + k] : 0.0f;
  for (int s = 0; s < count; ++s)  // few, if any
    for (std::int64_t k = 0; k < n; ++k)
      if (room.caustics[s * n + k])
        job.caustics.data[plan.buckets.original[k] * stride + first + s] = room.caustics[s * n + k];
}

}  // namespace sonoray::greens::SONORAY_LEVEL

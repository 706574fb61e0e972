#pragma once
// Working memory of one tile in the schedule over points.
#include <cstdint>
#include <initializer_list>

#include "beamforming/das_levels.h"

namespace sonoray {
namespace {  // every file its own copy: this is compiled for several processors

/// T transmits, G groups, E elements, W lanes; laid out in one piece of memory, or only measured when that is null.
struct Work {
  float *x, *y, *z;                    // (G, W) points
  std::int32_t* node;                  // (G, W) cells of the slowness table
  float *cell_x, *cell_y, *cell_z;     // (G, W)
  float *offset, *real, *imaginary;    // (G, E, W) receive time after base [samples]; weight times phasor
  std::int32_t *base, *slot, *place;   // (E, G) whole samples; which staged trace; where in the stage
  float* top;                          // (E, G) largest offset
  std::int32_t* count;                 // (G) entries of the group
  float* group_top;                    // (G) the largest of their tops
  std::int32_t *element, *low, *high;  // (E) of each staged trace: element, range of its receive times
  std::int32_t* shift;                 // (E) a sample's place in the stage minus its number
  float *tx, *tx_real, *tx_imaginary;  // (T, G, W) transmit time after tx_base; weight times phasor
  std::int32_t *tx_base, *tx_on;       // (T, G) whole samples; whether any point counts
  float* tx_top;                       // (T, G) largest tx
  std::int32_t *tx_low, *tx_high;      // (T) range of transmit times; high < low where no point counts
  float* sum;                          // (frames, n_tx or 1, G, components, W)
  float *stage, *stage_imaginary;      // staged traces
  std::int64_t floats = 0;             // all of it

  Work(float* memory, const DasProblem& p, const DasTiles& tiles, std::int64_t n_samples, bool iq) {
    const std::int64_t G = tiles.blocks * tiles.columns, E = tiles.elements, W = tiles.lanes, T = tiles.transmits;
    const std::int64_t sums = p.compounding == Compounding::coherent ? 1 : p.tx_time.shape[0];
    for (float** v : {&x, &y, &z, &cell_x, &cell_y, &cell_z}) take(memory, *v, G * W);
    take(memory, node, G * W);
    for (float** v : {&offset, &real, &imaginary}) take(memory, *v, G * E * W);
    const std::int64_t stride = das_group_stride(tiles);
    for (std::int32_t** v : {&base, &slot, &place}) take(memory, *v, stride * E);
    take(memory, top, stride * E);
    take(memory, count, G);
    take(memory, group_top, stride);
    for (std::int32_t** v : {&element, &low, &high, &shift}) take(memory, *v, E);
    for (float** v : {&tx, &tx_real, &tx_imaginary}) take(memory, *v, T * G * W);
    for (std::int32_t** v : {&tx_base, &tx_on}) take(memory, *v, T * G);
    take(memory, tx_top, T * G);
    for (std::int32_t** v : {&tx_low, &tx_high}) take(memory, *v, T);
    take(memory, sum, tiles.frames * sums * G * W * (1 + iq));
    take(memory, stage, E * das_stage_stride(n_samples));
    take(memory, stage_imaginary, iq ? E * das_stage_stride(n_samples) : 0);
  }

 private:
  template <class T>
  void take(float* memory, T*& pointer, std::int64_t n) {
    pointer = memory ? reinterpret_cast<T*>(memory + floats) : nullptr;
    floats += (n + 15) / 16 * 16;  // 64 bytes
  }
};

}  // namespace
}  // namespace sonoray

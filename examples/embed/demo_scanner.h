/* What the examples agree on: a linear probe of 64 elements, three plane waves, int16 frames, and a ring of frames in
 * POSIX shared memory as a scanner may provide it. C99 and C++. */
#ifndef DEMO_SCANNER_H
#define DEMO_SCANNER_H

#include <stddef.h>
#include <stdint.h>

enum { DEMO_ELEMENTS = 64, DEMO_TRANSMITS = 3, DEMO_SAMPLES = 1024 };
#define DEMO_PITCH 3e-4              /* [m] */
#define DEMO_SAMPLING_FREQUENCY 20e6 /* [Hz] */
#define DEMO_CENTER_FREQUENCY 5e6    /* [Hz] */
#define DEMO_SOUND_SPEED 1540.0      /* [m/s] */

static const double demo_sines[DEMO_TRANSMITS] = {-0.15, 0.0, 0.15}; /* of the angles of the plane waves */

#define DEMO_FRAME_BYTES ((size_t)DEMO_TRANSMITS * DEMO_ELEMENTS * DEMO_SAMPLES * sizeof(int16_t))

/* At the start of the shared memory; frames follow, DEMO_FRAME_BYTES each, number k in place k modulo `slots`. */
typedef struct demo_ring {
  uint64_t magic; /* DEMO_MAGIC once the rest is there */
  uint64_t slots;
  uint64_t written; /* frames so far */
  uint64_t ended;   /* 1 after the last one */
} demo_ring;

#define DEMO_MAGIC UINT64_C(0x736f6e6f72617931)

/* GCC's and Clang's atomics, which C99 and C++ share. */
static inline uint64_t demo_load(const uint64_t* from) { return __atomic_load_n(from, __ATOMIC_ACQUIRE); }
static inline void demo_store(uint64_t* to, uint64_t value) { __atomic_store_n(to, value, __ATOMIC_RELEASE); }

#endif

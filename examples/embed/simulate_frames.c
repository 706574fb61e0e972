/* Stands for a scanner: frames of a few moving points, to a file or into a ring in shared memory.
 *
 *   simulate_frames file FRAMES.raw COUNT
 *   simulate_frames ring /NAME COUNT FRAMES_PER_SECOND */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "demo_scanner.h"

/* Adds the echo of a point at (x, z). */
static void add_point(int16_t* frame, double x, double z, double amplitude) {
  const double width = 2.0 / DEMO_CENTER_FREQUENCY, turn = 2 * 3.14159265358979 * DEMO_CENTER_FREQUENCY;
  for (int t = 0; t < DEMO_TRANSMITS; ++t)
    for (int e = 0; e < DEMO_ELEMENTS; ++e) {
      const double element = (e - 0.5 * (DEMO_ELEMENTS - 1)) * DEMO_PITCH;
      const double cosine = sqrt(1 - demo_sines[t] * demo_sines[t]);
      const double path = x * demo_sines[t] + z * cosine + hypot(x - element, z);
      const double arrival = path / DEMO_SOUND_SPEED;
      int16_t* trace = frame + ((size_t)t * DEMO_ELEMENTS + e) * DEMO_SAMPLES;
      const int middle = (int)(arrival * DEMO_SAMPLING_FREQUENCY);
      for (int i = middle - 24; i < middle + 24; ++i) {
        if (i < 0 || i >= DEMO_SAMPLES) continue;
        const double time = i / DEMO_SAMPLING_FREQUENCY - arrival;
        trace[i] = (int16_t)(trace[i] + amplitude * exp(-0.5 * pow(2.5 * time / width, 2)) * cos(turn * time));
      }
    }
}

static void make_frame(int16_t* frame, int number) {
  memset(frame, 0, DEMO_FRAME_BYTES);
  for (int k = 0; k < 5; ++k) add_point(frame, 3e-3 * (k - 2), 6e-3 + 6e-3 * k + 1e-3 * sin(0.2 * number), 2000.0);
}

static int to_file(const char* path, int count, int16_t* frame) {
  FILE* file = fopen(path, "wb");
  if (!file) return perror(path), 1;
  for (int i = 0; i < count; ++i) {
    make_frame(frame, i);
    if (fwrite(frame, DEMO_FRAME_BYTES, 1, file) != 1) return perror(path), fclose(file), 1;
  }
  return fclose(file) ? (perror(path), 1) : 0;
}

static int to_ring(const char* name, int count, double rate, int16_t* frame) {
  const uint64_t slots = 8;
  const size_t size = sizeof(demo_ring) + slots * DEMO_FRAME_BYTES;
  shm_unlink(name); /* of a run that was interrupted */
  const int file = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
  if (file < 0 || ftruncate(file, (off_t)size)) return perror(name), 1;
  demo_ring* ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (ring == MAP_FAILED) return perror(name), 1;
  ring->slots = slots;
  demo_store(&ring->magic, DEMO_MAGIC);
  const struct timespec pause = {(time_t)(1 / rate), (long)(fmod(1 / rate, 1.0) * 1e9)};
  for (int i = 0; i < count; ++i) {
    make_frame(frame, i);
    memcpy((char*)(ring + 1) + (uint64_t)i % slots * DEMO_FRAME_BYTES, frame, DEMO_FRAME_BYTES);
    demo_store(&ring->written, (uint64_t)i + 1);
    nanosleep(&pause, NULL);
  }
  demo_store(&ring->ended, 1);
  const struct timespec second = {1, 0};
  nanosleep(&second, NULL); /* for readers that come late */
  munmap(ring, size);
  return shm_unlink(name) ? (perror(name), 1) : 0;
}

int main(int count, char** arguments) {
  int16_t* frame = malloc(DEMO_FRAME_BYTES);
  int failed = 2;
  if (frame && count == 4 && !strcmp(arguments[1], "file")) {
    failed = to_file(arguments[2], atoi(arguments[3]), frame);
  } else if (frame && count == 5 && !strcmp(arguments[1], "ring") && atof(arguments[4]) > 0) {
    failed = to_ring(arguments[2], atoi(arguments[3]), atof(arguments[4]), frame);
  } else {
    fprintf(stderr, "use: %s file FRAMES.raw COUNT | ring /NAME COUNT FRAMES_PER_SECOND\n", arguments[0]);
  }
  free(frame);
  return failed;
}

/* Raw frames from a file, in C: every frame is imaged through a sound-speed map; the last one becomes a picture.
 *
 *   play_file FRAMES.raw PICTURE.pgm */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo_scanner.h"
#include "sonoray.h"

enum { COLUMNS = 128, DEPTHS = 512, MAP_X = 81, MAP_Z = 161 };

/* Says why a call failed and gives its status back. */
static sonoray_status checked(const sonoray_pipeline* p, sonoray_status status, const char* what) {
  char text[512];
  if (status == SONORAY_OK) return status;
  sonoray_pipeline_last_error(p, text, sizeof text);
  fprintf(stderr, "%s: %s: %s\n", what, sonoray_status_text(status), text);
  return status;
}

/* Configures and prepares; everything that `config` points to may go afterwards. */
static sonoray_status prepare(sonoray_pipeline* p) {
  float elements[DEMO_ELEMENTS][3] = {{0}};
  sonoray_transmit transmits[DEMO_TRANSMITS];
  sonoray_config c;
  const sonoray_status status = sonoray_config_init(&c, sizeof c, sizeof(sonoray_transmit));
  if (status != SONORAY_OK) return status;
  for (int e = 0; e < DEMO_ELEMENTS; ++e) elements[e][0] = (float)((e - 0.5 * (DEMO_ELEMENTS - 1)) * DEMO_PITCH);
  memset(transmits, 0, sizeof transmits);
  for (int t = 0; t < DEMO_TRANSMITS; ++t) {
    transmits[t].kind = SONORAY_PLANE;
    transmits[t].direction[0] = demo_sines[t];
    transmits[t].direction[2] = sqrt(1 - demo_sines[t] * demo_sines[t]);
  }
  c.n_elements = DEMO_ELEMENTS;
  c.elements = &elements[0][0];
  c.n_transmits = DEMO_TRANSMITS;
  c.transmits = transmits;
  c.sample_type = SONORAY_INT16;
  c.n_samples = DEMO_SAMPLES;
  c.sampling_frequency = DEMO_SAMPLING_FREQUENCY;
  c.center_frequency = DEMO_CENTER_FREQUENCY;
  c.grid.kind = SONORAY_GRID_CARTESIAN;
  c.grid.n_axes = 2;
  c.grid.shape[0] = COLUMNS;
  c.grid.shape[1] = DEPTHS;
  c.grid.spacing[0] = 1.5e-4;
  c.grid.spacing[1] = 6e-5; /* RF needs more than two points per c / (2 f) */
  c.grid.origin[0] = -0.5 * 1.5e-4 * (COLUMNS - 1);
  c.grid.origin[1] = 3e-3;
  c.map.kind = SONORAY_GRID_CARTESIAN;
  c.map.n_axes = 2;
  c.map.shape[0] = MAP_X;
  c.map.shape[1] = MAP_Z;
  c.map.spacing[0] = c.map.spacing[1] = 2.5e-4;
  c.map.origin[0] = -0.5 * 2.5e-4 * (MAP_X - 1);
  return sonoray_pipeline_prepare(p, &c);
}

/* A map as it may come from tomography: here the speed that the frames were made with, everywhere. */
static sonoray_status set_map(sonoray_pipeline* p) {
  static float map[MAP_X * MAP_Z];
  for (int i = 0; i < MAP_X * MAP_Z; ++i) map[i] = (float)DEMO_SOUND_SPEED;
  return sonoray_pipeline_set_map(p, map, MAP_X * MAP_Z);
}

/* Grey levels (x, z) as a picture of rows of depth. */
static int write_picture(const char* path, const unsigned char* grey) {
  FILE* file = fopen(path, "wb");
  if (!file) return perror(path), 1;
  fprintf(file, "P5 %d %d 255\n", COLUMNS, DEPTHS);
  for (int z = 0; z < DEPTHS; ++z)
    for (int x = 0; x < COLUMNS; ++x) fputc(grey[x * DEPTHS + z], file);
  return fclose(file) ? (perror(path), 1) : 0;
}

int main(int count, char** arguments) {
  static unsigned char grey[COLUMNS * DEPTHS];
  if (count != 3) return fprintf(stderr, "use: %s FRAMES.raw PICTURE.pgm\n", arguments[0]), 2;
  FILE* file = fopen(arguments[1], "rb");
  if (!file) return perror(arguments[1]), 1;
  char* frame = malloc(DEMO_FRAME_BYTES);
  sonoray_pipeline* p = NULL;
  if (!frame || sonoray_pipeline_create(&p) != SONORAY_OK) return fprintf(stderr, "out of memory\n"), 1;
  int frames = 0, failed = checked(p, prepare(p), "prepare") || checked(p, set_map(p), "set_map");
  sonoray_output output;
  memset(&output, 0, sizeof output);
  output.size = sizeof output;
  output.grey = grey;
  output.grey_bytes = sizeof grey;
  for (size_t got; !failed && (got = fread(frame, 1, DEMO_FRAME_BYTES, file)) > 0; ++frames)
    failed = checked(p, sonoray_pipeline_process(p, frame, got, &output), "process") != SONORAY_OK;
  if (!failed) printf("%d frames\n", frames);
  if (!failed && frames) failed = write_picture(arguments[2], grey);
  sonoray_pipeline_destroy(p);
  free(frame);
  fclose(file);
  return failed ? 1 : 0;
}

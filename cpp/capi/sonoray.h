/* sonoray for scanners: channel data in, pictures out, through the sound speed of the medium. C99.
 *
 *   sonoray_pipeline *p;
 *   sonoray_pipeline_create(&p);
 *   sonoray_config c;
 *   sonoray_config_init(&c, sizeof c, sizeof(sonoray_transmit));
 *   ... fill in probe, transmits, sampling, grid ...
 *   sonoray_pipeline_prepare(p, &c);
 *   sonoray_pipeline_process(p, frame, frame_bytes, &output);
 *   sonoray_pipeline_destroy(p);
 *
 * Units are SI: metres, seconds, hertz, m/s, radians; attenuation in dB/m/MHz. Coordinates are x lateral, y elevation,
 * z depth. Arrays are in C order, the last axis fastest: frames (n_transmits, n_elements, n_samples), images
 * (x, z), (x, y, z) or (angle, range).
 *
 * Memory. The library copies what a configuration points to; frames and outputs belong to the caller, before and after.
 * After `prepare`, `process` allocates nothing and takes no lock that another handle shares; after `start`, neither do
 * `push` and `pop`.
 *
 * Devices. With `device` SONORAY_CUDA frames, outputs, maps and tables may be in memory of that device or of the host,
 * each as it comes. Work queues on `stream`: `process` returns when it has read a frame of the host and written outputs
 * of the host, and before that for those of the device, which `sonoray_pipeline_wait` or the stream waits for. Managed
 * memory counts as the host's. The stream must outlive its use; the handle may outlive the stream.
 *
 * Threads. A handle has no state in common with another: handles may run in parallel. Of one handle one thread at a
 * time calls `process` and `wait`; or one thread pushes while one other pops. `set_map`, `set_tables`, `estimate_map`
 * may come from one further thread meanwhile, `cancel`, `statistics` and `last_error` from any. `prepare`, `start`,
 * `stop` and `destroy` stand alone. A handle does not survive fork().
 *
 * Errors. Every function that can fail returns a status; the handle keeps the text of the last failure. No exception
 * leaves the library, and it never prints, exits, reads the environment or installs handlers.
 *
 * ABI. Within a major version (before 1.0: a minor one) functions and fields stay, and new fields are appended to
 * structs that hold their size (sonoray_transmit: `transmit_size`). A library reads and writes as many bytes as the
 * caller's struct has, and takes defaults for the fields behind; sizes larger than it knows are refused. sonoray_grid
 * has reserved words instead: zero it before filling it in. */
#ifndef SONORAY_H
#define SONORAY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define SONORAY_C_API __attribute__((visibility("default")))
#else
#define SONORAY_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------- status */

typedef int32_t sonoray_status;

enum {
  SONORAY_OK = 0,
  SONORAY_ARGUMENT = 1,    /* an argument or a field of the configuration: the text says which, wanted, got */
  SONORAY_STATE = 2,       /* not now: not prepared, not started, or started already */
  SONORAY_DATA = 3,        /* a frame whose image holds NaN or infinity; outputs are not written */
  SONORAY_DEVICE = 4,      /* no such device, no driver, or it failed */
  SONORAY_UNSUPPORTED = 5, /* known, but not in this build or not for this combination */
  SONORAY_MEMORY = 6,      /* out of memory or threads; only from functions that take some */
  SONORAY_MODEL = 7,       /* the network failed, or its map is no sound speed */
  SONORAY_TIMEOUT = 8,     /* nothing came in the time given */
  SONORAY_FULL = 9,        /* no room in the ring (SONORAY_WHEN_FULL_REFUSE) */
  SONORAY_CANCELLED = 10,  /* `cancel` ended the call */
  SONORAY_INTERNAL = 11,   /* a defect of the library; please report the text */
  SONORAY_DEVICE_LOST = 12 /* the device is gone or its context damaged: from now on all that this handle says, until
                              it is stopped and prepared again, on the CPU perhaps */
};

/* One or two words for a status; a static string. */
SONORAY_C_API const char* sonoray_status_text(sonoray_status status);

/* "major.minor.patch"; a static string. */
SONORAY_C_API const char* sonoray_version(void);

/* -------------------------------------------------------------------------------------------------- configuration */

enum { SONORAY_CPU = 0, SONORAY_CUDA = 1 };

/* Samples of a frame. Pairs are I/Q: real, imaginary. */
enum { SONORAY_INT16 = 0, SONORAY_FLOAT32 = 1, SONORAY_INT16_PAIR = 2, SONORAY_FLOAT32_PAIR = 3 };

enum { SONORAY_GRID_NONE = 0, SONORAY_GRID_CARTESIAN = 1, SONORAY_GRID_SECTOR = 2 };

enum {
  SONORAY_PLANE = 0,     /* along `direction`, at time zero through `origin` */
  SONORAY_DIVERGING = 1, /* from a virtual source at `focus`, behind the elements */
  SONORAY_FOCUSED = 2,   /* to `focus`, in front of the elements */
  SONORAY_ELEMENT = 3,   /* `element` alone, at time zero */
  SONORAY_DELAYS = 4,    /* elements fire at `delays` */
  SONORAY_TIMES = 5      /* arrival times are given: `times`; they do not follow a map */
};

enum { SONORAY_COHERENT = 0, SONORAY_INCOHERENT = 1 };
enum { SONORAY_BOXCAR = 0, SONORAY_HANN = 1, SONORAY_HAMMING = 2, SONORAY_TUKEY = 3 };
enum { SONORAY_LINEAR = 0, SONORAY_CUBIC = 1 };

/* What `push` does when no slot of the ring is free. */
enum {
  SONORAY_WHEN_FULL_WAIT = 0,        /* waits for one: back-pressure */
  SONORAY_WHEN_FULL_DROP_OLDEST = 1, /* gives up the oldest frame that is not being worked on */
  SONORAY_WHEN_FULL_REFUSE = 2       /* returns SONORAY_FULL */
};

/* Points of an image or nodes of a map. Zero the struct first. */
typedef struct sonoray_grid {
  int32_t kind;         /* SONORAY_GRID_... */
  int32_t n_axes;       /* Cartesian: 2 for (x, z), 3 for (x, y, z) */
  int64_t shape[3];     /* points along each axis; a sector: angles, ranges */
  double spacing[3];    /* [m] Cartesian */
  double origin[3];     /* [m] Cartesian: the first point, as many values as axes */
  const double* angles; /* [rad] sector: (shape[0]), rising, from the z axis towards x */
  const double* ranges; /* [m] sector: (shape[1]), rising, from the apex */
  double apex[3];       /* [m] sector */
  int64_t reserved[4];  /* 0; anything else is refused */
} sonoray_grid;

typedef struct sonoray_transmit {
  int32_t kind;             /* SONORAY_PLANE ... */
  int32_t element;          /* SONORAY_ELEMENT */
  double origin[3];         /* [m] where the ideal wavefront is at time zero (plane, diverging, focused) */
  double direction[3];      /* unit vector (plane) */
  double focus[3];          /* [m] (diverging, focused) */
  const double* delays;     /* (n_elements) [s] when elements fire, NaN: silent (delays) */
  const float* apodization; /* (n_elements), 0: silent; NULL: all fire */
  const float* times;       /* (n_points) [s] when the wave passes the image's points (times) */
  const float* weight;      /* (n_points) of this transmit in the image; NULL: 1 */
} sonoray_transmit;

/* Finds the sound speed in a frame, for `sonoray_pipeline_estimate_map`: reads `input` and writes `output`, both
 * float32 in C order and the library's. Returns 0, or anything else for failure. Runs in the thread of that call. It
 * must not call functions of the same handle. */
typedef int32_t (*sonoray_network)(void* user, const float* input, const int64_t* input_shape, int32_t input_axes,
                                   float* output, const int64_t* output_shape, int32_t output_axes);

/* Fill in after `sonoray_config_init`, which sets the defaults named here; everything else starts as 0 or NULL. */
typedef struct sonoray_config {
  size_t size;          /* of this struct, set by init */
  size_t transmit_size; /* of sonoray_transmit, set by init */

  /* Where. */
  int32_t device;       /* SONORAY_CPU (default) or SONORAY_CUDA, where the library was built with CUDA */
  int32_t device_index; /* which CUDA device; default 0 */
  void* stream;         /* a cudaStream_t of that device; NULL (default): its default stream */
  int32_t threads;      /* of `process` and the stream's worker, this thread included; 0: all processors. On CUDA of
                           `prepare` only */
  int32_t map_threads;  /* of set_map and estimate_map; default 1, so as not to disturb the frames */

  /* Probe. */
  int64_t n_elements;
  const float* elements; /* (n_elements, 3) [m] */
  const float* normals;  /* (n_elements, 3) unit vectors; NULL: +z */

  /* Sequence. */
  int64_t n_transmits;
  const sonoray_transmit* transmits; /* (n_transmits) */
  double sequence_sound_speed;       /* [m/s] that the delays were computed with; default 1540 */

  /* Samples of a frame (n_transmits, n_elements, n_samples). */
  int32_t sample_type; /* SONORAY_INT16 ... */
  int32_t reserved_0;
  int64_t n_samples;
  int64_t stride[3];             /* [bytes] between transmits, elements, samples; all 0: C order without gaps */
  double sampling_frequency;     /* [Hz] */
  double demodulation_frequency; /* [Hz] that was mixed down; 0 for RF */
  double center_frequency;       /* [Hz] of the pulse, for attenuation and around a focus */
  const double* start_times;     /* (n_transmits) [s] of the first sample after time zero; NULL: 0 */

  /* Image. */
  sonoray_grid grid;
  double sound_speed;    /* [m/s] until a map comes; default 1540 */
  double f_number;       /* receive aperture: depth / (2 f_number) around the axis; default 1.5; 0: all elements */
  int32_t window;        /* over that aperture; default SONORAY_HANN */
  int32_t interpolation; /* of samples; default SONORAY_LINEAR */
  double tukey_taper;    /* tapered part of the half aperture, 0 to 1 (Tukey); default 0.5 */
  int32_t compounding;   /* default SONORAY_COHERENT */
  int32_t reserved_1;
  double element_width; /* in wavelengths, for the directivity of a soft baffle; negative (default): none */

  /* Display: envelope, gain against attenuation, decibels, grey levels. */
  double attenuation;   /* [dB/m/MHz] one-way; default 0; soft tissue has about 50 */
  double surface;       /* [m] depth (or range) at which the attenuating tissue begins */
  double max_gain;      /* [dB]; default 60 */
  double dynamic_range; /* [dB]; default 60 */
  double reference;     /* value shown as 0 dB; 0 (default): the frame's largest */
  sonoray_grid display; /* Cartesian, 2-D: where a sector is converted to; SONORAY_GRID_NONE: as the image */

  /* Sound speed. */
  sonoray_grid map;     /* Cartesian: nodes of maps; SONORAY_GRID_NONE: none will come */
  double table_spacing; /* [m] of the receive tables that are sampled from a map's times; default 5e-4 */
  double map_limits[2]; /* [m/s] that a network's map is clipped to; default 1380, 1680 */

  /* Network. Input: the frame as (1, n_transmits, n_elements, n_samples) for RF, with a last axis of 2 for I/Q.
   * Output: (1, *map.shape) [m/s]. */
  sonoray_network network; /* NULL: `model`, or none */
  void* network_user;      /* handed to `network` */
  const char* model;       /* path of an ONNX file, where the library was built with ONNX Runtime */

  /* Streaming. */
  int32_t ring_frames; /* slots, 2 to 4096; 0 (default): no streaming */
  int32_t when_full;   /* default SONORAY_WHEN_FULL_WAIT */
} sonoray_config;

/* Sets the defaults. `config_size` and `transmit_size` are sizeof(sonoray_config) and sizeof(sonoray_transmit). */
SONORAY_C_API sonoray_status sonoray_config_init(sonoray_config* config, size_t config_size, size_t transmit_size);

/* ------------------------------------------------------------------------------------------------------ pipelines */

typedef struct sonoray_pipeline sonoray_pipeline;

/* What a frame becomes; a null pointer: not wanted. Sizes are of the memory behind the pointers. Zero the struct first
 * and set `size`. */
typedef struct sonoray_output {
  size_t size; /* sizeof(sonoray_output) */
  void* image; /* (*grid.shape) beamformed: float32 for RF and incoherent sums, float32 pairs for I/Q */
  size_t image_bytes;
  float* envelope; /* (*grid.shape) with gain */
  size_t envelope_bytes;
  float* decibels; /* (*grid.shape) in [-dynamic_range, 0] */
  size_t decibels_bytes;
  uint8_t* grey; /* (*display.shape), or (*grid.shape) without a display grid; 0 outside a sector */
  size_t grey_bytes;
} sonoray_output;

/* About one frame, from `pop`. */
typedef struct sonoray_frame_info {
  size_t size;             /* sizeof(sonoray_frame_info) */
  uint64_t number;         /* given to `push` */
  sonoray_status status;   /* of this frame: SONORAY_OK, SONORAY_DATA, SONORAY_DEVICE, SONORAY_DEVICE_LOST */
  uint32_t map_generation; /* how many maps or tables had been put in place */
  double latency;          /* [s] from `push` to the finished frame */
  double reference;        /* value shown as 0 dB */
} sonoray_frame_info;

/* Of streaming since `start`; latencies of the last 4096 frames. */
typedef struct sonoray_statistics {
  size_t size;       /* sizeof(sonoray_statistics) */
  uint64_t pushed;   /* frames that `push` took */
  uint64_t finished; /* frames that were worked on, whatever their status */
  uint64_t dropped;  /* frames given up for newer ones */
  uint64_t refused;  /* SONORAY_FULL */
  uint64_t failed;   /* frames whose status is not SONORAY_OK */
  uint32_t map_generation;
  uint32_t waiting;   /* frames in the ring that nobody has worked on */
  double latency_p50; /* [s] */
  double latency_p95;
  double latency_p99;
  double latency_max;
  double frames_per_second; /* finished, from the first push on */
} sonoray_statistics;

/* An empty handle. */
SONORAY_C_API sonoray_status sonoray_pipeline_create(sonoray_pipeline** pipeline);

/* Checks the configuration, computes tables, starts threads and takes all memory that `process` needs. May be called
 * again on a handle that is not streaming. After a failure the handle is as if just created. */
SONORAY_C_API sonoray_status sonoray_pipeline_prepare(sonoray_pipeline* pipeline, const sonoray_config* config);

/* One frame, at once. `frame_bytes` is what the configuration says: anything else is refused. On a device see "Devices"
 * above: a frame that gives NaN is only reported at once if an output is in memory of the host. */
SONORAY_C_API sonoray_status sonoray_pipeline_process(sonoray_pipeline* pipeline, const void* frame, size_t frame_bytes,
                                                      const sonoray_output* output);

/* Waits for what `process` queued on a device. SONORAY_DATA if a frame since the last wait gave NaN or infinity, and
 * its outputs in device memory were not written. On the CPU there is nothing to wait for: the last frame's status. */
SONORAY_C_API sonoray_status sonoray_pipeline_wait(sonoray_pipeline* pipeline);

/* Bytes of a frame, and of an output's arrays (any pointer may be NULL). */
SONORAY_C_API sonoray_status sonoray_pipeline_sizes(const sonoray_pipeline* pipeline, size_t* frame_bytes,
                                                    size_t* image_bytes, size_t* envelope_bytes, size_t* grey_bytes);

/* Solves the eikonal equation through `sound_speed` (*map.shape) [m/s] for all elements, makes the tables of arrival
 * times, and puts them in place between two frames. Takes as long as that takes; frames go on meanwhile. Holes (NaN),
 * values outside 300 to 12000 m/s and wrong counts are refused, and the tables stay as they are. */
SONORAY_C_API sonoray_status sonoray_pipeline_set_map(sonoray_pipeline* pipeline, const float* sound_speed,
                                                      int64_t count);

/* The same with tables made elsewhere: arrival times (n_transmits, n_points) [s], mean slowness from each element
 * (n_elements, *table.shape) [s/m] (Cartesian; NULL: the configured sound speed). */
SONORAY_C_API sonoray_status sonoray_pipeline_set_tables(sonoray_pipeline* pipeline, const float* times,
                                                         int64_t times_count, const float* slowness,
                                                         int64_t slowness_count, const sonoray_grid* table);

/* Runs the network on a frame and sets its map. `sound_speed` (*map.shape), if not NULL, receives the map. */
SONORAY_C_API sonoray_status sonoray_pipeline_estimate_map(sonoray_pipeline* pipeline, const void* frame,
                                                           size_t frame_bytes, float* sound_speed, int64_t count);

/* The text of the last failure on this handle, cut to `capacity` bytes with the final zero; empty if there was none.
 * Returns the length of the whole text. */
SONORAY_C_API size_t sonoray_pipeline_last_error(const sonoray_pipeline* pipeline, char* text, size_t capacity);

/* Stops streaming, frees everything. NULL is allowed. */
SONORAY_C_API void sonoray_pipeline_destroy(sonoray_pipeline* pipeline);

/* ------------------------------------------------------------------------------------------------------ streaming */

/* Takes the ring's memory and starts the worker; `ring_frames` must have been configured. Statistics begin anew. */
SONORAY_C_API sonoray_status sonoray_pipeline_start(sonoray_pipeline* pipeline);

/* Copies a frame into the ring. `number` is the caller's. */
SONORAY_C_API sonoray_status sonoray_pipeline_push(sonoray_pipeline* pipeline, const void* frame, size_t frame_bytes,
                                                   uint64_t number);

/* The oldest finished frame, copied to `output`, in the order of pushes; waits up to `timeout` seconds (negative: as
 * long as it takes). `info` may be NULL. SONORAY_OK says that a frame came; whether it is good says `info->status`, and
 * of a bad one `output` is not written (without `info` its status is returned). A frame that the device failed to hand
 * out is given up: SONORAY_DEVICE, and the next call has the next. */
SONORAY_C_API sonoray_status sonoray_pipeline_pop(sonoray_pipeline* pipeline, double timeout,
                                                  const sonoray_output* output, sonoray_frame_info* info);

/* Ends waiting calls of `push` and `pop` with SONORAY_CANCELLED, and all later ones until `stop` and `start`. Frames
 * not yet worked on are given up. Does not wait; `stop` or `destroy` does. */
SONORAY_C_API sonoray_status sonoray_pipeline_cancel(sonoray_pipeline* pipeline);

/* Cancels and ends the worker. `process` may be used again. */
SONORAY_C_API sonoray_status sonoray_pipeline_stop(sonoray_pipeline* pipeline);

SONORAY_C_API sonoray_status sonoray_pipeline_statistics(sonoray_pipeline* pipeline, sonoray_statistics* statistics);

#ifdef __cplusplus
}
#endif

#endif

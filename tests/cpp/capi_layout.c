/* The ABI in numbers: whoever moves a field, or changes a value, fails to compile this. Append only. */
#include "capi/sonoray.h"

#define SIZE(type, bytes) _Static_assert(sizeof(sonoray_##type) == (bytes), "size of sonoray_" #type)
#define FIELD(type, name, at) _Static_assert(offsetof(sonoray_##type, name) == (at), #type "." #name)
#define VALUE(name, value) _Static_assert((name) == (value), #name)

#if UINTPTR_MAX > 0xffffffff

SIZE(grid, 152);
FIELD(grid, kind, 0);
FIELD(grid, n_axes, 4);
FIELD(grid, shape, 8);
FIELD(grid, spacing, 32);
FIELD(grid, origin, 56);
FIELD(grid, angles, 80);
FIELD(grid, ranges, 88);
FIELD(grid, apex, 96);
FIELD(grid, reserved, 120);

SIZE(transmit, 112);
FIELD(transmit, kind, 0);
FIELD(transmit, element, 4);
FIELD(transmit, origin, 8);
FIELD(transmit, direction, 32);
FIELD(transmit, focus, 56);
FIELD(transmit, delays, 80);
FIELD(transmit, apodization, 88);
FIELD(transmit, times, 96);
FIELD(transmit, weight, 104);

SIZE(config, 760);
FIELD(config, size, 0);
FIELD(config, transmit_size, 8);
FIELD(config, device, 16);
FIELD(config, device_index, 20);
FIELD(config, stream, 24);
FIELD(config, threads, 32);
FIELD(config, map_threads, 36);
FIELD(config, n_elements, 40);
FIELD(config, elements, 48);
FIELD(config, normals, 56);
FIELD(config, n_transmits, 64);
FIELD(config, transmits, 72);
FIELD(config, sequence_sound_speed, 80);
FIELD(config, sample_type, 88);
FIELD(config, reserved_0, 92);
FIELD(config, n_samples, 96);
FIELD(config, stride, 104);
FIELD(config, sampling_frequency, 128);
FIELD(config, demodulation_frequency, 136);
FIELD(config, center_frequency, 144);
FIELD(config, start_times, 152);
FIELD(config, grid, 160);
FIELD(config, sound_speed, 312);
FIELD(config, f_number, 320);
FIELD(config, window, 328);
FIELD(config, interpolation, 332);
FIELD(config, tukey_taper, 336);
FIELD(config, compounding, 344);
FIELD(config, reserved_1, 348);
FIELD(config, element_width, 352);
FIELD(config, attenuation, 360);
FIELD(config, surface, 368);
FIELD(config, max_gain, 376);
FIELD(config, dynamic_range, 384);
FIELD(config, reference, 392);
FIELD(config, display, 400);
FIELD(config, map, 552);
FIELD(config, table_spacing, 704);
FIELD(config, map_limits, 712);
FIELD(config, network, 728);
FIELD(config, network_user, 736);
FIELD(config, model, 744);
FIELD(config, ring_frames, 752);
FIELD(config, when_full, 756);

SIZE(output, 72);
FIELD(output, size, 0);
FIELD(output, image, 8);
FIELD(output, image_bytes, 16);
FIELD(output, envelope, 24);
FIELD(output, envelope_bytes, 32);
FIELD(output, decibels, 40);
FIELD(output, decibels_bytes, 48);
FIELD(output, grey, 56);
FIELD(output, grey_bytes, 64);

SIZE(frame_info, 40);
FIELD(frame_info, size, 0);
FIELD(frame_info, number, 8);
FIELD(frame_info, status, 16);
FIELD(frame_info, map_generation, 20);
FIELD(frame_info, latency, 24);
FIELD(frame_info, reference, 32);

SIZE(statistics, 96);
FIELD(statistics, size, 0);
FIELD(statistics, pushed, 8);
FIELD(statistics, finished, 16);
FIELD(statistics, dropped, 24);
FIELD(statistics, refused, 32);
FIELD(statistics, failed, 40);
FIELD(statistics, map_generation, 48);
FIELD(statistics, waiting, 52);
FIELD(statistics, latency_p50, 56);
FIELD(statistics, latency_p95, 64);
FIELD(statistics, latency_p99, 72);
FIELD(statistics, latency_max, 80);
FIELD(statistics, frames_per_second, 88);
#endif

VALUE(SONORAY_OK, 0);
VALUE(SONORAY_ARGUMENT, 1);
VALUE(SONORAY_STATE, 2);
VALUE(SONORAY_DATA, 3);
VALUE(SONORAY_DEVICE, 4);
VALUE(SONORAY_UNSUPPORTED, 5);
VALUE(SONORAY_MEMORY, 6);
VALUE(SONORAY_MODEL, 7);
VALUE(SONORAY_TIMEOUT, 8);
VALUE(SONORAY_FULL, 9);
VALUE(SONORAY_CANCELLED, 10);
VALUE(SONORAY_INTERNAL, 11);
VALUE(SONORAY_DEVICE_LOST, 12);
VALUE(SONORAY_CPU, 0);
VALUE(SONORAY_CUDA, 1);
VALUE(SONORAY_INT16, 0);
VALUE(SONORAY_FLOAT32, 1);
VALUE(SONORAY_INT16_PAIR, 2);
VALUE(SONORAY_FLOAT32_PAIR, 3);
VALUE(SONORAY_GRID_NONE, 0);
VALUE(SONORAY_GRID_CARTESIAN, 1);
VALUE(SONORAY_GRID_SECTOR, 2);
VALUE(SONORAY_PLANE, 0);
VALUE(SONORAY_DIVERGING, 1);
VALUE(SONORAY_FOCUSED, 2);
VALUE(SONORAY_ELEMENT, 3);
VALUE(SONORAY_DELAYS, 4);
VALUE(SONORAY_TIMES, 5);
VALUE(SONORAY_COHERENT, 0);
VALUE(SONORAY_INCOHERENT, 1);
VALUE(SONORAY_BOXCAR, 0);
VALUE(SONORAY_HANN, 1);
VALUE(SONORAY_HAMMING, 2);
VALUE(SONORAY_TUKEY, 3);
VALUE(SONORAY_LINEAR, 0);
VALUE(SONORAY_CUBIC, 1);
VALUE(SONORAY_WHEN_FULL_WAIT, 0);
VALUE(SONORAY_WHEN_FULL_DROP_OLDEST, 1);
VALUE(SONORAY_WHEN_FULL_REFUSE, 2);

/* The Node-API addon: for every instruction set that this build has and this processor can run, one function
   variants.<name>(arena: Int32Array, from, to, lane, table) -> -1, or the word of a bad instruction.
   Which one to use is decided in backend.ts. Besides, functions on byte arrays wherever they lie and however they are
   aligned, for what comes from sockets: bytes.addFloats(out, left, right), bytes.copyBytes(out, from), and
   bytes.release(array), which gives its memory back without waiting for the collector; and checksums.<name>(array,
   running), zlib's CRC-32, for every instruction set that has a way of its own to it. */
#include "checksum.h"
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int Run(float *arena, int from, int to, int lane, int table);

#if defined(__x86_64__)
Run lockstep_run_avx512, lockstep_run_avx2, lockstep_run_portable;
static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw");
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#elif defined(__aarch64__)
Run lockstep_run_neon, lockstep_run_portable;
#else
Run lockstep_run_portable;
#endif

static napi_value fail(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static napi_value call(napi_env env, napi_callback_info info) {
  size_t count = 5, length;
  napi_value argument[5], result;
  void *run, *arena;
  int32_t number[4];
  napi_typedarray_type type;
  if (napi_get_cb_info(env, info, &count, argument, NULL, &run) != napi_ok || count < 5)
    return fail(env, "run(arena, from, to, lane, table): five arguments");
  if (napi_get_typedarray_info(env, argument[0], &type, &length, &arena, NULL, NULL) != napi_ok || type != napi_int32_array)
    return fail(env, "run: the arena is an Int32Array");
  for (int i = 0; i < 4; i++)
    if (napi_get_value_int32(env, argument[i + 1], &number[i]) != napi_ok || number[i] < 0 || (size_t)number[i] > length)
      return fail(env, "run: from, to, lane and table are words of the arena");
  int bad = ((Run *)run)(arena, number[0], number[1], number[2], number[3]);
  napi_create_int32(env, bad, &result);
  return result;
}

/* The arguments as byte arrays, all of one length; 0 where they are not. */
static int byte_arrays(napi_env env, napi_callback_info info, size_t wanted, uint8_t **data, size_t *length) {
  size_t count = wanted;
  napi_value argument[3];
  napi_typedarray_type type;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count < wanted) return 0;
  for (size_t i = 0; i < wanted; i++) {
    size_t own;
    if (napi_get_typedarray_info(env, argument[i], &type, &own, (void **)&data[i], NULL, NULL) != napi_ok) return 0;
    if (type != napi_uint8_array || (i > 0 && own != *length)) return 0;
    *length = own;
  }
  return 1;
}

typedef float Floats __attribute__((vector_size(64)));

/* out = left + right, float32; out may be one of them. In vectors by hand: the compiler cannot know that nothing overlaps. */
static napi_value add_floats(napi_env env, napi_callback_info info) {
  uint8_t *data[3];
  size_t length;
  if (!byte_arrays(env, info, 3, data, &length) || length % 4 != 0)
    return fail(env, "addFloats(out, left, right): three byte arrays of one length, whole floats");
  size_t at = 0;
  for (; at + sizeof(Floats) <= length; at += sizeof(Floats)) {
    Floats left, right;
    memcpy(&left, data[1] + at, sizeof left);
    memcpy(&right, data[2] + at, sizeof right);
    left += right;
    memcpy(data[0] + at, &left, sizeof left);
  }
  for (; at < length; at += 4) {
    float left, right;
    memcpy(&left, data[1] + at, 4);
    memcpy(&right, data[2] + at, 4);
    left += right;
    memcpy(data[0] + at, &left, 4);
  }
  return NULL;
}

static napi_value copy_bytes(napi_env env, napi_callback_info info) {
  uint8_t *data[2];
  size_t length;
  if (!byte_arrays(env, info, 2, data, &length))
    return fail(env, "copyBytes(out, from): two byte arrays of one length");
  memmove(data[0], data[1], length);
  return NULL;
}

static napi_value checksum(napi_env env, napi_callback_info info) {
  size_t count = 2, length;
  napi_value argument[2], result;
  napi_typedarray_type type;
  void *way, *data;
  uint32_t running;
  if (napi_get_cb_info(env, info, &count, argument, NULL, &way) != napi_ok || count < 1 ||
      napi_get_typedarray_info(env, argument[0], &type, &length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array)
    return fail(env, "checksum(array, running): a byte array");
  if (count < 2) running = 0;
  else if (napi_get_value_uint32(env, argument[1], &running) != napi_ok) return fail(env, "checksum: running is a number");
  napi_create_uint32(env, ~((Checksum *)way)(data, length, ~running), &result);
  return result;
}

static napi_value release(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value argument, buffer;
  napi_typedarray_type type;
  void *data;
  bool is_buffer = false;
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count < 1 ||
      napi_get_typedarray_info(env, argument, &type, &length, &data, &buffer, NULL) != napi_ok)
    return fail(env, "release(array): a typed array");
  /* Shared memory is no array buffer in this sense; it stays. */
  if (napi_is_arraybuffer(env, buffer, &is_buffer) == napi_ok && is_buffer) napi_detach_arraybuffer(env, buffer);
  return NULL;
}

static void define(napi_env env, napi_value object, const char *name, napi_callback function, void *data) {
  napi_value value;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value) == napi_ok)
    napi_set_named_property(env, object, name, value);
}

static void add(napi_env env, napi_value variants, const char *name, Run *run) {
  define(env, variants, name, call, (void *)run);
}

static void add_checksum(napi_env env, napi_value checksums, const char *name, Checksum *way) {
  define(env, checksums, name, checksum, (void *)way);
}

/* In the order of preference. */
NAPI_MODULE_INIT() {
  napi_value variants, bytes, checksums;
  napi_create_object(env, &variants);
#if defined(__x86_64__)
  if (has_avx512()) add(env, variants, "avx512", lockstep_run_avx512);
  if (has_avx2()) add(env, variants, "avx2", lockstep_run_avx2);
#elif defined(__aarch64__)
  add(env, variants, "neon", lockstep_run_neon);
#endif
  add(env, variants, "portable", lockstep_run_portable);
  napi_set_named_property(env, exports, "variants", variants);
  napi_create_object(env, &bytes);
  define(env, bytes, "addFloats", add_floats, NULL);
  define(env, bytes, "copyBytes", copy_bytes, NULL);
  define(env, bytes, "release", release, NULL);
  napi_set_named_property(env, exports, "bytes", bytes);
  napi_create_object(env, &checksums);
#if defined(__x86_64__)
  if (has_wide_lanes()) add_checksum(env, checksums, "avx512", checksum_by_wide_lanes);
  if (has_lanes()) add_checksum(env, checksums, "avx2", checksum_by_lanes);
#elif defined(LANES)
  if (has_lanes()) add_checksum(env, checksums, "neon", checksum_by_lanes);
#endif
  add_checksum(env, checksums, "portable", checksum_by_tables);
  napi_set_named_property(env, exports, "checksums", checksums);
  return exports;
}

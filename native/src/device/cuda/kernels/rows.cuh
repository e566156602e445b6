// What goes row by row: embeddings, layer norms, and what follows the products of the encoder.
#pragma once

#include "common.cuh"

struct Embed {
  const void *tokens;    // (n_vocab, n_state)
  const void *positions; // (n_text_ctx, n_state)
  const Row *row;
  float *out;            // (rows, n_state)
  int n_state;
};

// Block (rows) of 128.
template <typename T> __device__ __forceinline__ void embed(const Embed a) {
  const int r = blockIdx.x;
  others_may_start();
  wait();
  const Row row = a.row[r];
  const T *token = reinterpret_cast<const T *>(a.tokens) + (size_t)row.token * a.n_state;
  const T *position = reinterpret_cast<const T *>(a.positions) + (size_t)row.position * a.n_state;
  for (int i = threadIdx.x; i < a.n_state; i += 128) a.out[(size_t)r * a.n_state + i] = f32(token[i]) + f32(position[i]);
}

struct AddNorm {
  float *x;             // (rows, n)
  const void *add;      // (rows, n), or null
  const void *add_bias; // (n), where there is `add`
  const float *weight, *bias;
  void *out;            // (rows, n)
  int n, rows;
};

// x += add + add_bias; out = norm(x). A warp to a row, block of 128.
template <typename T> __device__ __forceinline__ void add_norm(const AddNorm a) {
  const int r = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
  others_may_start();
  wait();
  if (r >= a.rows) return;
  float *x = a.x + (size_t)r * a.n;
  const T *add = reinterpret_cast<const T *>(a.add) + (size_t)r * a.n, *bias = reinterpret_cast<const T *>(a.add_bias);
  uint2 y[10]; // all on their way before the first is needed
  if (a.add)
#pragma unroll
    for (int j = 0; j < 10; j++)
      if (const int i = (j * 32 + lane) * 4; i < a.n) y[j] = *reinterpret_cast<const uint2 *>(add + i);
  T *out = reinterpret_cast<T *>(a.out) + (size_t)r * a.n;
  const auto load = [&](int i, int j) {
    float4 v = *reinterpret_cast<float4 *>(x + i);
    if (a.add) {
      const uint2 z = y[j], b = *reinterpret_cast<const uint2 *>(bias + i);
      const float2 y0 = both(z.x, T()), y1 = both(z.y, T()), b0 = both(b.x, T()), b1 = both(b.y, T());
      v.x += y0.x + b0.x, v.y += y0.y + b0.y, v.z += y1.x + b1.x, v.w += y1.y + b1.y;
      *reinterpret_cast<float4 *>(x + i) = v;
    }
    return v;
  };
  norm_row(load, a.weight, a.bias, a.n, lane, [&](int i, float x0, float x1, float x2, float x3) {
    *reinterpret_cast<uint2 *>(out + i) = make_uint2(pack(x0, x1, T()), pack(x2, x3, T()));
  });
}

struct BiasGelu {
  void *x;                // (batch, rows, n)
  const void *bias;       // (n)
  const void *positions;  // (rows, n) to be added afterwards, or null
  float *sum;             // (batch, rows, n), where there are positions
  int n, rows;
};

// gelu(x + bias), in place or with positions to f32; eight numbers to a thread. Block (⌈rows · n / 2048⌉, batch) of 256.
template <typename T> __device__ __forceinline__ void bias_gelu(const BiasGelu a) {
  const size_t i = ((size_t)blockIdx.x * 256 + threadIdx.x) * 8;
  others_may_start();
  wait();
  if (i >= (size_t)a.rows * a.n) return;
  T *x = reinterpret_cast<T *>(a.x) + (size_t)blockIdx.y * a.rows * a.n + i;
  float v[8], b[8];
  unpack<T>(*reinterpret_cast<const uint4 *>(x), v);
  unpack<T>(*reinterpret_cast<const uint4 *>(reinterpret_cast<const T *>(a.bias) + i % a.n), b);
#pragma unroll
  for (int j = 0; j < 8; j++) v[j] = gelu(v[j] + b[j]);
  if (a.positions) {
    unpack<T>(*reinterpret_cast<const uint4 *>(reinterpret_cast<const T *>(a.positions) + i), b);
    float4 *sum = reinterpret_cast<float4 *>(a.sum + (size_t)blockIdx.y * a.rows * a.n + i);
    sum[0] = make_float4(v[0] + b[0], v[1] + b[1], v[2] + b[2], v[3] + b[3]);
    sum[1] = make_float4(v[4] + b[4], v[5] + b[5], v[6] + b[6], v[7] + b[7]);
  } else {
    *reinterpret_cast<uint4 *>(x) =
        make_uint4(pack(v[0], v[1], T()), pack(v[2], v[3], T()), pack(v[4], v[5], T()), pack(v[6], v[7], T()));
  }
}

struct Transpose {
  const void *x; // (batch, n, frames)
  void *out;     // (batch, frames, n)
  int n, frames;
};

// Block (⌈frames / 32⌉, ⌈n / 32⌉, batch) of 256.
template <typename T> __device__ __forceinline__ void transpose(const Transpose a) {
  __shared__ T tile[32][33];
  others_may_start();
  wait();
  const T *x = reinterpret_cast<const T *>(a.x) + (size_t)blockIdx.z * a.n * a.frames;
  T *out = reinterpret_cast<T *>(a.out) + (size_t)blockIdx.z * a.frames * a.n;
  const int t0 = blockIdx.x * 32, n0 = blockIdx.y * 32, i = threadIdx.x % 32;
  for (int j = threadIdx.x / 32; j < 32; j += 8)
    if (n0 + j < a.n && t0 + i < a.frames) tile[j][i] = x[(size_t)(n0 + j) * a.frames + t0 + i];
  __syncthreads();
  for (int j = threadIdx.x / 32; j < 32; j += 8)
    if (t0 + j < a.frames && n0 + i < a.n) out[(size_t)(t0 + j) * a.n + n0 + i] = tile[i][j];
}

struct Columns {
  const void *x; // (batch, frames, n)
  void *out;     // (batch, ⌈frames / stride⌉, 3, n)
  int n, frames, stride;
};

// Each position with the one before and the one after it, zeros outside. Block (⌈count / 256⌉, batch) of 256, eight numbers
// to a thread.
template <typename T> __device__ __forceinline__ void columns(const Columns a) {
  others_may_start();
  wait();
  const int wide = a.n / 8, rows = (a.frames + a.stride - 1) / a.stride, i = blockIdx.x * 256 + threadIdx.x;
  if (i >= rows * 3 * wide) return;
  const int t = i / wide / 3 * a.stride + i / wide % 3 - 1;
  const uint4 *x = reinterpret_cast<const uint4 *>(a.x) + (size_t)blockIdx.y * a.frames * wide;
  uint4 *out = reinterpret_cast<uint4 *>(a.out) + (size_t)blockIdx.y * rows * 3 * wide;
  out[i] = t < 0 || t >= a.frames ? make_uint4(0, 0, 0, 0) : x[(size_t)t * wide + i % wide];
}

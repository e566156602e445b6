// x · wᵀ + b for few rows: bound by reading the weights once, so the layer norm before and what follows are done in the
// same pass, and the weights are on their way before the kernel before this one has ended.
#pragma once

#include "common.cuh"

struct Linear {
  const void *weight; // (n_out, n_in)
  const void *bias;   // (n_out) or null
  const void *x;      // (rows, n_in): f32 if it is to be normed here, else T
  const float *norm_weight;
  const float *norm_bias;
  void *out;          // (rows, n_out); of queries, keys and values the queries (rows, n_out / 3)
  const Row *row;     // (rows)
  void *const *cache; // a layer's keys and values, each (n_batch · capacity, n_out / 3)
  int n_in, n_out, rows;
};

enum { PLAIN, NORM };                       // what x is
enum { STORE, GELU, ADD, FLOATS, QKV };     // what becomes of the sum

template <typename T> __device__ __forceinline__ float bias_of(const Linear &a, int o) {
  return a.bias && o < a.n_out ? f32(reinterpret_cast<const T *>(a.bias)[o]) : 0;
}

// Where a product goes that is kept, if it is one of a row's keys or values.
template <typename T> __device__ __forceinline__ T *kept(const Linear &a, int r, int o) {
  const int n = a.n_out / 3, which = o / n;
  if (which == 0 || r >= a.rows || o >= a.n_out) return nullptr;
  const Row row = a.row[r];
  return reinterpret_cast<T *>(a.cache[which - 1]) + (size_t)(row.cache + row.position) * n + (o - which * n);
}

template <typename T, int EPILOGUE>
__device__ __forceinline__ void finish(const Linear &a, int r, int o, float sum, T *cached, float before) {
  const size_t at = (size_t)r * a.n_out + o;
  if (EPILOGUE == STORE) put(reinterpret_cast<T *>(a.out)[at], sum);
  if (EPILOGUE == GELU) put(reinterpret_cast<T *>(a.out)[at], gelu(sum));
  if (EPILOGUE == ADD) reinterpret_cast<float *>(a.out)[at] = before + sum;
  if (EPILOGUE == FLOATS) reinterpret_cast<float *>(a.out)[at] = sum;
  if (EPILOGUE == QKV) put(cached ? *cached : reinterpret_cast<T *>(a.out)[(size_t)r * (a.n_out / 3) + o], sum);
}

// So many rows are normed by all of a block one after the other, more of them by a warp each.
constexpr int FEW_ROWS = 3;

// Layer norm of a row of n <= 2048 numbers by a block of 256, whose threads have weights and biases already.
template <typename T>
__device__ __forceinline__ void norm_by_block(const float *x, const float4 (&weight)[2], const float4 (&bias)[2], int n,
                                              T *out) {
  __shared__ float sums[2][8];
  float4 v[2];
  float sum = 0;
#pragma unroll
  for (int j = 0; j < 2; j++)
    if (const int i = (j * 256 + threadIdx.x) * 4; i < n) {
      v[j] = *reinterpret_cast<const float4 *>(x + i);
      sum += v[j].x + v[j].y + v[j].z + v[j].w;
    }
  const auto of_block = [&](float x, float (&shared)[8]) {
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
#pragma unroll
    for (int w = 0; w < 8; w++) x += shared[w];
    return x;
  };
  const float mean = of_block(sum, sums[0]) / n;
  float squares = 0;
#pragma unroll
  for (int j = 0; j < 2; j++)
    if ((j * 256 + threadIdx.x) * 4 < n) {
      v[j].x -= mean, v[j].y -= mean, v[j].z -= mean, v[j].w -= mean;
      squares += v[j].x * v[j].x + v[j].y * v[j].y + v[j].z * v[j].z + v[j].w * v[j].w;
    }
  const float scale = rsqrtf(of_block(squares, sums[1]) / n + 1e-5f);
#pragma unroll
  for (int j = 0; j < 2; j++)
    if (const int i = (j * 256 + threadIdx.x) * 4; i < n)
      *reinterpret_cast<uint2 *>(out + i) =
          make_uint2(pack(v[j].x * scale * weight[j].x + bias[j].x, v[j].y * scale * weight[j].y + bias[j].y, T()),
                     pack(v[j].z * scale * weight[j].z + bias[j].z, v[j].w * scale * weight[j].w + bias[j].w, T()));
}

// A block of 8 warps has 8 / SPLIT · NT · 8 outputs of 16 · MT rows; SPLIT warps share the inputs of the same outputs, in
// chunks of 32. Within a chunk the order of the inputs is the one in which a lane reads 16 bytes at once; it is the same for
// x and w, so the sum is what it should be.
template <typename T, int MT, int NT, int SPLIT, int U, int PROLOGUE, int EPILOGUE>
__device__ __forceinline__ void linear(const Linear a) {
  extern __shared__ uint4 shared[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  const int part = warp % SPLIT, first = (blockIdx.x * (8 / SPLIT) + warp / SPLIT) * NT * 8;
  const int row0 = blockIdx.y * 16 * MT, rows = min(a.rows - row0, 16 * MT), chunks = a.n_in / 32;
  others_may_start();

  const T *weight[NT];
#pragma unroll
  for (int n = 0; n < NT; n++) {
    const int o = min(first + n * 8 + g, a.n_out - 1);
    weight[n] = reinterpret_cast<const T *>(a.weight) + (size_t)o * a.n_in + q * 8;
  }
  uint4 w[U][NT];
  const auto fetch = [&](int from) {
#pragma unroll
    for (int u = 0; u < U; u++)
      if (from + u * SPLIT < chunks)
#pragma unroll
        for (int n = 0; n < NT; n++) w[u][n] = load_once(weight[n] + (from + u * SPLIT) * 32);
  };
  fetch(part);
  // What else no kernel before this one writes.
  __shared__ float biases[8 / SPLIT * NT * 8];
  for (int i = threadIdx.x; SPLIT > 1 && i < 8 / SPLIT * NT * 8; i += 256)
    biases[i] = bias_of<T>(a, blockIdx.x * (8 / SPLIT) * NT * 8 + i);
  // Each thread's first output, which is the only one where rows are few.
  const int group0 = threadIdx.x / (16 * NT * 8), mine_r = row0 + threadIdx.x / (NT * 8) % 16;
  const int mine_o = (blockIdx.x * (8 / SPLIT) + group0) * NT * 8 + threadIdx.x % (NT * 8);
  T *mine = EPILOGUE == QKV ? kept<T>(a, mine_r, mine_o) : nullptr;
  float before = 0;
  float4 norm_weight[2], norm_bias[2];
  if (PROLOGUE == NORM)
#pragma unroll
    for (int j = 0; j < 2; j++)
      if (const int i = (j * 256 + threadIdx.x) * 4; i < a.n_in) {
        norm_weight[j] = *reinterpret_cast<const float4 *>(a.norm_weight + i);
        norm_bias[j] = *reinterpret_cast<const float4 *>(a.norm_bias + i);
      }
  wait();
  if (EPILOGUE == ADD && mine_r < a.rows && mine_o < a.n_out)
    before = reinterpret_cast<const float *>(a.out)[(size_t)mine_r * a.n_out + mine_o];

  const T *x;
  int stride = a.n_in;
  if (PROLOGUE == NORM) {
    stride += 8; // keeps rows in different banks
    T *normed = reinterpret_cast<T *>(shared);
    const float *from = reinterpret_cast<const float *>(a.x) + (size_t)row0 * a.n_in;
    if (rows <= FEW_ROWS) {
      for (int r = 0; r < rows; r++)
        norm_by_block(from + (size_t)r * a.n_in, norm_weight, norm_bias, a.n_in, normed + r * stride);
    } else {
      for (int r = warp; r < rows; r += 8)
        norm_row([&](int i, int) { return *reinterpret_cast<const float4 *>(from + (size_t)r * a.n_in + i); },
                 a.norm_weight, a.norm_bias, a.n_in, lane,
                 [&](int i, float x0, float x1, float x2, float x3) {
                   *reinterpret_cast<uint2 *>(normed + r * stride + i) =
                       make_uint2(pack(x0, x1, T()), pack(x2, x3, T()));
                 });
    }
    __syncthreads();
    x = normed;
  } else {
    x = reinterpret_cast<const T *>(a.x) + (size_t)row0 * a.n_in;
  }

  float sums[MT][NT][4] = {};
  for (int from = part; from < chunks; from += U * SPLIT) {
    if (from != part) fetch(from);
#pragma unroll
    for (int u = 0; u < U; u++) {
      const int c = from + u * SPLIT;
      if (c >= chunks) break;
#pragma unroll
      for (int m = 0; m < MT; m++) {
        const int r = m * 16 + g;
        uint4 low = make_uint4(0, 0, 0, 0), high = low;
        if (r < rows) low = *reinterpret_cast<const uint4 *>(x + (size_t)r * stride + c * 32 + q * 8);
        if (r + 8 < rows) high = *reinterpret_cast<const uint4 *>(x + (size_t)(r + 8) * stride + c * 32 + q * 8);
#pragma unroll
        for (int n = 0; n < NT; n++) {
          mma(sums[m][n], low.x, high.x, low.y, high.y, w[u][n].x, w[u][n].y, T());
          mma(sums[m][n], low.z, high.z, low.w, high.w, w[u][n].z, w[u][n].w, T());
        }
      }
    }
  }

  if (SPLIT == 1) {
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
      for (int n = 0; n < NT; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int r = m * 16 + g + i / 2 * 8, o = first + n * 8 + q * 2 + i % 2;
          if (r < rows && o < a.n_out)
            finish<T, EPILOGUE>(a, row0 + r, o, sums[m][n][i], nullptr, 0); // logits: nothing to add
        }
    return;
  }
  // (8, 16, NT · 8), one tile of rows after the other
  __shared__ float partial[8 * 16 * NT * 8];
  constexpr int OUTS = NT * 8;
#pragma unroll
  for (int m = 0; m < MT; m++) {
    if (m) __syncthreads();
#pragma unroll
    for (int n = 0; n < NT; n++)
#pragma unroll
      for (int i = 0; i < 4; i++)
        partial[(warp * 16 + g + i / 2 * 8) * OUTS + n * 8 + q * 2 + i % 2] = sums[m][n][i];
    __syncthreads();
    for (int i = threadIdx.x; i < 8 / SPLIT * 16 * OUTS; i += 256) {
      const int group = i / (16 * OUTS), r = m * 16 + i / OUTS % 16;
      const int o = (blockIdx.x * (8 / SPLIT) + group) * OUTS + i % OUTS;
      if (r >= rows || o >= a.n_out) continue;
      float sum = biases[group * OUTS + i % OUTS];
#pragma unroll
      for (int p = 0; p < SPLIT; p++) sum += partial[(group * SPLIT + p) * 16 * OUTS + i % (16 * OUTS)];
      if (m || i >= 256) {
        if (EPILOGUE == ADD) before = reinterpret_cast<const float *>(a.out)[(size_t)(row0 + r) * a.n_out + o];
        if (EPILOGUE == QKV) mine = kept<T>(a, row0 + r, o);
      }
      finish<T, EPILOGUE>(a, row0 + r, o, sum, mine, before);
    }
  }
}

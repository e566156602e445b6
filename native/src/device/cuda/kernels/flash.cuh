// Attention of all positions to all, a block of 128 queries against 64 keys at a time, with the softmax on the way.
#pragma once

#include "common.cuh"

struct Flash {
  const void *qkv;    // (batch, n_ctx, 3 · n_state)
  const void *q_bias; // (n_state)
  const void *v_bias; // (n_state)
  void *out;          // (batch, n_ctx, n_state)
  int n_ctx, n_state;
};

__device__ __forceinline__ void copy16(void *to, const void *from, bool there) {
  const uint32_t at = __cvta_generic_to_shared(to);
  const int bytes = there ? 16 : 0; // the rest is zeros
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes));
}
__device__ __forceinline__ void load_matrices(uint32_t (&x)[4], const void *from) {
  const uint32_t at = __cvta_generic_to_shared(from);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(at));
}
__device__ __forceinline__ void load_transposed(uint32_t (&x)[4], const void *from) {
  const uint32_t at = __cvta_generic_to_shared(from);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(at));
}

// As exact as what is made of it, a 16-bit number; numbers too small for f32's full precision become 0.
__device__ __forceinline__ float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

constexpr int KEYS = 64;

// Where 16 bytes of a row of 128 are: shifted row by row, so that eight rows lie in different banks.
__device__ __forceinline__ int place(int row, int chunk) { return row * 8 + (chunk ^ (row & 7)); }

// A thread's part of the keys and values of a tile, which a block of 256 fetches.
template <typename T> struct Fetch {
  const T *from;              // its part of a key, 32 keys of a tile apart
  int row, to, next, n_state; // the key's place in the tile, where it goes, and how far on the next one is

  // base: the head's part of the first position's query
  __device__ __forceinline__ Fetch(const T *base, int width, const Flash &a)
      : from(base + a.n_state + (size_t)(threadIdx.x / 8) * width + threadIdx.x % 8 * 8), row(threadIdx.x / 8),
        to(place(threadIdx.x / 8, threadIdx.x % 8)), next(32 * width), n_state(a.n_state) {}

  // The next tile, of which so many keys are there.
  __device__ __forceinline__ void tile(uint4 (&stage)[2][KEYS * 8], int keys) {
#pragma unroll
    for (int i = 0; i < KEYS; i += 32) {
      const bool there = row + i < keys;
      // Nothing is read of those that are not, but the address must be one: the first of the tile.
      const T *key = there ? from : from - (size_t)row * (next / 32) - i / 32 * (size_t)next;
      copy16(&stage[0][to + i * 8], key, there);
      copy16(&stage[1][to + i * 8], key + n_state, there);
      from += next;
    }
    asm volatile("cp.async.commit_group;" ::);
  }
};

// Queries as the first factor, rows r0 and r1 to a lane.
template <typename T>
__device__ __forceinline__ void load_queries(uint32_t (&q)[4][4], const T *base, int head, int r0, int r1, int width,
                                             const Flash &a) {
  const int c = threadIdx.x % 4;
  const T *bias = reinterpret_cast<const T *>(a.q_bias) + head * HEAD;
#pragma unroll
  for (int k = 0; k < 4; k++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int r = i % 2 ? r1 : r0, d = k * 16 + c * 2 + i / 2 * 8;
      const float2 x = both(*reinterpret_cast<const uint32_t *>(base + (size_t)min(r, a.n_ctx - 1) * width + d), T());
      const float2 b = both(*reinterpret_cast<const uint32_t *>(bias + d), T());
      q[k][i] = pack(x.x + b.x, x.y + b.y, T());
    }
}

// A thread's part of the softmax of two queries over all keys so far, and of the sum of values by it.
struct Softmax {
  float out[8][4] = {}, top0 = -INFINITY, top1 = -INFINITY, sum0 = 0, sum1 = 0;

  // Takes scores of each query in, of so many keys if they are not all; p: what the values of these keys are multiplied
  // by.
  template <typename T, bool ALL_KEYS>
  __device__ __forceinline__ void take(float (&s)[8][4], int keys, uint32_t (&p)[4][4]) {
    constexpr float SCALE = 0.125f * 1.4426950408889634f; // 1 / √HEAD, and powers of 2
    const int c = threadIdx.x % 4;
    if (!ALL_KEYS)
#pragma unroll
      for (int n = 0; n < 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
          if (n * 8 + c * 2 + i % 2 >= keys) s[n][i] = -INFINITY;
    float new0 = top0, new1 = top1;
#pragma unroll
    for (int n = 0; n < 8; n++) {
      new0 = fmaxf(new0, fmaxf(s[n][0], s[n][1]));
      new1 = fmaxf(new1, fmaxf(s[n][2], s[n][3]));
    }
#pragma unroll
    for (int i = 1; i < 4; i *= 2) {
      new0 = fmaxf(new0, __shfl_xor_sync(ALL, new0, i));
      new1 = fmaxf(new1, __shfl_xor_sync(ALL, new1, i));
    }
    // What is added up may be as much as 2^8 by key before it is made less: that is seldom done after the first keys.
    if (__any_sync(ALL, (new0 - top0) * SCALE > 8 || (new1 - top1) * SCALE > 8)) {
      const float scale0 = power_of_2((top0 - new0) * SCALE), scale1 = power_of_2((top1 - new1) * SCALE);
      top0 = new0, top1 = new1;
      sum0 *= scale0, sum1 *= scale1;
#pragma unroll
      for (int n = 0; n < 8; n++) out[n][0] *= scale0, out[n][1] *= scale0, out[n][2] *= scale1, out[n][3] *= scale1;
    }
    const float low0 = top0 * SCALE, low1 = top1 * SCALE;
#pragma unroll
    for (int n = 0; n < 8; n++) {
      s[n][0] = power_of_2(s[n][0] * SCALE - low0), s[n][1] = power_of_2(s[n][1] * SCALE - low0);
      s[n][2] = power_of_2(s[n][2] * SCALE - low1), s[n][3] = power_of_2(s[n][3] * SCALE - low1);
      sum0 += s[n][0] + s[n][1];
      sum1 += s[n][2] + s[n][3];
      p[n / 2][n % 2 * 2] = pack(s[n][0], s[n][1], T());
      p[n / 2][n % 2 * 2 + 1] = pack(s[n][2], s[n][3], T());
    }
  }

  // out / sum + bias, where the queries are.
  template <typename T> __device__ __forceinline__ void store(int head, int r0, int r1, const Flash &a) {
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int i = 1; i < 4; i *= 2) {
      sum0 += __shfl_xor_sync(ALL, sum0, i);
      sum1 += __shfl_xor_sync(ALL, sum1, i);
    }
    const float by0 = 1 / sum0, by1 = 1 / sum1;
    T *to = reinterpret_cast<T *>(a.out) + (size_t)blockIdx.z * a.n_ctx * a.n_state + head * HEAD;
    const T *v_bias = reinterpret_cast<const T *>(a.v_bias) + head * HEAD;
#pragma unroll
    for (int n = 0; n < 8; n++) {
      const int d = n * 8 + c * 2;
      const float2 b = both(*reinterpret_cast<const uint32_t *>(v_bias + d), T());
      if (r0 < a.n_ctx)
        *reinterpret_cast<uint32_t *>(to + (size_t)r0 * a.n_state + d) =
            pack(out[n][0] * by0 + b.x, out[n][1] * by0 + b.y, T());
      if (r1 < a.n_ctx)
        *reinterpret_cast<uint32_t *>(to + (size_t)r1 * a.n_state + d) =
            pack(out[n][2] * by1 + b.x, out[n][3] * by1 + b.y, T());
    }
  }
};

// Block (⌈n_ctx / 128⌉, n_head, batch) of 256: a warp has 16 queries.
template <typename T> __device__ __forceinline__ void flash(const Flash a) {
  __shared__ uint4 shared[2][2][KEYS * 8]; // two stages of keys and values
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4;
  const int head = blockIdx.y, width = 3 * a.n_state;
  others_may_start();
  wait();
  const T *base = reinterpret_cast<const T *>(a.qkv) + (size_t)blockIdx.z * a.n_ctx * width + head * HEAD;
  const int tiles = (a.n_ctx + KEYS - 1) / KEYS;

  Fetch<T> fetch(base, width, a);
  fetch.tile(shared[0], a.n_ctx);

  const int r0 = blockIdx.x * 128 + warp * 16 + g, r1 = r0 + 8;
  uint32_t q[4][4], p[4][4];
  load_queries(q, base, head, r0, r1, width, a);
  Softmax sm;
  for (int tile = 0; tile < tiles; tile++) {
    if (tile + 1 < tiles) {
      fetch.tile(shared[(tile + 1) & 1], a.n_ctx - (tile + 1) * KEYS);
      asm volatile("cp.async.wait_group 1;" ::: "memory");
    } else {
      asm volatile("cp.async.wait_group 0;" ::: "memory");
    }
    __syncthreads();
    const uint4 *keys = shared[tile & 1][0], *values = shared[tile & 1][1];
    float s[8][4] = {};
#pragma unroll
    for (int n = 0; n < 4; n++) // 16 keys
#pragma unroll
      for (int k = 0; k < 4; k++) { // 16 dimensions
        uint32_t b[4];
        load_matrices(b, keys + place(n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
        mma(s[2 * n], q[k][0], q[k][1], q[k][2], q[k][3], b[0], b[1], T());
        mma(s[2 * n + 1], q[k][0], q[k][1], q[k][2], q[k][3], b[2], b[3], T());
      }
    if ((tile + 1) * KEYS > a.n_ctx)
      sm.take<T, false>(s, a.n_ctx - tile * KEYS, p);
    else
      sm.take<T, true>(s, KEYS, p);
#pragma unroll
    for (int k = 0; k < 4; k++) // 16 keys
#pragma unroll
      for (int n = 0; n < 4; n++) { // 16 dimensions
        uint32_t b[4];
        load_transposed(b, values + place(k * 16 + lane % 16, n * 2 + lane / 16));
        mma(sm.out[2 * n], p[k][0], p[k][1], p[k][2], p[k][3], b[0], b[1], T());
        mma(sm.out[2 * n + 1], p[k][0], p[k][1], p[k][2], p[k][3], b[2], b[3], T());
      }
    __syncthreads(); // before what has been read is written over
  }
  sm.store<T>(head, r0, r1, a);
}

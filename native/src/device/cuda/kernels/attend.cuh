// Attention of a few queries: bound by reading keys and values once. Eight lanes have a key, 32 keys are on their way in a
// block at a time, and each group of lanes keeps its own maximum and sums until the end.
#pragma once

#include "common.cuh"

struct Attend {
  const void *q;       // (rows, n_state)
  void *out;           // (rows, n_state)
  const void *v_bias;  // (n_state) or null: added to the values, whose weights sum to 1
  const Row *row;      // (rows)
  // Of a layer: if `causal` its cached keys and values, each (n_batch · capacity, n_state), else those of each audio,
  // (n_audio, 2), each (keys, n_state).
  void *const *memory;
  float *partial;      // (rows, n_head, splits, 2 + HEAD)
  int *counter;        // one to each head and chunk of rows, zeros
  int per; // rows of one audio, which are one after the other
  int n_state, rows, keys, splits;
  int causal; // the tokens of a row that are new in this step, or 0
};

constexpr int MOST_SPLITS = 12; // as `decoder.rs` has it

// Adds to what is in (m, l, acc) what another has seen.
__device__ __forceinline__ void merge(float &m, float &l, float (&acc)[8], float m2, float l2, const float (&acc2)[8]) {
  const float top = fmaxf(m, m2);
  const float a = top == -INFINITY ? 0 : exp2f(m - top), b = top == -INFINITY ? 0 : exp2f(m2 - top);
  m = top;
  l = l * a + l2 * b;
#pragma unroll
  for (int i = 0; i < 8; i++) acc[i] = acc[i] * a + acc2[i] * b;
}

// Block (head, n_audio · ⌈per / G⌉, split): up to G rows of one audio share its keys and values.
template <typename T, int G> __device__ __forceinline__ void attend(const Attend a) {
  constexpr int U = 4;
  const int chunks = (a.per + G - 1) / G, first = blockIdx.y / chunks * a.per;
  const int head = blockIdx.x, row0 = first + blockIdx.y % chunks * G, split = blockIdx.z;
  const int rows = min(a.rows, first + a.per);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, dim = lane % 8 * 8, group = warp * 4 + lane / 8;
  others_may_start();
  // Rows, addresses and all keys and values but the newest were there before the first kernel of this step.
  const Row row = a.row[row0];
  const T *k, *v;
  int keys = a.keys, known = a.keys;
  if (a.causal) {
    const size_t at = (size_t)row.cache * a.n_state;
    k = reinterpret_cast<const T *>(a.memory[0]) + at;
    v = reinterpret_cast<const T *>(a.memory[1]) + at;
    keys = row.position + 1;
    known = keys - a.causal;
  } else {
    k = reinterpret_cast<const T *>(a.memory[2 * row.audio]);
    v = reinterpret_cast<const T *>(a.memory[2 * row.audio + 1]);
  }
  k += head * HEAD + dim;
  v += head * HEAD + dim;
  const int share = (keys + a.splits - 1) / a.splits, begin = split * share, end = min(keys, begin + share);
  uint4 ks[U], vs[U];
  const auto fetch = [&](int key, int from) {
#pragma unroll
    for (int u = 0; u < U; u++) {
      if (key + u * 32 < from) continue;
      const size_t at = (size_t)min(key + u * 32, end - 1) * a.n_state;
      ks[u] = *reinterpret_cast<const uint4 *>(k + at);
      vs[u] = *reinterpret_cast<const uint4 *>(v + at);
    }
  };
  int key = begin + group;
  if (key < end) fetch(key, 0);
  wait();
  if (key < end) fetch(key, known);

  float q[G][8], m[G], l[G], acc[G][8];
#pragma unroll
  for (int i = 0; i < G; i++) {
    uint4 x = make_uint4(0, 0, 0, 0);
    if (row0 + i < rows)
      x = *reinterpret_cast<const uint4 *>(reinterpret_cast<const T *>(a.q) + (size_t)(row0 + i) * a.n_state +
                                           head * HEAD + dim);
    unpack<T>(x, q[i]);
    m[i] = -INFINITY;
    l[i] = 0;
#pragma unroll
    for (int d = 0; d < 8; d++) {
      q[i][d] *= 0.125f * 1.4426950408889634f; // 1 / √HEAD, and powers of 2 from here on
      acc[i][d] = 0;
    }
  }
  const auto take = [&](const uint4(&ks)[U], const uint4(&vs)[U]) {
    float scores[G][U];
#pragma unroll
    for (int u = 0; u < U; u++) {
      float x[8];
      unpack<T>(ks[u], x);
#pragma unroll
      for (int i = 0; i < G; i++) {
        float s = 0;
#pragma unroll
        for (int d = 0; d < 8; d++) s += q[i][d] * x[d];
        // Of the lanes of a key all go on together: `key` is the same for them.
        const unsigned mine = 0xffu << (lane / 8 * 8);
        s += __shfl_xor_sync(mine, s, 1);
        s += __shfl_xor_sync(mine, s, 2);
        s += __shfl_xor_sync(mine, s, 4);
        scores[i][u] = key + u * 32 < end ? s : -INFINITY;
      }
    }
#pragma unroll
    for (int i = 0; i < G; i++) {
      float top = m[i];
#pragma unroll
      for (int u = 0; u < U; u++) top = fmaxf(top, scores[i][u]);
      const float scale = exp2f(m[i] - top);
      m[i] = top;
      l[i] *= scale;
#pragma unroll
      for (int d = 0; d < 8; d++) acc[i][d] *= scale;
#pragma unroll
      for (int u = 0; u < U; u++) {
        scores[i][u] = exp2f(scores[i][u] - top);
        l[i] += scores[i][u];
      }
    }
#pragma unroll
    for (int u = 0; u < U; u++) {
      float x[8];
      unpack<T>(vs[u], x);
#pragma unroll
      for (int i = 0; i < G; i++)
#pragma unroll
        for (int d = 0; d < 8; d++) acc[i][d] += scores[i][u] * x[d];
    }
  };
  for (; key < end; key += 32 * U) {
    if constexpr (G == 1) {
      // There are registers for the next keys to be on their way meanwhile.
      uint4 ks_now[U], vs_now[U];
#pragma unroll
      for (int u = 0; u < U; u++) ks_now[u] = ks[u], vs_now[u] = vs[u];
      if (key + 32 * U < end) fetch(key + 32 * U, 0);
      take(ks_now, vs_now);
    } else {
      if (key != begin + group) fetch(key, 0);
      take(ks, vs);
    }
  }

  __shared__ float sums[8][G][2 + HEAD];
#pragma unroll
  for (int i = 0; i < G; i++) {
#pragma unroll
    for (int other = 8; other < 32; other *= 2) {
      float acc2[8];
#pragma unroll
      for (int d = 0; d < 8; d++) acc2[d] = __shfl_xor_sync(ALL, acc[i][d], other);
      const float m2 = __shfl_xor_sync(ALL, m[i], other), l2 = __shfl_xor_sync(ALL, l[i], other);
      merge(m[i], l[i], acc[i], m2, l2, acc2);
    }
    if (lane < 8) {
      if (lane == 0) sums[warp][i][0] = m[i], sums[warp][i][1] = l[i];
#pragma unroll
      for (int d = 0; d < 8; d++) sums[warp][i][2 + dim + d] = acc[i][d];
    }
  }
  __syncthreads();
  // 64 threads to a query
  const int heads = gridDim.x;
  const auto finish = [&](int i, int d, float sum, float total) {
    if (a.v_bias) sum += total * f32(reinterpret_cast<const T *>(a.v_bias)[head * HEAD + d]);
    put(reinterpret_cast<T *>(a.out)[(size_t)(row0 + i) * a.n_state + head * HEAD + d], sum / total);
  };
  for (int t = threadIdx.x; t < G * HEAD; t += 256) {
    const int i = t / HEAD, d = t % HEAD;
    if (row0 + i >= rows) break;
    float top = -INFINITY, total = 0, sum = 0;
#pragma unroll
    for (int w = 0; w < 8; w++) top = fmaxf(top, sums[w][i][0]);
#pragma unroll
    for (int w = 0; w < 8; w++) {
      const float scale = top == -INFINITY ? 0 : exp2f(sums[w][i][0] - top);
      total += sums[w][i][1] * scale;
      sum += sums[w][i][2 + d] * scale;
    }
    if (a.splits == 1) {
      finish(i, d, sum, total);
      continue;
    }
    float *part = a.partial + (((size_t)(row0 + i) * heads + head) * a.splits + split) * (2 + HEAD);
    if (d == 0) part[0] = top, part[1] = total;
    part[2 + d] = sum;
  }
  if (a.splits == 1) return;
  // The last of the splits puts all together.
  __shared__ int before;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) before = atomicAdd(a.counter + blockIdx.y * heads + head, 1);
  __syncthreads();
  if (before != a.splits - 1) return;
  __threadfence();
  if (threadIdx.x == 0) a.counter[blockIdx.y * heads + head] = 0;
  for (int t = threadIdx.x; t < G * HEAD; t += 256) {
    const int i = t / HEAD, d = t % HEAD;
    if (row0 + i >= rows) break;
    const float *parts = a.partial + ((size_t)(row0 + i) * heads + head) * a.splits * (2 + HEAD);
    // All on their way before the first is needed, from where other blocks wrote them.
    float tops[MOST_SPLITS], totals[MOST_SPLITS], weighted[MOST_SPLITS];
#pragma unroll
    for (int s = 0; s < MOST_SPLITS; s++) {
      const float *part = parts + s * (2 + HEAD);
      const bool there = s < a.splits;
      tops[s] = there ? __ldcg(part) : -INFINITY;
      totals[s] = there ? __ldcg(part + 1) : 0;
      weighted[s] = there ? __ldcg(part + 2 + d) : 0;
    }
    float top = -INFINITY, total = 0, sum = 0;
#pragma unroll
    for (int s = 0; s < MOST_SPLITS; s++) top = fmaxf(top, tops[s]);
#pragma unroll
    for (int s = 0; s < MOST_SPLITS; s++) {
      const float scale = exp2f(tops[s] - top);
      total += totals[s] * scale;
      sum += weighted[s] * scale;
    }
    finish(i, d, sum, total);
  }
}

struct Scores {
  const void *q; // (rows, n_state)
  float *out;    // (rows, keys)
  const Row *row;
  void *const *memory; // as for `attend` over audio
  int n_state, rows, keys, head;
};

// One head's scaled scores. Block (⌈keys / 32⌉, rows) of 256.
template <typename T> __device__ __forceinline__ void scores(const Scores a) {
  const int r = blockIdx.y, key = blockIdx.x * 32 + threadIdx.x / 8, dim = threadIdx.x % 8 * 8;
  others_may_start();
  wait();
  const T *k = reinterpret_cast<const T *>(a.memory[2 * a.row[r].audio]) + a.head * HEAD + dim;
  const T *q = reinterpret_cast<const T *>(a.q) + (size_t)r * a.n_state + a.head * HEAD + dim;
  float x[8], y[8], s = 0;
  unpack<T>(*reinterpret_cast<const uint4 *>(q), x);
  unpack<T>(*reinterpret_cast<const uint4 *>(k + (size_t)min(key, a.keys - 1) * a.n_state), y);
#pragma unroll
  for (int d = 0; d < 8; d++) s += x[d] * y[d];
  s += __shfl_xor_sync(ALL, s, 1);
  s += __shfl_xor_sync(ALL, s, 2);
  s += __shfl_xor_sync(ALL, s, 4);
  if (dim == 0 && key < a.keys) a.out[(size_t)r * a.keys + key] = s * 0.125f;
}

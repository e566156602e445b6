// From logits to the next tokens and their log-probabilities, by the rules of the decoding task.
#pragma once

#include "common.cuh"

struct Choose {
  const float *logits;        // (rows, n_vocab)
  const uint32_t *suppressed; // n_vocab bits: never sampled
  const int2 *ranges;         // what else a row must not sample, from..to
  const int *begins;          // (rows + 1) where a row's ranges begin
  int *tokens;                // (rows, top)
  float *logprobs;            // (rows, top)
  int n_vocab, top;
  int timestamp_begin;        // n_vocab where timestamps do not compete with text
};

struct Best {
  float value;
  int token;
};
// The larger one, of equals the first.
__device__ __forceinline__ Best better(Best a, Best b) {
  return b.value > a.value || (b.value == a.value && b.token < a.token) ? b : a;
}
__device__ __forceinline__ Best warp_best(Best x) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) {
    const Best other = {__shfl_xor_sync(ALL, x.value, i), __shfl_xor_sync(ALL, x.token, i)};
    x = better(x, other);
  }
  return x;
}
constexpr int NOTHING = 0x7fffffff;

__device__ __forceinline__ Best block_best(Best x, Best *shared) {
  x = warp_best(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  return warp_best(shared[threadIdx.x % 32]);
}
__device__ __forceinline__ float block_sum(float x, float *shared) {
  x = warp_sum(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  return warp_sum(shared[threadIdx.x % 32]);
}

// Block (rows) of 1024.
extern "C" __global__ void __launch_bounds__(1024) choose(const Choose a) {
  __shared__ Best bests[32];
  __shared__ float sums[32];
  const int r = blockIdx.x;
  others_may_start();
  wait();
  const float *logits = a.logits + (size_t)r * a.n_vocab;
  const int first = a.begins[r], last = a.begins[r + 1];
  const auto allowed = [&](int token) {
    if (a.suppressed[token / 32] >> (token % 32) & 1) return false;
    for (int i = first; i < last; i++) {
      const int2 range = a.ranges[i];
      if (token >= range.x && token < range.y) return false;
    }
    return true;
  };
  Best text = {-INFINITY, NOTHING}, stamp = text;
  for (int i = threadIdx.x; i < a.n_vocab; i += 1024)
    if (allowed(i)) {
      const Best one = {logits[i], i};
      if (i < a.timestamp_begin)
        text = better(text, one);
      else
        stamp = better(stamp, one);
    }
  text = block_best(text, bests);
  stamp = block_best(stamp, bests);
  // Sums of powers beside the largest of each kind.
  float text_sum = 0, stamp_sum = 0;
  for (int i = threadIdx.x; i < a.n_vocab; i += 1024)
    if (allowed(i)) {
      if (i < a.timestamp_begin)
        text_sum += expf(logits[i] - text.value);
      else
        stamp_sum += expf(logits[i] - stamp.value);
    }
  text_sum = block_sum(text_sum, sums);
  stamp_sum = block_sum(stamp_sum, sums);
  // Timestamps that are together more probable than any text leave no text.
  const bool stamps_only = stamp.token != NOTHING && stamp.value + logf(stamp_sum) > text.value;
  Best best = stamps_only ? stamp : better(text, stamp);
  float sum = stamp.token == NOTHING ? 0 : stamp_sum * expf(stamp.value - best.value);
  if (!stamps_only && text.token != NOTHING) sum += text_sum * expf(text.value - best.value);
  const float normal = best.value + logf(sum);
  const int from = stamps_only ? a.timestamp_begin : 0;
  for (int k = 0; k < a.top; k++) {
    if (k) {
      Best next = {-INFINITY, NOTHING};
      for (int i = from + threadIdx.x; i < a.n_vocab; i += 1024) {
        const float x = logits[i];
        if ((x < best.value || (x == best.value && i > best.token)) && allowed(i)) next = better(next, Best{x, i});
      }
      best = block_best(next, bests);
    }
    if (threadIdx.x == 0) {
      a.tokens[r * a.top + k] = best.token;
      a.logprobs[r * a.top + k] = best.value - normal;
    }
  }
}

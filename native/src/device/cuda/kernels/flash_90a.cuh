// Attention as in `flash.cuh`, by Hopper's products of a whole warpgroup, which has 64 queries.
#pragma once

#include "flash.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Where a matrix of rows of 128 bytes is, each eight of them shifted as `place` does: a descriptor for `product`.
__device__ __forceinline__ uint64_t described(const void *at) {
  const uint64_t from = (__cvta_generic_to_shared(at) & 0x3ffff) >> 4;
  return from | 1ull << 16 | 64ull << 32 | 1ull << 62; // eight rows are 64 times 16 bytes
}

#define SUMS_32                                                                                                        \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,"    \
  "%30,%31}"
#define FOUR(C, I) "+f"(C[I][0]), "+f"(C[I][1]), "+f"(C[I][2]), "+f"(C[I][3])
#define ALL_SUMS(C) FOUR(C, 0), FOUR(C, 1), FOUR(C, 2), FOUR(C, 3), FOUR(C, 4), FOUR(C, 5), FOUR(C, 6), FOUR(C, 7)
// What is read or written of `c` before this stays before it, and what after it after it.
__device__ __forceinline__ void keep(float (&c)[8][4]) { asm volatile("" : ALL_SUMS(c)::"memory"); }
__device__ __forceinline__ void products_begin(float (&c)[8][4]) {
  keep(c);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void products_go() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Of all that go.
__device__ __forceinline__ void products_end(float (&c)[8][4]) {
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  keep(c);
}

// c (64, 64) = or += a (64, 16) · b (64, 16)ᵀ, or with TURNED b (16, 64); rows of `a` and `c` lie as in `mma`, 16 to a warp.
#define PRODUCT(T, TYPE)                                                                                               \
  template <bool TURNED>                                                                                               \
  __device__ __forceinline__ void product(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b, int add, T) {          \
    asm volatile("{.reg .pred add; setp.ne.b32 add, %37, 0;"                                                           \
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " " SUMS_32                               \
                 ", {%32,%33,%34,%35}, %36, add, 1, 1, %38;}"                                                          \
                 : ALL_SUMS(c)                                                                                         \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(TURNED));                         \
  }
PRODUCT(f16, "f16")
PRODUCT(bf16, "bf16")

// Block (⌈n_ctx / 128⌉, n_head, batch) of 256.
template <typename T> __device__ __forceinline__ void flash_90a(const Flash a) {
  __shared__ __align__(1024) uint4 shared[3][2][KEYS * 8]; // three stages of keys and values
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4;
  const int head = blockIdx.y, width = 3 * a.n_state;
  others_may_start();
  wait();
  const T *base = reinterpret_cast<const T *>(a.qkv) + (size_t)blockIdx.z * a.n_ctx * width + head * HEAD;
  Fetch<T> fetch(base, width, a);
  fetch.tile(shared[0], a.n_ctx);

  const int r0 = blockIdx.x * 128 + warp * 16 + g, r1 = r0 + 8;
  uint32_t q[4][4], p[4][4];
  load_queries(q, base, head, r0, r1, width, a);
  Softmax sm;
  float s[8][4];
  int stage = 0, keys = a.n_ctx;
  while (true) {
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); // products read by another way than copies write
    __syncthreads();
    const int next = stage == 2 ? 0 : stage + 1;
    if (keys > KEYS) fetch.tile(shared[next], keys - KEYS); // where the tile before the last one was
    const uint64_t k_at = described(shared[stage][0]), v_at = described(shared[stage][1]);
    products_begin(s);
#pragma unroll
    for (int k = 0; k < 4; k++) product<false>(s, q[k], k_at + k * 2, k > 0, T()); // 16 dimensions are 32 bytes
    products_go();
    products_end(s); // those of the values of the tile before as well
    keep(sm.out);
    if (keys < KEYS)
      sm.take<T, false>(s, keys, p);
    else
      sm.take<T, true>(s, keys, p);
    products_begin(sm.out);
#pragma unroll
    for (int k = 0; k < 4; k++) product<true>(sm.out, p[k], v_at + k * 128, 1, T()); // 16 keys are 2048 bytes
    products_go();
    if ((keys -= KEYS) <= 0) break;
    stage = next;
  }
  products_end(sm.out);
  sm.store<T>(head, r0, r1, a);
}

#endif

// By what the GPU has.
template <typename T> __device__ __forceinline__ void flash_by_any(const Flash a) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  flash_90a<T>(a);
#else
  flash<T>(a);
#endif
}

// What all kernels share: the two 16-bit types, products of small matrices, reductions.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

typedef __half f16;
typedef __nv_bfloat16 bf16;

constexpr int HEAD = 64; // every Whisper model's size of a head
constexpr unsigned ALL = 0xffffffffu;

__device__ __forceinline__ float f32(f16 x) { return __half2float(x); }
__device__ __forceinline__ float f32(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ void put(f16 &to, float x) { to = __float2half_rn(x); }
__device__ __forceinline__ void put(bf16 &to, float x) { to = __float2bfloat16_rn(x); }

// Two numbers of a register.
__device__ __forceinline__ float2 both(uint32_t x, f16) { return __half22float2(*reinterpret_cast<__half2 *>(&x)); }
__device__ __forceinline__ float2 both(uint32_t x, bf16) {
  return __bfloat1622float2(*reinterpret_cast<__nv_bfloat162 *>(&x));
}
__device__ __forceinline__ uint32_t pack(float a, float b, f16) {
  __half2 x = __floats2half2_rn(a, b);
  return *reinterpret_cast<uint32_t *>(&x);
}
__device__ __forceinline__ uint32_t pack(float a, float b, bf16) {
  __nv_bfloat162 x = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<uint32_t *>(&x);
}

template <typename T> __device__ __forceinline__ void unpack(const uint4 &x, float (&to)[8]) {
  const uint32_t parts[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float2 two = both(parts[i], T());
    to[2 * i] = two.x;
    to[2 * i + 1] = two.y;
  }
}

// c (16, 8) += a (16, 16) · b (8, 16)ᵀ; lane l has of `a` rows l / 4 and l / 4 + 8, of `b` row l / 4.
__device__ __forceinline__ void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1, f16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1, bf16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// What is read once by one block does not push out what others need.
__device__ __forceinline__ uint4 load_once(const void *from) {
  uint4 x;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(from));
  return x;
}
// A kernel may begin while the one before it ends: weights are asked for before `wait`, what that kernel wrote after it.
__device__ __forceinline__ void others_may_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) x += __shfl_xor_sync(ALL, x, i);
  return x;
}

// x · Φ(x), off by less than 5e-7: Φ(-|x|) is a polynomial of |x| to the power of -16 (Abramowitz and Stegun, 7.1.28).
__device__ __forceinline__ float gelu(float x) {
  const float z = fabsf(x);
  // Their coefficients by powers of 1 / √2, all by the 16th root of 2, as Φ(-z) is half of what they give.
  float y = 5.6212997e-6f;
  y = y * z + 5.1055209e-5f;
  y = y * z + 3.9686137e-5f;
  y = y * z + 3.4227392e-3f;
  y = y * z + 2.2076998e-2f;
  y = y * z + 5.2075163e-2f;
  y = y * z + 1.0442738f;
  y *= y, y *= y, y *= y, y *= y;
  float by;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(by) : "f"(y));
  return fmaxf(x, 0.0f) - z * by;
}

// One token of one row.
struct Row {
  int token;
  int cache; // where its row of the cache begins, in tokens
  int position;
  int audio;
};

// Layer norm of a row of n <= 1280 numbers by one warp, two passes, in f32. `load(i, j)` gives a lane's `j`th four numbers,
// from `i` on, `store(i, a, b, c, d)` gets four.
template <typename Load, typename Store>
__device__ __forceinline__ void norm_row(const Load &load, const float *weight, const float *bias, int n, int lane,
                                         const Store &store) {
  float4 v[10];
  float sum = 0;
#pragma unroll
  for (int j = 0; j < 10; j++) {
    const int i = (j * 32 + lane) * 4;
    if (i < n) {
      v[j] = load(i, j);
      sum += v[j].x + v[j].y + v[j].z + v[j].w;
    }
  }
  const float mean = warp_sum(sum) / n;
  float squares = 0;
#pragma unroll
  for (int j = 0; j < 10; j++) {
    const int i = (j * 32 + lane) * 4;
    if (i < n) {
      v[j].x -= mean, v[j].y -= mean, v[j].z -= mean, v[j].w -= mean;
      squares += v[j].x * v[j].x + v[j].y * v[j].y + v[j].z * v[j].z + v[j].w * v[j].w;
    }
  }
  const float scale = rsqrtf(warp_sum(squares) / n + 1e-5f);
#pragma unroll
  for (int j = 0; j < 10; j++) {
    const int i = (j * 32 + lane) * 4;
    if (i < n) {
      const float4 w = *reinterpret_cast<const float4 *>(weight + i);
      const float4 b = *reinterpret_cast<const float4 *>(bias + i);
      store(i, v[j].x * scale * w.x + b.x, v[j].y * scale * w.y + b.y, v[j].z * scale * w.z + b.z,
            v[j].w * scale * w.w + b.w);
    }
  }
}

// All kernels, as `name_variant_type`. What each computes is told beside it; the network of the core on candle's own
// operations is the slow and readable other way to the same numbers.

#include "attend.cuh"
#include "choose.cuh"
#include "flash_90a.cuh"
#include "linear.cuh"
#include "rows.cuh"

#define KERNEL(NAME, THREADS, BLOCKS, ARGS, BODY)                                                                      \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME(const ARGS a) { BODY(a); }

// (name, rows / 16, outputs / 8, warps that share inputs, loads on their way, what x is, what becomes of the sum)
#define LINEAR(NAME, MT, NT, SPLIT, U, PROLOGUE, EPILOGUE, T)                                                          \
  extern "C" __global__ void __launch_bounds__(256, 2) NAME(const Linear a) {                                          \
    linear<T, MT, NT, SPLIT, U, PROLOGUE, EPILOGUE>(a);                                                                \
  }

#define ALL_OF(T)                                                                                                      \
  KERNEL(embed_##T, 128, 8, Embed, embed<T>)                                                                           \
  KERNEL(add_norm_##T, 128, 4, AddNorm, add_norm<T>)                                                                   \
  KERNEL(bias_gelu_##T, 256, 4, BiasGelu, bias_gelu<T>)                                                                \
  KERNEL(transpose_##T, 256, 4, Transpose, transpose<T>)                                                               \
  KERNEL(columns_##T, 256, 4, Columns, columns<T>)                                                                     \
  KERNEL(flash_##T, 256, 2, Flash, flash_by_any<T>)                                                                    \
  KERNEL(scores_##T, 256, 4, Scores, scores<T>)                                                                        \
  extern "C" __global__ void __launch_bounds__(256, 2) attend_1_##T(const Attend a) { attend<T, 1>(a); }               \
  extern "C" __global__ void __launch_bounds__(256, 2) attend_4_##T(const Attend a) { attend<T, 4>(a); }               \
  LINEAR(qkv_1_##T, 1, 2, 8, 5, NORM, QKV, T)                                                                          \
  LINEAR(qkv_2_##T, 2, 4, 8, 3, PLAIN, QKV, T)                                                                         \
  LINEAR(qkv_4_##T, 4, 2, 8, 4, PLAIN, QKV, T)                                                                         \
  LINEAR(store_1_##T, 1, 1, 8, 10, NORM, STORE, T)                                                                     \
  LINEAR(store_2_##T, 2, 1, 8, 10, PLAIN, STORE, T)                                                                    \
  LINEAR(store_4_##T, 4, 1, 8, 8, PLAIN, STORE, T)                                                                     \
  LINEAR(gelu_1_##T, 1, 3, 8, 5, NORM, GELU, T)                                                                        \
  LINEAR(gelu_2_##T, 2, 4, 8, 3, PLAIN, GELU, T)                                                                       \
  LINEAR(gelu_4_##T, 4, 2, 8, 4, PLAIN, GELU, T)                                                                       \
  LINEAR(add_1_##T, 1, 1, 8, 20, PLAIN, ADD, T)                                                                        \
  LINEAR(add_2_##T, 2, 1, 8, 10, PLAIN, ADD, T)                                                                        \
  LINEAR(add_4_##T, 4, 1, 8, 8, PLAIN, ADD, T)                                                                         \
  LINEAR(floats_1_##T, 1, 2, 1, 5, PLAIN, FLOATS, T)                                                                   \
  LINEAR(floats_2_##T, 2, 4, 1, 3, PLAIN, FLOATS, T)                                                                   \
  LINEAR(floats_4_##T, 4, 2, 1, 4, PLAIN, FLOATS, T)

ALL_OF(f16)
ALL_OF(bf16)

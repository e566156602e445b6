// Every kernel's times, by name and grid, of a program that uses CUDA, on stderr when it ends; longest in all first.
//
// cc -shared -fPIC -O2 -I CUPTI/include -I CUDA/include gpu_profile.c -o gpu_profile.so -L CUPTI/lib -l:libcupti.so.13
// LD_LIBRARY_PATH=CUPTI/lib CUDA_INJECTION64_PATH=$PWD/gpu_profile.so target/release/examples/gpu time large-v3
//
// CUPTI is the PyPI package nvidia-cuda-cupti, or in CUDA's toolkit under extras. A kernel that may begin before the one before
// it has ended waits for it in its own time. With PROFILE_TRACE=FILE every run of a kernel is a line: begin and end in ns, name, grid.
#include <cupti.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  char name[256];
  int grid[3], block;
  size_t n, room;
  float *all; // µs of each run
} Row;

static Row *rows;
static size_t n_rows;
static FILE *trace;

static void *must(void *memory) {
  if (!memory) abort();
  return memory;
}

static void add(const CUpti_ActivityKernel9 *k) {
  Row *row = rows;
  for (; row < rows + n_rows; row++)
    if (row->grid[0] == k->gridX && row->grid[1] == k->gridY && row->grid[2] == k->gridZ && row->block == k->blockX &&
        !strncmp(row->name, k->name, sizeof row->name - 1))
      break;
  if (row == rows + n_rows) {
    rows = must(realloc(rows, (n_rows + 1) * sizeof *rows));
    row = &rows[n_rows++];
    *row = (Row){.grid = {k->gridX, k->gridY, k->gridZ}, .block = k->blockX};
    snprintf(row->name, sizeof row->name, "%s", k->name);
  }
  if (row->n == row->room) row->all = must(realloc(row->all, (row->room = 2 * row->room + 64) * sizeof(float)));
  row->all[row->n++] = (k->end - k->start) / 1e3;
}

static void CUPTIAPI want(uint8_t **buffer, size_t *size, size_t *most) {
  *size = 8 << 20, *most = 0;
  *buffer = must(aligned_alloc(8, *size));
}

static void CUPTIAPI take(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid) {
  CUpti_Activity *record = NULL;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) continue;
    const CUpti_ActivityKernel9 *k = (const void *)record;
    add(k);
    if (trace)
      fprintf(trace, "%llu %llu %s %d,%d,%d\n", (unsigned long long)k->start, (unsigned long long)k->end, k->name,
              k->gridX, k->gridY, k->gridZ);
  }
  free(buffer);
}

static int by_time(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}
static double total(const Row *row) {
  double sum = 0;
  for (size_t i = 0; i < row->n; i++) sum += row->all[i];
  return sum / 1e3;
}
static int by_total(const void *a, const void *b) {
  const double x = total(a), y = total(b);
  return (x < y) - (x > y);
}

static void finish(void) {
  cuptiActivityFlushAll(1);
  qsort(rows, n_rows, sizeof *rows, by_total);
  fprintf(stderr, "%10s %8s %10s %10s  grid, block, kernel\n", "all, ms", "runs", "median, µs", "least, µs");
  for (Row *row = rows; row < rows + n_rows; row++) {
    qsort(row->all, row->n, sizeof *row->all, by_time);
    fprintf(stderr, "%10.2f %8zu %10.2f %10.2f  (%d, %d, %d), %d, %s\n", total(row), row->n, row->all[row->n / 2],
            row->all[0], row->grid[0], row->grid[1], row->grid[2], row->block, row->name);
  }
  if (trace) fclose(trace);
}

// What CUDA calls of a library that it is told to load.
int InitializeInjection(void) {
  const char *file = getenv("PROFILE_TRACE");
  if (file && !(trace = fopen(file, "w"))) perror(file);
  CUptiResult done = cuptiActivityRegisterCallbacks(want, take);
  if (!done) done = cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
  if (done) fprintf(stderr, "gpu_profile: CUPTI says %d\n", done);
  atexit(finish);
  return 1;
}

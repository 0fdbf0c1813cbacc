// Min-max violation on the device: best single moves of many searches at once, and their application.
//
// Layout: At (n, m) by variable, shared by all searches; E, H (s, m) errors and half widths, one row a search; idx (s, n)
// level indices. Four launches make a step (evaluate, pick, apply, commit) and nothing returns to the host between steps.
// In float32 a search's best move is one 64-bit word: the value's bits above (non-negative floats order like their bits),
// variable * WINDOW + slot below, so that one atomicMin finds the least value and breaks ties by variable. In float64
// (-DDOUBLE) the value fills the word: each variable leaves its best in a cell, and `pick_moves` takes the first least one.
// Additions and multiplications are rounded one by one, as NumPy does it.

#define WINDOW 16  // levels looked at around the present one: all of them where a variable has no more

#ifdef DOUBLE
typedef double real;
#define MAD(d, a, e) __dadd_rn((e), __dmul_rn((d), (a)))
#else
typedef float real;
#define MAD(d, a, e) __fadd_rn((e), __fmul_rn((d), (a)))
#endif
#define LARGEST ((real)3.0e38)

__device__ __forceinline__ real largest(real a, real b) { return a > b ? a : b; }

__device__ __forceinline__ real violation(real e, real h) { return (e < 0 ? -e : e) - h; }

__device__ __forceinline__ int window_first(int level, int count) {
    int first = level - WINDOW / 2;
    if (first > count - WINDOW) first = count - WINDOW;
    return first < 0 ? 0 : first;
}

extern "C" {

// Grid (n, s), any block of whole warps: every thread strides over rows and keeps WINDOW running maxima in registers.
// words (s,): float32's packed minima. cells, slots (s, n): float64's best of each variable.
__global__ void move_eval(const real* __restrict__ At, const real* __restrict__ E, const real* __restrict__ H,
                          const int* __restrict__ idx, const real* __restrict__ values,
                          const int* __restrict__ start, const int* __restrict__ count, int n, int m,
                          unsigned long long* __restrict__ words, real* __restrict__ cells, int* __restrict__ slots) {
    const int j = blockIdx.x, s = blockIdx.y;
    const int level = idx[(size_t)s * n + j], first = window_first(level, count[j]);
    const int width = min(WINDOW, count[j] - first);
    const real* a = At + (size_t)j * m;
    const real* e = E + (size_t)s * m;
    const real* h = H + (size_t)s * m;
    const real here = values[start[j] + level];
    real step[WINDOW], worst[WINDOW];
#pragma unroll
    for (int k = 0; k < WINDOW; k++) {
        step[k] = k < width ? values[start[j] + first + k] - here : (real)0;
        worst[k] = 0;
    }
    for (int i = threadIdx.x; i < m; i += blockDim.x) {
        const real ai = a[i], ei = e[i], hi = h[i];
#pragma unroll
        for (int k = 0; k < WINDOW; k++) worst[k] = largest(worst[k], violation(MAD(step[k], ai, ei), hi));
    }
    __shared__ real part[32][WINDOW];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
#pragma unroll
    for (int k = 0; k < WINDOW; k++) {
        real w = worst[k];
        for (int shift = 16; shift > 0; shift >>= 1) w = largest(w, __shfl_down_sync(0xffffffffu, w, shift));
        if (lane == 0) part[warp][k] = w;
    }
    __syncthreads();
#ifdef DOUBLE
    if (threadIdx.x > 0) return;
    real least = LARGEST;
    int slot = 0;
    for (int k = 0; k < width; k++) {
        real w = part[0][k];
        for (int t = 1; t < warps; t++) w = largest(w, part[t][k]);
        if (first + k != level && w < least) {
            least = w;
            slot = k;
        }
    }
    cells[(size_t)s * n + j] = least;
    slots[(size_t)s * n + j] = slot;
#else
    const int k = threadIdx.x;
    if (k >= width || first + k == level) return;
    real w = part[0][k];
    for (int t = 1; t < warps; t++) w = largest(w, part[t][k]);
    atomicMin(words + s, ((unsigned long long)__float_as_uint(w) << 32) | ((unsigned long long)j * WINDOW + k));
#endif
}

// One block of 128 threads a search: after (s,) the least value, place (s,) its variable * WINDOW + slot.
__global__ void pick_moves(int n, unsigned long long* __restrict__ words, const real* __restrict__ cells,
                           const int* __restrict__ slots, real* __restrict__ after, int* __restrict__ place) {
    const int s = blockIdx.x;
#ifdef DOUBLE
    __shared__ real least[128];
    __shared__ int where[128];
    real mine = LARGEST;
    int at = n;
    for (int j = threadIdx.x; j < n; j += 128)
        if (cells[(size_t)s * n + j] < mine) {
            mine = cells[(size_t)s * n + j];
            at = j;
        }
    least[threadIdx.x] = mine;
    where[threadIdx.x] = at;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int t = 1; t < 128; t++)
        if (least[t] < mine || (least[t] == mine && where[t] < at)) {
            mine = least[t];
            at = where[t];
        }
    after[s] = mine;
    place[s] = at < n ? at * WINDOW + slots[(size_t)s * n + at] : 0;
#else
    if (threadIdx.x > 0) return;
    const unsigned long long word = words[s];
    after[s] = word == ~0ull ? LARGEST : __uint_as_float((unsigned int)(word >> 32));
    place[s] = word == ~0ull ? 0 : (int)(unsigned int)word;
    words[s] = ~0ull;
#endif
}

// Grid (blocks, s): E += step * At[j] where the best move lowers the search's value.
__global__ void apply_moves(const real* __restrict__ At, real* __restrict__ E, const int* __restrict__ idx,
                            const real* __restrict__ values, const int* __restrict__ start,
                            const int* __restrict__ count, int n, int m, const real* __restrict__ after,
                            const int* __restrict__ place, const real* __restrict__ value) {
    const int s = blockIdx.y;
    if (!(after[s] < value[s])) return;
    const int j = place[s] / WINDOW, level = idx[(size_t)s * n + j];
    const int target = window_first(level, count[j]) + place[s] % WINDOW;
    const real step = values[start[j] + target] - values[start[j] + level];
    const real* a = At + (size_t)j * m;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < m; i += gridDim.x * blockDim.x)
        E[(size_t)s * m + i] = MAD(step, a[i], E[(size_t)s * m + i]);
}

// One thread a search: note the move and count it.
__global__ void commit_moves(int* __restrict__ idx, const int* __restrict__ count, int n, int searches,
                             const real* __restrict__ after, const int* __restrict__ place, real* __restrict__ value,
                             int* __restrict__ moves) {
    const int s = blockIdx.x * blockDim.x + threadIdx.x;
    if (s >= searches || !(after[s] < value[s])) return;
    const int j = place[s] / WINDOW, level = idx[(size_t)s * n + j];
    idx[(size_t)s * n + j] = window_first(level, count[j]) + place[s] % WINDOW;
    value[s] = after[s];
    moves[s] += 1;
}

}  // extern "C"

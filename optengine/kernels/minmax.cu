// Min-max violation on the device: best single moves of many searches at once, and their application.
//
// Layout: At (n, m) by variable, shared by all searches; E, H (s, m) errors and half widths, one row a search; idx (s, n)
// level indices. A search's best move is one 64-bit word: the value's bits above (non-negative floats order like their
// bits), variable * WINDOW + slot below, so that one atomicMin finds the least value and breaks ties by variable.
// Three launches make a step (evaluate, apply, commit) and nothing returns to the host between steps.

#define WINDOW 16  // levels looked at around the present one: all of them where a variable has no more

extern "C" {

__device__ __forceinline__ int window_first(int level, int count) {
    int first = level - WINDOW / 2;
    if (first > count - WINDOW) first = count - WINDOW;
    return first < 0 ? 0 : first;
}

// Grid (n, s), any block of whole warps: every thread strides over rows and keeps WINDOW running maxima in registers.
__global__ void move_eval(const float* __restrict__ At, const float* __restrict__ E, const float* __restrict__ H,
                          const int* __restrict__ idx, const float* __restrict__ values,
                          const int* __restrict__ start, const int* __restrict__ count, int n, int m,
                          unsigned long long* __restrict__ best) {
    const int j = blockIdx.x, s = blockIdx.y;
    const int level = idx[(size_t)s * n + j], first = window_first(level, count[j]);
    const int width = min(WINDOW, count[j] - first);
    const float* a = At + (size_t)j * m;
    const float* e = E + (size_t)s * m;
    const float* h = H + (size_t)s * m;
    const float here = values[start[j] + level];
    float step[WINDOW], worst[WINDOW];
#pragma unroll
    for (int k = 0; k < WINDOW; k++) {
        step[k] = k < width ? values[start[j] + first + k] - here : 0.0f;
        worst[k] = 0.0f;
    }
    for (int i = threadIdx.x; i < m; i += blockDim.x) {
        const float ai = a[i], ei = e[i], hi = h[i];
#pragma unroll
        for (int k = 0; k < WINDOW; k++) worst[k] = fmaxf(worst[k], fabsf(__fadd_rn(ei, __fmul_rn(step[k], ai))) - hi);
    }
    __shared__ float part[32][WINDOW];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
#pragma unroll
    for (int k = 0; k < WINDOW; k++) {
        float w = worst[k];
        for (int shift = 16; shift > 0; shift >>= 1) w = fmaxf(w, __shfl_down_sync(0xffffffffu, w, shift));
        if (lane == 0) part[warp][k] = w;
    }
    __syncthreads();
    if (threadIdx.x >= WINDOW) return;
    const int k = threadIdx.x;
    if (k >= width || first + k == level) return;
    float w = part[0][k];
    for (int t = 1; t < warps; t++) w = fmaxf(w, part[t][k]);
    const unsigned long long word =
        ((unsigned long long)__float_as_uint(w) << 32) | ((unsigned long long)j * WINDOW + k);
    atomicMin(best + s, word);
}

// Grid (blocks, s): E += step * At[j] where the best move lowers the search's value.
__global__ void apply_moves(const float* __restrict__ At, float* __restrict__ E, const int* __restrict__ idx,
                            const float* __restrict__ values, const int* __restrict__ start,
                            const int* __restrict__ count, int n, int m,
                            const unsigned long long* __restrict__ best, const float* __restrict__ value) {
    const int s = blockIdx.y;
    const unsigned long long word = best[s];
    if (!(__uint_as_float((unsigned int)(word >> 32)) < value[s])) return;
    const unsigned int place = (unsigned int)word;
    const int j = place / WINDOW, level = idx[(size_t)s * n + j];
    const int target = window_first(level, count[j]) + place % WINDOW;
    const float step = values[start[j] + target] - values[start[j] + level];
    const float* a = At + (size_t)j * m;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < m; i += gridDim.x * blockDim.x)
        E[(size_t)s * m + i] = __fadd_rn(E[(size_t)s * m + i], __fmul_rn(step, a[i]));
}

// One thread a search: note the move, count it, and make room for the next one.
__global__ void commit_moves(int* __restrict__ idx, const int* __restrict__ count, int n, int searches,
                             unsigned long long* __restrict__ best, float* __restrict__ value,
                             int* __restrict__ moves) {
    const int s = blockIdx.x * blockDim.x + threadIdx.x;
    if (s >= searches) return;
    const unsigned long long word = best[s];
    const float after = __uint_as_float((unsigned int)(word >> 32));
    if (after < value[s]) {
        const unsigned int place = (unsigned int)word;
        const int j = place / WINDOW, level = idx[(size_t)s * n + j];
        idx[(size_t)s * n + j] = window_first(level, count[j]) + place % WINDOW;
        value[s] = after;
        moves[s] += 1;
    }
    best[s] = ~0ull;
}

}  // extern "C"

// One-flip tabu search of `flips.py`, one block of threads a start: the walk of `tabu_reference`, step by step.
// Gains, signs and tabu times stay in shared memory; a step reads one row of the couplings.

#define LANES 64

__device__ long long draw(long long seed, long long move, long long word) {
    unsigned long long x = (unsigned long long)move * 4ull + (unsigned long long)word;
    x = (x + 1ull) * 0x9E3779B97F4A7C15ull ^ ((unsigned long long)seed * 0xD1B54A32D192ED03ull);
    for (int i = 0; i < 2; i++) {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
        x = x ^ (x >> 31);
    }
    return (long long)(x >> 1);
}

// coupling (n, n); by start s: gains, signs (+-1), until (s, n), seeds (s), fallen (s, 2) now and best, best (s, n).
// Shared memory: 4 n + 8 threads + n bytes for tabu times, reduction and signs, and 4 n for gains.
extern "C" __global__ void tabu_flips(const float* __restrict__ coupling, int n, float* gains, signed char* signs,
                                      int* until, const long long* seeds, int first, int steps, int low, int spread,
                                      float minus, double* fallen, signed char* best) {
    extern __shared__ double words[];
    const int s = blockIdx.x, me = threadIdx.x, team = blockDim.x;
    float* gain = (float*)words;
    int* ends = (int*)(gain + n);
    float* tops = (float*)(ends + n);
    int* ranks = (int*)(tops + team);
    signed char* sign = (signed char*)(ranks + team);
    for (int j = me; j < n; j += team) {
        gain[j] = gains[(size_t)s * n + j];
        ends[j] = until[(size_t)s * n + j];
        sign[j] = signs[(size_t)s * n + j];
    }
    double now = fallen[2 * s], most = fallen[2 * s + 1];
    bool here = false;
    const int size = (n + LANES - 1) / LANES;
    __syncthreads();
    for (int step = first; step < first + steps; step++) {
        const long long word = draw(seeds[s], step, 0);
        const int lane0 = (int)(word % LANES), at0 = (int)((word >> 24) % size);
        float top = -3e38f;
        int rank = 0x7fffffff;
        for (int j = me; j < n; j += team) {
            const float g = ends[j] > step ? gain[j] - minus : gain[j];
            const int lane = (j % LANES - lane0 + LANES) % LANES, at = (j / LANES - at0 + size) % size;
            const int r = lane * size + at;
            if (g > top || (g == top && r < rank)) { top = g; rank = r; }
        }
        tops[me] = top;
        ranks[me] = rank;
        __syncthreads();
        for (int half = team / 2; half > 0; half /= 2) {
            if (me < half) {
                const float g = tops[me + half];
                const int r = ranks[me + half];
                if (g > tops[me] || (g == tops[me] && r < ranks[me])) { tops[me] = g; ranks[me] = r; }
            }
            __syncthreads();
        }
        const int lane = (ranks[0] / size + lane0) % LANES, at = (ranks[0] % size + at0) % size;
        const int k = at * LANES + lane;
        const float own = gain[k];
        const float side = (float)sign[k];
        if (own <= 0.0f && here) {  // about to leave a new best
            for (int j = me; j < n; j += team) best[(size_t)s * n + j] = sign[j];
            here = false;
        }
        __syncthreads();
        for (int j = me; j < n; j += team) {
            if (j == k) {
                gain[j] = -own;
                sign[j] = (signed char)(-side);
                ends[j] = step + 1 + low + (int)(draw(seeds[s], step, 1) % spread);
            } else {
                gain[j] -= coupling[(size_t)k * n + j] * (side * (float)sign[j]);
            }
        }
        now += (double)own;
        if (now > most) { most = now; here = true; }
        __syncthreads();
    }
    if (here)
        for (int j = me; j < n; j += team) best[(size_t)s * n + j] = sign[j];
    for (int j = me; j < n; j += team) {
        gains[(size_t)s * n + j] = gain[j];
        until[(size_t)s * n + j] = ends[j];
        signs[(size_t)s * n + j] = sign[j];
    }
    if (me == 0) { fallen[2 * s] = now; fallen[2 * s + 1] = most; }
}

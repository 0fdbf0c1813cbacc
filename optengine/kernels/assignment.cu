// Robust tabu search of `assignment.py`, one block of threads a start: the walk of `robust_tabu_reference`, step by step.
// For matrices of which both are symmetric with empty diagonals. All tables stay in shared memory: 16 n^2 bytes.

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

// The change under the exchange of u and v, from its definition.
__device__ float change_of(const float* flow, const float* near_, int n, int u, int v) {
    float sum = 0.0f;
    for (int k = 0; k < n; k++)
        if (k != u && k != v) sum += (flow[u * n + k] - flow[v * n + k]) * (near_[v * n + k] - near_[u * n + k]);
    return 2.0f * sum;
}

// flows, distances (n, n); by start s: p (s, n) locations, until (s, n, n) of a facility to a location, seeds (s),
// fallen (s, 2) now and best, best (s, n). Shared memory: 16 n^2 + 8 threads + 4 n bytes.
extern "C" __global__ void tabu_exchanges(const float* __restrict__ flows, const float* __restrict__ distances, int n,
                                          int* places, int* until, const long long* seeds, int first, int steps,
                                          int low, int spread, float penalty, double* fallen, int* best) {
    extern __shared__ double words[];
    const int s = blockIdx.x, me = threadIdx.x, team = blockDim.x, cells = n * n;
    float* flow = (float*)words;
    float* near_ = flow + cells;
    float* change = near_ + cells;
    int* ends = (int*)(change + cells);
    float* tops = (float*)(ends + cells);
    int* ranks = (int*)(tops + team);
    int* p = ranks + team;
    for (int j = me; j < n; j += team) p[j] = places[s * n + j];
    __syncthreads();
    for (int c = me; c < cells; c += team) {
        flow[c] = flows[c];
        near_[c] = distances[p[c / n] * n + p[c % n]];
        ends[c] = until[(size_t)s * cells + c];
    }
    __syncthreads();
    for (int c = me; c < cells; c += team) change[c] = c / n == c % n ? 3e38f : change_of(flow, near_, n, c / n, c % n);
    double now = fallen[2 * s], most = fallen[2 * s + 1];
    __syncthreads();
    for (int step = first; step < first + steps; step++) {
        const long long word = draw(seeds[s], step, 0);
        const int v0 = (int)(word % n), u0 = (int)((word >> 24) % n);
        const float free_ = (float)(now - most);
        float top = 3e38f;
        int rank = 0x7fffffff;
        for (int c = me; c < cells; c += team) {
            const int u = c / n, v = c % n;
            if (u == v) continue;
            float w = change[c];
            if (ends[u * n + p[v]] > step && ends[v * n + p[u]] > step && w >= free_) w += penalty;
            const int r = (v - v0 + n) % n * n + (u - u0 + n) % n;
            if (w < top || (w == top && r < rank)) { top = w; rank = r; }
        }
        tops[me] = top;
        ranks[me] = rank;
        __syncthreads();
        for (int half = team / 2; half > 0; half /= 2) {
            if (me < half) {
                const float w = tops[me + half];
                const int r = ranks[me + half];
                if (w < tops[me] || (w == tops[me] && r < ranks[me])) { tops[me] = w; ranks[me] = r; }
            }
            __syncthreads();
        }
        const int v = (ranks[0] / n + v0) % n, u = (ranks[0] % n + u0) % n;
        const float own = change[u * n + v];
        __syncthreads();
        if (me == 0) {
            ends[u * n + p[u]] = step + 1 + low + (int)(draw(seeds[s], step, 1) % spread);
            ends[v * n + p[v]] = step + 1 + low + (int)(draw(seeds[s], step, 2) % spread);
            const int t = p[u];
            p[u] = p[v];
            p[v] = t;
            for (int k = 0; k < n; k++) {  // rows and columns u and v of the distances change places
                const float x = near_[u * n + k];
                near_[u * n + k] = near_[v * n + k];
                near_[v * n + k] = x;
            }
            for (int k = 0; k < n; k++) {
                const float x = near_[k * n + u];
                near_[k * n + u] = near_[k * n + v];
                near_[k * n + v] = x;
            }
        }
        __syncthreads();
        for (int c = me; c < cells; c += team) {
            const int a = c / n, b = c % n;
            if (a == b) continue;
            if (a == u || a == v || b == u || b == v) {
                change[c] = change_of(flow, near_, n, a, b);
            } else {
                const float f = flow[u * n + a] - flow[v * n + a] - flow[u * n + b] + flow[v * n + b];
                const float d = near_[v * n + a] - near_[u * n + a] - near_[v * n + b] + near_[u * n + b];
                change[c] += 2.0f * f * d;
            }
        }
        now -= (double)own;
        if (now > most) {
            most = now;
            for (int j = me; j < n; j += team) best[s * n + j] = p[j];
        }
        __syncthreads();
    }
    for (int j = me; j < n; j += team) places[s * n + j] = p[j];
    for (int c = me; c < cells; c += team) until[(size_t)s * cells + c] = ends[c];
    if (me == 0) { fallen[2 * s] = now; fallen[2 * s + 1] = most; }
}

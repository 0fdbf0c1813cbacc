// Descents of many orders of a graph's nodes at once: exact insertions and exchanges from one factorization each.
//
// One block takes one order through `order_descent.descend_orders`, step by step and in the same order of additions, so
// that without fused multiply-adds (--fmad=false) it takes the same moves. Of G[order, order] = L L', row k of W holds
// M = L^-1 up to the diagonal and U = L' from it: W[k][j] = M[k, j] for j <= k, W[k][j + 1] = U[k, j] for j >= k, in all
// d (d + 1) numbers, in shared memory where they fit. Sums along an order are made by one thread, in turn; everything
// else is spread over the block. Any number of threads gives the same answer.

#define M(k, j) W[(k) * (size_t)(d + 1) + (j)]
#define U(k, j) W[(k) * (size_t)(d + 1) + (j) + 1]
#define TINY_BLOCK 32  // threads that keep a candidate each when the best is looked for

struct Shared {  // what the block shares besides W; `words` has room for 3 d doubles and 2 d ints
    double* tail;
    double* part;
    double* change;
    int* order;
    int* position;
};

// Fill W anew for an order; the score, or NaN where G is not definite. T is not touched.
__device__ double factor(const double* G, double* W, const Shared& s, int d) {
    double total = 0.0;
    for (int k = 0; k < d; k++) {
        const double* row = G + (size_t)s.order[k] * d;
        for (int j = k + threadIdx.x; j < d; j += blockDim.x) {
            double x = row[s.order[j]];
            for (int l = 0; l < k; l++) x -= U(l, k) * U(l, j);
            U(k, j) = x;
        }
        __syncthreads();
        const double pivot = U(k, k);
        if (!(pivot > 0.0)) return nan("");
        total += pivot;
        const double r = 1.0 / sqrt(pivot);
        __syncthreads();
        for (int j = k + threadIdx.x; j < d; j += blockDim.x) U(k, j) *= r;
        __syncthreads();
    }
    return 0.5 * total;
}

// M = L^-1 from U; columns are independent of each other.
__device__ void invert(double* W, int d) {
    for (int j = threadIdx.x; j < d; j += blockDim.x) {
        for (int k = j; k < d; k++) {
            const double r = 1.0 / U(k, k);
            double x = 0.0;
            for (int l = j; l < k; l++) x -= U(l, k) * M(l, j);
            M(k, j) = k == j ? r : x * r;
        }
    }
    __syncthreads();
}

__device__ double score(const double* W, int d) {
    double total = 0.0;
    for (int k = 0; k < d; k++) total += U(k, k) * U(k, k);
    return 0.5 * total;
}

// Exchange positions k and k + 1.
__device__ void exchange(double* W, const Shared& s, int d, int k) {
    const double p = U(k, k + 1), q = U(k + 1, k + 1), own = U(k, k);
    const double left = M(k, k), low = M(k + 1, k), right = M(k + 1, k + 1);
    const double r = sqrt(p * p + q * q);
    const double cosine = p / r, sine = q / r;
    __syncthreads();
    for (int j = threadIdx.x; j < d; j += blockDim.x) {
        if (j < k) {
            const double a = M(k, j), b = M(k + 1, j), u = U(j, k);
            M(k, j) = cosine * a + sine * b;
            M(k + 1, j) = sine * a - cosine * b;
            U(j, k) = U(j, k + 1);
            U(j, k + 1) = u;
        } else if (j > k + 1) {
            const double a = U(k, j), b = U(k + 1, j), m = M(j, k);
            U(k, j) = cosine * a + sine * b;
            U(k + 1, j) = sine * a - cosine * b;
            M(j, k) = M(j, k + 1);
            M(j, k + 1) = m;
        } else if (j == k) {
            U(k, k) = r;
            U(k, k + 1) = cosine * own;
            U(k + 1, k + 1) = sine * own;
            M(k, k) = sine * right;
            M(k + 1, k) = -cosine * right;
            M(k + 1, k + 1) = sine * left - cosine * low;
            const int node = s.order[k];
            s.order[k] = s.order[k + 1];
            s.order[k + 1] = node;
        }
    }
    __syncthreads();
}

// Carry the node at position i to j; no node between them must stand before or after it.
__device__ void shift(double* W, const Shared& s, int d, int i, int j) {
    for (; i > j; i--) exchange(W, s, d, i - 1);
    for (; i < j; i++) exchange(W, s, d, i);
}

// Best change over the places of the node at position a; `place` and `seen` as `order_search.best_insertion` has them.
__device__ double best_insertion(const double* W, const Shared& s, const unsigned char* before, int d, int a,
                                 long long limit, int* place, long long* seen) {
    __shared__ int ends[2];
    __shared__ double least_of[TINY_BLOCK];
    __shared__ int rank_of[TINY_BLOCK];
    const int node = s.order[a];
    const double own = U(a, a) * U(a, a), first = M(a, a) * M(a, a);
    if (threadIdx.x == 0) {
        int k = a - 1;
        while (k >= 0 && !before[(size_t)s.order[k] * d + node] && a - 1 - k < limit) k--;
        ends[0] = k + 1;
        const long long left = limit - (a - 1 - k);
        k = a + 1;
        while (k < d && !before[(size_t)node * d + s.order[k]] && k - a - 1 < left) k++;
        ends[1] = k - 1;
    }
    __syncthreads();
    const int low = ends[0], high = ends[1];
    for (int k = low + threadIdx.x; k <= high; k += blockDim.x) {
        const double x = k < a ? U(k, a) : M(k, a), y = U(k, k) * x;
        s.tail[k] = x * x;
        s.part[k] = y * y;
    }
    __syncthreads();
    if (threadIdx.x == 0) {  // tail[k]: variance given the first k
        double tail = own;
        for (int k = a - 1; k >= low; k--) s.tail[k] = tail += s.tail[k];
    }
    if (threadIdx.x == blockDim.x - 1) {  // tail[k]: precision before position k
        double total = first;
        for (int k = a + 1; k <= high; k++) {
            const double more = s.tail[k];
            s.tail[k] = total;
            total += more;
        }
    }
    __syncthreads();
    for (int k = low + threadIdx.x; k <= high; k += blockDim.x)
        if (k != a) s.part[k] = s.part[k] / s.tail[k];
    __syncthreads();
    if (threadIdx.x == 0) {
        double lost = 0.0;
        for (int k = a - 1; k >= low; k--) {
            lost += s.part[k];
            s.change[k] = 0.5 * (s.tail[k] - own - lost);
        }
    }
    if (threadIdx.x == blockDim.x - 1) {
        double gained = 0.0;
        for (int k = a + 1; k <= high; k++) {
            gained += s.part[k];
            s.change[k] = 0.5 * (gained + 1.0 / (s.tail[k] + M(k, a) * M(k, a)) - own);
        }
    }
    __syncthreads();
    const int width = blockDim.x < TINY_BLOCK ? blockDim.x : TINY_BLOCK;
    if (threadIdx.x < width) {  // places in the order of the definition: a - 1 down to low, then up from a + 1
        double least = 0.0;
        int rank = -1;
        for (int r = threadIdx.x; r < high - low; r += width) {
            const double x = s.change[r < a - low ? a - 1 - r : low + r + 1];
            if (x < least) {
                least = x;
                rank = r;
            }
        }
        least_of[threadIdx.x] = least;
        rank_of[threadIdx.x] = rank;
    }
    __syncthreads();
    double least = 0.0;
    int rank = -1;
    for (int t = 0; t < width; t++) {
        const bool earlier = least_of[t] == least && rank_of[t] >= 0 && rank >= 0 && rank_of[t] < rank;
        if (least_of[t] < least || earlier) {
            least = least_of[t];
            rank = rank_of[t];
        }
    }
    *place = rank < 0 ? a : rank < a - low ? a - 1 - rank : low + rank + 1;
    *seen = high > low ? high - low : 1;
    __syncthreads();  // the shared words are used again
    return least;
}

// Insert each node at its best place in turn; nodes moved.
__device__ int sweep(double* W, const Shared& s, const unsigned char* before, const int* nodes, int d, long long limit,
                     double least, long long* seen) {
    int moved = 0;
    for (int n = 0; n < d && *seen < limit; n++) {
        for (int k = threadIdx.x; k < d; k += blockDim.x) s.position[s.order[k]] = k;
        __syncthreads();
        const int a = s.position[nodes[n]];
        int place;
        long long looked;
        const double change = best_insertion(W, s, before, d, a, limit - *seen, &place, &looked);
        *seen += looked;
        if (change < -least) {
            shift(W, s, d, a, place);
            moved++;
        }
    }
    return moved;
}

// Change where positions i < j are exchanged; T[j][k] = sum over l from k to j of L[j, l]^2.
__device__ double swap_change(const double* W, const double* T, int d, int i, int j) {
    const double* tj = T + (size_t)j * d;
    double inverse = M(i, i) * M(i, i), coefficient = U(i, j) * M(i, i);
    double total = tj[i] - T[(size_t)i * d + i] - tj[j];
    for (int k = i + 1; k < j; k++) {
        const double q = 1.0 / inverse, beta = -M(k, i) * U(k, k);
        const double covariance = U(k, j) * U(k, k) + coefficient * beta * q;
        total += beta * beta * q - covariance * covariance / (tj[k] + coefficient * coefficient * q);
        inverse += M(k, i) * M(k, i);
        coefficient += U(k, j) * M(k, i);
    }
    return 0.5 * (total + 1.0 / (inverse + M(j, i) * M(j, i)));
}

// Best change over all exchanges that `before` allows, and the two positions; the first of equals, row by row.
__device__ double best_swap(const double* W, double* T, const Shared& s, const unsigned char* before, int d,
                            long long limit, int* first, int* second, long long* seen) {
    __shared__ double least_of[TINY_BLOCK];
    __shared__ int pair_of[TINY_BLOCK];
    __shared__ long long pairs;
    int* stop = s.position;                   // of each i: the first position that must stay behind it
    int* last = (int*)s.part;                 // of each j: the last position that must stay before it
    long long* start = (long long*)s.change;  // pairs in the rows before i
    for (int j = threadIdx.x; j < d; j += blockDim.x) {
        double total = 0.0;
        for (int k = j; k >= 0; k--) T[(size_t)j * d + k] = total += U(k, j) * U(k, j);
        int end = j + 1, front = j - 1;
        while (end < d && !before[(size_t)s.order[j] * d + s.order[end]]) end++;
        while (front >= 0 && !before[(size_t)s.order[front] * d + s.order[j]]) front--;
        stop[j] = end;
        last[j] = front;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        pairs = 0;
        for (int i = 0; i < d; i++) {
            start[i] = pairs;
            pairs += stop[i] - i - 1;
        }
    }
    __syncthreads();
    double least = 0.0;
    int pair = -1;
    for (int p = threadIdx.x; p < d * d; p += blockDim.x) {
        const int i = p / d, j = p % d;
        if (j > i && j < stop[i] && last[j] < i && start[i] + (j - i - 1) < limit) {
            const double x = swap_change(W, T, d, i, j);
            if (x < least) {
                least = x;
                pair = p;
            }
        }
    }
    // Threads take their turns in rounds: each of the slots keeps the first of the least ones that it was shown.
    const int width = blockDim.x < TINY_BLOCK ? blockDim.x : TINY_BLOCK;
    for (int round = 0; round * width < (int)blockDim.x; round++) {
        const int slot = threadIdx.x % width;
        if ((int)threadIdx.x / width == round) {
            const bool earlier = round > 0 && pair >= 0 && least == least_of[slot] && pair < pair_of[slot];
            if (round == 0 || least < least_of[slot] || earlier) {
                least_of[slot] = least;
                pair_of[slot] = pair;
            }
        }
        __syncthreads();
    }
    least = 0.0;
    pair = -1;
    for (int t = 0; t < width; t++) {
        const bool earlier = pair >= 0 && pair_of[t] >= 0 && least_of[t] == least && pair_of[t] < pair;
        if (least_of[t] < least || earlier) {
            least = least_of[t];
            pair = pair_of[t];
        }
    }
    *first = pair < 0 ? 0 : pair / d;
    *second = pair < 0 ? 0 : pair % d;
    *seen = pairs < limit ? pairs : limit;
    if (*seen < 1) *seen = 1;
    __syncthreads();  // the shared words are used again
    return least;
}

extern "C" {

// Grid (r), any block. G (d, d); before (d, d); orders, nodes (r, d); values, seen (r); ended (r); T (r, d, d), with swaps;
// wide: room for W (r, d, d + 1) where shared memory is too small, else null. Shared memory: 3 d doubles, 2 d ints, W.
__global__ void descend_orders(const double* __restrict__ G, const unsigned char* __restrict__ before,
                               int* __restrict__ orders, const int* __restrict__ nodes, int d, int swaps,
                               double tolerance, long long limit, double* __restrict__ values,
                               long long* __restrict__ seen, unsigned char* __restrict__ ended, double* __restrict__ T,
                               double* __restrict__ wide) {
    extern __shared__ double words[];
    Shared s;
    s.tail = words;
    s.part = words + d;
    s.change = words + 2 * d;
    s.order = (int*)(words + 3 * d);
    s.position = s.order + d;
    const int r = blockIdx.x;
    double* W = wide ? wide + (size_t)r * d * (d + 1) : words + 4 * d;
    double* tails = T + (swaps ? (size_t)r * d * d : 0);
    int* order = orders + (size_t)r * d;
    const int* visit = nodes + (size_t)r * d;
    for (int k = threadIdx.x; k < d; k += blockDim.x) s.order[k] = order[k];
    __syncthreads();
    double value = factor(G, W, s, d);
    const double least = tolerance * value;
    long long total = 0;
    bool done = false;
    if (value == value) invert(W, d);  // else G is not definite, and nothing is moved
    while (value == value) {
        const double from = score(W, d);
        done = false;
        while (total < limit) {  // to the end, or to the limit
            long long looked = 0;
            const int moved = sweep(W, s, before, visit, d, limit - total, least, &looked);
            total += looked;
            if (moved) continue;
            if (!swaps) {
                done = total < limit;
                break;
            }
            if (total >= limit) break;
            int i, j;
            const double change = best_swap(W, tails, s, before, d, limit - total, &i, &j, &looked);
            total += looked;
            if (change >= -least) {
                done = total < limit;
                break;
            }
            shift(W, s, d, j, i);
            shift(W, s, d, i + 1, j);
        }
        const double to = score(W, d);
        __syncthreads();
        value = factor(G, W, s, d);  // anew, so that rounding does not add up
        if (!done || !(to < from - least)) break;
        invert(W, d);
        if (total >= limit) {
            done = false;
            break;
        }
    }
    for (int k = threadIdx.x; k < d; k += blockDim.x) order[k] = s.order[k];
    if (threadIdx.x == 0) {
        values[r] = value;
        seen[r] = total;
        ended[r] = done;
    }
}
}

// Sampling for the cross-entropy method: the numbers of optengine/kernels/cem_fused.py, one thread a number.
// Compiled by NVRTC for the device at hand; `OPTENGINE_OBJECTIVE` stands before this text where an objective
//   __device__ float objective(const float* x, int d)
// is given, and `OPTENGINE_COLUMNS` is then its d.

typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ u64 row_state(u64 key, u64 row) {
    u64 s = key + row * 0x9E3779B97F4A7C15ull;
    s = (s ^ (s >> 30)) * 0xBF58476D1CE4E5B9ull;
    s = (s ^ (s >> 27)) * 0x94D049BB133111EBull;
    return s ^ (s >> 31);
}

__device__ __forceinline__ u32 hash(u64 state, u32 column) {
    u32 h = column * 0x9E3779B9u + (u32)(state >> 32);
    h = (h ^ (h >> 16)) * 0x7FEB352Du;
    h = ((h ^ (h >> 15)) + (u32)state) * 0x846CA68Bu;
    return h ^ (h >> 16);
}

__device__ __forceinline__ float uniform(u32 h) { return (float)(h >> 8) * 5.9604644775390625e-8f + 2.98023223876953125e-8f; }

// Giles (2011): erfinv in single precision.
__device__ __forceinline__ float normal(u32 h) {
    const u32 k = h >> 8;
    const float step = 1.1920928955078125e-7f, half_step = 5.9604644775390625e-8f;
    const float above = (float)k * step + half_step;
    const float below = (float)(0xFFFFFFu - k) * step + half_step;
    const float w = -logf(above * below);
    float p;
    if (w < 5.0f) {
        const float a = w - 2.5f;
        p = 2.81022636e-08f;
        p = p * a + 3.43273939e-07f;
        p = p * a - 3.5233877e-06f;
        p = p * a - 4.39150654e-06f;
        p = p * a + 0.00021858087f;
        p = p * a - 0.00125372503f;
        p = p * a - 0.00417768164f;
        p = p * a + 0.246640727f;
        p = p * a + 1.50140941f;
    } else {
        const float a = sqrtf(w) - 3.0f;
        p = -0.000200214257f;
        p = p * a + 0.000100950558f;
        p = p * a + 0.00134934322f;
        p = p * a - 0.00367342844f;
        p = p * a + 0.00573950773f;
        p = p * a - 0.0076224613f;
        p = p * a + 0.00943887047f;
        p = p * a + 1.00167406f;
        p = p * a + 2.83297682f;
    }
    return 1.41421356237309515f * (above - 1.0f) * p;
}

__device__ __forceinline__ float folded(float u) {
    u -= 2.0f * floorf(0.5f * u);
    return 1.0f - fabsf(u - 1.0f);
}

extern "C" __global__ void normals(u64 key, long long n, int d, float* Z) {
    const long long total = n * d, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride)
        Z[i] = normal(hash(row_state(key, i / d), (u32)(i % d)));
}

extern "C" __global__ void uniforms(u64 key, long long n, int d, float* U) {
    const long long total = n * d, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride)
        U[i] = uniform(hash(row_state(key, i / d), (u32)(i % d)));
}

extern "C" __global__ void gaussian_rows(u64 key, const long long* rows, long long n, int d, const float* mean,
                                         const float* sigma, const float* origin, const float* extent, float* X) {
    const long long total = n * d, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
        const int j = (int)(i % d);
        const float z = normal(hash(row_state(key, rows[i / d]), (u32)j));
        X[i] = origin[j] + extent[j] * folded(mean[j] + sigma[j] * z);
    }
}

extern "C" __global__ void bits(u64 key, long long n, int d, const float* p, float* X) {
    const long long total = n * d, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
        const int j = (int)(i % d);
        X[i] = uniform(hash(row_state(key, i / d), (u32)j)) < p[j] ? 1.0f : 0.0f;
    }
}

extern "C" __global__ void categories(u64 key, long long n, int d, const int* offsets, const float* cumulative,
                                      float* X) {
    const long long total = n * d, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
        const int j = (int)(i % d);
        const float u = uniform(hash(row_state(key, i / d), (u32)j));
        int level = offsets[j];
        const int last = offsets[j + 1] - 1;
        while (level < last && cumulative[level] <= u) ++level;
        X[i] = (float)(level - offsets[j]);
    }
}

#ifdef OPTENGINE_COLUMNS
// Sampling and evaluation in one pass, one thread a row: no matrix of samples.
extern "C" __global__ void fused(u64 key, long long n, const float* mean, const float* sigma, const float* origin,
                                 const float* extent, float* F) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x; row < n; row += stride) {
        const u64 state = row_state(key, row);
        float x[OPTENGINE_COLUMNS];
        for (int j = 0; j < OPTENGINE_COLUMNS; ++j)
            x[j] = origin[j] + extent[j] * folded(mean[j] + sigma[j] * normal(hash(state, (u32)j)));
        F[row] = objective(x, OPTENGINE_COLUMNS);
    }
}

extern "C" __global__ void evaluate(const float* X, long long n, float* F) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x; row < n; row += stride)
        F[row] = objective(X + row * OPTENGINE_COLUMNS, OPTENGINE_COLUMNS);
}
#endif

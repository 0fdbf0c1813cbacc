// Values and slopes of sums of Gaussian bumps; see rbf_sums.py. One block of threads a point, tiles of blockDim.x centres.
extern "C" __global__ void rbf_sums(const float* __restrict__ A, const float* __restrict__ B,
                                    const float* __restrict__ w, const int n, const int f, float* __restrict__ value,
                                    float* __restrict__ slope) {
    extern __shared__ float shared[];
    float* bump = shared;               // (blockDim.x,) weighted bumps of a tile
    float* point = bump + blockDim.x;   // (f,)
    float* pull = point + f;            // (f,) sum of bump times centre
    const int t = threadIdx.x;
    for (int c = t; c < f; c += blockDim.x) {
        point[c] = A[(size_t)blockIdx.x * f + c];
        pull[c] = 0.0f;
    }
    float total = 0.0f;
    __syncthreads();
    for (int first = 0; first < n; first += blockDim.x) {
        const int j = first + t;
        float e = 0.0f;
        if (j < n) {
            float r = 0.0f;
            for (int c = 0; c < f; ++c) {
                const float d = point[c] - B[(size_t)j * f + c];
                r += d * d;
            }
            e = w[j] * expf(-0.5f * r);
        }
        bump[t] = e;
        total += e;
        __syncthreads();
        const int last = min((int)blockDim.x, n - first);
        for (int c = t; c < f; c += blockDim.x) {
            float sum = 0.0f;
            for (int k = 0; k < last; ++k) sum += bump[k] * B[(size_t)(first + k) * f + c];
            pull[c] += sum;
        }
        __syncthreads();
    }
    bump[t] = total;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) bump[t] += bump[t + half];
        __syncthreads();
    }
    if (t == 0) value[blockIdx.x] = bump[0];
    for (int c = t; c < f; c += blockDim.x) slope[(size_t)blockIdx.x * f + c] = pull[c] - point[c] * bump[0];
}

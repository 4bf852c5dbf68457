// Gradients of depthwise weights: the kernel that Triton does worst, since it adds pixels across
// threads and reads the image once for every tap.
//
// A thread owns four channels (or one) and one row of taps. It walks along rows of outputs, and of
// the image keeps the window under its taps in registers: a step costs one load of the gradient and
// one or two of the image. A block is a unit; its lanes share the unit's rows and are added in
// order at the end, so that no result depends on how blocks are scheduled.

namespace {

constexpr int kThreads = 256;
constexpr int kGroups = 16;  // of channels in a block

enum Form { kRaw = 0, kScaled = 1, kNormed = 2 };

struct Geometry {
  int batch, channels, height, width, out_height, out_width, pitch, shift;
};

template <int V>
struct Values {
  float at[V];
};

template <int V>
__device__ __forceinline__ Values<V> load(const float* from) {
  Values<V> found;
  if constexpr (V == 4) {
    const float4 whole = *reinterpret_cast<const float4*>(from);
    found.at[0] = whole.x;
    found.at[1] = whole.y;
    found.at[2] = whole.z;
    found.at[3] = whole.w;
  } else {
    found.at[0] = *from;
  }
  return found;
}

// What is taken off, multiplied and added before ReLU.
template <int V>
struct Rectifier {
  float about[V], scale[V], shift[V];
  int form;

  __device__ Rectifier(int kind, const float* affine, const float* mean, const float* variance,
                       float epsilon, int channel, int channels)
      : form(kind) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      about[v] = kind == kNormed ? mean[channel + v] : 0.0f;
      scale[v] = kind == kScaled   ? affine[channel + v]
                 : kind == kNormed ? 1.0f / sqrtf(variance[channel + v] + epsilon)
                                   : 1.0f;
      shift[v] = kind == kScaled ? affine[channels + channel + v] : 0.0f;
    }
  }
  // Missing values stay missing.
  __device__ __forceinline__ float operator()(float x, int v) const {
    const float value = form == kRaw ? x : (x - about[v]) * scale[v] + shift[v];
    return value < 0.0f ? 0.0f : value;
  }
};

template <int V>
__device__ __forceinline__ Values<V> tap(const float* row, int column, int width, int pitch,
                                         const Rectifier<V>& rectify) {
  Values<V> found{};
  if (column < 0 || column >= width) return found;
  found = load<V>(row + static_cast<long long>(column) * pitch);
#pragma unroll
  for (int v = 0; v < V; ++v) found.at[v] = rectify(found.at[v], v);
  return found;
}

// One row of outputs, or every second column of it where that is what moves the window by a tap.
template <int K, int D, int S, int V>
__device__ __forceinline__ void walk(const float* image, const float* grad, const Geometry& g,
                                     int begin, const Rectifier<V>& rectify, Values<V> (&sum)[K]) {
  constexpr int kStep = D == 2 && S == 1 ? 2 : 1;  // columns of outputs
  constexpr int kMove = kStep * S / D;             // taps
  Values<V> window[K];
  int column = begin * S + g.shift;
#pragma unroll
  for (int k = 0; k < K - kMove; ++k)
    window[k] = tap<V>(image, column + k * D, g.width, g.pitch, rectify);
  for (int x = begin; x < g.out_width; x += K * kStep) {
#pragma unroll
    for (int j = 0; j < K; ++j) {
      const int own = x + j * kStep;
      if (own >= g.out_width) break;
#pragma unroll
      for (int k = K - kMove; k < K; ++k)
        window[(j * kMove + k) % K] =
            tap<V>(image, own * S + g.shift + k * D, g.width, g.pitch, rectify);
      const Values<V> of = load<V>(grad + static_cast<long long>(own) * g.channels);
#pragma unroll
      for (int k = 0; k < K; ++k)
#pragma unroll
        for (int v = 0; v < V; ++v) sum[k].at[v] += of.at[v] * window[(j * kMove + k) % K].at[v];
    }
  }
}

template <int K, int D, int S, int V>
__device__ void depthwise_weights(const float* image, const float* grad, float* share, int stride,
                                  const float* affine, const float* mean, const float* variance,
                                  float epsilon, int form, const Geometry& g) {
  __shared__ float shared[kThreads * K * V];
  constexpr int kParts = D == 2 && S == 1 ? 2 : 1;
  const int all = (g.channels + V - 1) / V;
  const int groups = min(all - static_cast<int>(blockIdx.y) * kGroups, kGroups);
  const int lanes = kThreads / (groups * K);
  const int group = static_cast<int>(threadIdx.x) % groups;
  const int row = static_cast<int>(threadIdx.x) / groups % K;
  const int lane = static_cast<int>(threadIdx.x) / (groups * K);
  const int channel = (static_cast<int>(blockIdx.y) * kGroups + group) * V;
  const int rows = g.batch * g.out_height;
  Values<V> sum[K] = {};
  if (lane < lanes) {
    const Rectifier<V> rectify(form, affine, mean, variance, epsilon, channel, g.channels);
    for (int item = lane;; item += lanes) {
      const int at = static_cast<int>(blockIdx.x) + item / kParts * static_cast<int>(gridDim.x);
      if (at >= rows) break;
      const int n = at / g.out_height;
      const int y = (at - n * g.out_height) * S + g.shift + row * D;
      if (y < 0 || y >= g.height) continue;
      const long long source = (static_cast<long long>(n) * g.height + y) * g.width * g.pitch;
      const long long target = static_cast<long long>(at) * g.out_width * g.channels;
      walk<K, D, S, V>(image + source + channel, grad + target + channel, g, item % kParts, rectify,
                       sum);
    }
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int v = 0; v < V; ++v) shared[(threadIdx.x * K + k) * V + v] = sum[k].at[v];
  }
  __syncthreads();
  if (lane) return;
  float* to = share + static_cast<long long>(blockIdx.x) * stride;
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int v = 0; v < V; ++v) {
      float total = sum[k].at[v];
      for (int other = 1; other < lanes; ++other)
        total += shared[((threadIdx.x + other * groups * K) * K + k) * V + v];
      to[((channel + v) * K + row) * K + k] = total;
    }
}

}  // namespace

// `share` is where this filter's weights begin in the first of `stride` floats for each block.
#define NASTURTIUM_KERNEL(K, D, S, V)                                                           \
  extern "C" __global__ void __launch_bounds__(kThreads, 2)                                     \
      depthwise_weights_##K##_##D##_##S##_##V(                                                  \
          const float* image, const float* grad, float* share, int stride, const float* affine, \
          const float* mean, const float* variance, float epsilon, int form, int batch,         \
          int channels, int height, int width, int out_height, int out_width, int pitch,        \
          int shift) {                                                                          \
    const Geometry g{batch, channels, height, width, out_height, out_width, pitch, shift};      \
    depthwise_weights<K, D, S, V>(image, grad, share, stride, affine, mean, variance, epsilon,  \
                                  form, g);                                                     \
  }
#define NASTURTIUM_KERNELS(K, D, S) NASTURTIUM_KERNEL(K, D, S, 1) NASTURTIUM_KERNEL(K, D, S, 4)

NASTURTIUM_KERNELS(3, 1, 1)
NASTURTIUM_KERNELS(3, 1, 2)
NASTURTIUM_KERNELS(3, 2, 1)
NASTURTIUM_KERNELS(3, 2, 2)
NASTURTIUM_KERNELS(5, 1, 1)
NASTURTIUM_KERNELS(5, 1, 2)
NASTURTIUM_KERNELS(5, 2, 1)
NASTURTIUM_KERNELS(5, 2, 2)

// Point operations on CPUs; cpp.py compiles this file, loads it and says what the functions at its end take.
//
// Distances are ((dx*dx) + (dy*dy)) + (dz*dz), every operation rounded (compile with -ffp-contract=off), so that
// every index is the one of the reference. Points are sorted once into buckets of neighbours with their bounding
// boxes. Rounding is monotonic: a distance to a box, computed in the same order of operations, is never above the
// computed distance to a point inside, so that skipping a bucket by its box loses nothing, not even a tie.
//
// The kernels are written for LANES floats at a time. The file includes itself once per instruction set with another
// LANES; which of them runs is decided by the CPU at hand.

#ifndef LANES

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using std::int32_t;
using std::int64_t;

constexpr float INFINITE = std::numeric_limits<float>::infinity();
constexpr float NOTHING = std::numeric_limits<float>::quiet_NaN();  // a padding point: every comparison is false
constexpr int32_t NOBODY = std::numeric_limits<int32_t>::max();
constexpr int64_t WIDEST = 16;   // lanes of the widest instruction set: arrays are padded to it
constexpr int64_t BUCKET = 32;   // points per bucket
constexpr int64_t GROUP = 16;    // buckets per group
constexpr int64_t FEW = 256;     // numbers that are sorted by comparing each with each
constexpr int64_t SAMPLE = 128;  // points from which the slabs of the sorting grid are estimated

int64_t padded(int64_t size, int64_t whole) { return (size + whole - 1) / whole * whole; }

// Memory that starts on a cache line.
template <class T>
class Array {
  public:
    explicit Array(int64_t size)
        : data_(static_cast<T*>(::operator new(static_cast<std::size_t>(size) * sizeof(T), LINE))), size_(size) {}
    Array(int64_t size, T value) : Array(size) { std::fill(begin(), end(), value); }
    Array(Array&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr; }
    Array(const Array&) = delete;
    ~Array() { ::operator delete(data_, LINE); }
    operator T*() { return data_; }
    operator const T*() const { return data_; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }

  private:
    static constexpr std::align_val_t LINE{64};
    T* data_;
    int64_t size_;
};

// Bounding boxes; those of the padding are infinitely far from everything.
struct Boxes {
    explicit Boxes(int64_t size)
        : low{{size, INFINITE}, {size, INFINITE}, {size, INFINITE}},
          high{{size, -INFINITE}, {size, -INFINITE}, {size, -INFINITE}} {}
    Array<float> low[3], high[3];
};

// A cloud sorted into buckets of neighbours; `index` says where each point came from.
struct Cloud {
    explicit Cloud(int64_t points)
        : points(points),
          buckets(padded(padded(points, BUCKET) / BUCKET, GROUP)),
          groups(buckets / GROUP),
          size(buckets * BUCKET),
          place{Array<float>(size), Array<float>(size), Array<float>(size)},
          index(size),
          bucket(buckets),
          group(padded(groups, WIDEST)) {}
    int64_t points, buckets, groups, size;
    Array<float> place[3];
    Array<int32_t> index;
    Boxes bucket, group;
};

// A cloud as it came, one axis after the other.
struct Planes {
    Planes(const float* xyz, int64_t points) : size(padded(points, WIDEST)), value(3 * size, NOTHING) {
        for (int64_t i = 0; i < points; ++i)
            for (int64_t axis = 0; axis < 3; ++axis) value[axis * size + i] = xyz[3 * i + axis];
    }
    const float* operator[](int64_t axis) const { return value + axis * size; }
    int64_t size;
    Array<float> value;
};

// What a kernel needs besides the search structure; one per thread and call.
struct Scratch {
    explicit Scratch(const Cloud& cloud)
        : bound(cloud.buckets),
          bits(cloud.size + WIDEST),
          index(cloud.size + WIDEST) {}
    Array<float> bound;
    Array<int32_t> bits, index;
};

struct Ball {
    float limit;  // squared radius
    int64_t places;
    bool closed;
};

struct Kernels {
    void (*sort)(const float* xyz, Cloud& cloud);
    void (*fps)(const Cloud& cloud, const float* xyz, int64_t count, int64_t start, int64_t* chosen);
    void (*knn)(const Cloud& cloud, Scratch& scratch, const float* query, int64_t k, int64_t* found);
    void (*three)(const float* xyz, int64_t points, const float* query, int64_t queries, int64_t k, int64_t* found);
    void (*ball)(const Cloud& cloud, const Planes& plane, Scratch& scratch, const float* query, Ball ball,
                 int64_t* found);
};

}  // namespace

#define LANES 4
#define VARIANT plain
#include "cpp.cc"
#undef VARIANT
#undef LANES

#if defined(__x86_64__) && defined(__GNUC__)
#define SPA3D_X86_VARIANTS
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,popcnt,bmi"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,popcnt,bmi")
#endif
#define LANES 8
#define VARIANT avx2
#include "cpp.cc"
#undef VARIANT
#undef LANES
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,popcnt,bmi"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,popcnt,bmi")
#endif
#define LANES 16
#define VARIANT avx512
#include "cpp.cc"
#undef VARIANT
#undef LANES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace {

int best_level() {
#ifdef SPA3D_X86_VARIANTS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}

const Kernels& kernels(int level) {
#ifdef SPA3D_X86_VARIANTS
    if (level == 2) return avx512::kernels;
    if (level == 1) return avx2::kernels;
#endif
    return plain::kernels;
}

// Do task(0) … task(tasks - 1) on up to `threads` threads; 1 where memory ran out.
template <class Task>
int parallel(int64_t tasks, int64_t threads, const Task& task) {
    std::atomic<int64_t> next{0};
    std::atomic<int> failed{0};
    const auto work = [&] {
        try {
            for (int64_t i; !failed && (i = next++) < tasks;) task(i);
        } catch (const std::bad_alloc&) {
            failed = 1;
        }
    };
    std::vector<std::thread> others;
    try {
        others.reserve(static_cast<std::size_t>(std::max<int64_t>(threads, 1)));
        for (int64_t i = 1; i < std::min(threads, tasks); ++i) others.emplace_back(work);
    } catch (const std::system_error&) {
        // The system gives no more threads; those there are do all of it.
    }
    work();
    for (std::thread& other : others) other.join();
    return failed;
}

// Threads that some work is worth; starting one costs as much as some 10,000 distances.
int64_t worth(int64_t threads, int64_t distances) { return std::min(threads, 1 + distances / 100000); }

constexpr int64_t CHUNK = 256;  // queries per task

int64_t chunks(int64_t queries) { return (queries + CHUNK - 1) / CHUNK; }

// Sort the clouds and search for all queries: `begin(cloud, number)` gives what answers query q (counted over all
// clouds), once per cloud or chunk of queries.
template <class Begin>
int over_sorted(const Kernels& run, int64_t threads, const float* xyz, int64_t clouds, int64_t points,
                int64_t queries, const Begin& begin) {
    if (clouds >= 2 * threads)  // enough of them: one at a time, whose memory stays in the cache
        return parallel(clouds, threads, [&](int64_t i) {
            Cloud cloud(points);
            run.sort(xyz + 3 * points * i, cloud);
            auto search = begin(cloud, i);
            for (int64_t q = queries * i; q < queries * (i + 1); ++q) search(q);
        });
    std::vector<Cloud> sorted;
    sorted.reserve(static_cast<std::size_t>(clouds));
    for (int64_t i = 0; i < clouds; ++i) sorted.emplace_back(points);
    if (parallel(clouds, threads, [&](int64_t i) { run.sort(xyz + 3 * points * i, sorted[i]); })) return 1;
    const int64_t tasks = chunks(queries);
    return parallel(clouds * tasks, threads, [&](int64_t task) {
        const int64_t i = task / tasks, first = task % tasks * CHUNK;
        auto search = begin(sorted[i], i);
        for (int64_t q = first; q < std::min(first + CHUNK, queries); ++q) search(queries * i + q);
    });
}

}  // namespace

extern "C" {

int spa3d_level() { return best_level(); }

int spa3d_fps(int level, int64_t threads, const float* xyz, int64_t clouds, int64_t points, int64_t count,
              const int64_t* start, int64_t* chosen) {
    const Kernels& run = kernels(level);
    return parallel(clouds, worth(threads, clouds * points * 16), [&](int64_t i) {
        const float* from = xyz + 3 * points * i;
        Cloud cloud(points);
        run.sort(from, cloud);
        run.fps(cloud, from, count, start[i], chosen + count * i);
    });
}

int spa3d_knn(int level, int64_t threads, const float* query, const float* xyz, int64_t clouds, int64_t queries,
              int64_t points, int64_t k, int64_t* found) try {
    const Kernels& run = kernels(level);
    const int64_t many = worth(threads, clouds * (points * 16 + queries * k * 16));
    const int64_t tasks = chunks(queries);
    if (k <= 4 && points <= 4096)
        return parallel(clouds * tasks, many, [&](int64_t i) {
            const int64_t first = i % tasks * CHUNK, cloud = i / tasks;
            const int64_t place = queries * cloud + first;
            run.three(xyz + 3 * points * cloud, points, query + 3 * place, std::min(CHUNK, queries - first), k,
                      found + k * place);
        });
    return over_sorted(run, many, xyz, clouds, points, queries, [&](const Cloud& cloud, int64_t) {
        return [&, scratch = Scratch(cloud)](int64_t q) mutable {
            run.knn(cloud, scratch, query + 3 * q, k, found + k * q);
        };
    });
} catch (const std::bad_alloc&) {
    return 1;
}

int spa3d_ball_query(int level, int64_t threads, const float* query, const float* xyz, int64_t clouds,
                     int64_t queries, int64_t points, float limit, int64_t places, int closed, int64_t* found) try {
    const Kernels& run = kernels(level);
    const Ball ball{limit, places, closed != 0};
    const int64_t many = worth(threads, clouds * (points * 16 + queries * points / 8));
    return over_sorted(run, many, xyz, clouds, points, queries, [&](const Cloud& cloud, int64_t i) {
        return [&, scratch = Scratch(cloud), plane = Planes(xyz + 3 * points * i, points)](int64_t q) mutable {
            run.ball(cloud, plane, scratch, query + 3 * q, ball, found + places * q);
        };
    });
} catch (const std::bad_alloc&) {
    return 1;
}

}  // extern "C"

#else  // LANES: the kernels, for one instruction set

namespace {
namespace VARIANT {

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef unsigned Mask;  // bit i: lane i

inline Floats load(const float* from) {
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline Ints load(const int32_t* from) {
    Ints value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T, class V>
inline void store(T* to, V value) {
    std::memcpy(to, &value, sizeof value);
}

inline Floats all(float value) { return value - Floats{}; }
inline Ints all(int32_t value) { return value - Ints{}; }

#if LANES == 16

inline Floats least(Floats a, Floats b) { return _mm512_min_ps(a, b); }  // b where there is a NaN
inline Floats most(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Mask below(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline Mask within(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
inline Mask within(Ints a, Ints b) {
    return _mm512_cmple_epi32_mask(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b));
}
inline Mask equal(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline float highest(Floats a) { return _mm512_reduce_max_ps(a); }
inline float lowest(Floats a) { return _mm512_reduce_min_ps(a); }
inline int32_t lowest(Ints a) { return _mm512_reduce_min_epi32(reinterpret_cast<__m512i>(a)); }

// Write the lanes of the mask one after the other; whole vectors are written, the rest is rubbish.
inline void pack(float* to, Floats a, Mask mask) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(static_cast<__mmask16>(mask), a));
}
inline void pack(int32_t* to, Ints a, Mask mask) {
    const __m512i packed = _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), reinterpret_cast<__m512i>(a));
    _mm512_storeu_si512(to, packed);
}

#else

inline Floats least(Floats a, Floats b) { return a < b ? a : b; }  // b where there is a NaN
inline Floats most(Floats a, Floats b) { return a > b ? a : b; }

#if LANES == 8
inline Mask bits(Ints a) { return static_cast<Mask>(_mm256_movemask_ps(reinterpret_cast<__m256>(a))); }
#elif defined(__x86_64__)
inline Mask bits(Ints a) { return static_cast<Mask>(_mm_movemask_ps(reinterpret_cast<__m128>(a))); }
#else
inline Mask bits(Ints a) {
    Mask mask = 0;
    for (int i = 0; i < LANES; ++i) mask |= (static_cast<Mask>(a[i]) & 1u) << i;
    return mask;
}
#endif

inline Mask below(Floats a, Floats b) { return bits(a < b); }
inline Mask within(Floats a, Floats b) { return bits(a <= b); }
inline Mask within(Ints a, Ints b) { return bits(a <= b); }
inline Mask equal(Floats a, Floats b) { return bits(a == b); }

#if LANES == 8

inline float highest(Floats a) {
    const __m256 whole = reinterpret_cast<__m256>(a);
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(whole), _mm256_extractf128_ps(whole, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}

// For each mask, the lanes it keeps, one after the other.
struct Kept {
    constexpr Kept() : lanes{} {
        for (int mask = 0; mask < 256; ++mask)
            for (int lane = 0, to = 0; lane < 8; ++lane)
                if (mask >> lane & 1) lanes[mask][to++] = lane;
    }
    int32_t lanes[256][8];
};
constexpr Kept KEPT;

template <class T, class V>
inline void pack(T* to, V a, Mask mask) {
    const __m256 kept = _mm256_permutevar8x32_ps(reinterpret_cast<__m256>(a),
                                                 reinterpret_cast<__m256i>(load(KEPT.lanes[mask])));
    std::memcpy(to, &kept, sizeof kept);
}

#else

inline float highest(Floats a) {
    float best = a[0];
    for (int i = 1; i < LANES; ++i) best = a[i] > best ? a[i] : best;
    return best;
}

template <class T, class V>
inline void pack(T* to, V a, Mask mask) {
    for (; mask; mask &= mask - 1) *to++ = a[__builtin_ctz(mask)];
}

#endif

inline float lowest(Floats a) { return -highest(-a); }

inline int32_t lowest(Ints a) {
    int32_t best = a[0];
    for (int i = 1; i < LANES; ++i) best = a[i] < best ? a[i] : best;
    return best;
}

#endif

// 0, 1, 2, …
inline Ints counting() {
    Ints lanes{};
    for (int lane = 0; lane < LANES; ++lane) lanes[lane] = lane;
    return lanes;
}

struct Point {
    explicit Point(const float* xyz) : x(all(xyz[0])), y(all(xyz[1])), z(all(xyz[2])) {}
    Floats x, y, z;
};

inline Floats sum_of_squares(Floats x, Floats y, Floats z) { return (x * x + y * y) + z * z; }

// Coordinates, one axis after the other: plain local pointers, which no store makes the compiler load again.
struct Axes {
    explicit Axes(const Cloud& cloud) : x(cloud.place[0]), y(cloud.place[1]), z(cloud.place[2]) {}
    explicit Axes(const Planes& plane) : x(plane[0]), y(plane[1]), z(plane[2]) {}
    Floats squared(int64_t i, const Point& from) const {
        return sum_of_squares(load(x + i) - from.x, load(y + i) - from.y, load(z + i) - from.z);
    }
    const float *x, *y, *z;
};

inline Floats outside(Floats low, Floats high, Floats at) { return most(most(low - at, at - high), Floats{}); }

// Squared distances to boxes: no point in a box is nearer.
inline Floats bound(const Boxes& box, int64_t first, const Point& from) {
    return sum_of_squares(outside(load(box.low[0] + first), load(box.high[0] + first), from.x),
                          outside(load(box.low[1] + first), load(box.high[1] + first), from.y),
                          outside(load(box.low[2] + first), load(box.high[2] + first), from.z));
}

// The boxes around every `each` consecutive ones of `count` intervals low … high.
void enclose(const float* low, const float* high, int64_t count, int64_t each, float* lows, float* highs) {
    for (int64_t first = 0; first < count; first += each) {
        Floats least_low = all(INFINITE), most_high = all(-INFINITE);
        for (int64_t i = first; i < first + each; i += LANES) {
            least_low = least(load(low + i), least_low);  // a NaN is passed over
            most_high = most(load(high + i), most_high);
        }
        *lows++ = lowest(least_low);
        *highs++ = highest(most_high);
    }
}

// Bits 0 … 4 moved three places apart.
inline Ints spread(Ints value) {
    value = (value | value << 8) & 0x100F;
    value = (value | value << 4) & 0x10C3;
    return (value | value << 2) & 0x1249;
}

// Cut one axis into 2^BITS slabs that hold as many points each, estimated from a sample, and add each point's slab to
// the number of its cell on the Z-curve. Neither outliers nor clusters spoil such a grid.
template <int BITS>
void slabs(const float* plane, int64_t points, int axis, int32_t* cell) {
    constexpr int64_t SLABS = 1 << BITS;
    const int64_t taken = std::min(points, SAMPLE);
    float sample[SAMPLE], border[SLABS];
    for (int64_t i = 0; i < taken; ++i) sample[i] = plane[i * points / taken];
    std::sort(sample, sample + taken);
    for (int64_t s = 1; s < SLABS; ++s) border[s] = sample[s * taken / SLABS];
    for (int64_t i = 0; i < points; i += LANES) {
        const Floats value = load(plane + i);
        Ints slab{};
#pragma GCC unroll 32
        for (int64_t s = 1; s < SLABS; ++s) slab -= value > all(border[s]);
        store(cell + i, load(cell + i) | spread(slab) << axis);
    }
}

// Sort a cloud along a Z-curve, and find the boxes around its buckets.
void sort(const float* xyz, Cloud& cloud) {
    const int64_t points = cloud.points;
    const int bits = points > 16384 ? 5 : 4;
    Array<float> plane(padded(points, WIDEST), 0.0f);
    Array<int32_t> cell(padded(points, WIDEST), 0);
    for (int axis = 0; axis < 3; ++axis) {
        for (int64_t i = 0; i < points; ++i) plane[i] = xyz[3 * i + axis];
        (bits == 5 ? slabs<5> : slabs<4>)(plane, points, axis, cell);
    }
    std::vector<int32_t> first(static_cast<std::size_t>(1) << 3 * bits);
    for (int64_t i = 0; i < points; ++i) ++first[cell[i]];
    int32_t before = 0;
    for (int32_t& entry : first) {
        const int32_t here = entry;
        entry = before;
        before += here;
    }
    for (int64_t i = 0; i < points; ++i) {
        const int32_t at = first[cell[i]]++;
        for (int axis = 0; axis < 3; ++axis) cloud.place[axis][at] = xyz[3 * i + axis];
        cloud.index[at] = static_cast<int32_t>(i);
    }
    std::fill(cloud.index + points, cloud.index.end(), NOBODY);
    for (int axis = 0; axis < 3; ++axis) {
        float* place = cloud.place[axis];
        std::fill(place + points, cloud.place[axis].end(), NOTHING);
        enclose(place, place, cloud.size, BUCKET, cloud.bucket.low[axis], cloud.bucket.high[axis]);
        enclose(cloud.bucket.low[axis], cloud.bucket.high[axis], cloud.buckets, GROUP, cloud.group.low[axis],
                cloud.group.high[axis]);
    }
}

// Farthest point sampling. A bucket is looked at only where its box is nearer to the latest point than its farthest
// point is to those chosen before: elsewhere no minimum would change.
void fps(const Cloud& cloud, const float* xyz, int64_t count, int64_t start, int64_t* chosen) {
    Array<float> nearest(cloud.size, 0.0f);  // 0: the padding is never the farthest
    std::fill(nearest.begin(), nearest.begin() + cloud.points, INFINITE);
    const int64_t groups = padded(cloud.groups, LANES);
    Array<float> bucket(cloud.buckets, 0.0f), group(padded(cloud.groups, WIDEST), 0.0f);  // largest `nearest` inside
    std::fill(bucket.begin(), bucket.begin() + padded(cloud.points, BUCKET) / BUCKET, INFINITE);
    std::fill(group.begin(), group.begin() + cloud.groups, INFINITE);
    const Axes place(cloud);
    const int32_t* index = cloud.index;
    chosen[0] = start;
    for (int64_t step = 1; step < count; ++step) {
        const Point latest(xyz + 3 * chosen[step - 1]);
        Floats largest{};
        for (int64_t g = 0; g < groups; g += LANES) {
            Mask near = below(bound(cloud.group, g, latest), load(group + g));
            for (; near; near &= near - 1) {
                const int64_t which = g + __builtin_ctz(near);
                Floats inside{};
                for (int64_t b = which * GROUP; b < (which + 1) * GROUP; b += LANES) {
                    Mask nearer = below(bound(cloud.bucket, b, latest), load(bucket + b));
                    for (; nearer; nearer &= nearer - 1) {
                        const int64_t one = b + __builtin_ctz(nearer);
                        Floats farthest{};
                        for (int64_t i = one * BUCKET; i < (one + 1) * BUCKET; i += LANES) {
                            const Floats now = least(place.squared(i, latest), load(nearest + i));
                            store(nearest + i, now);
                            farthest = most(now, farthest);
                        }
                        bucket[one] = highest(farthest);
                    }
                    inside = most(load(bucket + b), inside);
                }
                group[which] = highest(inside);
            }
            largest = most(load(group + g), largest);
        }
        const float farthest = highest(largest);
        if (farthest == 0.0f) {  // every point is chosen or lies on one that is
            std::fill(chosen + step, chosen + count, 0);
            return;
        }
        const Floats wanted = all(farthest);
        Ints first = Ints{} + NOBODY;
        for (int64_t g = 0; g < groups; g += LANES)
            for (Mask in = equal(load(group + g), wanted); in; in &= in - 1) {
                const int64_t which = g + __builtin_ctz(in);
                for (int64_t b = which * GROUP; b < (which + 1) * GROUP; b += LANES)
                    for (Mask at = equal(load(bucket + b), wanted); at; at &= at - 1) {
                        const int64_t one = b + __builtin_ctz(at);
                        for (int64_t i = one * BUCKET; i < (one + 1) * BUCKET; i += LANES) {
                            const Ints who = load(nearest + i) == wanted ? load(index + i) : first;
                            first = who < first ? who : first;
                        }
                    }
            }
        chosen[step] = lowest(first);
    }
}

// A limit within which at least k of some distances are, and few more; distances and limit as bits.
int32_t limit_of(int32_t* bits, int64_t count, int64_t k) {
    std::fill(bits + count, bits + padded(count, LANES), NOBODY);
    int32_t low = -1, high = *std::max_element(bits, bits + count);
    int64_t members = count;
    while (members > k + k / 8 && high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        int64_t inside = 0;
        for (int64_t i = 0; i < count; i += LANES)
            inside += __builtin_popcount(within(load(bits + i), all(middle)));
        if (inside < k) {
            low = middle;
        } else {
            high = middle;
            members = inside;
        }
    }
    return high;
}

// The place of each point among `count` is the number of those before it, counted without a branch; `TIES` lets
// the index decide between equal distances. The sum of all places says whether there were any.
template <bool TIES>
bool rank(const int32_t* bits, const int32_t* index, int64_t count, int32_t* order) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i += LANES) {
        const Ints own = load(bits + i), name = load(index + i);
        Ints place{};
        for (int64_t j = 0; j < count; ++j) {
            const Ints other = all(bits[j]);
            place -= TIES ? (other < own) | ((other == own) & (all(index[j]) < name)) : other < own;
        }
        for (int64_t lane = 0; lane < std::min<int64_t>(LANES, count - i); ++lane) {
            sum += place[lane];
            order[place[lane]] = index[i + lane];
        }
    }
    return sum == count * (count - 1) / 2;
}

// The indices of the k smallest by (distance, index), in order.
void smallest(const int32_t* bits, const int32_t* index, int64_t count, int64_t k, int64_t* found) {
    if (count <= FEW) {
        int32_t order[FEW];
        if (!rank<false>(bits, index, count, order)) rank<true>(bits, index, count, order);
        std::copy(order, order + k, found);
        return;
    }
    Array<int64_t> key(count);
    for (int64_t i = 0; i < count; ++i) key[i] = static_cast<int64_t>(bits[i]) << 32 | index[i];
    std::nth_element(key.begin(), key + (k - 1), key.end());
    std::sort(key.begin(), key + k);
    for (int64_t i = 0; i < k; ++i) found[i] = key[i] & 0xFFFFFFFF;
}

// The k nearest points of one query: some near buckets give a limit, then all buckets within it are searched.
void knn(const Cloud& cloud, Scratch& scratch, const float* query, int64_t k, int64_t* found) {
    const Point from(query);
    const Axes place(cloud);
    float* box = scratch.bound;
    const int32_t* names = cloud.index;
    int32_t *bits = scratch.bits, *index = scratch.index;
    for (int64_t b = 0; b < cloud.buckets; b += LANES) store(box + b, bound(cloud.bucket, b, from));
    int64_t count = 0;
    const auto keep = [&](Ints apart, Ints who, Mask mask) {
        pack(bits + count, apart, mask);
        pack(index + count, who, mask);
        count += __builtin_popcount(mask);
    };
    const auto search = [&](int64_t bucket, Floats limit) {
        for (int64_t i = bucket * BUCKET; i < (bucket + 1) * BUCKET; i += LANES) {
            const Floats apart = place.squared(i, from);
            keep(reinterpret_cast<Ints>(apart), load(names + i), within(apart, limit));
        }
    };
    const int64_t enough = std::min(cloud.points, k + BUCKET);
    while (count < enough) {
        Floats nearest = all(INFINITE);
        for (int64_t b = 0; b < cloud.buckets; b += LANES) nearest = least(load(box + b), nearest);
        const Floats wanted = all(lowest(nearest));
        for (int64_t b = 0; b < cloud.buckets; b += LANES)
            if (const Mask at = equal(load(box + b), wanted)) {
                const int64_t bucket = b + __builtin_ctz(at);
                box[bucket] = NOTHING;  // searched
                search(bucket, all(INFINITE));
                break;
            }
    }
    Floats limit;
    const auto narrow = [&] {
        const Ints highest = all(limit_of(bits, count, k));
        const int64_t seen = count;
        count = 0;
        for (int64_t i = 0; i < seen; i += LANES) {
            const Ints apart = load(bits + i);
            const Mask there = seen - i < LANES ? (1u << (seen - i)) - 1 : ~0u;
            keep(apart, load(index + i), within(apart, highest) & there);
        }
        limit = reinterpret_cast<Floats>(highest);
    };
    narrow();
    for (int64_t b = 0, room = count + k; b < cloud.buckets; b += LANES)
        for (Mask near = within(load(box + b), limit); near; near &= near - 1) {
            search(b + __builtin_ctz(near), limit);
            if (count > room) {
                narrow();
                room = count + k;
            }
        }
    smallest(bits, index, count, k, found);
}

// The K nearest points of LANES queries at a time, over all points in index order: only a smaller distance moves in.
// Distances are compared by their bits, which order alike and leave room for one beyond infinity.
template <int K>
void few(const float* xyz, int64_t points, const float* query, int64_t queries, int64_t* found) {
    for (int64_t first = 0; first < queries; first += LANES) {
        Floats at[3];
        Ints nearest[K], index[K];
        for (int lane = 0; lane < LANES; ++lane)
            for (int axis = 0; axis < 3; ++axis) at[axis][lane] = query[3 * std::min(first + lane, queries - 1) + axis];
        for (int n = 0; n < K; ++n) nearest[n] = Ints{} + NOBODY, index[n] = Ints{};
        for (int64_t i = 0; i < points; ++i) {
            const float* point = xyz + 3 * i;
            const Floats squares = sum_of_squares(at[0] - point[0], at[1] - point[1], at[2] - point[2]);
            const Ints apart = reinterpret_cast<Ints>(squares), who = Ints{} + static_cast<int32_t>(i);
            for (int n = K - 1; n > 0; --n) {
                const Ints shift = apart < nearest[n - 1], here = apart < nearest[n];
                nearest[n] = shift ? nearest[n - 1] : here ? apart : nearest[n];
                index[n] = shift ? index[n - 1] : here ? who : index[n];
            }
            const Ints here = apart < nearest[0];
            nearest[0] = here ? apart : nearest[0];
            index[0] = here ? who : index[0];
        }
        for (int lane = 0; lane < LANES && first + lane < queries; ++lane)
            for (int n = 0; n < K; ++n) found[K * (first + lane) + n] = index[n][lane];
    }
}

void three(const float* xyz, int64_t points, const float* query, int64_t queries, int64_t k, int64_t* found) {
    if (k == 1) few<1>(xyz, points, query, queries, found);
    if (k == 2) few<2>(xyz, points, query, queries, found);
    if (k == 3) few<3>(xyz, points, query, queries, found);
    if (k == 4) few<4>(xyz, points, query, queries, found);
}

// The first members of one ball in index order, looked for in that order until there are enough.
int64_t scan(const Planes& plane, const Point& from, Ball ball, int32_t* index) {
    const Axes place(plane);
    const int64_t size = plane.size;
    const Floats limit = all(ball.limit);
    Ints who = counting();
    int64_t count = 0;
    for (int64_t i = 0; i < size && count < ball.places; i += LANES, who += LANES) {
        const Floats apart = place.squared(i, from);
        const Mask in = ball.closed ? within(apart, limit) : below(apart, limit);
        pack(index + count, who, in);
        count += __builtin_popcount(in);
    }
    return count;
}

// Keep the lowest `places` of `count` numbers, and perhaps a few more.
int64_t keep_lowest(int32_t* index, int64_t count, int64_t places) {
    const Ints limit = all(limit_of(index, count, places));
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i += LANES) {  // the padding is above the limit
        const Ints who = load(index + i);
        const Mask low = within(who, limit);
        pack(index + kept, who, low);
        kept += __builtin_popcount(low);
    }
    return kept;
}

// All members of one ball, in the order of the buckets; none (-1) where looking for them in index order is quicker.
int64_t gather(const Cloud& cloud, Scratch& scratch, const Point& from, Ball ball) {
    const Axes place(cloud);
    const int32_t* names = cloud.index;
    int32_t* index = scratch.index;
    const Floats limit = all(ball.limit);
    int32_t* buckets = scratch.bits;  // those the ball may touch
    int64_t near = 0;
    Ints which = counting();
    for (int64_t b = 0; b < cloud.buckets; b += LANES, which += LANES) {
        const Mask touched = within(bound(cloud.bucket, b, from), limit);
        pack(buckets + near, which, touched);
        near += __builtin_popcount(touched);
    }
    // In cycles: searching the buckets, of whose points a fifth may be members, against going through the cloud until
    // there are enough.
    const int64_t way = std::min(cloud.points, cloud.points * ball.places * 5 / (near * BUCKET + 1));
    if (near * BUCKET / 2 > way / 4) return -1;
    int64_t count = 0;
    for (int64_t b = 0; b < near; ++b)
        for (int64_t i = buckets[b] * BUCKET, end = i + BUCKET; i < end; i += LANES) {
            const Floats apart = place.squared(i, from);
            const Mask inside = ball.closed ? within(apart, limit) : below(apart, limit);
            pack(index + count, load(names + i), inside);
            count += __builtin_popcount(inside);
        }
    return count;
}

// The first members of one ball; the first fills what is missing.
void ball(const Cloud& cloud, const Planes& plane, Scratch& scratch, const float* query, Ball ball, int64_t* found) {
    const Point from(query);
    int32_t* index = scratch.index;
    int64_t count = gather(cloud, scratch, from, ball);
    if (count < 0) {
        count = std::min(scan(plane, from, ball, index), ball.places);
        std::copy(index, index + count, found);
    } else {
        if (count > ball.places && count > FEW / 2) count = keep_lowest(index, count, ball.places);
        smallest(index, index, count, std::min(count, ball.places), found);
        count = std::min(count, ball.places);
    }
    std::fill(found + count, found + ball.places, count ? found[0] : 0);
}

constexpr Kernels kernels{sort, fps, knn, three, ball};

}  // namespace VARIANT
}  // namespace

#endif

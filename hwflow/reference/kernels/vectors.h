// Sixteen int32 sums in vectors, and the few operations that differ from one class of machines to another.
//
// Each class defines Vector (kVector lanes of int32), Unit (four bytes of input, ready to meet every lane), and
// the same functions on them. All sums are taken modulo 2^32: vpmaddwd with vpaddd, vpdpwssd and vpdpbusd do
// that; vpdpwssds, vpdpbusds and vpmaddubsw saturate and are not used.
//
//   vnni     16 lanes, vpdpwssd and vpdpbusd on 512 bits
//   avx512   16 lanes, vpmaddwd on 512 bits
//   avxvnni   8 lanes, vpdpwssd and vpdpbusd on 256 bits
//   avx2      8 lanes, vpmaddwd on 256 bits
//   portable 16 lanes in plain C++; with HWFLOW_PLAIN_VNNI, bytes and tiles as in vnni
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__) && !defined(HWFLOW_PLAIN_VNNI)
#include <immintrin.h>
#endif

namespace {

constexpr int kLanes = 16;  // output channels of a panel of weights

#if defined(__AVX512BW__) && !defined(HWFLOW_PLAIN_VNNI)

constexpr int kVector = 16;
using Vector = __m512i;
using Unit = __m512i;

inline Vector same(int32_t value) { return _mm512_set1_epi32(value); }
inline Vector load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(int32_t* to, Vector v) { _mm512_storeu_si512(to, v); }
inline Unit unit(const void* from) {
    int32_t bits;
    std::memcpy(&bits, from, 4);
    return _mm512_set1_epi32(bits);
}
inline Vector shift_right(Vector v, int count) { return _mm512_sra_epi32(v, _mm_cvtsi32_si128(count)); }
inline Vector clamp(Vector v, Vector low, Vector high) { return _mm512_min_epi32(_mm512_max_epi32(v, low), high); }
inline Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm512_sub_epi32(a, b); }
inline Vector both(Vector a, Vector b) { return _mm512_and_si512(a, b); }
inline void store_codes(int16_t* to, const Vector* v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(v[0]));
}
inline void store_codes(uint8_t* to, const Vector* v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(v[0]));
}
inline Vector pairs_low(Vector a, Vector b) { return _mm512_unpacklo_epi16(a, b); }
inline Vector pairs_high(Vector a, Vector b) { return _mm512_unpackhi_epi16(a, b); }
inline void store_run(int16_t* to, Vector low, Vector high) { _mm512_storeu_si512(to, _mm512_packs_epi32(low, high)); }
inline void store_run(uint8_t* to, Vector low, Vector high) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi16_epi8(_mm512_packs_epi32(low, high)));
}
#if defined(__AVX512VNNI__)
inline Vector dot_words(Vector sum, Unit x, Vector w) { return _mm512_dpwssd_epi32(sum, x, w); }
inline Vector dot_bytes(Vector sum, Unit x, Vector w) { return _mm512_dpbusd_epi32(sum, x, w); }
#else
inline Vector dot_words(Vector sum, Unit x, Vector w) { return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w)); }
#endif

#elif defined(__AVX2__) && !defined(HWFLOW_PLAIN_VNNI)

constexpr int kVector = 8;
using Vector = __m256i;
using Unit = __m256i;

inline Vector same(int32_t value) { return _mm256_set1_epi32(value); }
inline Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline void store(int32_t* to, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
inline Unit unit(const void* from) {
    int32_t bits;
    std::memcpy(&bits, from, 4);
    return _mm256_set1_epi32(bits);
}
inline Vector shift_right(Vector v, int count) { return _mm256_sra_epi32(v, _mm_cvtsi32_si128(count)); }
inline Vector clamp(Vector v, Vector low, Vector high) { return _mm256_min_epi32(_mm256_max_epi32(v, low), high); }
inline Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm256_sub_epi32(a, b); }
inline Vector both(Vector a, Vector b) { return _mm256_and_si256(a, b); }
inline __m256i words(const Vector* v) {  // codes fit int16, so the pack does not saturate
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[1]), 0xD8);
}
inline void store_codes(int16_t* to, const Vector* v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words(v));
}
inline void store_codes(uint8_t* to, const Vector* v) {
    const __m256i both = words(v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
}
inline Vector pairs_low(Vector a, Vector b) { return _mm256_unpacklo_epi16(a, b); }
inline Vector pairs_high(Vector a, Vector b) { return _mm256_unpackhi_epi16(a, b); }
inline void store_run(int16_t* to, Vector low, Vector high) {  // codes fit, so the packs do not saturate
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_packs_epi32(low, high));
}
inline void store_run(uint8_t* to, Vector low, Vector high) {
    const __m256i both = _mm256_packs_epi32(low, high);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
}
#if defined(__AVXVNNI__)
inline Vector dot_words(Vector sum, Unit x, Vector w) { return _mm256_dpwssd_avx_epi32(sum, x, w); }
inline Vector dot_bytes(Vector sum, Unit x, Vector w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
#else
inline Vector dot_words(Vector sum, Unit x, Vector w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
#endif

#else

constexpr int kVector = 16;
struct Vector {
    int32_t lane[kVector];
};
using Unit = int32_t;

inline Vector same(int32_t value) {
    Vector v;
    std::fill(v.lane, v.lane + kVector, value);
    return v;
}
inline Vector load(const void* from) {
    Vector v;
    std::memcpy(v.lane, from, sizeof v.lane);
    return v;
}
inline void store(int32_t* to, const Vector& v) { std::memcpy(to, v.lane, sizeof v.lane); }
inline Unit unit(const void* from) {
    int32_t bits;
    std::memcpy(&bits, from, 4);
    return bits;
}
inline Vector shift_right(Vector v, int count) {
    for (int i = 0; i < kVector; ++i) v.lane[i] >>= count;
    return v;
}
inline Vector clamp(Vector v, const Vector& low, const Vector& high) {
    for (int i = 0; i < kVector; ++i) v.lane[i] = std::min(std::max(v.lane[i], low.lane[i]), high.lane[i]);
    return v;
}
inline Vector add(Vector a, const Vector& b) {
    for (int i = 0; i < kVector; ++i) a.lane[i] = int32_t(uint32_t(a.lane[i]) + uint32_t(b.lane[i]));
    return a;
}
inline Vector subtract(Vector a, const Vector& b) {
    for (int i = 0; i < kVector; ++i) a.lane[i] -= b.lane[i];
    return a;
}
inline Vector both(Vector a, const Vector& b) {
    for (int i = 0; i < kVector; ++i) a.lane[i] &= b.lane[i];
    return a;
}
template <typename Code>
inline void store_codes(Code* to, const Vector* v) {
    for (int i = 0; i < kVector; ++i) to[i] = Code(v[0].lane[i]);
}
template <typename Code>
inline void store_run(Code* to, const Vector& low, const Vector& high) {
    store_codes(to, &low);
    store_codes(to + kVector, &high);
}
// sum[lane] + the products of the unit's X with the lane's W
template <typename X, typename W>
inline Vector dot(Vector sum, Unit x, const Vector& w) {
    constexpr int count = 4 / sizeof(X);
    X inputs[count];
    W weights[count * kVector];
    std::memcpy(inputs, &x, sizeof inputs);
    std::memcpy(weights, w.lane, sizeof weights);
    for (int i = 0; i < kVector; ++i) {
        uint32_t total = uint32_t(sum.lane[i]);
        for (int j = 0; j < count; ++j) total += uint32_t(int32_t(inputs[j]) * int32_t(weights[count * i + j]));
        sum.lane[i] = int32_t(total);
    }
    return sum;
}
inline Vector dot_words(const Vector& sum, Unit x, const Vector& w) { return dot<int16_t, int16_t>(sum, x, w); }
#if defined(HWFLOW_PLAIN_VNNI)
inline Vector dot_bytes(const Vector& sum, Unit x, const Vector& w) { return dot<uint8_t, int8_t>(sum, x, w); }
#endif

#endif

// Register tiles of kRows output pixels by kPanels panels: 24 of 32 vector registers of 512 bits hold sums,
// or 12 of 16 of 256 bits. The last rows of a block go in tiles of kTail rows.
#if defined(__AVX512BW__) || defined(HWFLOW_PLAIN_VNNI)
constexpr int kRows = 12, kTail = 4, kPanels = 2;
#else
constexpr int kRows = 6, kTail = 2, kPanels = 1;
#endif

// Whether vectors are registers of the machine, or plain C++.
#if defined(__AVX2__) && !defined(HWFLOW_PLAIN_VNNI)
constexpr bool kIntrinsics = true;
#else
constexpr bool kIntrinsics = false;
#endif

// Whether there are exact products of bytes.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(HWFLOW_PLAIN_VNNI)
#define HWFLOW_BYTES
#endif

constexpr int kParts = kLanes / kVector;  // vectors of a panel

// Runs of kRun words, each with weights of its own: kVector low and kVector high sums of two runs' products. Which element
// of the runs a sum's lane belongs to, first the low ones, and where its weight for the first or second run lies.
constexpr int kRun = 2 * kVector;
#if defined(__AVX2__) && !defined(HWFLOW_PLAIN_VNNI)
constexpr int element_of(int lane) {  // vectors interleave within each 128 bits
    const int at = lane % kVector;
    return at / 4 * 8 + at % 4 + (lane < kVector ? 0 : 4);
}
constexpr int weight_place(int lane, int run) { return 2 * lane + run; }
inline void dot_runs(Vector& low, Vector& high, const int16_t* a, const int16_t* b, const int16_t* w) {
    const Vector first = load(a), second = load(b);
    low = dot_words(low, pairs_low(first, second), load(w));
    high = dot_words(high, pairs_high(first, second), load(w + kRun));
}
#else
constexpr int element_of(int lane) { return lane; }
constexpr int weight_place(int lane, int run) { return run * kRun + lane; }
inline void dot_run(Vector& sum, const int16_t* x, const int16_t* w) {
#pragma GCC unroll 1
    for (int i = 0; i < kVector; ++i) sum.lane[i] = int32_t(uint32_t(sum.lane[i]) + uint32_t(x[i] * w[i]));
}
inline void dot_runs(Vector& low, Vector& high, const int16_t* a, const int16_t* b, const int16_t* w) {
    dot_run(low, a, w);
    dot_run(high, a + kVector, w + kVector);
    dot_run(low, b, w + kRun);
    dot_run(high, b + kVector, w + kRun + kVector);
}
#endif

}  // namespace

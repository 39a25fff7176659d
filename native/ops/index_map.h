// Which element goes where: element (i0, i1, ...) of a map goes from offset f0(i0) + f1(i1) + ... of the source to offset t0 i0 + t1 i1 + ... of
// the destination, where fk is a step or a table. Transpose, Slice, Pad, Expand, Tile, Concat, Gather and their like are such maps: one copy serves
// their forward pass, the same copy their tangents, and one transposed addition their cotangents.
#pragma once

#include <cstring>
#include <type_traits>

#include "ops/dtypes.h"
#include "ops/op.h"

namespace bitwright {

class IndexMap {
 public:
  struct Axis {
    int64_t size;
    int64_t from;                // step in the source
    int64_t to;                  // step in the destination
    std::vector<int64_t> table;  // when not empty: the offset in the source of each index, in place of the step

    bool injective() const { return table.empty() && from != 0; }
    int64_t source(int64_t i) const { return table.empty() ? i * from : table[i]; }
  };

  // Different index tuples of different axes must reach different elements; only an axis of its own may repeat elements.
  IndexMap(std::vector<Axis> axes, int64_t from_start = 0, int64_t to_start = 0);

  // Row-major strides of a shape.
  static std::vector<int64_t> strides(const Shape& shape);

  // The map for `sets` sources and destinations, one after the other.
  IndexMap repeated(int64_t sets, int64_t from_count, int64_t to_count) const;
  // Destination and source swapped; for maps without tables.
  IndexMap inverse() const;

  int64_t count() const { return count_; }
  // Every element of a source with `from_count` elements goes to one place.
  bool bijective(int64_t from_count) const;
  // The same order too.
  bool identity(int64_t from_count) const;

  // to[...] = from[...]
  template <class E>
  void copy(ThreadPool& pool, const E* from, E* to) const;

  // from[...] += to[...], in the order of the axes wherever elements repeat.
  template <class T, class S>
  void add_back(ThreadPool& pool, const T* to, S* from) const;

 private:
  struct Place {
    int64_t from, to;
  };

  // Calls body(place) for the index tuples [begin, end) of axes [first, last), where the tuples before them started at `start`.
  template <class Body>
  void walk(size_t first, size_t last, int64_t begin, int64_t end, Place start, const Body& body) const;
  int64_t extent(size_t first, size_t last) const;
  // Copies along the last two axes in tiles, when the source is contiguous in the last but one.
  template <class E>
  void copy_transposed(ThreadPool& pool, const E* from, E* to) const;

  std::vector<Axis> axes_;
  int64_t from_start_, to_start_;
  int64_t count_ = 1;
};

// Copies any element type.
void copy_mapped(ThreadPool& pool, const IndexMap& map, const Tensor& from, Tensor& to);
// Adds the transpose of a map from input i to the cotangents of that input; g: [batch, destination].
void add_mapped_adjoint(Context& context, int i, const IndexMap& map, const Tensor& g);

template <class Body>
void IndexMap::walk(size_t first, size_t last, int64_t begin, int64_t end, Place start, const Body& body) const {
  std::vector<int64_t> index(last - first);
  int64_t rest = begin;
  for (size_t k = last; k-- > first;) {
    index[k - first] = rest % axes_[k].size;
    rest /= axes_[k].size;
  }
  for (int64_t i = begin; i < end; ++i) {
    Place place = start;
    for (size_t k = first; k < last; ++k) {
      place.from += axes_[k].source(index[k - first]);
      place.to += index[k - first] * axes_[k].to;
    }
    body(place);
    for (size_t k = last; k-- > first;) {
      if (++index[k - first] < axes_[k].size) break;
      index[k - first] = 0;
    }
  }
}

template <class E>
void IndexMap::copy(ThreadPool& pool, const E* from, E* to) const {
  if (count_ == 0) return;
  const Axis& inner = axes_.back();
  if (axes_.size() > 1 && inner.from != 1 && axes_[axes_.size() - 2].from == 1 && inner.table.empty() && axes_[axes_.size() - 2].table.empty())
    return copy_transposed(pool, from, to);
  const auto run = [&](Place place, int64_t begin, int64_t end) {
    const E* source = from + place.from;
    E* target = to + place.to;
    if (!inner.table.empty())
      for (int64_t i = begin; i < end; ++i) target[i * inner.to] = source[inner.table[i]];
    else if (inner.from == 1 && inner.to == 1)
      std::memcpy(target + begin, source + begin, (end - begin) * sizeof(E));
    else
      for (int64_t i = begin; i < end; ++i) target[i * inner.to] = source[i * inner.from];
  };
  const Place start{from_start_, to_start_};
  const int64_t rows = extent(0, axes_.size() - 1);
  if (rows == 1) return parallel_chunks(pool, inner.size, [&](int64_t begin, int64_t end) { run(start, begin, end); });
  const int64_t together = std::max<int64_t>(1, kChunk / inner.size);
  pool.parallel_for((rows + together - 1) / together, [&](int64_t i) {
    walk(0, axes_.size() - 1, i * together, std::min(rows, (i + 1) * together), start, [&](Place place) { run(place, 0, inner.size); });
  });
}

template <class E>
void IndexMap::copy_transposed(ThreadPool& pool, const E* from, E* to) const {
  constexpr int64_t kTile = 16;
  const Axis &cross = axes_[axes_.size() - 2], &inner = axes_.back();
  const int64_t rows = extent(0, axes_.size() - 2), tiles = (cross.size + kTile - 1) / kTile;
  const auto band = [&](Place place, int64_t tile) {
    const int64_t begin = tile * kTile, end = std::min(cross.size, begin + kTile);
    for (int64_t block = 0; block < inner.size; block += kTile) {
      const int64_t stop = std::min(inner.size, block + kTile);
      for (int64_t i = begin; i < end; ++i) {
        const E* source = from + place.from + i;
        E* target = to + place.to + i * cross.to;
        for (int64_t j = block; j < stop; ++j) target[j * inner.to] = source[j * inner.from];
      }
    }
  };
  const int64_t together = std::max<int64_t>(1, kChunk / (kTile * inner.size));
  pool.parallel_for((rows * tiles + together - 1) / together, [&](int64_t chunk) {
    for (int64_t i = chunk * together; i < std::min(rows * tiles, (chunk + 1) * together); ++i)
      walk(0, axes_.size() - 2, i / tiles, i / tiles + 1, {from_start_, to_start_}, [&](Place place) { band(place, i % tiles); });
  });
}

template <class T, class S>
void IndexMap::add_back(ThreadPool& pool, const T* to, S* from) const {
  if (count_ == 0) return;
  // Axes that never repeat an element go first and are shared out over the threads; the innermost one stays where it is.
  IndexMap map = *this;
  const auto repeating = std::stable_partition(map.axes_.begin(), map.axes_.end() - 1, [](const Axis& axis) { return axis.injective(); });
  const auto shared = static_cast<size_t>(repeating - map.axes_.begin()), last = map.axes_.size() - 1;
  const Axis& inner = map.axes_[last];
  const auto run = [&](Place place) {
    const T* source = to + place.to;
    S* target = from + place.from;
    if (!inner.table.empty()) {
      for (int64_t i = 0; i < inner.size; ++i) target[inner.table[i]] += source[i * inner.to];
    } else if (inner.from == 0) {
      double sum = *target;
      for (int64_t i = 0; i < inner.size; ++i) sum += source[i * inner.to];
      *target = static_cast<S>(sum);
    } else {
      for (int64_t i = 0; i < inner.size; ++i) target[i * inner.from] += source[i * inner.to];
    }
  };
  const int64_t units = map.extent(0, shared), rest = map.extent(shared, last);
  const int64_t together = std::max<int64_t>(1, kChunk / (rest * inner.size));
  pool.parallel_for((units + together - 1) / together, [&](int64_t i) {
    map.walk(0, shared, i * together, std::min(units, (i + 1) * together), {from_start_, to_start_},
             [&](Place start) { map.walk(shared, last, 0, rest, start, run); });
  });
}

}  // namespace bitwright

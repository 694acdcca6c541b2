// For each vector of levels the codebook entries that come into question: itself if it is in the book, else the nearest ones.
#pragma once

#include "quanta/atomic.hpp"
#include "quanta/encode/lanes.hpp"
#include "quanta/formats/grids/iq1s.hpp"
#include "quanta/formats/grids/iq2s.hpp"
#include "quanta/formats/grids/iq2xs.hpp"
#include "quanta/formats/grids/iq2xxs.hpp"
#include "quanta/formats/grids/iq3s.hpp"
#include "quanta/formats/grids/iq3xxs.hpp"

namespace quanta::encode {

/// What the encoders know about a book. `rings` is how many of the distinct distances from a vector to the book are near
/// enough, `chunks` how many chunks the lists of neighbours fill: counted once, since storage is static; a test counts again.
template <std::size_t Count, int Bits>
struct book_traits {
  static constexpr std::size_t count = Count;
  static constexpr int bits = Bits, levels = Bits == 2 ? 3 : 8;
  static constexpr std::size_t dimension = Bits == 2 ? 8 : 4;
  static constexpr std::size_t vectors = Bits == 2 ? 6561 : 4096; ///< levels ^ dimension
  /// Neighbours compared at once. Lists of 4-vectors have 5 to 7 neighbours on average, those of 8-vectors 8 to 73.
  static constexpr std::size_t chunk = Bits == 2 ? 16 : 8;
};
struct iq2xxs_book : book_traits<256, 2> {
  static constexpr auto& entries = grids::iq2xxs;
  static constexpr std::size_t rings = 2, chunks = 10071;
};
struct iq2xs_book : book_traits<512, 2> {
  static constexpr auto& entries = grids::iq2xs;
  static constexpr std::size_t rings = 2, chunks = 14410;
};
struct iq2s_book : book_traits<1024, 2> {
  static constexpr auto& entries = grids::iq2s;
  static constexpr std::size_t rings = 1, chunks = 6286;
};
struct iq3xxs_book : book_traits<256, 3> {
  static constexpr auto& entries = grids::iq3xxs;
  static constexpr std::size_t rings = 2, chunks = 4288;
};
struct iq3s_book : book_traits<512, 3> {
  static constexpr auto& entries = grids::iq3s;
  static constexpr std::size_t rings = 3, chunks = 4557;
};
struct iq1s_book : book_traits<2048, 2> {
  static constexpr auto& entries = grids::iq1s;
  static constexpr std::size_t rings = 3, chunks = 22647;
};

/// The level of coordinate j in a code.
template <class Book>
[[gnu::always_inline]] constexpr unsigned level_of(unsigned code, std::size_t j) {
  return code >> static_cast<unsigned>(Book::bits) * j & ((1u << Book::bits) - 1u);
}
/// Vectors are numbered in base `levels`, the first coordinate lowest: without gaps, and exact in float arithmetic.
template <class Book>
[[gnu::always_inline]] constexpr std::size_t number_of(unsigned code) {
  std::size_t number = 0;
  for (std::size_t j = Book::dimension; j-- > 0;)
    number = number * Book::levels + level_of<Book>(code, j);
  return number;
}

/// The neighbours of a vector: `count` chunks from chunk `first` on; count 0: the vector is entry `first` of the book.
struct neighbour_list {
  std::uint16_t first, count;
};

/// The lists of one book, built when the first encoder asks for them: static, since encoders do not allocate, and tagged with
/// the level like all code. In each list codes of entries, ordered by distance and then by index; the last chunk is filled up
/// with the list's first one, which as the earlier of equals is preferred over its copies.
template <class Isa, class Book>
struct codebook_tables {
  neighbour_list lists[Book::vectors];
  std::uint16_t neighbours[Book::chunks * Book::chunk];
  detail::atomic<int> state; ///< 0: zeros; 1: a thread is building; 2: ready
};
template <class Isa, class Book>
inline constinit codebook_tables<Isa, Book> codebook_storage{};

/// Distances of all entries to all vectors, 6,561 times 2,048 at most: the vectors in order, so that only the terms of the
/// coordinates that change are added anew, 32 entries at a time in bytes (8 * 2^2 and 4 * 7^2 fit). 2 to 10 ms a book.
template <class Isa, class Book>
[[gnu::noinline]] void build_codebook(codebook_tables<Isa, Book>& tables) {
  using V = simd::code_bytes<Isa>;
  constexpr std::size_t n = Book::count, step = simd::code_portion, dimension = Book::dimension;
  std::uint8_t levels[dimension][n], distance[dimension + 1][n]; // distance[j]: over the coordinates from j on
  for (std::size_t e = 0; e < n; ++e) {
    for (std::size_t j = 0; j < dimension; ++j)
      levels[j][e] = static_cast<std::uint8_t>(level_of<Book>(Book::entries[e], j));
    distance[dimension][e] = 0;
  }
  unsigned digits[dimension] = {};
  std::size_t changed = dimension, chunks = 0; // the coordinates below `changed` are new
  for (std::size_t number = 0; number < Book::vectors; ++number) {
    for (std::size_t j = changed; j-- > 0;) {
      std::array<std::uint8_t, 16> squares{};
      for (unsigned l = 0; l < Book::levels; ++l)
        squares[l] = static_cast<std::uint8_t>((l - digits[j]) * (l - digits[j]));
      for (std::size_t e = 0; e < n; e += step)
        simd::store(&distance[j][e],
                    simd::load<V>(&distance[j + 1][e]) + simd::look_up(squares, simd::load<V>(&levels[j][e])));
    }
    std::uint16_t* const list = tables.neighbours + chunks * Book::chunk;
    std::size_t found = 0;
    tables.lists[number] = {static_cast<std::uint16_t>(chunks), 0};
    std::size_t rings = 0;
    for (unsigned d = 0; d < 256 && rings < Book::rings; ++d) {
      const std::size_t before = found;
      for (std::size_t e = 0; e < n; e += step) {
        std::uint64_t hits = simd::bits(simd::load<V>(&distance[0][e]) == simd::fill<V>(static_cast<std::uint8_t>(d)));
        for (; hits != 0; hits &= hits - 1)
          list[found++] = static_cast<std::uint16_t>(e + static_cast<std::size_t>(std::countr_zero(hits)));
      }
      if (d == 0 && found > 0) { // in the book
        tables.lists[number].first = list[0];
        break;
      }
      rings += found != before;
    }
    if (rings > 0) {
      for (std::size_t i = 0; i < found; ++i)
        list[i] = Book::entries[list[i]];
      for (; found % Book::chunk != 0; ++found)
        list[found] = list[0];
      tables.lists[number].count = static_cast<std::uint16_t>(found / Book::chunk);
      chunks += found / Book::chunk;
    }
    for (changed = 0; changed < dimension && ++digits[changed] == Book::levels; ++changed)
      digits[changed] = 0;
    ++changed;
  }
}

/// The tables of a book. The first call builds them while other threads wait; atomics of our own, since the guards that
/// compilers put around local statics can be switched off.
template <class Isa, class Book>
[[gnu::always_inline]] inline const codebook_tables<Isa, Book>& tables_of() {
  auto& tables = codebook_storage<Isa, Book>;
  if (tables.state.load() != 2) {
    if (tables.state.replace(0, 1)) {
      build_codebook(tables);
      tables.state.store(2);
    } else {
      while (tables.state.load() != 2) {
      }
    }
  }
  return tables;
}

} // namespace quanta::encode

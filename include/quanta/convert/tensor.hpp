// One tensor of a model in another type: read, decoded, encoded, checked and written in pieces, so that memory stays small.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "quanta/convert/rows.hpp"
#include "quanta/error_report.hpp"
#include "quanta/gguf/gguf.hpp"

namespace quanta::convert {

/// A weight that does not fit, for a message that helps.
struct misfit {
  std::uint64_t row = 0, column = 0;
  float value = 0;
};

struct tensor_options {
  bool thorough = false;       ///< search::thorough
  bool zero_nonfinite = false; ///< NaN and infinities become 0 instead of an error
};

/// Converts tensors, one after the other, with the memory of the largest slab.
class tensor_converter {
public:
  /// `progress(values)` is called now and then with what was done since; a false from it ends the work (`interrupted`).
  tensor_converter(const gguf::model& from, const tensor_options& options, parallel_reference parallel_for,
                   std::function<bool(std::uint64_t)> progress)
      : from_(from), options_(options), parallel_for_(parallel_for), progress_(std::move(progress)) {}

  /// Encodes a tensor as `to` and hands the bytes to `out`. Importance is null, or has a value a column for each matrix of
  /// dims[0] x dims[1]. Errors: nonfinite_value (a weight is NaN or infinite), nonfinite_scale (the type cannot hold a
  /// weight), both with the place in the file of the weight, which misfit() tells; interrupted; those of reading and writing.
  result<error_report> convert(const gguf::model::tensor& tensor, tensor_type to, const float* importance,
                               gguf::file_writer& out) {
    const job j{tensor,         *tensor.info, *find_type(tensor.info->type),
                *find_type(to), importance,   pieces_of(*tensor.info, to, importance)};
    error_report report;
    for (std::uint64_t first = 0, count = 0; first < j.pieces.count(); first += count) {
      count = slab_size(j, first);
      const auto slab = encode_slab(j, first, count, report);
      if (!slab)
        return slab.error();
      if (const auto done = out.write(*slab); !done)
        return done.error();
    }
    return report;
  }

  /// Hands the bytes of a tensor to `out` as they are. Returns the place of the first number in them that is not finite.
  /// Errors: interrupted; those of reading and writing.
  result<std::optional<error>> copy(const gguf::model::tensor& tensor, gguf::file_writer& out) {
    const gguf::tensor_info& t = *tensor.info;
    const type_info& type = *find_type(t.type);
    std::optional<error> wrong;
    const std::uint64_t most = slab_bytes / type.block_bytes * type.block_bytes;
    for (std::uint64_t at = 0, size = 0; at < t.bytes; at += size) {
      size = std::min(most, t.bytes - at);
      in_.resize(static_cast<std::size_t>(size));
      if (const auto done = from_.read(tensor, at, in_); !done)
        return done.error();
      if (const auto where = wrong ? std::nullopt : gguf::find_nonfinite(type, in_))
        wrong = error(gguf::nonfinite_error(type), place(tensor, at + *where), t.name);
      if (const auto done = out.write(in_); !done)
        return done.error();
      if (!progress_(size / type.block_bytes * type.block_size))
        return errc::interrupted;
    }
    return wrong;
  }

  /// Whether f16 holds every finite weight of a tensor.
  result<bool> fits_f16(const gguf::model::tensor& tensor) {
    const gguf::tensor_info& t = *tensor.info;
    const type_info& type = *find_type(t.type);
    const row_pieces pieces(t.columns(), t.rows(), longest_piece);
    std::vector<float> values(pieces.largest());
    for (std::uint64_t i = 0; i < pieces.count(); ++i) {
      const std::size_t n = pieces[i].values;
      in_.resize(n / type.block_size * type.block_bytes);
      if (const auto done = from_.read(tensor, pieces.offset(i, type), in_); !done)
        return done.error();
      decode(t.type, in_.data(), n, values.data());
      if (std::any_of(values.data(), values.data() + n, [](float x) { return std::isfinite(x) && std::fabs(x) >= 65520.f; }))
        return false;
    }
    return true;
  }

  /// After an error of convert: the weight.
  const misfit& what_misfits() const { return misfit_; }

private:
  static constexpr std::uint64_t slab_bytes = std::uint64_t{8} << 20, slab_pieces = 256, longest_piece = std::uint64_t{1} << 18;
  static constexpr std::size_t none = ~std::size_t{0};

  struct job {
    const gguf::model::tensor& tensor;
    const gguf::tensor_info& info;
    const type_info &source, &target;
    const float* importance;
    row_pieces pieces;
  };
  struct outcome {
    error_report report;
    std::size_t bad_value = none; ///< its index in the piece
  };

  /// Searches that look at a whole row, or may, get it whole: those of the linear formats weigh errors by its mean square.
  row_pieces pieces_of(const gguf::tensor_info& t, tensor_type to, const float* importance) const {
    using enum tensor_type;
    const bool linear = to == q4_0 || to == q4_1 || to == q5_0 || to == q5_1,
               whole = options_.thorough || (importance && linear);
    return {t.columns(), t.rows(), whole ? ~std::uint64_t{0} / row_pieces::unit * row_pieces::unit : longest_piece};
  }
  static std::uint64_t slab_size(const job& j, std::uint64_t first) {
    const std::uint64_t bytes =
        std::max<std::uint64_t>(1, std::max(j.pieces.offset(first + 1, j.source) - j.pieces.offset(first, j.source),
                                            j.pieces.offset(first + 1, j.target) - j.pieces.offset(first, j.target)));
    return std::min(j.pieces.count() - first, std::clamp<std::uint64_t>(slab_bytes / bytes, 1, slab_pieces));
  }

  result<std::span<const std::byte>> encode_slab(const job& j, std::uint64_t first, std::uint64_t count, error_report& report) {
    const std::uint64_t in_at = j.pieces.offset(first, j.source), out_at = j.pieces.offset(first, j.target);
    in_.resize(static_cast<std::size_t>(j.pieces.offset(first + count, j.source) - in_at));
    out_.resize(static_cast<std::size_t>(j.pieces.offset(first + count, j.target) - out_at));
    if (const auto done = from_.read(j.tensor, in_at, in_); !done)
      return done.error();
    outcomes_.assign(static_cast<std::size_t>(count), {});
    const auto work = [&](std::size_t begin, std::size_t end) {
      std::vector<float> values(j.pieces.largest()), decoded(j.pieces.largest());
      for (std::size_t i = begin; i < end; ++i)
        outcomes_[i] = encode_piece(
            j, j.pieces[first + i], &in_[static_cast<std::size_t>(j.pieces.offset(first + i, j.source) - in_at)],
            &out_[static_cast<std::size_t>(j.pieces.offset(first + i, j.target) - out_at)], values.data(), decoded.data());
    };
    if (out_.size() < (1u << 14)) // less work than waking a thread
      work(0, static_cast<std::size_t>(count));
    else
      parallel_for_(static_cast<std::size_t>(count), work);
    std::uint64_t values = 0;
    for (std::size_t i = 0; i < count; ++i) { // in order, so that sums do not depend on the threads
      const row_pieces::piece p = j.pieces[first + i];
      if (outcomes_[i].bad_value != none)
        return misfit_at(errc::nonfinite_value, j, p, outcomes_[i].bad_value);
      report += outcomes_[i].report;
      values += p.values;
    }
    if (const auto at = gguf::find_nonfinite(j.target, out_))
      return overflow_at(j, out_at + *at);
    if (!progress_(values))
      return errc::interrupted;
    return std::span<const std::byte>(out_);
  }

  outcome encode_piece(const job& j, const row_pieces::piece& p, const std::byte* in, std::byte* out, float* values,
                       float* decoded) const {
    outcome o;
    decode(j.source.type, in, p.values, values);
    for (std::size_t c = 0; c < p.values; ++c)
      if (!std::isfinite(values[c])) {
        if (!options_.zero_nonfinite) {
          o.bad_value = c;
          return o;
        }
        values[c] = 0.f;
      }
    if (j.target.type == tensor_type::f32) {
      std::memcpy(out, values, p.values * sizeof(float));
    } else {
      const dispatch::kernels& to = kernels_of(j.target.type);
      const std::uint64_t matrix = j.info.dims.size() > 1 ? p.row / j.info.dims[1] : p.row;
      (options_.thorough ? to.quantize_thoroughly : to.quantize)(
          values, p.values, out, j.importance ? j.importance + matrix * j.info.columns() + p.column : nullptr);
    }
    decode(j.target.type, out, p.values, decoded);
    const std::size_t block = j.target.block_size == 1 ? p.values : j.target.block_size;
    for (std::size_t c = 0; c < p.values; c += block)
      o.report.add_block(values + c, decoded + c, std::min(block, p.values - c));
    return o;
  }

  std::uint64_t place(const gguf::model::tensor& tensor, std::uint64_t offset) const {
    return from_.part_of(tensor).data_offset() + tensor.info->offset + offset;
  }
  /// Remembers the weight at an index of a piece.
  error misfit_at(errc why, const job& j, const row_pieces::piece& p, std::size_t index) {
    misfit_.row = p.row;
    misfit_.column = p.column + index;
    const std::uint64_t value = p.row * j.info.columns() + misfit_.column;
    const std::uint64_t block = value / j.source.block_size * j.source.block_bytes;
    std::vector<std::byte> bytes(j.source.block_bytes);
    std::vector<float> values(j.source.block_size);
    if (const auto done = from_.read(j.tensor, block, bytes); !done)
      return done.error();
    decode(j.source.type, bytes.data(), values.size(), values.data());
    misfit_.value = values[value % j.source.block_size];
    return error(why, place(j.tensor, block), j.info.name);
  }
  /// A scale beyond its range makes an infinite block: the largest of its weights was too large for the type.
  error overflow_at(const job& j, std::uint64_t offset) {
    const std::uint64_t block = offset / j.target.block_bytes * j.target.block_size, columns = j.info.columns();
    error worst;
    misfit largest;
    for (std::uint64_t i = 0; i < j.target.block_size; ++i) {
      const error e = misfit_at(errc::nonfinite_scale, j, {block / columns, block % columns, 1}, static_cast<std::size_t>(i));
      if (i == 0 || std::fabs(misfit_.value) > std::fabs(largest.value)) {
        largest = misfit_;
        worst = e;
      }
    }
    misfit_ = largest;
    return worst;
  }

  const gguf::model& from_;
  tensor_options options_;
  parallel_reference parallel_for_;
  std::function<bool(std::uint64_t)> progress_;
  std::vector<std::byte> in_, out_;
  std::vector<outcome> outcomes_;
  misfit misfit_;
};

} // namespace quanta::convert

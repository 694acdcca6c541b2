// What an importance matrix says of a model's weights.
#pragma once

#include <set>

#include "common.hpp"
#include "quanta/imatrix.hpp"

namespace tool {

/// A matrix, and what of it is used. Pointers are into the matrix: it is not copied.
class importance {
public:
  importance() = default;
  importance(const importance&) = delete;
  importance& operator=(const importance&) = delete;

  /// Reads the matrix that the options name, if any, and takes the part of it that they ask for. A code other than success
  /// comes after a message.
  int read(const quantize_options& options);
  /// Whether there is a matrix.
  bool given() const { return file_ != nullptr; }
  const quanta::importance_matrix& matrix() const { return matrix_; }

  /// How many of its entries are used, after find() was called for all tensors.
  std::size_t used() const { return used_.size(); }
  /// Whether a path names the file of the matrix.
  bool is_file(const std::string& path) const { return file_ && file_->is_same_file(path); }

  /// Importance of a tensor, a value a column for each of its matrices; null if the matrix has none, or zeros in most columns.
  /// `original` is its name in the model that the matrix is of. Error: importance_mismatch (of another size; but for the token
  /// embedding, whose entry is then left out).
  quanta::result<const float*> find(const std::string& original, const quanta::gguf::tensor_info& tensor);

  /// Says, in a line each, what was used and which weights, converted to these types, go without.
  void say_what_was_used(const std::vector<std::string>& without) const;

private:
  std::shared_ptr<const quanta::gguf::file_source> file_;
  quanta::importance_matrix matrix_;
  std::set<std::string, std::less<>> used_, zero_, left_out_;
};

} // namespace tool

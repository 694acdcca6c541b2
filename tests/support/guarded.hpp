// Memory that ends (or begins) exactly at a page that must not be touched.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

/// `bytes` writable bytes between two inaccessible pages, flush with the upper or the lower one, or `shift` bytes from it.
class guarded {
public:
  guarded(std::size_t bytes, bool flush_with_end, std::size_t shift = 0) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t inner = (bytes + shift + page - 1) / page * page + page;
    size_ = inner + 2 * page;
    base_ = static_cast<std::uint8_t*>(::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::mprotect(base_ + page, inner, PROT_READ | PROT_WRITE);
    data_ = flush_with_end ? base_ + page + inner - bytes - shift : base_ + page + shift;
  }
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() { ::munmap(base_, size_); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

private:
  std::uint8_t *base_, *data_;
  std::size_t size_;
};

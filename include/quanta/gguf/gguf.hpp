// GGUF model files: read, validated, written. Needs POSIX and the standard library; may allocate, does not throw.
#pragma once

#include "quanta/gguf/model.hpp"
#include "quanta/gguf/reader.hpp"
#include "quanta/gguf/validate.hpp"
#include "quanta/gguf/writer.hpp"

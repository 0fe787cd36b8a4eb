#include <vivace/core/buffer.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/fixed_string.hpp>
#include <vivace/core/parallel.hpp>
#include <vivace/core/random.hpp>
#include <vivace/core/sequence.hpp>
#include <vivace/core/shape.hpp>

double first_number(vivace::shape shape) {
  return vivace::random_stream(1, 2).uniform(static_cast<std::uint64_t>(shape.size()));
}

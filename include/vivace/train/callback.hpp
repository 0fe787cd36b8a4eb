#pragma once
#include <vivace/train/trace.hpp>

namespace vivace::inline VIVACE_TARGET {

/// What callbacks see of a training, and how they steer it.
class training_state {
 public:
  virtual ~training_state() = default;
  int epoch = 0;             ///< current, from 0
  int epochs = 0;            ///< to be done in all
  int batch = 0;             ///< done in this epoch
  int batches = 0;           ///< of an epoch
  std::int64_t samples = 0;  ///< seen in this epoch
  double mean_loss = 0;      ///< of this epoch so far
  double seconds = 0;        ///< of this epoch so far
  bool stop = false;         ///< set it to end the training after this epoch

  /// All records so far.
  [[nodiscard]] virtual const trace& history() const = 0;
  /// Keeps a copy of the weights in memory, or brings it back.
  virtual void keep_weights() = 0;
  virtual void restore_weights() = 0;
};

/// A callback: any type with some of `on_begin`, `on_batch`, `on_epoch`, `on_end`, each taking training_state&. One whose
/// `on_batch` looks at the records and at nothing else may say so by `static constexpr bool only_looks = true`: then a
/// device need not wait for it.
template <class Type>
concept callback = requires(Type& self, training_state& state) { self.on_begin(state); } ||
                   requires(Type& self, training_state& state) { self.on_batch(state); } ||
                   requires(Type& self, training_state& state) { self.on_epoch(state); } ||
                   requires(Type& self, training_state& state) { self.on_end(state); };

/// True if a callback has a function of this name that does not take training_state&, and so would never be called.
template <class Type>
constexpr bool has_mistaken_function() {
  const bool begin = requires(Type& self, training_state& state) { self.on_begin(state); };
  const bool batch = requires(Type& self, training_state& state) { self.on_batch(state); };
  const bool epoch = requires(Type& self, training_state& state) { self.on_epoch(state); };
  const bool end = requires(Type& self, training_state& state) { self.on_end(state); };
  return (!begin && requires { &Type::on_begin; }) || (!batch && requires { &Type::on_batch; }) ||
         (!epoch && requires { &Type::on_epoch; }) || (!end && requires { &Type::on_end; });
}

/// When a callback is called.
enum class training_event { begin, batch, epoch, end };

/// A callback behind function pointers, so that the training loop is compiled once.
struct callback_handle {
  void* self = nullptr;
  void (*call)(void*, training_event, training_state&) = nullptr;
  bool acts_on_batches = false;  ///< on_batch does more than look at records, so a device must not be ahead of it
  void operator()(training_event event, training_state& state) const { call(self, event, state); }

  template <callback Type>
  static callback_handle to(Type& object) {
    static_assert(!has_mistaken_function<Type>(),
                  "vivace: a callback's on_begin, on_batch, on_epoch and on_end take training_state&; one of these "
                  "does not");
    return {&object, [](void* self, training_event event, training_state& state) {
              auto& target = *static_cast<Type*>(self);
              if constexpr (requires { target.on_begin(state); })
                if (event == training_event::begin) target.on_begin(state);
              if constexpr (requires { target.on_batch(state); })
                if (event == training_event::batch) target.on_batch(state);
              if constexpr (requires { target.on_epoch(state); })
                if (event == training_event::epoch) target.on_epoch(state);
              if constexpr (requires { target.on_end(state); })
                if (event == training_event::end) target.on_end(state);
            },
            requires(Type& target, training_state& state) { target.on_batch(state); } &&
                !requires { requires Type::only_looks; }};
  }
};

}  // namespace vivace::inline VIVACE_TARGET

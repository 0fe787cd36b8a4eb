#pragma once
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <vivace/io/csv.hpp>
#include <vivace/io/file.hpp>
#include <vivace/search/strategy.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Setting of a search: keeps a log of all results in a file, which is replaced as a whole, about once a second at
/// most, and at the end. If the file is there already, the search goes on from it, bit for bit as if it had never
/// stopped. More queries than last time continue a finished search.
struct write_log {
  std::string path;
};

namespace detail {

/// The log of a search as text: a table with one row a result.
class log_file {
 public:
  /// @param signature of the search
  log_file(std::string path, const space_view& space, std::uint64_t signature)
      : path_(std::move(path)), space_(space), signature_(hex(signature)) {}

  /// Results of the file; none if there is no file.
  /// @throws file_error if it is damaged or of another search
  [[nodiscard]] std::vector<query_result> read() const {
    std::vector<query_result> results;
    if (::access(path_.c_str(), F_OK) != 0) return results;
    const auto table = io::csv_table::read(path_);
    const auto signatures = table.text("search"), texts = table.text("architecture");
    const auto train = table.text("train_loss"), loss = table.text("val_loss"), accuracy = table.text("val_accuracy");
    const auto epochs = table.numbers("epochs"), scores = table.numbers("score"), seconds = table.numbers("seconds");
    for (std::size_t i = 0; i < table.rows(); ++i) {
      if (signatures[i] != signature_)
        throw file_error("the log is of another search", path_, "search " + signatures[i],
                         "search " + signature_ +
                             ": the same space, strategy, seed, epochs and initial points; or "
                             "another path");
      query_result one{.of = space_.parse(texts[i]),
                       .epochs = static_cast<int>(epochs[i]),
                       .score = scores[i],
                       .seconds = seconds[i],
                       .records = {}};
      const auto train_losses = numbers(train[i]), losses = numbers(loss[i]), accuracies = numbers(accuracy[i]);
      if (losses.size() != train_losses.size() || accuracies.size() != train_losses.size())
        throw file_error("the log of a search is damaged", path_, "row " + std::to_string(i + 1),
                         "as many losses as accuracies");
      for (std::size_t epoch = 0; epoch < train_losses.size(); ++epoch)
        one.records.push_back({.epoch = static_cast<int>(epoch),
                               .train_loss = train_losses[epoch],
                               .val_loss = losses[epoch],
                               .val_accuracy = accuracies[epoch],
                               .rate = 0,
                               .seconds = 0});
      results.push_back(std::move(one));
    }
    return results;
  }

  /// Appends a result to what write() will write.
  void add(const query_result& one) {
    const auto list = [&](double epoch_record::*member) {
      std::string text;
      for (const epoch_record& record : one.records)
        text += (text.empty() ? "" : ";") + io::csv_writer::field(record.*member).text();
      return text;
    };
    const io::csv_writer::field fields[] = {signature_,
                                            space_.text(one.of),
                                            one.epochs,
                                            one.score,
                                            one.seconds,
                                            list(&epoch_record::train_loss),
                                            list(&epoch_record::val_loss),
                                            list(&epoch_record::val_accuracy)};
    for (const io::csv_writer::field& field : fields) text_ += (&field == fields ? "" : ",") + field.text();
    text_ += '\n';
  }
  void write() const {
    io::atomic_file file(path_);
    file.write(text_.data(), text_.size());
    file.commit();
  }

 private:
  static std::string hex(std::uint64_t number) {
    char digits[17]{};
    std::to_chars(digits, digits + 16, number, 16);
    return digits;
  }
  [[nodiscard]] std::vector<double> numbers(std::string_view list) const {
    std::vector<double> result;
    const char* at = list.data();
    const char* const end = at + list.size();
    while (at < end) {
      double number = 0;
      const auto [stop, failure] = std::from_chars(at, end, number);
      if (failure != std::errc{} || (stop != end && *stop != ';'))
        throw file_error("the log of a search is damaged", path_, std::string(list.substr(0, 80)),
                         "numbers with semicolons between");
      result.push_back(number);
      at = stop == end ? end : stop + 1;
    }
    return result;
  }

  std::string path_;
  space_view space_;
  std::string signature_;
  std::string text_ = "search,architecture,epochs,score,seconds,train_loss,val_loss,val_accuracy\n";
};

}  // namespace detail

}  // namespace vivace::inline VIVACE_TARGET::search

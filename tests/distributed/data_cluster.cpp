// A data cluster under mpirun: every item is prepared once and comes once to each job, and a killed rank stops nobody.
//
// usage: data_cluster            starts itself under mpirun with three ranks, and checks what they report; 77: no
// OpenMPI
//        data_cluster FOLDER [kill]   one rank; with "kill", rank 2 kills itself in the middle
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>
#include <vivace/data/cluster.hpp>
#include <vivace/data/cluster_mpi.hpp>
#include <vivace/data/dataset.hpp>

namespace data = vivace::data;

namespace {

constexpr int items = 3000, jobs = 2, batch = 16, ranks = 3;

struct twice {
  void operator()(float* sample, const vivace::shape&, const data::sample_key&) const { *sample *= 2; }
};

std::string path(const std::string& folder, int job, int rank) {
  return folder + "/job" + std::to_string(job) + "." + std::to_string(rank);
}

/// Takes an epoch of a job and writes down what came, before the leader hears of it.
void train(const data::cluster_host<float>& host, const std::string& folder, int number, int rank, bool dies) {
  auto job = host.join(static_cast<std::uint64_t>(number), ranks, batch);
  std::ofstream log(path(folder, number, rank), std::ios::binary);
  int count = 0;
  for (auto samples = job.take(batch); !samples.empty(); samples = job.take(batch)) {
    for (const auto& one : samples) {
      if (*one.sample->features() != 2.0f * static_cast<float>(one.item)) std::abort();
      log.write(reinterpret_cast<const char*>(&one.item), sizeof one.item);
    }
    log.flush();
    if (dies && ++count == 20) ::raise(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(number));  // job 1 is slower
  }
}

int run_rank(const std::string& folder, bool kills) {
  data::mpi_cluster mine = data::start_cluster(MPI_COMM_WORLD, items);
  // MPI has done its part, and would not survive a death.
  MPI_Finalize();
  std::vector<float> values;
  for (int i = 0; i < items; ++i) values.push_back(static_cast<float>(i));
  const auto set = data::dataset::own(values, {1});
  {
    const data::cluster_host<float> host(set, mine.address, mine.host, {}, twice{});
    std::thread other([&] { train(host, folder, 1, mine.host, false); });
    train(host, folder, 0, mine.host, kills && mine.host == 2);
    other.join();
    std::ofstream(folder + "/prepared." + std::to_string(mine.host)) << host.preparations();
  }
  // The leader outlives its hosts.
  if (mine.leader)
    for (int i = 0; i < 2000 && mine.leader->hosts() > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return 0;
}

int check(const std::string& self, bool kills) {
  std::string folder = (std::filesystem::temp_directory_path() / "vivace-cluster-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  const std::string command =
      std::string("mpirun --enable-recovery -n 3 ") + self + " " + folder + (kills ? " kill" : "");
  const int status = std::system(command.c_str());
  int faults = status == 0 ? 0 : 1;
  if (status != 0) std::printf("mpirun: status %d\n", status);
  for (int job = 0; job < jobs; ++job) {
    std::vector<std::uint32_t> all, survivors;
    for (int rank = 0; rank < ranks; ++rank) {
      std::ifstream log(path(folder, job, rank), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(log), {}};
      const auto* first = reinterpret_cast<const std::uint32_t*>(bytes.data());
      all.insert(all.end(), first, first + bytes.size() / 4);
      if (rank < 2) survivors.insert(survivors.end(), first, first + bytes.size() / 4);
    }
    std::sort(all.begin(), all.end());
    std::sort(survivors.begin(), survivors.end());
    const bool twice_there = std::adjacent_find(survivors.begin(), survivors.end()) != survivors.end();
    const std::size_t total = all.size();
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::printf("%s job %d: %zu delivered, %zu different of %d, twice to the survivors: %s\n",
                kills ? "killed" : "whole ", job, total, all.size(), items, twice_there ? "yes" : "no");
    if (all.size() != items || twice_there || total > items + (kills ? batch : 0)) ++faults;
  }
  std::uint64_t prepared = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    std::uint64_t one = 0;
    std::ifstream(folder + "/prepared." + std::to_string(rank)) >> one;
    prepared += one;
  }
  if (!kills) std::printf("prepared: %llu of %d\n", static_cast<unsigned long long>(prepared), items);
  if (!kills && prepared != items) ++faults;
  std::filesystem::remove_all(folder);
  return faults == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1) {
    MPI_Init(&count, &arguments);
    return run_rank(arguments[1], count > 2);
  }
  // MPICH has no --enable-recovery.
  if (std::system("mpirun --version 2>/dev/null | grep -q 'Open MPI'") != 0) {
    std::puts("skipped: OpenMPI's mpirun is not there");
    return 77;
  }
  const struct {
    const char *name, *value;
  } settings[] = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                  {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                  {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                  {"OMPI_MCA_hwloc_base_binding_policy", "none"},
                  {"OMPI_MCA_mpi_yield_when_idle", "1"},
                  {"OMPI_MCA_pml", "ob1"},
                  {"OMPI_MCA_btl", "self,vader"},
                  {"OMPI_MCA_plm", "isolated"}};
  for (const auto& one : settings) ::setenv(one.name, one.value, 0);
  const std::string self = std::filesystem::canonical("/proc/self/exe").string();
  return check(self, false) + check(self, true) == 0 ? 0 : 1;
}

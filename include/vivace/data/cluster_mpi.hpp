#pragma once
/// @file
/// Starts a data cluster in an MPI program. MPI is used for the start alone: samples and orders go over sockets, as
/// a communicator does not outlive the death of one of its processes.
#include <mpi.h>

#include <cstdint>
#include <exception>
#include <memory>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/data/cluster/leader.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// What a process of an MPI program needs to be a host of a data cluster; rank 0 leads, and is a host like the others.
struct mpi_cluster {
  cluster_address address;
  int host = 0, hosts = 1;
  std::unique_ptr<cluster_leader> leader;  ///< on rank 0
};

/// Starts the leader on rank 0 and tells all ranks its address. Collective.
///
/// If a process dies, plain mpirun ends all others: start with `mpirun --enable-recovery` (OpenMPI), and call
/// MPI_Finalize before there is anything to lose, or not at all: it would wait for the dead.
/// @param items samples of the data set
/// @throws error on all ranks if the leader cannot start
inline mpi_cluster start_cluster(MPI_Comm ranks, std::uint32_t items, const leader_options& options = {}) {
  mpi_cluster made;
  MPI_Comm_rank(ranks, &made.host);
  MPI_Comm_size(ranks, &made.hosts);
  std::exception_ptr failure;
  if (made.host == 0) try {
      made.leader = std::make_unique<cluster_leader>(items, made.hosts, options);
      made.address = made.leader->address();
    } catch (...) {
      failure = std::current_exception();
    }
  MPI_Bcast(&made.address, static_cast<int>(sizeof made.address), MPI_BYTE, 0, ranks);
  if (failure) std::rethrow_exception(failure);
  if (made.address.port == 0)
    throw error("the leader of the cluster did not start", "rank 0", "an error there", "what that says");
  return made;
}

}  // namespace vivace::inline VIVACE_TARGET::data
